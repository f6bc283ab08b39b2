"""CT slices, signed maps and sinograms as figures."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ctlab.ct.hu import Window
from ctlab.figures.picture import (
    NARROW_IN,
    Picture,
    check_alt,
    finish,
    styled,
)

_WIDTH_IN = 9.0
_TIGHT = {"w_pad": 0.02, "h_pad": 0.02, "wspace": 0.01, "hspace": 0.01}
_BARS_MM = (200, 100, 50, 20, 10, 5, 2)


def slices(
    images: Mapping[str, np.ndarray],
    *,
    window: Window,
    spacing_mm: Sequence[float],
    alt: str,
    credit: str = "",
    box: tuple[slice, slice] | None = None,
    columns: int = 0,
) -> Picture:
    """CT slices beside each other in one window.

    Parameters
    ----------
    images : title -> slice in HU, shape (y, x)
    window : grey scale of all of them, stated in the caption
    spacing_mm : pixel size, (y, x) or (z, y, x)
    credit : source of the images, put at the end of the caption
    box : (rows, columns) of a region to outline in every slice
    columns : slices in a row; default: all
    """
    alt = check_alt(alt)
    columns = columns or len(images)
    sy, sx = [float(s) for s in spacing_mm][-2:]
    height, width = np.shape(next(iter(images.values())))

    def draw(width_in: float, columns: int) -> tuple[Figure, int]:
        rows, letters = -(-len(images) // columns), _letters(width_in / columns)
        panel_height_in = width_in / columns * height * sy / (width * sx)
        figure = Figure(figsize=(width_in, rows * (panel_height_in + 0.28)))
        figure.set_layout_engine("constrained", **_TIGHT)
        axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
        for ax, (title, image) in zip(axes, images.items(), strict=False):
            ax.imshow(window.render(image), cmap="gray", vmin=0, vmax=255, aspect=sy / sx)
            ax.set_title(textwrap.fill(title, letters), pad=4)
            if box is not None:
                _outline(ax, box)
        for ax in axes:
            ax.set_axis_off()
        return figure, _scale_bar(axes[0], width, height, sx)

    with styled():
        figure, bar_mm = draw(_WIDTH_IN, columns)
        narrow, _ = draw(NARROW_IN, _columns_on_a_phone(len(images), columns))
        caption = f"Window: {_window_words(window)}. Bar: {bar_mm} mm. {credit}".strip()
        return finish(figure, alt=alt, caption=caption, kind="png", narrow=narrow)


def _letters(panel_in: float) -> int:
    """Letters of a bold title that fit over a panel."""
    return max(8, int(panel_in / 0.09))


def _columns_on_a_phone(panels: int, columns: int) -> int:
    """Two, or one where the first would be long and thin; rows that belong together stay so."""
    return columns if columns < panels and columns <= 3 else min(2, panels)


def maps(
    signed: Mapping[str, np.ndarray],
    *,
    unit: str,
    alt: str,
    limit: float | None = None,
    over: np.ndarray | None = None,
    window: Window | None = None,
    note: str = "",
) -> Picture:
    """Signed maps on one symmetric scale, each with zero in the middle, over a slice if given.

    Parameters
    ----------
    signed : title -> map, shape (y, x)
    unit : of the map's values, written at the colour bar
    limit : value at the ends of the scale; default: the 99.5th percentile of all magnitudes
    over : slice in HU under the maps, shown in ``window``; a map's zero is then transparent
    """
    alt = check_alt(alt)
    if over is not None and window is None:
        raise ValueError("a map over a slice needs window=, which the caption states")
    limit = limit or float(np.percentile(np.abs(np.stack(list(signed.values()))), 99.5)) or 1.0

    def draw(width_in: float, columns: int) -> Figure:
        rows, letters = -(-len(signed) // columns), _letters((width_in - 0.9) / columns)
        height_in = rows * (0.92 * width_in / columns + 0.35)
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
        for ax in axes:
            ax.set_axis_off()
        for ax, (title, values) in zip(axes, signed.items(), strict=False):
            if over is not None and window is not None:
                ax.imshow(window.render(over), cmap="gray", vmin=0, vmax=255)
            alpha = np.ones_like(values) if over is None else np.clip(abs(values) / limit, 0, 1)
            ax.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit, alpha=alpha)
            ax.set_title(textwrap.fill(title, letters), pad=4)
        # A bar of its own, for the maps may be transparent.
        scale = ScalarMappable(Normalize(-limit, limit), "PuOr_r")
        figure.colorbar(scale, ax=axes, shrink=0.82, pad=0.01).set_label(unit)
        return figure

    with styled():
        figure = draw(min(_WIDTH_IN, 5.0 * len(signed)), len(signed))
        narrow = draw(NARROW_IN, _columns_on_a_phone(len(signed), len(signed)))
        under = f"Slice: {_window_words(window)}. " if over is not None and window else ""
        caption = f"{under}Map: purple negative, orange positive, ±{limit:.3g} {unit}. {note}"
        return finish(figure, alt=alt, caption=caption.strip(), kind="png", narrow=narrow)


def sinogram(lines: np.ndarray, *, alt: str, note: str = "") -> Picture:
    """A sinogram: one row a view, one column a detector element; line integrals, no unit."""
    alt = check_alt(alt)
    with styled():
        figure = Figure(figsize=(6.2, 4.0), layout="constrained")
        ax = figure.subplots()
        shown = ax.imshow(lines, cmap="gray", aspect="auto", extent=(0, lines.shape[1], 180, 0))
        ax.set(xlabel="detector element", ylabel="angle (degrees)", yticks=[0, 45, 90, 135, 180])
        ax.grid(False)
        figure.colorbar(shown, ax=ax, pad=0.02).set_label("line integral ∫ µ dl")
        caption = f"Grey: line integral from 0 to {lines.max():.1f}. {note}".strip()
        return finish(figure, alt=alt, caption=caption, kind="png")


def _window_words(window: Window) -> str:
    name = f"{window.name} " if window.name else ""
    words = f"{name}level {window.level_hu:g}, width {window.width_hu:g} HU"
    return words.replace("-", "−")


def _outline(ax: Axes, box: tuple[slice, slice]) -> None:
    """A yellow frame over a black one: seen on lung and on bone."""
    rows, columns = box
    corner = (columns.start - 0.5, rows.start - 0.5)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    for width, colour in ((3.2, "black"), (1.4, "#ffe14d")):
        ax.add_patch(Rectangle(corner, *size, fill=False, linewidth=width, edgecolor=colour))


def _scale_bar(ax: Axes, width: int, height: int, spacing_mm: float) -> int:
    """Draw a bar a fifth to a third of the slice long; its length in mm."""
    fits = [mm for mm in _BARS_MM if mm <= width * spacing_mm / 3]
    bar_mm = fits[0] if fits else 1
    length, x, y = bar_mm / spacing_mm, width * 0.04, height * 0.96
    for thickness, colour in ((4.5, "black"), (2.2, "#ffe14d")):
        ax.plot([x, x + length], [y, y], color=colour, linewidth=thickness)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    return bar_mm
