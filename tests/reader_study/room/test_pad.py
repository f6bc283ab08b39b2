"""A telephone as answer pad: who may pair it, and what it can do."""

import json

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.reader_study.room.browser_stub import SOCKETS, Browser, heard, in_loop, say


def test_a_telephone_is_paired_once_and_leaves_with_the_login(room):
    """What a stranger holds of it - the used code, another cookie, any message - opens nothing."""

    async def phone(browser):
        address = browser.url.replace("http", "ws", 1) + "/pad-socket"
        socket = await websocket_connect(HTTPRequest(address, headers=browser.headers()))
        SOCKETS.append(socket)
        return socket, await heard(socket)

    async def work():
        async with room() as ((code, _), url, rooms):
            reader = Browser(url)
            await reader.log_in(code)
            socket, _ = await reader.open()
            pad = await say(socket, {"action": "pad"})
            assert pad["pad"] == {"local": True}, "no code where no telephone could come"
            token = rooms.pads.offer("R1", rooms.open["R1"].login)
            held, late = Browser(url), Browser(url)
            assert (await late.get("/pad/" + "x" * 22)).code == 404
            assert (await held.get(f"/pad/{token}")).headers["Location"] == "/pad"
            assert (await late.get(f"/pad/{token}")).code == 404, "used up"
            assert await phone(late) == (SOCKETS[-1], None)
            pressing, state = await phone(held)
            assert (await heard(socket))["told"] == [["panel", {"pad": {"joined": True}}]]
            assert state["options"] == [], "consent is read on the screen"
            await say(socket, {"action": "consent"})
            state = await heard(pressing)
            assert [o["value"] for o in state["options"]] == [
                "left",
                "right",
                "tie",
                "cannot-judge",
            ]
            await pressing.write_message(json.dumps({"id": state["id"], "value": "tie", "x": 1}))
            press = {"id": state["id"], "value": "tie"}
            assert (await heard(socket))["told"] == [["panel", {"pad": {"press": press}}]]
            await pressing.write_message('{"id": 3}')
            assert await heard(pressing) is None
            assert (await held.get("/pad-socket")).code in {400, 403, 426}
            await reader.get("/logout?stay")
            assert await phone(held) == (SOCKETS[-1], None), "over with the login"
            assert b"not connected" in (await held.get("/pad")).body

    in_loop(work)
