"""A finished figure: image, alternative text and caption in one, shown alike everywhere."""

import base64
import html
import io
import textwrap
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
_PHONE, NARROW_IN = "screen and (max-width: 560px)", 4.8  # words of 10.5 pt stay above 10 px


@dataclass(frozen=True)
class Picture:
    """A figure as it stands on a page; Jupyter, the book and a report show the same thing.

    Attributes
    ----------
    data : bytes of the image
    kind : ``png`` for CT images, ``svg`` for plots
    alt : what is seen, for readers who do not see it
    caption : window, scale and source
    narrow : the same for the screen of a phone, where the words of ``data`` would be too small
    """

    data: bytes
    kind: str
    alt: str
    caption: str
    narrow: bytes = b""

    @property
    def source(self) -> str:
        """The image as a ``data:`` address."""
        return self._address(self.data)

    def _address(self, data: bytes) -> str:
        mime = "image/svg+xml" if self.kind == "svg" else f"image/{self.kind}"
        return f"data:{mime};base64,{base64.b64encode(data).decode()}"

    def _repr_html_(self) -> str:
        alt, caption = html.escape(self.alt), html.escape(self.caption, quote=False)
        image = f'<img class="dark-light" src="{self.source}" alt="{alt}">'
        if self.narrow:
            source = f'<source media="{_PHONE}" srcset="{self._address(self.narrow)}">'
            image = f"<picture>{source}{image}</picture>"
        return f'<figure class="ctlab-figure">{image}<figcaption>{caption}</figcaption></figure>'


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


_LABEL_LETTERS = 30  # of a line on a phone
_LETTER_IN, _LEGEND_ROW_IN = 0.077, 0.21  # of a legend


def finish(
    figure: Figure, *, alt: str, caption: str, kind: str, narrow: Figure | None = None
) -> Picture:
    """Render a figure to a :class:`Picture`, and to a narrow one for phones.

    ``narrow`` is the figure for phones, where another arrangement is needed; default: the same
    plot laid out again at a smaller width, and images as they are.
    """
    data = _rendered(figure, kind)
    if narrow is None and kind == "svg":
        narrow = narrowed(figure)
    small = _rendered(narrow, kind) if narrow is not None else b""
    return Picture(data, kind, check_alt(alt), caption, small)


def narrowed(figure: Figure) -> Figure:
    """The same plot, laid out again for a phone: long names one under another."""
    figure.set_size_inches(NARROW_IN, figure.get_figheight())
    if figure.legends:
        rows = name_series(figure)
        figure.set_figheight(figure.get_figheight() + _LEGEND_ROW_IN * (rows - 1))
    for axes in figure.axes:  # beside long names there is little room under an axis
        axes.set_xlabel(textwrap.fill(axes.get_xlabel(), _LABEL_LETTERS, break_on_hyphens=False))
    return figure


def name_series(figure: Figure) -> int:
    """Put names of two or more series above the axes, where they cover no data; their rows."""
    while figure.legends:
        figure.legends[0].remove()
    handles, names = figure.axes[0].get_legend_handles_labels()
    if len(names) < 2:
        return 0
    column_in = (max(map(len, names)) + 9) * _LETTER_IN
    columns = max(1, min(3, len(names), int(figure.get_figwidth() / column_in)))
    figure.legend(handles, names, loc="outside upper center", ncols=columns, handlelength=3.0)
    return -(-len(names) // columns)


def _rendered(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    dots = 110 if figure.get_figwidth() > NARROW_IN else 150  # phones have fine screens
    # Without a date the same figure gives the same bytes, and cached pages stay as they are.
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=dots, facecolor=PAPER, metadata=metadata)
    return buffer.getvalue()
