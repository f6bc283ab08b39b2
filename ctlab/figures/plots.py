"""Lines, points, bars and intervals as figures; told apart by shape as well as by colour."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from ctlab.figures.picture import (
    INK,
    Picture,
    check_alt,
    finish,
    name_series,
    narrowed,
    styled,
)

# Okabe and Ito's colours, dark ones first; dashes and markers say the same without colour.
_COLOURS = ("#0072b2", "#d55e00", "#007a5a", "#8c4c86", "#6b5900", INK)
_DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P")
# Where a name may stand beside its point, the best place first: offset in points, alignment.
_SIDES: tuple[tuple[tuple[int, int], str, str], ...] = (
    ((7, 4), "left", "baseline"),
    ((-7, 4), "right", "baseline"),
    ((0, 7), "center", "bottom"),
    ((0, -7), "center", "top"),
    ((7, -4), "left", "top"),
    ((-7, -4), "right", "top"),
)
_HATCHES = ("", "//", "..", "xx", "\\\\", "oo")


def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    alt: str,
    note: str = "",
    log: str = "",
    marked: bool | None = None,
    y_range: tuple[float, float] | None = None,
) -> Picture:
    """Curves in one frame.

    Parameters
    ----------
    curves : name -> (x values, y values)
    x, y : axis labels with units
    note : caption
    log : axes with a logarithmic scale: ``""``, ``"x"``, ``"y"`` or ``"xy"``
    marked : whether points carry markers; default: where a curve has up to 20 points
    y_range : ends of the y axis; default: what the data need
    """
    alt = check_alt(alt)
    with styled():
        figure, ax = _frame(x, y, log)
        for i, (name, (xs, ys)) in enumerate(curves.items()):
            few = len(np.atleast_1d(xs)) <= 20 if marked is None else marked
            ax.plot(
                xs,
                ys,
                label=name,
                color=_COLOURS[i % 6],
                linestyle=_DASHES[i % 6],
                marker=_MARKERS[i % 6] if few else None,
                markersize=5.5,
            )
        if y_range is not None:
            ax.set_ylim(*y_range)
        if "x" not in log and all(np.all(np.mod(xs, 1) == 0) for xs, _ in curves.values()):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))  # half a step means nothing
        name_series(figure)
        return finish(figure, alt=alt, caption=note, kind="svg")


def scatter(
    groups: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    alt: str,
    note: str = "",
    named: bool = False,
    ranges: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> Picture:
    """Points in groups; with ``named``, each group's name stands beside its last point.

    ``ranges`` are the ends of the x and of the y axis; default: what the data need.
    """
    alt = check_alt(alt)

    def draw() -> tuple[Figure, Axes]:
        figure, ax = _frame(x, y, "")
        for i, (name, (xs, ys)) in enumerate(groups.items()):
            ax.plot(
                xs,
                ys,
                _MARKERS[i % 6],
                label=name,
                color=_COLOURS[i % 6],
                markersize=6,
                alpha=0.85,
            )
        if named:
            ax.margins(0.18)
        else:
            name_series(figure)
        if ranges is not None:
            ax.set(xlim=ranges[0], ylim=ranges[1])
        return figure, ax

    with styled():
        (wide, ax), (narrow, narrow_ax) = draw(), draw()
        narrowed(narrow)
        if named:
            _name_points(wide, ax, groups)
            _name_points(narrow, narrow_ax, groups)
        return finish(wide, alt=alt, caption=note, kind="svg", narrow=narrow)


def histogram(
    samples: Mapping[str, np.ndarray],
    *,
    x: str,
    alt: str,
    bins: Sequence[float] | int = 80,
    note: str = "",
    y_range: tuple[float, float] | None = None,
) -> Picture:
    """Outlines of the distributions of samples, each with area 1; ``y_range`` ends the y axis."""
    alt = check_alt(alt)
    pooled = np.concatenate([np.ravel(values) for values in samples.values()])
    edges = np.histogram_bin_edges(pooled, bins)
    with styled():
        figure, ax = _frame(x, "density", "")
        for i, (name, values) in enumerate(samples.items()):
            heights, _ = np.histogram(np.ravel(values), edges, density=True)
            ax.stairs(
                heights,
                edges,
                label=name,
                color=_COLOURS[i % 6],
                linestyle=_DASHES[i % 6],
                linewidth=1.9,
            )
        if y_range is not None:
            ax.set_ylim(*y_range)
        name_series(figure)
        return finish(figure, alt=alt, caption=note, kind="svg")


def bars(groups: Mapping[str, Mapping[str, float]], *, y: str, alt: str, note: str = "") -> Picture:
    """Bars side by side: series -> category -> height; series differ in hatching too."""
    alt = check_alt(alt)
    categories = list(next(iter(groups.values())))
    width = 0.8 / len(groups)
    with styled():
        figure, ax = _frame("", y, "")
        for i, (name, heights) in enumerate(groups.items()):
            at = np.arange(len(categories)) + (i - (len(groups) - 1) / 2) * width
            ax.bar(
                at,
                [heights[c] for c in categories],
                width * 0.92,
                label=name,
                color=_COLOURS[i % 6],
                hatch=_HATCHES[i % 6],
                edgecolor="white",
                linewidth=0.5,
            )
        # Names of several words are broken: beside each other they would not fit on a phone.
        ax.set_xticks(np.arange(len(categories)), [name.replace(" ", "\n") for name in categories])
        ax.grid(axis="x", visible=False)
        ax.axhline(0, color=INK, linewidth=0.8)
        name_series(figure)
        return finish(figure, alt=alt, caption=note, kind="svg")


def intervals(
    rows: Mapping[str, tuple[float, float, float]],
    *,
    x: str,
    alt: str,
    reference: float | None = None,
    note: str = "",
    x_range: tuple[float, float] | None = None,
) -> Picture:
    """Estimates with intervals, one a row: name -> (estimate, low, high).

    ``reference`` is a dashed line; ``x_range`` ends the x axis, default: what the data need.
    """
    alt = check_alt(alt)
    with styled():
        figure = Figure(figsize=(7.2, 0.9 + 0.42 * len(rows)), layout="constrained")
        ax = figure.subplots()
        at = np.arange(len(rows))[::-1]
        values = np.array(list(rows.values()), float)
        errors = np.abs(values[:, 1:].T - values[:, 0])
        ax.errorbar(
            values[:, 0], at, xerr=errors, fmt="o", color=_COLOURS[0], capsize=4, markersize=6
        )
        ax.set_yticks(at, list(rows))
        ax.set(xlabel=x, ylim=(-0.6, len(rows) - 0.4))
        ax.grid(axis="y", visible=False)
        if x_range is not None:
            ax.set_xlim(*x_range)
        if reference is not None:
            ax.axvline(reference, color=INK, linestyle="--", linewidth=1.1)
        return finish(figure, alt=alt, caption=note, kind="svg")


def _name_points(
    figure: Figure, ax: Axes, groups: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> None:
    """Each group's name beside its last point, on the first side where it covers nothing."""
    figure.draw_without_rendering()  # the layout, which decides where points are
    pixels = figure.dpi / 72
    taken = []
    for xs, ys in groups.values():
        places = ax.transData.transform(np.column_stack([np.atleast_1d(xs), np.atleast_1d(ys)]))
        taken += [Bbox.from_extents(*(p - 4 * pixels), *(p + 4 * pixels)) for p in places]
    for name, (xs, ys) in groups.items():
        place = (np.atleast_1d(xs)[-1], np.atleast_1d(ys)[-1])
        text = ax.annotate(name, place, xytext=(0, 0), textcoords="offset points")
        for offset, across, up in _SIDES:
            text.set(position=offset, ha=across, va=up)
            box = text.get_window_extent()
            if not box.count_overlaps(taken) and ax.bbox.containsx(box.x0) & ax.bbox.containsx(
                box.x1
            ):
                break
        taken.append(box)


def _frame(x: str, y: str, log: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, 3.9), layout="constrained")
    ax = figure.subplots()
    ax.set(xlabel=x, ylabel=y)
    for letter in log:
        axis = getattr(ax, f"{letter}axis")
        getattr(ax, f"set_{letter}scale")("log", subs=[2, 5])
        # Plain numbers: 20 is read faster than 2 x 10^1.
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
    return figure, ax
