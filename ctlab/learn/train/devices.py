"""Devices and processes of training and of denoising: one engine, Lightning Fabric."""

import os
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision

from ctlab.learn.config import TrainConfig
from ctlab.threads import available_cores


def open_fabric(*, accelerator: str = "auto", plugins: list[Any] | None = None) -> Fabric:
    """One process, or what torchrun started: several GPUs, several nodes, or CPUs with gloo."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        plugins=plugins,
    )
    fabric.launch()
    return fabric


def device_type(accelerator: str) -> str:
    """Kind of device that Fabric will choose: ``cuda``, ``mps`` (Apple) or ``cpu``."""
    if accelerator == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def is_first_process() -> bool:
    """True in the process that tells people, of those that torchrun started; true without it."""
    return os.environ.get("RANK", "0") == "0"


MOST_THREADS = 8
"""More gain nothing for small patches, and starve whoever else uses the machine."""


def bound_threads() -> int:
    """Let PyTorch use the cores of this process, shared with its siblings; the number of threads.

    PyTorch counts the cores of the machine, not those that a container or a batch system leaves to
    this process. A lower number, asked for by ``OMP_NUM_THREADS``, stays.
    """
    share = available_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    threads = max(1, min(torch.get_num_threads(), share, MOST_THREADS))
    torch.set_num_threads(threads)
    return threads


def make_fabric(config: TrainConfig, *, accelerator: str = "auto") -> Fabric:
    """Device, precision and processes of a run: one process, or what torchrun started."""
    mixed = config.precision == "bf16-mixed" or (config.precision == "auto" and has_fast_bf16())
    # As a plug-in rather than by name: a name is announced on the terminal at every start.
    plugins = [MixedPrecision("bf16-mixed", device_type(accelerator))] if mixed else None
    return open_fabric(accelerator=accelerator, plugins=plugins)


def has_fast_bf16() -> bool:
    """True where bfloat16 arithmetic is done in hardware, on the GPU or the CPU."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())
