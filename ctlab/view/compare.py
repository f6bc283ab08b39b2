"""Two CT images or stacks side by side, windowed in the browser, linked, keyboard complete."""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets as t

from ctlab.ct.hu import LUNG, WINDOW_KEYS, WINDOWS, Window

DISPLAY_FILTERS = ["catmull-rom", "mitchell", "linear", "nearest"]
_HERE = Path(__file__).parent
_PARTS = (
    "filter",
    "resample",
    "draw",
    "gpu",
    "planes",
    "measure",
    "bar",
    "page",
    "gestures",
    "compare",
)
_WASM = b64encode((_HERE / "resample.wasm").read_bytes()).decode()
_MODES = ["pair", "flicker", "wipe", "difference"]


class CompareViewer(anywidget.AnyWidget):
    """Viewer of one or two stacks; every trait is synchronised with ``compare.js``.

    Pixels travel once, as int16 HU (little-endian, z, y, x); windowing, zoom and scrolling happen
    in the browser and need no kernel. Build one with :func:`compare`; show other images in the
    same viewer with :meth:`show`.

    Attributes
    ----------
    level_hu, width_hu : float, the window on screen
    frame : int, the slice on screen (0 is the first)
    mode : ``pair``, ``flicker``, ``wipe`` or ``difference`` (right minus left)
    modes : the modes offered
    labels : text over the left and right image; empty in blinded use
    frame_name, frame_labels : what scrolling moves through, e.g. ``"dose"``, ``["100 %", "10 %"]``
    marking : whether clicks may place marks
    mark_kind : text stamped on new marks
    marks : list of ``{"side", "z", "y", "x", "kind"}``, voxels of the arrays handed in
    whole_page : wheel and keys act without a click on the viewer first (reading rooms)
    height_fraction : share of the window's height that the images may take
    probe : whether HU under the pointer are printed
    slice_mm : distance between slices; above 0 it opens coronal and sagittal planes and slabs
    plane : ``axial``, ``coronal`` or ``sagittal``
    slab_mm : thickness of the sliding maximum intensity projection; 0 shows single slices
    orientation : six direction cosines of rows and columns (0020,0037) for the letters R, L, A, P,
        H, F at the edges; empty where unknown: no letters, slices taken to run from feet to head
    scroll : ``feet``: slice 1 is at the head, wheel and arrow down go to the feet, however slices
        are stored; ``stored``: slice 1 is the first one stored
    display_filter : how pixels of the image become those of the screen: ``catmull-rom``,
        ``mitchell``, ``linear`` or ``nearest``; where one lies on one, all are the identity
    padding_hu : what hangs together with the edge at or below it is black in both images
    mouse : what left, middle and right drag do: ``window``, ``scroll``, ``zoom``, ``pan``
    keep : what viewers of one page share and other images leave: ``window``, ``zoom``
    cine_per_s, flicker_hz : images and changes a second at first
    further_help : lines (keys, what they do) of the page around the viewer, for its help
    words : other words for the buttons and texts of the viewer, by the English ones
    tag : text that the element carries in ``data-tag`` once these images are painted
    alt : one sentence on what is seen, for screen readers
    """

    # One text: a static page gives a widget no place to import a second file from.
    _esm = f'const RESAMPLE_WASM = "{_WASM}";\n' + "".join(
        (_HERE / f"{part}.js").read_text("utf-8") for part in _PARTS
    )
    _css = _HERE / "compare.css"

    left_bytes = t.Bytes(b"").tag(sync=True)
    right_bytes = t.Bytes(b"").tag(sync=True)
    shape = t.List(t.Int(), [0, 0, 0]).tag(sync=True)
    spacing_mm = t.List(t.Float(), [1.0, 1.0]).tag(sync=True)  # of the pixels sent, (y, x)
    grid = t.List(t.Int(), [0, 0, 1]).tag(sync=True)  # first row, first column, step
    level_hu = t.Float(LUNG.level_hu).tag(sync=True)
    width_hu = t.Float(LUNG.width_hu).tag(sync=True)
    presets = t.List(t.Dict()).tag(sync=True)
    frame = t.Int(0).tag(sync=True)
    frame_name = t.Unicode("slice").tag(sync=True)
    frame_labels = t.List(t.Unicode()).tag(sync=True)
    labels = t.List(t.Unicode(), ["", ""]).tag(sync=True)
    mode = t.Enum(_MODES, "pair").tag(sync=True)
    modes = t.List(t.Unicode(), _MODES).tag(sync=True)
    marking = t.Bool(False).tag(sync=True)
    mark_kind = t.Unicode("").tag(sync=True)
    marks = t.List(t.Dict()).tag(sync=True)
    whole_page = t.Bool(False).tag(sync=True)
    height_fraction = t.Float(0.74).tag(sync=True)
    probe = t.Bool(True).tag(sync=True)
    slice_mm = t.Float(0.0).tag(sync=True)
    plane = t.Enum(["axial", "coronal", "sagittal"], "axial").tag(sync=True)
    slab_mm = t.Float(0.0).tag(sync=True)
    orientation = t.List(t.Float()).tag(sync=True)
    scroll = t.Enum(["feet", "stored"], "feet").tag(sync=True)
    display_filter = t.Enum(DISPLAY_FILTERS, DISPLAY_FILTERS[0]).tag(sync=True)
    padding_hu = t.Float(None, allow_none=True).tag(sync=True)
    mouse = t.Dict().tag(sync=True)
    keep = t.List(t.Unicode()).tag(sync=True)
    cine_per_s = t.Float(8.0).tag(sync=True)
    flicker_hz = t.Float(2.0).tag(sync=True)
    further_help = t.List(t.List(t.Unicode())).tag(sync=True)
    words = t.Dict().tag(sync=True)
    tag = t.Unicode("").tag(sync=True)
    alt = t.Unicode("").tag(sync=True)

    @t.default("presets")
    def _default_presets(self) -> list[dict[str, Any]]:
        return [_preset(WINDOWS[name], key) for name, key in WINDOW_KEYS.items()]

    def show(
        self,
        left: np.ndarray,
        right: np.ndarray | None = None,
        *,
        spacing_mm: Sequence[float],
        crop: tuple[slice, slice] | None = None,
        step: int | None = None,
    ) -> None:
        """Replace the images: first slice, marks cleared, zoom reset; window and mode stay."""
        traits = _pixels(left, right, spacing_mm, crop, step)
        with self.hold_sync():
            for name, value in {**traits, "marks": [], "frame": 0, "plane": "axial"}.items():
                setattr(self, name, value)


