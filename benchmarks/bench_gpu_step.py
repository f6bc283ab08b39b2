"""One training step on an NVIDIA GPU: ours beside a plain eager step, and beside the card's limit.

At 64 pixels a step is bound by launching some thousand small kernels; ours replays them as a CUDA
graph. Both draw their batches alike. Prints nothing where there is no GPU. It needs torch, numpy,
lightning-fabric and pydantic alone: the patches are made up.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.driver import compare
from benchmarks.peers.plain_step import plain_step
from ctlab.learn.config import TrainConfig
from ctlab.learn.train.devices import make_fabric
from ctlab.learn.train.loop import train
from ctlab.learn.train.state import TrainState

STEPS = 20  # per timing
KINDS = {  # ours: precision, captured as a graph, tolerance of the cycle loss after some steps
    "float32, eager": ("32-true", False, 0.02),
    "float32, graph": ("32-true", True, 0.02),
    "bfloat16, eager": ("bf16-mixed", False, 0.05),
    "bfloat16, graph": ("bf16-mixed", True, 0.05),
}
DENSE_TFLOPS = {  # makers' figures for dense bfloat16, by a part of the card's name
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "RTX 4090": 165.0,
    "T4": 65.0,
}


class MadeUpPatches:
    """Flat regions of 8 x 8 pixels with white noise, handed out at random."""

    def __init__(self, patch_px: int, noise_hu: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        flat = rng.uniform(-950.0, 300.0, (64, 1, patch_px // 8, patch_px // 8))
        hu = np.kron(flat, np.ones((1, 1, 8, 8))) + rng.normal(
            0, 10 + noise_hu, (64, 1, patch_px, patch_px)
        )
        self.hu, self.sd_hu = hu.astype(np.float32), noise_hu

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Patches (count, 1, p, p) in HU and their noise SD."""
        return self.hu[rng.integers(len(self.hu), size=count)], self.noise_like(count)

    def noise_like(self, count: int, *_given: Any) -> np.ndarray:
        """The same noise SD for each."""
        return np.full(count, self.sd_hu, np.float32)


def results() -> Iterator[dict[str, Any]]:
    """Two patch sizes, four ways of ours; nothing without a GPU."""
    if not torch.cuda.is_available():
        sys.stderr.write("gpu_step: no CUDA device here, nothing was measured\n")
        return
    card = torch.cuda.get_device_name()
    limits = {"measured_tflops": _matrix_tflops(), "maker_tflops": _maker_tflops(card)}
    for size in (64, 128):
        config = _config(size)
        flops = _flops_per_step(config)
        for kind, (precision, is_graph, tolerance) in KINDS.items():
            changes = {"precision": precision, "graphs": is_graph}
            row = compare(
                f"GPU training step, {size} px, batch {config.batch}, {kind}",
                _ours(config.model_copy(update=changes)),
                _peer(config),
                peer_name="eager float32 PyTorch, separate passes (TF32 as PyTorch has it)",
                difference=lambda a, b: abs(a - b) / abs(b),
                tolerance=tolerance,
                packages=("torch",),
                rounds=7,
            )
            step_s = row["ours_s"] / STEPS
            row |= {
                "step_ms": round(1e3 * step_s, 3),
                "peer_step_ms": round(1e3 * row["peer_s"] / STEPS, 3),
                "gflop_per_step": round(flops / 1e9, 2),
                "achieved_tflops": round(flops / step_s / 1e12, 3),
                "card": card,
                "limit": limits,
            }
            yield row


def _config(size: int) -> TrainConfig:
    return TrainConfig.from_dict(
        {
            "networks": {"attention": "gate", "noise_ramp": True},
            "patch_px": size,
            "batch": 8,
            "cycle_batch": 8,
            "steps": 10**6,
            "precision": "32-true",
        }
    )


def _domains(config: TrainConfig) -> tuple[Any, Any]:
    """In place of the domains of a training, which is only asked to draw."""
    return MadeUpPatches(config.patch_px, 0.0, 1), MadeUpPatches(config.patch_px, 50.0, 2)


def _ours(config: TrainConfig) -> Callable[[], float]:
    fabric = make_fabric(config)
    state = TrainState.start(config, fabric.device)
    rows = train(config, *_domains(config), state=state, fabric=fabric)
    return lambda: [next(rows)["generator_cycle_full"] for _ in range(STEPS)][-1]


def _peer(config: TrainConfig) -> Callable[[], float]:
    fabric = make_fabric(config)
    state = TrainState.start(config, fabric.device)
    step = plain_step(config, state, *_domains(config), fabric=fabric)
    return lambda: [step() for _ in range(STEPS)][-1]


def _flops_per_step(config: TrainConfig) -> float:
    """Multiplications and additions of convolutions and matrix products of ours, per step."""
    fabric = make_fabric(config)
    state = TrainState.start(config, fabric.device)
    rows = train(config, *_domains(config), state=state, fabric=fabric)
    next(rows), next(rows)
    with _Counter() as counter:
        next(rows), next(rows)  # one with the gradient penalty, one without
    return counter.total / 2


class _Counter(TorchDispatchMode):
    """Adds up what PyTorch's own table says of each operation.

    Its ``FlopCounterMode`` cannot be used: it does not stand a gradient inside a loss.
    """

    total = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def _matrix_tflops(size: int = 8192, repeats: int = 20) -> float:
    """Fastest bfloat16 matrix product seen on this card: what arithmetic can reach at best."""
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    best = 0.0
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        torch.mm(a, a)
        end.record()
        torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (start.elapsed_time(end) * 1e-3) / 1e12)
    return round(best, 1)


def _maker_tflops(card: str) -> float | None:
    return next((value for name, value in DENSE_TFLOPS.items() if name in card), None)
