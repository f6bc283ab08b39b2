"""The viewer with a signed map over its images: switched by a key, beside what was removed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import traitlets as t
from anywidget import AnyWidget

from ctlab.view.compare import CompareViewer, compare

_HERE = Path(__file__).parent
_VIEWER = str(CompareViewer._esm).split("export default")[0]


class MapViewer(CompareViewer):
    """The viewer, with a map over one of its slices. Build one with :func:`compare_with_map`.

    The reading room has no map: it shows :class:`ctlab.view.CompareViewer` itself.

    Attributes
    ----------
    map_shown : whether the map is seen (key H)
    map_opacity : 0.1 to 1, times the map's own transparency (keys [ and ])
    residual : whether what was changed is shown beside the right image with its map (key X)
    map_frame : slice on which the map lies
    map_largest, map_unit : value shown strongest, for the legend
    map_note : further words of the legend, such as the verdict of an audit
    """

    _esm = _VIEWER + (_HERE / "overlay.js").read_text("utf-8")

    map_bytes = t.Bytes(b"").tag(sync=True)
    map_shown = t.Bool(True).tag(sync=True)
    map_opacity = t.Float(1.0).tag(sync=True)
    map_frame = t.Int(0).tag(sync=True)
    map_largest = t.Float(1.0).tag(sync=True)
    map_unit = t.Unicode("").tag(sync=True)
    map_note = t.Unicode("").tag(sync=True)
    residual = t.Bool(False).tag(sync=True)


def compare_with_map(
    left: np.ndarray,
    right: np.ndarray,
    colours: np.ndarray,
    *,
    spacing_mm: Sequence[float],
    largest: float,
    unit: str = "",
    note: str = "",
    crop: tuple[slice, slice] | None = None,
    step: int | None = None,
    **traits: Any,
) -> MapViewer:
    """Viewer of ``left`` beside ``right`` with a map over both, and the change beside it.

    Parameters
    ----------
    left, right : ndarray, HU, (y, x) or (z, y, x)
        Before and after; the change is ``right - left``.
    colours : ndarray, uint8, RGBA, shape (y, x, 4)
        The map, as :func:`ctlab.explain.overlay.signed_colours` makes it; never fully opaque.
    largest : float
        Value that the strongest colour stands for, in ``unit``.
    note : words of the legend; give the verdict of the audit
    **traits : as for :func:`ctlab.view.compare`, and ``map_frame``, ``residual``

    Raises
    ------
    ValueError
        The map has another size than a slice, or hides the image under it.

    Examples
    --------
    >>> clear = np.zeros((4, 6, 4), np.uint8)
    >>> image = np.zeros((4, 6))
    >>> viewer = compare_with_map(image, image, clear, spacing_mm=(1, 1), largest=2.0, unit="HU")
    >>> len(viewer.map_bytes), viewer.map_shown
    (96, True)
    """
    colours = np.asarray(colours)
    shape = (*np.shape(left)[-2:], 4)
    if colours.shape != shape or colours.dtype != np.uint8:
        raise ValueError(f"expected a map of {shape} uint8, got {colours.shape} {colours.dtype}")
    if colours[..., 3].max(initial=0) == 255:
        raise ValueError("the map is opaque somewhere; the image underneath must stay visible")
    rows, columns = crop or (slice(None), slice(None))
    every = slice(None, None, step)
    part = np.ascontiguousarray(colours[rows, columns][every, every])
    plain = compare(left, right, spacing_mm=spacing_mm, crop=crop, step=step, **_of(traits, False))
    kept = {name: getattr(plain, name) for name in shared_traits(plain)}
    plain.close()
    return MapViewer(
        **kept,
        **_of(traits, True),
        map_bytes=part.tobytes(),
        map_largest=float(largest),
        map_unit=unit,
        map_note=note,
    )


def shared_traits(viewer: CompareViewer) -> list[str]:
    """Names of the traits that a viewer of more parts takes over; not those of every widget."""
    every_widget = set(AnyWidget.class_trait_names())
    own = CompareViewer.class_trait_names(sync=True)
    return [name for name in own if name not in every_widget and viewer.has_trait(name)]


def _of(traits: dict[str, Any], of_the_map: bool) -> dict[str, Any]:
    """Those traits that belong to the map, or those that do not."""
    own = set(MapViewer.class_trait_names()) - set(CompareViewer.class_trait_names())
    return {k: v for k, v in traits.items() if (k in own) == of_the_map}