def compare(
    left: np.ndarray,
    right: np.ndarray | None = None,
    *,
    spacing_mm: Sequence[float],
    window: Window = LUNG,
    labels: tuple[str, str] = ("", ""),
    crop: tuple[slice, slice] | None = None,
    step: int | None = None,
    **traits: Any,
) -> CompareViewer:
    """Viewer of ``left`` beside ``right``, which works with and without a kernel.

    Parameters
    ----------
    left, right : ndarray, HU, (y, x) or (z, y, x)
        Same rows and columns. One slice beside a stack stays while the stack scrolls; without
        ``right`` one image is shown.
    spacing_mm : (y, x) or (z, y, x)
        Distance between voxel centres, for the calliper, the scale bar and the aspect ratio.
    window : Window shown first
    labels : text over each image; leave empty in blinded use
    crop : (rows, columns) to keep; a static page carries 0.7 MB for each 512 x 512 image
    step : keep every ``step``-th row and column. Noise keeps its SD but loses its fine texture,
        so prefer ``crop`` where noise is looked at.
    **traits : further traits of :class:`CompareViewer`, e.g. ``alt``, ``frame_labels``, ``marking``

    Raises
    ------
    ValueError
        Shapes differ, spacing is not positive, or a value is not finite.

    Examples
    --------
    >>> viewer = compare(np.zeros((4, 6)), np.ones((4, 6)), spacing_mm=(0.7, 0.7))
    >>> viewer.shape, len(viewer.left_bytes), viewer.level_hu
    ([1, 4, 6], 48, -600.0)
    """
    start: dict[str, Any] = {"level_hu": float(window.level_hu), "width_hu": float(window.width_hu)}
    if window.name and window.name not in WINDOWS:
        known = [_preset(WINDOWS[name], key) for name, key in WINDOW_KEYS.items()]
        start["presets"] = [*known, _preset(window, "")]
    return CompareViewer(
        **_pixels(left, right, spacing_mm, crop, step), **start, labels=list(labels), **traits
    )


def _preset(window: Window, key: str) -> dict[str, Any]:
    return {
        "key": key,
        "name": window.name,
        "level": float(window.level_hu),
        "width": float(window.width_hu),
    }


def _pixels(
    left: np.ndarray,
    right: np.ndarray | None,
    spacing_mm: Sequence[float],
    crop: tuple[slice, slice] | None,
    step: int | None,
) -> dict[str, Any]:
    """Traits that describe the pixels: bytes, shape, spacing and grid."""
    step = 1 if step is None else step
    if step < 1:
        raise ValueError(f"step must be 1 or more, got {step}")
    spacing = [float(s) for s in spacing_mm][-2:]
    between = float(spacing_mm[0]) if len(spacing_mm) == 3 else 0.0
    if len(spacing) != 2 or not all(s > 0 for s in spacing):
        raise ValueError(f"spacing_mm must be (y, x) or (z, y, x), all above 0; got {spacing_mm}")
    stacks = [_stack(image) for image in (left, right) if image is not None]
    if len({stack.shape[1:] for stack in stacks}) > 1:
        raise ValueError(
            f"left and right must have the same rows and columns, got {stacks[0].shape} and "
            f"{stacks[1].shape}; resample one of them first"
        )
    depths = {len(stack) for stack in stacks}
    if len(depths - {1}) > 1:
        raise ValueError(f"stacks must have one depth or be a single slice, got {sorted(depths)}")
    rows, columns = crop or (slice(None), slice(None))
    first = [rows.indices(stacks[0].shape[1])[0], columns.indices(stacks[0].shape[2])[0]]
    stacks = [stack[:, rows, columns][:, ::step, ::step] for stack in stacks]
    payload = [_int16(stack) for stack in stacks]
    return {
        "left_bytes": payload[0],
        "right_bytes": payload[1] if right is not None else b"",
        "shape": [max(depths), *stacks[0].shape[1:]],
        "spacing_mm": [s * step for s in spacing],
        "slice_mm": between,
        "grid": [*first, step],
    }


def _stack(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"an image has shape (y, x) or (z, y, x), got {image.shape}")
    return image if image.ndim == 3 else image[None]


def _int16(stack: np.ndarray) -> bytes:
    """Little-endian int16, rounded to whole HU, clipped to what int16 holds."""
    if not np.isfinite(stack).all():
        raise ValueError("HU must be finite; replace NaN and infinity before showing the image")
    return bytes(np.clip(np.rint(stack), -32768, 32767).astype("<i2").tobytes())
