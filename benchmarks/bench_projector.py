"""Forward projection and FBP of a 512 x 512 slice, 720 views, beside scikit-image.

"Same answer" means here: no worse. Projections are compared with the analytic line integrals of
an ellipse, reconstructions with the ellipse itself; the difference printed is by how much our
RMSE exceeds the peer's, as a share of the peer's, and zero where it does not.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from skimage.transform import iradon, radon

from benchmarks.driver import compare
from ctlab.ct.simulation.parallel_beam import ParallelBeam, fbp, project
from ctlab.ct.simulation.test_objects import Ellipse, draw, line_integral_of_ellipse

SIZE, VIEWS, ROUNDS = 512, 720, 7
ELLIPSE = Ellipse((20.0, -35.0), (110.0, 160.0), 1.0, turn_rad=0.3)


def excess(ours: np.ndarray, truth: np.ndarray, peer: np.ndarray, peer_truth: np.ndarray) -> float:
    """How much our RMSE exceeds the peer's, as a share of the peer's; never negative."""
    own, theirs = (
        float(np.sqrt(np.mean((image - exact) ** 2)))
        for image, exact in ((ours, truth), (peer, peer_truth))
    )
    return max(own / theirs - 1.0, 0.0)


def results() -> Iterator[dict[str, Any]]:
    """Two comparisons: projection and reconstruction."""
    image = draw([ELLIPSE], size=SIZE, pixel_mm=1.0, background_hu=0, oversample=8)
    angles = np.arange(VIEWS) * np.pi / VIEWS
    beam = ParallelBeam((SIZE, SIZE), 1.0, tuple(angles), SIZE, 1.0)
    positions = beam.detector_positions_mm
    exact = line_integral_of_ellipse(ELLIPSE, angles, positions)
    # scikit-image turns the other way round, about pixel n // 2, half a pixel off the centre.
    y_mm, x_mm = ELLIPSE.centre_mm
    moved = replace(ELLIPSE, centre_mm=(y_mm - 0.5, x_mm - 0.5))
    peer_exact = line_integral_of_ellipse(moved, -angles, positions - 0.5)
    versions = ("numba", "numpy", "scikit-image")
    yield compare(
        "forward projection 512x512, 720 views",
        lambda: project(image, beam),
        lambda: radon(image, np.rad2deg(angles), circle=True).T,
        peer_name="skimage.transform.radon",
        difference=lambda ours, peer: excess(ours, exact, peer, peer_exact),
        tolerance=0.0,
        packages=versions,
        rounds=ROUNDS,
    )
    y, x = np.ogrid[:SIZE, :SIZE]
    seen = np.hypot(y - SIZE / 2, x - SIZE / 2) < SIZE / 2 - 2  # what the detectors cover
    sinogram = exact.astype(np.float32)
    peer_sinogram = np.ascontiguousarray(peer_exact.T, dtype=np.float32)
    yield compare(
        "filtered back-projection 512x512, 720 views",
        lambda: fbp(sinogram, beam),
        lambda: iradon(peer_sinogram, np.rad2deg(angles), filter_name="ramp", circle=True),
        peer_name="skimage.transform.iradon",
        difference=lambda ours, peer: excess(ours[seen], image[seen], peer[seen], image[seen]),
        tolerance=0.0,
        packages=versions,
        rounds=ROUNDS,
    )
