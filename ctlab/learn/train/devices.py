"""Devices and processes of training and of denoising: one engine, Lightning Fabric."""

import os
from typing import Any

import torch
from lightning_fabric import Fabric


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
    """Kind of device that Fabric will choose: ``cuda`` or ``cpu``."""
    return "cuda" if torch.cuda.is_available() and accelerator != "cpu" else "cpu"
