"""A finished figure: image, alternative text and caption in one, shown alike everywhere."""

import base64
import html
import io
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

INK, PAPER, GRID = "#1d2429", "#ffffff", "#c9d1d6"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.9,
    "svg.fonttype": "path",
    "svg.hashsalt": "ctlab",
}
_SHORTEST_ALT = 25


@dataclass(frozen=True)
class Picture:
    """A figure as it stands on a page; Jupyter, the book and a report show the same thing.

    Attributes
    ----------
    data : bytes of the image
    kind : ``png`` for CT images, ``svg`` for plots
    alt : what is seen, for readers who do not see it
    caption : window, scale and source
    """

    data: bytes
    kind: str
    alt: str
    caption: str

    @property
    def source(self) -> str:
        """The image as a ``data:`` address."""
        mime = "image/svg+xml" if self.kind == "svg" else f"image/{self.kind}"
        return f"data:{mime};base64,{base64.b64encode(self.data).decode()}"

    def _repr_html_(self) -> str:
        alt, caption = html.escape(self.alt), html.escape(self.caption, quote=False)
        return (
            f'<figure class="ctlab-figure"><img class="dark-light" src="{self.source}" '
            f'alt="{alt}"><figcaption>{caption}</figcaption></figure>'
        )


def check_alt(alt: str) -> str:
    """The text itself; refuses one that cannot say what is seen.

    Examples
    --------
    >>> check_alt("Figure 1")
    Traceback (most recent call last):
    ...
    ValueError: alt must say in a sentence what is seen (25 characters or more), got 'Figure 1'
    """
    if len(alt.strip()) < _SHORTEST_ALT:
        raise ValueError(
            f"alt must say in a sentence what is seen ({_SHORTEST_ALT} characters or more), "
            f"got {alt!r}"
        )
    return alt.strip()


def styled() -> Any:
    """Context in which figures have the book's style; nothing outside it changes."""
    return mpl.rc_context(STYLE)


def finish(figure: Figure, *, alt: str, caption: str, kind: str) -> Picture:
    """Render a figure to a :class:`Picture`."""
    buffer = io.BytesIO()
    # Without a date the same figure gives the same bytes, and cached pages stay as they are.
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=110, facecolor=PAPER, metadata=metadata)
    return Picture(buffer.getvalue(), kind, check_alt(alt), caption)
