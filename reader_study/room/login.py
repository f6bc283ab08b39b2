"""Login: a reader code, posted in a form, before any kernel starts."""

import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler

from reader_study.record.reader_codes import hash_of
from reader_study.record.store import Store

LONGEST_CODE = 200


class RateLimit:
    """Failed attempts allowed per caller, and over all callers, within a sliding window.

    Examples
    --------
    >>> limit = RateLimit(per_caller=2, window_s=60, clock=lambda: 0.0)
    >>> limit.failed("10.0.0.1"), limit.failed("10.0.0.1"), limit.blocks("10.0.0.1")
    (None, None, True)
    >>> limit.blocks("10.0.0.2")
    False
    """

    def __init__(
        self,
        *,
        per_caller: int = 5,
        in_all: int = 100,
        window_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_caller, self._in_all = per_caller, in_all
        self._window_s, self._clock = window_s, clock
        self._failures: deque[tuple[float, str]] = deque()

    def failed(self, caller: str) -> None:
        """Count a failed attempt."""
        self._failures.append((self._clock(), caller))

    def blocks(self, caller: str) -> bool:
        """No further attempt is heard now."""
        while self._failures and self._failures[0][0] < self._clock() - self._window_s:
            self._failures.popleft()
        own = sum(who == caller for _, who in self._failures)
        return own >= self._per_caller or len(self._failures) >= self._in_all


class CodeForm(JupyterHandler):
    """The login page. The code comes in the body of a POST, never in an address."""

    @property
    def provider(self) -> "CodeIdentityProvider":
        """Who knows the readers."""
        return cast("CodeIdentityProvider", self.identity_provider)

    def _page(self, problem: str = "") -> None:
        self.set_header("Cache-Control", "no-store")
        page = self.render_template("login.html", texts=self.provider.texts, problem=problem)  # type: ignore[no-untyped-call]  # Jupyter
        self.finish(page)

    @allow_unauthenticated
    def get(self) -> None:
        """Show the form; who is logged in goes on to the room."""
        if self.current_user:
            self.redirect(self.base_url)
        else:
            self._page()

    @allow_unauthenticated
    def post(self) -> None:
        """Log in with the code of the form."""
        provider = self.provider
        caller = self.request.remote_ip or ""
        if provider.limit.blocks(caller):
            self.set_status(429)
            return self._page("login_slow")
        user = provider.user_of_code(self.get_body_argument("code", default=""))
        if user is None:
            # One answer for wrong, expired and withdrawn codes: nothing can be enumerated.
            provider.limit.failed(caller)
            self.set_status(401)
            return self._page("login_wrong")
        provider.set_login_cookie(self, user)
        self.redirect(self.base_url)
        return None


class CodeIdentityProvider(IdentityProvider):
    """Readers are known by a signed cookie that holds their number; codes are never kept."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        room: Any = self.parent
        self.store: Store = room.store
        self.texts: dict[str, str] = room.texts
        self.limit = RateLimit()
        self.cookie_options = {"samesite": "Strict", "expires_days": 2}
        self.get_secure_cookie_kwargs = {"max_age_days": 2}

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

    def user_to_cookie(self, user: User) -> str:
        """What the signed cookie holds: the reader's number."""
        return json.dumps({"reader": user.username})

    def user_from_cookie(self, cookie_value: str) -> User | None:
        """Reader of a cookie whose signature was checked."""
        return User(json.loads(cookie_value)["reader"])

    def get_handlers(self) -> list[tuple[str, object]]:
        """Pages that are open to strangers."""
        return [(r"/login", CodeForm)]


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
