"""The toy CycleGAN of the chapters, trained by the reader in the page."""

from pathlib import Path

from anywidget import AnyWidget

_HERE = Path(__file__).parent


class ToyGan(AnyWidget):
    """Figure of a CycleGAN of points, with its weights as sliders; it needs no kernel.

    ``toy.js`` takes the steps of :func:`ctlab.lessons.train_toys`.

    Examples
    --------
    >>> "Mode swap" in str(ToyGan()._esm)
    True
    """

    _esm = (_HERE / "toy.js").read_text("utf-8")
    _css = (_HERE / "toy.css").read_text("utf-8")
