"""A CT scan of one slice that the reader turns by hand: ray, sinogram and image together."""

import base64
from pathlib import Path

import numpy as np
from anywidget import AnyWidget
from traitlets import Float, Int, Unicode

_HERE = Path(__file__).parent


class Gantry(AnyWidget):
    """Figure of a gantry, its sinogram and what is smeared back so far; it needs no kernel.

    Parameters
    ----------
    mu_per_mm : ndarray, shape (side, side), attenuation per mm, 0 or more; sent in 256 steps
    pixel_mm : float

    Raises
    ------
    ValueError
        The image is not square, or wider than 160 pixels: a page projects it at once.

    Notes
    -----
    ``gantry.js`` computes what :func:`ctlab.ct.simulation.parallel_beam.project` and ``fbp`` do,
    with 180 views.

    Examples
    --------
    >>> Gantry(np.full((8, 8), 0.02), pixel_mm=2.0).side
    8
    """

    _esm = (_HERE / "gantry.js").read_text("utf-8")
    _css = "".join((_HERE / name).read_text("utf-8") for name in ("toy.css", "gantry.css"))
    pixels = Unicode().tag(sync=True)
    mu_max = Float().tag(sync=True)
    side = Int().tag(sync=True)
    pixel_mm = Float().tag(sync=True)

    def __init__(self, mu_per_mm: np.ndarray, *, pixel_mm: float) -> None:
        if mu_per_mm.ndim != 2 or len(set(mu_per_mm.shape)) != 1 or len(mu_per_mm) > 160:
            raise ValueError(
                f"expected a square image of at most 160 pixels a side, got {mu_per_mm.shape}; "
                "average neighbouring pixels first"
            )
        mu_max = float(mu_per_mm.max()) or 1.0
        steps = np.rint(255 * np.clip(mu_per_mm, 0, None) / mu_max).astype(np.uint8)
        super().__init__(
            pixels=base64.b64encode(steps.tobytes()).decode(),
            mu_max=mu_max,
            side=len(mu_per_mm),
            pixel_mm=float(pixel_mm),
        )
