"""Where a map takes points: one panel a map, an arrow a point."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ctlab.figures.picture import (
    NARROW_IN,
    Picture,
    check_alt,
    finish,
    styled,
)
from ctlab.figures.plots import _COLOURS, _MARKERS

Panels = Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]

_WIDTH_IN = 9.0


def moves(
    panels: Panels,
    *,
    x: str,
    y: str,
    alt: str,
    note: str = "",
) -> Picture:
    """Arrows from where points were to where a map put them; groups differ in marker and colour.

    Parameters
    ----------
    panels : title -> group -> (start, end), each of shape (points, 2)
    x, y : axis labels
    """
    alt = check_alt(alt)
    with styled():
        wide = Figure(figsize=(_WIDTH_IN, 3.6), layout="constrained")
        high = Figure(figsize=(NARROW_IN, 2.9 * len(panels)), layout="constrained")
        _draw(wide, panels, x, y, shape=(1, len(panels)))
        _draw(high, panels, x, y, shape=(len(panels), 1))
        return finish(wide, alt=alt, caption=note, kind="svg", narrow=high)


def _draw(figure: Figure, panels: Panels, x: str, y: str, *, shape: tuple[int, int]) -> None:
    """One panel beside or below another; labels at the outer ones."""
    axes = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
    for ax, (title, groups) in zip(axes.flat, panels.items(), strict=True):
        for i, (name, (start, end)) in enumerate(groups.items()):
            colour, (dx, dy) = _COLOURS[i % 6], (end - start).T
            ax.quiver(
                *start.T,
                dx,
                dy,
                color=colour,
                angles="xy",
                scale_units="xy",
                scale=1,
                width=0.006,
                alpha=0.55,
            )
            ax.plot(*start.T, _MARKERS[i % 6], color=colour, markersize=5, label=name)
        ends = np.concatenate([np.concatenate(pair) for pair in groups.values()])
        ax.update_datalim(ends)
        ax.autoscale_view()
        ax.set_title(title, pad=4)
    for ax in axes[-1]:
        ax.set_xlabel(x)
    for ax in axes[:, 0]:
        ax.set_ylabel(y)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
