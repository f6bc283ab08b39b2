"""Denoising of 512 x 512 slices with the shipped model: ours beside a plain eager loop.

The peer is what one writes first: one slice at a time, default memory layout, float32.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.harness import compare
from ctlab.ct import load_sample
from ctlab.learn import denoise_slices, load_checkpoint

SLICES = 4


def results() -> Iterator[dict[str, Any]]:
    """float32 (the same HU), then bfloat16 where the hardware has it (within 1 HU RMS)."""
    rng = np.random.default_rng(0)
    hu = load_sample().hu[:SLICES]
    hu = hu + rng.normal(0, 45, hu.shape).astype(np.float32)
    checkpoint = load_checkpoint()
    model = checkpoint.denoiser()
    plain = checkpoint.denoiser().to(memory_format=torch.contiguous_format)
    net = torch.from_numpy(np.clip(hu, -1024, 3071))[:, None]

    def peer() -> np.ndarray:
        with torch.no_grad():
            return np.stack([plain(image[None])[0, 0].numpy() for image in net])

    def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
        inside = hu >= -1024
        return float(np.sqrt(np.mean((ours - hu - theirs + np.clip(hu, -1024, 3071))[inside] ** 2)))

    for precision, tolerance in (("float32", 0.01), ("bfloat16", 1.0)):
        yield compare(
            f"denoise {SLICES} slices of 512x512, {precision}",
            lambda precision=precision: denoise_slices(hu, model, precision=precision),  # type: ignore[misc]
            peer,
            peer_name="eager float32 PyTorch, one slice at a time, default layout",
            difference=difference,
            tolerance=tolerance,
            packages=("torch", "numpy"),
            rounds=7,
        )
