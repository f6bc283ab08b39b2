"""Login: a reader code, posted in a form, before any kernel starts."""

import asyncio
import json
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Any, cast

from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler

from reader_study.record.reader_codes import hash_of
from reader_study.record.store import Store

LONGEST_CODE = 200
_LONGEST_LOGIN_DAYS = 0.5  # though the browser stays open and somebody moves the mouse
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

    def failed(self, caller: str) -> float:
        """Count a wrong code; seconds that its sender waits for the answer."""
        while self._failures and self._failures[0][0] < self._clock() - self._window_s:
            self._failures.popleft()
        self._failures.append((self._clock(), caller))
        own = sum(who == caller for _, who in self._failures)
        return 0.0 if own <= self._free else min(_LONGEST_WAIT_S, 0.25 * 2.0 ** (own - self._free))


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


class CodeForm(JupyterHandler):
    """The login page. The code comes in the body of a POST, never in an address."""

    @property
    def provider(self) -> "CodeIdentityProvider":
        """Who knows the readers."""
        return cast("CodeIdentityProvider", self.identity_provider)

    def _page(self, problem: str = "") -> None:
        self.set_header("Cache-Control", "no-store")
        user = self.current_user
        page = self.render_template(  # type: ignore[no-untyped-call]  # Jupyter
            "login.html",
            texts=self.provider.texts,
            problem=problem,
            reader=user.username if user else "",
            room=self.base_url,
        )
        self.finish(page)

    @allow_unauthenticated
    def get(self) -> None:
        """Show the form, also where a reader is logged in: the next one may sit here now."""
        self._page()

    @allow_unauthenticated
    async def post(self) -> None:
        """Log in with the code of the form."""
        provider = self.provider
        user = provider.user_of_code(self.get_body_argument("code", default=""))
        if user is None:
            # One answer for wrong, expired and withdrawn codes: nothing can be enumerated.
            peer = self.request.remote_ip or ""
            forwarded = self.request.headers.get("X-Forwarded-For", "")
            if not await provider.slow_down(caller_of(peer, forwarded, provider.proxies)):
                self.set_status(429)
                return self._page("login_slow")
            self.set_status(401)
            return self._page("login_wrong")
        provider.forget(self)
        provider.set_login_cookie(self, user)
        self.redirect(self.base_url)
        return None


class Logout(JupyterHandler):
    """The way out: the login is over for good, and with it, unless ``?stay``, the kernel."""

    @allow_unauthenticated
    async def get(self) -> None:
        """Log out, and show the form to the next reader."""
        user, provider = self.current_user, cast("CodeIdentityProvider", self.identity_provider)
        provider.forget(self)
        provider.clear_login_cookie(self)
        self.set_header("Cache-Control", "no-store")
        if self.get_argument("stay", default=None) is not None:
            self.set_status(204)
            return
        kernels: Any = self.kernel_manager
        for kernel_id, owner in list(kernels.owners.items()):
            if user and owner == user.username and kernel_id in kernels:
                await kernels.shutdown_kernel(kernel_id, now=True)
        self.redirect(f"{self.base_url}login")


class CodeIdentityProvider(IdentityProvider):
    """Readers are known by a signed cookie that holds their number; codes are never kept.

    The cookie ends with the browser, with a logout, and after half a day in any case.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        room: Any = self.parent
        self.store: Store = room.store
        self.texts: dict[str, str] = room.texts
        self.proxies: Collection[str] = room.proxies
        self.limit = RateLimit()
        self.cookie_options = {"samesite": "Strict", "expires_days": None}
        self.get_secure_cookie_kwargs = {"max_age_days": _LONGEST_LOGIN_DAYS}
        self._ended: set[str] = set()  # logins that are over, though their cookies may live on
        self._waiting: Counter[str] = Counter()

    async def slow_down(self, caller: str) -> bool:
        """Let the sender of a wrong code wait; False where too many of them wait already."""
        if self._waiting[caller] >= _MOST_WAITING:
            return False
        self._waiting[caller] += 1
        try:
            await asyncio.sleep(self.limit.failed(caller))
        finally:
            self._waiting[caller] -= 1
        return True

    def user_of_code(self, code: str) -> User | None:
        """Reader whose code this is and who may still enter."""
        reader = self.store.reader_of_code(hash_of(code)) if len(code) <= LONGEST_CODE else None
        return User(reader.reader) if reader else None

    async def get_user(self, handler: Any) -> User | None:
        """Reader of the cookie, unless withdrawn since; addresses carry no identity."""
        user = getattr(handler, "_jupyter_current_user", None) or self.get_user_cookie(handler)
        if not isinstance(user, User):
            return None
        active = {r.reader for r in self.store.readers() if r.active}
        return user if user.username in active else None

    def forget(self, handler: Any) -> None:
        """End the login whose cookie came with a request."""
        cookie = handler.get_secure_cookie(self.get_cookie_name(handler), max_age_days=1)
        if cookie:
            self._ended.add(str(json.loads(cookie)["login"]))

    def user_to_cookie(self, user: User) -> str:
        """What the signed cookie holds: the reader's number and a name for this login."""
        return json.dumps({"reader": user.username, "login": secrets.token_hex(8)})

    def user_from_cookie(self, cookie_value: str) -> User | None:
        """Reader of a cookie whose signature was checked, unless that login is over."""
        facts = json.loads(cookie_value)
        if "login" not in facts or facts["login"] in self._ended:
            return None
        return User(facts["reader"])

    def get_handlers(self) -> list[tuple[str, object]]:
        """Pages that are open to strangers."""
        return [(r"/login", CodeForm), (r"/logout", Logout)]


class OwnKernelOnly(Authorizer):
    """A reader reaches the kernel that was started for this reader, and no other."""

    def is_authorized(
        self,
        handler: Any,
        user: User,
        action: str,  # noqa: ARG002 (Jupyter passes all four by name)
        resource: str,  # noqa: ARG002
    ) -> bool:
        """Whether the kernel asked for, if any, is the reader's own."""
        kernel_id = handler.path_kwargs.get("kernel_id", "")
        room: Any = self.parent
        owners: dict[str, str] = room.kernel_manager.owners
        return owners.get(kernel_id, user.username if not kernel_id else "") == user.username
