"""Two heaps of sand, the cheapest plan of transport and its dual prices, moved by the reader."""

from pathlib import Path

from anywidget import AnyWidget

_HERE = Path(__file__).parent


class SandHeaps(AnyWidget):
    """Figure of the transport problem on a line and of its dual; it needs no kernel.

    Examples
    --------
    >>> "Steepest price" in str(SandHeaps()._esm)
    True
    """

    _esm = (_HERE / "sand.js").read_text("utf-8")
    _css = "".join((_HERE / name).read_text("utf-8") for name in ("toy.css", "gantry.css"))
