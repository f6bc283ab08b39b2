"""The viewer of a slice and of what a network makes of it now."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import traitlets as t

from ctlab.ct.hu import LUNG, Window
from ctlab.ct.series_facts import WORDS
from ctlab.view.compare import CompareViewer, compare
from ctlab.view.live.own_file import read_own_file
from ctlab.view.live.scene import NOISE_UNIT_HU, STATE, Scene, compose
from ctlab.view.map_viewer import shared_traits

_HERE = Path(__file__).parent
_PARTS = ("scene", "engine", "why", "range_of_use", "slice_file", "own_slice", "goals", "live")
OFFERED = ("network", "brush", "disturb", "why", "own")

Denoise = Callable[[str, np.ndarray], np.ndarray]
"""From the name of a network and a slice (y, x) in HU to the denoised slice."""
Explain = Callable[[str, np.ndarray, int, int], Mapping[str, np.ndarray]]
"""From a network, a slice and a pixel (y, x) to maps ``row``, ``cam`` and ``occlusion``."""


class LiveViewer(CompareViewer):
    """The viewer, with a network that answers now. Build one with :func:`live_viewer`.

    In the built book a page runs the network itself (``engine.js``); in a notebook the kernel
    does, by the function handed to :func:`live_viewer`.

    Attributes
    ----------
    setting : dict, as :data:`ctlab.view.live.scene.STATE`
        What the reader has set; hand it to ``check`` where an exercise asks for it.
    networks : list of ``{"name", "label"}``
    offer : controls beside dose and new noise: any of ``network``, ``brush``, ``disturb``, ``own``
        (a file of the reader's own) and, in the brush, ``why``
    networks_slider : name of a slider that chooses the network; a list does where it is empty
    applicability : ``range``, the range of use on the first network's card, and ``words`` of it
    goals : tasks that are ticked off, ``{"text", "number"}`` with any of ``below`` and ``above``
        (limits of the number), ``dose_below``, ``dose_above``, ``network``, ``kind`` (of the last
        stroke), ``strength`` (least, default 1) and ``bare`` (no strokes)
    place : where the network runs if not in a page of the book: ``notebook`` or ``server``
    given_label, fallback_label : text over the left image, and over the right one until the
        network answers
    """

    _esm = str(CompareViewer._esm).split("export default")[0] + "".join(
        (_HERE / f"{part}.js").read_text("utf-8") for part in _PARTS
    )
    _css: Any = str(CompareViewer._css) + (_HERE / "live.css").read_text("utf-8")

    truth_bytes = t.Bytes(b"").tag(sync=True)
    noise_bytes = t.Bytes(b"").tag(sync=True)
    noise_unit_hu = t.Float(NOISE_UNIT_HU).tag(sync=True)
    noise_dose = t.Float(0.1).tag(sync=True)
    networks = t.List(t.Dict()).tag(sync=True)
    networks_slider = t.Unicode("").tag(sync=True)
    setting = t.Dict().tag(sync=True)
    offer = t.List(t.Unicode(), ["network", "brush", "disturb"]).tag(sync=True)
    goals = t.List(t.Dict()).tag(sync=True)
    applicability = t.Dict({"range": {}, "words": dict(WORDS)}).tag(sync=True)
    place = t.Enum(["notebook", "server"], "notebook").tag(sync=True)
    given_label = t.Unicode("Input").tag(sync=True)
    fallback_label = t.Unicode("Full dose").tag(sync=True)

    denoise: Denoise | None = None
    explain: Explain | None = None

    def answer(self, content: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Answer a question of the browser."""
        self.send(*self.reply(content, buffers))

    def reply(
        self, content: Mapping[str, Any], buffers: Sequence[Any]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """What to send to a question of the browser, whose number comes back with the result."""
        reply: dict[str, Any] = {"id": content.get("id")}
        made: list[bytes] = []
        try:
            maps, facts = self._found(content, buffers)
            reply |= facts | {"maps": [[name, *image.shape] for name, image in maps.items()]}
            made = [image.astype("<f4").tobytes() for image in maps.values()]
        except Exception as error:  # the page waits for every reply
            reply["error"] = str(error)
        return reply, made

    def _found(
        self, content: Mapping[str, Any], buffers: Sequence[Any]
    ) -> tuple[Mapping[str, np.ndarray], dict[str, Any]]:
        """Images by name, and facts, that answer a question of the browser."""
        kind = content.get("kind")
        if self.denoise is None or (kind == "explain" and self.explain is None):
            raise ValueError("this figure came without a network")
        if kind == "open":
            return {}, {}
        if kind == "read":
            hu, facts = read_own_file(content["name"], bytes(buffers[0]))
            return {"hu": hu}, facts
        shape = content["rows"], content["columns"]
        given = np.frombuffer(buffers[0], "<f4").reshape(shape).copy()  # writable
        if kind == "explain" and self.explain is not None:
            return self.explain(content["name"], given, content["y"], content["x"]), {}
        return {"denoised": self.denoise(content["name"], given)}, {}


def live_viewer(
    scene: Scene,
    networks: Mapping[str, str],
    *,
    denoise: Denoise | None = None,
    explain: Explain | None = None,
    setting: Mapping[str, Any] | None = None,
    fallback: np.ndarray | None = None,
    window: Window = LUNG,
    **traits: Any,
) -> LiveViewer:
    """Viewer of a scene beside what a network makes of it, which answers when something moves.

    Parameters
    ----------
    networks : label of each network by its name, the first one first
    denoise, explain : what answers in a notebook; the built book answers by itself
    setting : what differs from :data:`ctlab.view.live.scene.STATE` at the start
    fallback : ndarray, HU, shape of the scene, optional
        Shown right until the network answers, and where it cannot. Default: the truth.
    **traits : further traits of :class:`LiveViewer`, e.g. ``alt``, ``goals``, ``offer``

    Raises
    ------
    ValueError
        A setting or control is unknown.

    Examples
    --------
    >>> scene = Scene(np.full((16, 16), -800.0), np.zeros((1, 16, 16)), 0.7)
    >>> viewer = live_viewer(scene, {"same": "the same"}, denoise=lambda name, hu: hu)
    >>> viewer.setting["dose"], viewer.shape
    (0.1, [1, 16, 16])
    """
    unknown = set(setting or {}) - set(STATE) | set(traits.get("offer", ())) - set(OFFERED)
    if unknown:
        known = ", ".join([*STATE, *OFFERED])
        raise ValueError(f"expected any of {known}, got {', '.join(sorted(unknown))}")
    state = {**STATE, "network": next(iter(networks)), **(setting or {})}
    given, _ = compose(scene, {**state, "turns": 0, "cut_px": 0})
    shown = scene.truth if fallback is None else fallback
    plain = compare(given, shown, spacing_mm=(scene.pixel_mm,) * 2, window=window)
    kept = {name: getattr(plain, name) for name in shared_traits(plain) if name not in traits}
    plain.close()
    viewer = LiveViewer(
        **kept,
        truth_bytes=scene.truth.astype("<i2").tobytes(),
        noise_bytes=(scene.noise / NOISE_UNIT_HU).astype("<i2").tobytes(),
        noise_dose=scene.noise_dose,
        networks=[{"name": name, "label": label} for name, label in networks.items()],
        setting=state,
        **traits,
    )
    viewer.denoise, viewer.explain = denoise, explain
    viewer.on_msg(lambda _, content, buffers: viewer.answer(content, buffers))
    return viewer
