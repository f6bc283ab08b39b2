"""SSIM of a 512 x 512 slice: the fused kernel beside scikit-image with the same settings."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from skimage.metrics import structural_similarity

from benchmarks.driver import compare
from ctlab.assess import ssim


def results() -> Iterator[dict[str, Any]]:
    """One comparison, on a slice of blocks between -1000 and 600 HU with noise of 40 HU."""
    rng = np.random.default_rng(0)
    reference = np.kron(rng.uniform(-1000, 600, (32, 32)), np.ones((16, 16))).astype(np.float32)
    image = reference + rng.normal(0, 40, reference.shape).astype(np.float32)
    yield compare(
        "ssim 512x512",
        lambda: ssim(reference, image, range_hu=1500.0),
        lambda: structural_similarity(
            reference,
            image,
            data_range=1500.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        ),
        peer_name="skimage.metrics.structural_similarity, 11 taps, sigma 1.5",
        difference=lambda ours, peer: abs(ours - peer),
        tolerance=1e-5,
        packages=("numba", "numpy", "scikit-image"),
        rounds=15,
    )
