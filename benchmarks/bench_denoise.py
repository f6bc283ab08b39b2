"""Denoising of 512 x 512 slices with the shipped model: every engine beside a plain eager loop.

All have as many threads as PyTorch is given. The peer is what one writes first: one
slice at a time, default memory layout, float32.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.bench_train_step import facts as facts
from benchmarks.driver import compare
from ctlab.ct import load_sample
from ctlab.learn import denoise_slices, load_checkpoint
from ctlab.learn.engines import open_engine
from ctlab.learn.train.devices import has_fast_bf16

SLICES = 4


def results() -> Iterator[dict[str, Any]]:
    """Exact engines (at most 0.5 HU apart), then bfloat16 where the hardware has it (1 HU RMS)."""
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

    inside = hu >= -1024

    def apart(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        return (ours - hu - theirs + np.clip(hu, -1024, 3071))[inside]

    def largest(ours: np.ndarray, theirs: np.ndarray) -> float:
        return float(np.abs(apart(ours, theirs)).max())

    def rms(ours: np.ndarray, theirs: np.ndarray) -> float:
        return float(np.sqrt(np.mean(apart(ours, theirs) ** 2)))

    ways: dict[str, tuple[Callable[[], np.ndarray], Callable[..., float], float]] = {
        "torch float32": (lambda: denoise_slices(hu, model), largest, 0.5)
    }
    for engine in ("onnx", "openvino"):
        run = open_engine(model, engine)
        ways[engine] = (partial(denoise_slices, hu, model, run=run), largest, 0.5)
    if has_fast_bf16():
        fast = partial(denoise_slices, hu, model, precision="bfloat16")
        ways["torch bfloat16"] = (fast, rms, 1.0)
    for name, (ours, difference, tolerance) in ways.items():
        yield compare(
            f"denoise {SLICES} slices of 512x512, {name}",
            ours,
            peer,
            peer_name="eager float32 PyTorch, one slice at a time, default layout",
            difference=difference,
            tolerance=tolerance,
            packages=("torch", "numpy", "onnxruntime", "openvino"),
            rounds=7,
        )
