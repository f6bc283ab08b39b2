"""Small unpaired domains, and a configuration that trains in milliseconds."""

import numpy as np
import pytest
import torch

from ctlab.ct import Acquisition, Volume
from ctlab.learn.config import TrainConfig
from ctlab.learn.data.patches import PatchDomain


@pytest.fixture(autouse=True)
def _one_thread_and_torch_randomness_untouched():
    torch.set_num_threads(1)
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "the test changed torch's global generator"


def chest_like(rng: np.random.Generator, *, slices: int = 4, size: int = 64) -> np.ndarray:
    """Slices (z, y, x) in HU: soft tissue, two lungs with vessels, air in the corners."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    hu = np.full((slices, size, size), -1000.0)
    hu[:, (y / 0.48) ** 2 + (x / 0.48) ** 2 < 1] = 40.0
    for side in (-0.2, 0.2):
        hu[:, (y / 0.3) ** 2 + ((x - side) / 0.15) ** 2 < 1] = -850.0
    for k in range(slices):
        for _ in range(6):
            cy, cx = rng.uniform(-0.3, 0.3, 2)
            hu[k, (y - cy) ** 2 + (x - cx) ** 2 < 0.0004] += 300.0
    return hu.astype(np.float32)


@pytest.fixture
def tiny_config() -> TrainConfig:
    return TrainConfig.from_dict(
        {
            "networks": {"width": 4, "critic_width": 4, "noise_kernels": 2, "noise_kernel_px": 5},
            "patch_px": 16,
            "batch": 2,
            "cycle_batch": 3,
            "steps": 12,
            "precision": "32-true",
            "monitor_every": 4,
            "save_every": 4,
        }
    )


@pytest.fixture
def tiny_domains(rng) -> tuple[PatchDomain, PatchDomain]:
    """Routine-dose and low-dose patches (full, low) of different made-up slices."""
    full, low = chest_like(rng), chest_like(rng)
    low = low + rng.normal(0, 50, low.shape).astype(np.float32)
    return PatchDomain([full], [0.0], patch_px=16), PatchDomain([low], [50.0], patch_px=16)


@pytest.fixture
def tiny_volume(rng) -> Volume:
    """Noisy chest-like volume of a size no network can take unpadded; -2048 in one corner."""
    hu = chest_like(rng, slices=3, size=70)[:, :65, :70]
    hu = hu + rng.normal(0, 50, hu.shape).astype(np.float32)
    hu[:, :3, :3] = -2048.0
    return Volume(hu, (2.5, 0.7, 0.7), acquisition=Acquisition(kernel="STANDARD"))
