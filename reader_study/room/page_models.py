"""The room's widgets without a kernel: a page is told what is set here, and the other way round."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from reader_study.record.bundle import Bundle, ShownTrial
from reader_study.room.phone import pad_state
from reader_study.room.session import ReadingSession
from reader_study.room.viewer_settings import viewer_traits
from reader_study.room.widget import OverlayViewer, Panel, Room

_OF_WIDGETS_ALONE = {"layout", "tabbable", "tooltip"}
_PIXELS = {
    "left_bytes",
    "right_bytes",
    "overlay_bytes",
}  # they go to the page by themselves, see `images`


@dataclass(frozen=True)
class Change:
    """A trait that was set, as an observer is told."""

    owner: "PageModel"
    new: Any


class PageModel:
    """Traits of one widget, whose JavaScript runs in a page.

    Attributes are the traits. ``sent`` collects what a page must be told, in order.

    Examples
    --------
    >>> sent = []
    >>> model = PageModel("panel", {"screen": {}}, sent)
    >>> model.screen = {"kind": "consent"}
    >>> model.screen, sent
    ({'kind': 'consent'}, [('panel', {'screen': {'kind': 'consent'}})])
    """

    def __init__(
        self, name: str, traits: dict[str, Any], sent: list[tuple[str, dict[str, Any]]]
    ) -> None:
        self.__dict__.update(
            _name=name, _traits=traits, _sent=sent, _observers={}, _on_message=lambda *_: None
        )

    def __getattr__(self, trait: str) -> Any:
        try:
            return self.__dict__["_traits"][trait]
        except KeyError:
            raise AttributeError(trait) from None

    def __setattr__(self, trait: str, value: Any) -> None:
        if trait not in _PIXELS:
            if self._sent and self._sent[-1][0] == self._name:
                self._sent[-1][1][trait] = value
            else:
                self._sent.append((self._name, {trait: value}))
        self._set(trait, value)

    def _set(self, trait: str, value: Any) -> None:
        before, self._traits[trait] = self._traits.get(trait), value
        if before != value:
            for handler in self._observers.get(trait, ()):
                handler(Change(self, value))

    @contextmanager
    def hold_sync(self) -> Iterator[None]:
        """Nothing to hold: whatever one message brings about leaves together."""
        yield

    def observe(self, handler: Callable[[Any], None], trait: str) -> None:
        """Call ``handler`` whenever a trait has changed, here or in the page."""
        self._observers.setdefault(trait, []).append(handler)

    def on_msg(self, handler: Callable[[Any, Any, Any], None]) -> None:
        """Call ``handler`` with what the page's widget sends."""
        self.__dict__["_on_message"] = handler

    def state(self) -> dict[str, Any]:
        """Every trait, for a page that opens."""
        return {name: value for name, value in self._traits.items() if name not in _PIXELS}

    def heard(self, message: dict[str, Any]) -> None:
        """Take what the page's widget sent or set; traits that nobody observes are not kept."""
        if "say" in message:
            self._on_message(self, message["say"], [])
        values = message.get("set")
        for trait, value in values.items() if isinstance(values, dict) else ():
            if trait in self._observers:
                self._set(trait, value)


class PixelFreeBundle(Bundle):
    """A bundle for the room's logic, which needs no pixels: the page fetches them."""

    def pixels(self, token: str) -> bytes:  # noqa: ARG002 (as in the bundle)
        """Nothing."""
        return b""

    def overlay(self, token: str) -> bytes:  # noqa: ARG002 (as in the bundle)
        """Nothing."""
        return b""


class PageRoom(Room):
    """The room of one reader whose front end is a page on a socket.

    ``afterwards`` is a link, ``href`` and ``text``, that a demonstration shows at the end.
    """

    def __init__(
        self,
        bundle: PixelFreeBundle,
        session: ReadingSession,
        *,
        logout: str,
        afterwards: dict[str, str] | None = None,
    ) -> None:
        self._sent: list[tuple[str, dict[str, Any]]] = []
        self._afterwards = afterwards
        self._shown: dict[int, ShownTrial] = {}
        super().__init__(bundle, session, logout=logout)

    def _panel(self, reader: dict[str, Any]) -> PageModel:
        reader = {**reader, "pad": True, "afterwards": self._afterwards}
        traits = {**_defaults(Panel), "texts": self._words, "reader": reader}
        return PageModel("panel", traits, self._sent)

    def _viewer(self, place: int) -> PageModel:
        traits = {**_defaults(OverlayViewer), **viewer_traits(self._bundle, self._words)}
        return PageModel(f"view-{place}", traits, self._sent)

    def _load(self, place: int, trial: ShownTrial) -> None:
        super()._load(place, trial)
        self._shown[place] = trial

    @property
    def _models(self) -> dict[str, PageModel]:
        return {"panel": self.panel, **{f"view-{k}": v for k, v in enumerate(self._viewers)}}

    def opening(self) -> dict[str, Any]:
        """All that a page needs to show the room."""
        self._sent.clear()
        return {name: model.state() for name, model in self._models.items()}

    def heard(self, message: Any) -> list[tuple[str, dict[str, Any]]]:
        """Carry out what came from the page; what to tell it in return.

        Raises
        ------
        ValueError
            It is no message of the page.
        """
        model = self._models.get(str(message.get("to"))) if isinstance(message, dict) else None
        if model is None:
            raise ValueError("expected a message to a widget of the room, got something else")
        model.heard(message)
        sent, self._sent[:] = list(self._sent), []
        return sent

    def for_phone(self) -> dict[str, Any]:
        """What the reader's telephone shows of the screen."""
        return pad_state(self.panel.screen, self._words)

    def shown(self, token: str) -> ShownTrial | None:
        """The trial of this name if its images are on the screen or next; no others leave."""
        return next((trial for trial in self._shown.values() if trial.token == token), None)

    def overlay_of(self, token: str) -> str | None:
        """Overlay of a trial on the screen, once nothing is to be answered without it."""
        trial = self.shown(token)
        return trial.overlay if trial and self._session.shows_overlay(trial) else None


@cache
def _defaults(widget: type) -> dict[str, Any]:
    """Traits of a new widget that its JavaScript sees."""
    return widget_traits(widget())


def widget_traits(widget: Any) -> dict[str, Any]:
    """Traits of a widget that its JavaScript sees, without pixels."""
    left_out = _OF_WIDGETS_ALONE | _PIXELS
    return {k: v for k, v in widget.get_state().items() if k[0] != "_" and k not in left_out}
