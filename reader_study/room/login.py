"""Login: a reader code, posted in a form; wrong codes slow their sender down."""

import asyncio
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from pathlib import Path

from reader_study.record.reader_codes import hash_of
from reader_study.record.store import Reader, Store

LONGEST_CODE = 200
LONGEST_LOGIN_DAYS = 0.5  # though the browser stays open and somebody moves the mouse
_LONGEST_WAIT_S = 8.0
_MOST_WAITING = 20  # wrong codes of one sender at a time


class RateLimit:
    """Wrong codes of each sender within a sliding window, and how long the next one waits.

    Others behind the same address are not held up: a right code is never slowed down.

    Examples
    --------
    >>> limit = RateLimit(free=1, window_s=60, clock=lambda: 0.0)
    >>> [limit.failed("10.0.0.1") for _ in range(4)], limit.failed("10.0.0.2")
    ([0.0, 0.5, 1.0, 2.0], 0.0)
    """

    def __init__(
        self,
        *,
        free: int = 3,
        window_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free, self._window_s, self._clock = free, window_s, clock
        self._failures: deque[tuple[float, str]] = deque()
        self._of: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()

    def failed(self, caller: str) -> float:
        """Count a wrong code; seconds that its sender waits for the answer."""
        while self._failures and self._failures[0][0] < self._clock() - self._window_s:
            _, gone = self._failures.popleft()
            self._of[gone] -= 1
            if not self._of[gone]:
                del self._of[gone]  # senders of long ago are forgotten
        self._failures.append((self._clock(), caller))
        self._of[caller] += 1
        beyond = min(self._of[caller] - self._free, 10)
        return 0.0 if beyond <= 0 else min(_LONGEST_WAIT_S, 0.25 * 2.0**beyond)

    async def slow_down(self, caller: str) -> bool:
        """Let the sender of a wrong code wait; False where too many of them wait already."""
        if self._waiting[caller] >= _MOST_WAITING:
            return False
        self._waiting[caller] += 1
        try:
            await asyncio.sleep(self.failed(caller))
        finally:
            self._waiting[caller] -= 1
            self._waiting += Counter()  # senders that wait no longer are forgotten
        return True


def caller_of(peer: str, forwarded: str, proxies: Collection[str]) -> str:
    """Address of whoever asks: the peer, or what a named proxy says about it.

    Examples
    --------
    >>> caller_of("10.0.0.9", "1.2.3.4", proxies=())
    '10.0.0.9'
    >>> caller_of("10.0.0.9", "6.6.6.6, 1.2.3.4", proxies=("10.0.0.9",))
    '1.2.3.4'
    """
    chain = [part.strip() for part in forwarded.split(",") if part.strip()]
    while peer in proxies and chain:
        peer = chain.pop()
    return peer


class Logins:
    """Who may come in, and which logins are over.

    Parameters
    ----------
    store : database of the study
    proxies : addresses whose ``X-Forwarded-For`` is believed
    ended : file with the names of logins that are over, so that a restart does not bring them back
    idle_s : after so long without a sign of its page a login is over
    """

    def __init__(
        self,
        store: Store,
        proxies: Collection[str],
        *,
        ended: Path | None = None,
        idle_s: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self.proxies, self._file = store, proxies, ended
        self._idle_s, self._clock = idle_s, clock
        self.wrong = RateLimit(clock=clock)
        self._ended = set(ended.read_text().split()) if ended and ended.is_file() else set()
        self._seen: dict[str, float] = {}

    def reader_of_code(self, code: str) -> Reader | None:
        """Reader whose code this is and who may still enter."""
        return self._store.reader_of_code(hash_of(code)) if len(code) <= LONGEST_CODE else None

    def active_reader(self, name: str) -> Reader | None:
        """Reader of this number who has not left."""
        return next((r for r in self._store.readers() if r.active and r.reader == name), None)

    def new(self) -> str:
        """Name of a new login."""
        return secrets.token_hex(8)

    def is_over(self, login: str) -> bool:
        """Whether a login was ended, or its page has been silent for too long."""
        silent_s = self._clock() - self._seen.get(login, self._clock())
        if silent_s > self._idle_s:
            self.end(login)
        return login in self._ended

    def seen(self, login: str) -> None:
        """The page of a login gave a sign of life."""
        self._seen[login] = self._clock()

    def end(self, login: str) -> None:
        """End a login for good, though its cookie may live on."""
        self._seen.pop(login, None)
        if login in self._ended:
            return
        self._ended.add(login)
        if self._file:
            with self._file.open("a", encoding="ascii") as file:
                file.write(f"{login}\n")
