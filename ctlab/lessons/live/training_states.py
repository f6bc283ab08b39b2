"""States of the shipped recipe while it trains, as the slider of the chapter on training shows.

One run with a seed of its own (:mod:`experiments.shipped_model.seeds`): the averaged weights of the
denoiser after some steps, rounded to half precision.
"""

from importlib.resources import as_file, files
from typing import BinaryIO

import numpy as np

STEPS = (1, 30, 100, 300, 1000, 3000, 10000, 26000)
"""Training steps after which the weights were kept."""


def write_states(states: dict[int, dict[str, np.ndarray]], file: BinaryIO) -> None:
    """Weights by step and name into one file; the package ships ``training_states.npz``."""
    named = {
        f"{step} {name}": value.astype(np.float16)
        for step, weights in states.items()
        for name, value in weights.items()
    }
    np.savez_compressed(file, **named)  # type: ignore[arg-type]  # numpy's stub lacks arrays by name


def read_state(step: int) -> dict[str, np.ndarray]:
    """Weights of the denoiser after so many steps, by name, float32.

    Raises
    ------
    ValueError
        No state was kept there.
    """
    if step not in STEPS:
        raise ValueError(f"expected a step of {', '.join(map(str, STEPS))}, got {step}")
    with (
        as_file(files("ctlab.lessons.live") / "training_states.npz") as path,
        np.load(path) as file,
    ):
        found = [key.split(" ", 1) for key in file.files]
        return {n: file[f"{s} {n}"].astype(np.float32) for s, n in found if int(s) == step}
