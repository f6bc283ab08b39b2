"""A browser without a window: cookies, pages and the socket of the one-process room."""

import asyncio
import json
import re
import urllib.parse

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect


class Browser:
    """Cookies of one browser, and what it asks for."""

    def __init__(self, url: str) -> None:
        self.url, self.cookies = url.rstrip("/"), {}

    def headers(self, **more: str) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **more}

    async def get(self, path: str, body: str | None = None, **headers: str):
        reply = await AsyncHTTPClient().fetch(
            f"{self.url}{path}",
            method="GET" if body is None else "POST",
            body=body,
            headers=self.headers(**headers),
            follow_redirects=False,
            raise_error=False,
        )
        for line in reply.headers.get_list("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
            self.cookies = {k: v for k, v in self.cookies.items() if v not in {"", '""'}}
        return reply

    async def log_in(self, code: str, **headers: str):
        page = (await self.get("/login")).body.decode()
        token = re.search(r'name="_xsrf"[^>]*value="([^"]+)"', page)[1]
        form = urllib.parse.urlencode({"code": code, "_xsrf": token})
        return await self.get("/login", form, **headers)

    async def open(self, **headers: str):
        """Socket of the room and what it says first; None where it is closed at once."""
        address = self.url.replace("http", "ws", 1) + "/reading"
        request = HTTPRequest(address, headers=self.headers(**headers))
        socket = await websocket_connect(request)
        SOCKETS.append(socket)
        said = await heard(socket)
        return socket, said and said["open"]


SOCKETS = []  # of a test, closed when it ends


async def hang_up():
    """Close every socket, and wait until the other side has heard of it."""
    while SOCKETS:
        socket = SOCKETS.pop()
        was_open = socket.close_code is None
        socket.close()
        if was_open:
            while await socket.read_message() is not None:
                pass


async def heard(socket):
    """The next thing a socket says; None once it is closed."""
    said = await asyncio.wait_for(socket.read_message(), 20)
    return None if said is None else json.loads(said)


async def say(socket, what: dict, to: str = "panel") -> dict:
    """State of the panel after a message to it."""
    await socket.write_message(json.dumps({"to": to, "say": what}))
    reply = await heard(socket)
    return {k: v for name, traits in reply["told"] if name == "panel" for k, v in traits.items()}


def in_loop(work):
    """Run an asynchronous test."""
    return asyncio.run(asyncio.wait_for(work(), 60))
