"""Where a map takes points: one panel a map, an arrow a point."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ctlab.figures.picture import Picture, check_alt, finish, styled
from ctlab.figures.plots import _COLOURS, _MARKERS

_WIDTH_IN = 9.0


def moves(
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]],
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
        figure = Figure(figsize=(_WIDTH_IN, 3.6), layout="constrained")
        axes = np.atleast_1d(figure.subplots(1, len(panels), sharex=True, sharey=True))
        for ax, (title, groups) in zip(axes, panels.items(), strict=True):
            for i, (name, (start, end)) in enumerate(groups.items()):
                colour, (dx, dy) = _COLOURS[i % 6], (end - start).T
                ax.quiver(
                    *start.T, dx, dy, color=colour, angles="xy", scale_units="xy", scale=1,
                    width=0.006, alpha=0.55,
                )  # fmt: skip
                ax.plot(*start.T, _MARKERS[i % 6], color=colour, markersize=5, label=name)
            ends = np.concatenate([np.concatenate(pair) for pair in groups.values()])
            ax.update_datalim(ends)
            ax.autoscale_view()
            ax.set_title(title, pad=4)
            ax.set_xlabel(x)
        axes[0].set_ylabel(y)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        return finish(figure, alt=alt, caption=note, kind="svg")
