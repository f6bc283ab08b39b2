"""A telephone as the answer pad of a reader, beside images that fill the screen.

The reader's own page shows a code; whichever telephone opens it first is paired with that login. An
answer goes to the page, which takes it as if its key had been pressed: times, the wait after new
images and the way it was viewed are the page's.
"""

import json
from typing import Any

from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from reader_study.room.pages import Page
from reader_study.room.phone import LONGEST_MESSAGE, OVER, Pairing, heard, pad_state, qr_of

LOCAL = {"localhost", "127.0.0.1", "[::1]"}


def offered(page: Page, reader: str) -> dict[str, Any]:
    """What a reader's screen shows to pair a telephone; nothing to scan where none could come."""
    host = page.request.host
    if host.rpartition(":")[0] in LOCAL or host in LOCAL:
        return {"local": True}
    token = page.rooms.pads.offer(reader, page.login)
    address = f"{'https' if page.is_encrypted else 'http'}://{host}/pad/{token}"
    return {"address": address, "qr": qr_of(address)}


class _OfPhone(Page):
    """A page for a telephone: it knows a pairing instead of a login."""

    for_strangers = True

    def pairing(self) -> Pairing | None:
        """Pairing of the signed cookie, while the login that it belongs to lasts."""
        cookie = self.get_signed_cookie(self.named_cookie("pad"), max_age_days=1)
        if not cookie:
            return None
        facts = json.loads(cookie)
        kept = self.rooms.pads.pairing(facts["reader"], facts["token"])
        over = kept is not None and self.rooms.study.logins.is_over(kept.login)
        return None if over else kept


class PadCode(_OfPhone):
    """The address in the code: it pairs this telephone, once."""

    def get(self, token: str) -> None:
        """Pair, and go to the page."""
        pairing = self.rooms.pads.take(token)
        if pairing is not None:
            self.set_signed_cookie(
                self.named_cookie("pad"),
                json.dumps({"reader": pairing.reader, "token": pairing.token}),
                expires_days=None,
                httponly=True,
                samesite="Strict",
                secure=self.is_encrypted,
            )
        elif self.pairing() is None:
            raise web.HTTPError(404)
        self.redirect("/pad")


class PadPage(_OfPhone):
    """What the telephone shows."""

    def get(self) -> None:
        """The page of a paired telephone; others are told to ask for a new code."""
        words = self.rooms.study.texts
        over = words["pad_gone"]
        gone = "" if self.pairing() else over
        title = words["pad_title"]
        self.show("phone.html", title=title, socket="pad-socket", gone=gone, over=over)


class PadSocket(_OfPhone, WebSocketHandler):
    """What the telephone is shown, and what is pressed on it."""

    paired: Pairing | None = None

    def open(self) -> None:
        """Show the question; the reader's screen says that a telephone is there."""
        self.paired = self.pairing()
        if self.paired is None:
            self.close(OVER)
            return
        reader, pads = self.paired.reader, self.rooms.pads
        if (older := pads.open.get(reader)) is not None and older is not self:
            older.close(OVER)
        pads.open[reader] = self
        visit = self.rooms.open.get(reader)
        if visit is None or visit.room is None:
            self.tell(pad_state({}, self.rooms.study.texts))
            return
        self.tell(visit.room.for_phone())
        visit.tell({"told": [["panel", {"pad": {"joined": True}}]]})

    def tell(self, state: dict[str, Any]) -> None:
        """Tell the telephone, unless it is gone."""
        try:
            self.write_message(json.dumps(state))
        except WebSocketClosedError:
            return

    def on_message(self, message: str | bytes) -> None:
        """Hand what was pressed to the reader's page."""
        if len(message) > LONGEST_MESSAGE or self.pairing() is None or self.paired is None:
            self.close(OVER)
            return
        visit = self.rooms.open.get(self.paired.reader)
        try:
            pressed = heard(message)
        except ValueError:
            self.close(OVER)
            return
        if visit is not None and visit.login == self.paired.login:
            self.rooms.study.logins.seen(visit.login)
            visit.tell({"told": [["panel", {"pad": {"press": pressed}}]]})

    def on_close(self) -> None:
        """The telephone is gone; its pairing stays until the login ends."""
        pads = self.rooms.pads
        if self.paired and pads.open.get(self.paired.reader) is self:
            del pads.open[self.paired.reader]
