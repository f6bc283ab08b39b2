"""Login to the room behind Voila: the code form before any kernel starts."""

import json
from typing import Any, cast

from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler

from reader_study.room.login import LONGEST_LOGIN_DAYS, Logins, caller_of


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
        reader = provider.logins.reader_of_code(self.get_body_argument("code", default=""))
        if reader is None:
            # One answer for wrong, expired and withdrawn codes: nothing can be enumerated.
            peer = self.request.remote_ip or ""
            forwarded = self.request.headers.get("X-Forwarded-For", "")
            caller = caller_of(peer, forwarded, provider.logins.proxies)
            if not await provider.logins.wrong.slow_down(caller):
                self.set_status(429)
                return self._page("login_slow")
            self.set_status(401)
            return self._page("login_wrong")
        provider.forget(self)
        provider.set_login_cookie(self, User(reader.reader))
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
        self.logins: Logins = room.logins
        self.texts: dict[str, str] = room.texts
        self.cookie_options = {"samesite": "Strict", "expires_days": None}
        self.get_secure_cookie_kwargs = {"max_age_days": LONGEST_LOGIN_DAYS}

    async def get_user(self, handler: Any) -> User | None:
        """Reader of the cookie, unless withdrawn since; addresses carry no identity."""
        user = getattr(handler, "_jupyter_current_user", None) or self.get_user_cookie(handler)
        if not isinstance(user, User):
            return None
        return user if self.logins.active_reader(user.username) else None

    def forget(self, handler: Any) -> None:
        """End the login whose cookie came with a request."""
        cookie = handler.get_secure_cookie(self.get_cookie_name(handler), max_age_days=1)
        if cookie:
            self.logins.end(str(json.loads(cookie)["login"]))

    def user_to_cookie(self, user: User) -> str:
        """What the signed cookie holds: the reader's number and a name for this login."""
        return json.dumps({"reader": user.username, "login": self.logins.new()})

    def user_from_cookie(self, cookie_value: str) -> User | None:
        """Reader of a cookie whose signature was checked, unless that login is over."""
        facts = json.loads(cookie_value)
        if "login" not in facts or self.logins.is_over(facts["login"]):
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
