"""Steps from one artefact to the next, as boxes and arrows."""

from collections.abc import Mapping
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctlab.figures.picture import INK, NARROW_IN, Picture, check_alt, finish, styled

_WIDTH_IN, _ROW_IN, _BOX = 9.0, 1.35, (0.88, 0.66)


def flow(steps: Mapping[str, str], *, columns: int, alt: str, note: str = "") -> Picture:
    """Boxes from left to right in rows, an arrow from each to the next; one column on a phone.

    Parameters
    ----------
    steps : artefact -> what makes it, in order; both may have several lines
    columns : boxes in a row
    note : caption
    """
    alt = check_alt(alt)
    rows = -(-len(steps) // columns)
    with styled():
        wide = Figure(figsize=(_WIDTH_IN, _ROW_IN * rows), layout="constrained")
        narrow = Figure(figsize=(NARROW_IN, 0.85 * len(steps)), layout="constrained")
        _draw(wide, steps, columns)
        _draw(narrow, steps, 1)
        return finish(wide, alt=alt, caption=note, kind="svg", narrow=narrow)


def _draw(figure: Figure, steps: Mapping[str, str], columns: int) -> None:
    ax = figure.subplots()
    ax.set_axis_off()
    places = [(k % columns, -(k // columns)) for k in range(len(steps))]
    for place, (artefact, maker) in zip(places, steps.items(), strict=True):
        _box(ax, place, artefact, maker)
    for start, end in pairwise(places):
        _arrow(ax, start, end)
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(places[-1][1] - 0.5, 0.5))


def _box(ax: Axes, place: tuple[int, int], artefact: str, maker: str) -> None:
    x, y = place
    width, height = _BOX
    corners_x = [x - width / 2, x + width / 2, x + width / 2, x - width / 2]
    corners_y = [y - height / 2, y - height / 2, y + height / 2, y + height / 2]
    ax.fill(corners_x, corners_y, facecolor="#eef3f6", edgecolor=INK, linewidth=1.0)
    ax.text(x, y + 0.12, artefact, ha="center", va="center", fontweight="bold", fontsize=9.5)
    ax.text(x, y - 0.16, maker, ha="center", va="center", fontsize=8.5)


def _arrow(ax: Axes, start: tuple[int, int], end: tuple[int, int]) -> None:
    """To the right within a row; from the end of a row down and back to the start of the next."""
    width, height = _BOX
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    if start[1] == end[1]:
        tail, head = (start[0] + width / 2, start[1]), (end[0] - width / 2, end[1])
    else:
        middle = (start[1] + end[1]) / 2
        bottom = start[1] - height / 2
        ax.plot([start[0], start[0], end[0]], [bottom, middle, middle], color=INK, linewidth=1.2)
        tail, head = (end[0], middle), (end[0], end[1] + height / 2)
    ax.annotate("", head, tail, arrowprops=style)
