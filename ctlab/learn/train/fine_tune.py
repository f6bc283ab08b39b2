"""Fine-tuning: a run that starts from the weights of a checkpoint, the shipped one or yours."""

import time
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np

from ctlab.learn.config import TrainConfig
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.train.checkpoint import Checkpoint, load_checkpoint
from ctlab.learn.train.loop import train
from ctlab.learn.train.state import STORED_NETWORKS, CycleNetworks, TrainState


def shipped_domains() -> tuple[PatchDomain, PatchDomain]:
    """Some of the patches the shipped checkpoint was trained on: (full, low).

    They come from slabs of LIDC-IDRI-0001 (CC BY 3.0) that are disjoint from each other and
    from the packaged sample series, with gaps of at least 10 slices.
    """
    with (files("ctlab.learn") / "shipped" / "patches.npz").open("rb") as handle:
        stored = np.load(handle)
        full_hu, low_hu, noise_hu = stored["full_hu"], stored["low_hu"], stored["noise_hu"]
    levels = np.unique(noise_hu)
    slabs = [low_hu[noise_hu == level] for level in levels]
    size = full_hu.shape[-1]
    full = PatchDomain([full_hu], [0.0], patch_px=size)
    return full, PatchDomain(slabs, levels.tolist(), patch_px=size)


def resume_shipped(
    *, steps: int = 100, seconds: float | None = None, state: TrainState | None = None
) -> Iterator[dict[str, float]]:
    """Log rows of further training of the shipped checkpoint, on the patches that come with it.

    The learning rate is a tenth of the first one and constant.

    Parameters
    ----------
    steps : int
        Steps at most.
    seconds : float, optional
        Time after which no further step is begun; the number of rows then depends on the machine.
    state : TrainState, optional
        Changed in place, to look at the networks afterwards. Default:
        ``load_checkpoint().train_state()``.

    Yields
    ------
    dict
        A row as :func:`train` yields it; ``step`` counts on from the checkpoint.
    """
    checkpoint = load_checkpoint()
    state = state or checkpoint.train_state()
    changes = {
        "learning_rate": 0.1 * checkpoint.config.learning_rate,
        # The rate stays constant through the first half of a run: this one is far from it.
        "steps": 2 * (state.step + steps),
    }
    config = checkpoint.config.model_copy(update=changes)
    full, low = shipped_domains()
    started = time.monotonic()
    for _, row in zip(range(steps), train(config, full, low, state=state), strict=False):
        yield row
        if seconds is not None and time.monotonic() - started >= seconds:
            return


def take_over(state: TrainState, checkpoint: Checkpoint, config: TrainConfig) -> dict[str, Any]:
    """Put a checkpoint's networks into a fresh state; returns what the card says about that.

    The denoiser has to fit. The degrader and the critics are taken over where they fit, too;
    others begin untrained, as do the moments of the optimisers and the count of steps. Generators
    start from their averages, which are what denoises.

    Raises
    ------
    ValueError
        The denoiser has another shape or other units.
    """
    if checkpoint.scale != config.scale:
        raise ValueError(
            f"expected a checkpoint in units of {config.unit_hu:g} HU around {config.centre_hu:g} "
            f"HU, got {checkpoint.scale.unit_hu:g} HU around {checkpoint.scale.centre_hu:g} HU; "
            "set centre_hu and unit_hu to those of the checkpoint"
        )
    stored = checkpoint.state[STORED_NETWORKS]
    theirs, ours = checkpoint.config.networks, config.networks
    has_same_noise = (theirs.degrader, theirs.noise_ramp) == (ours.degrader, ours.noise_ramp)
    taken = []
    for name, network in state.networks.items():
        averaged = name.removesuffix("_ema") in CycleNetworks.generators
        start = f"{name.removesuffix('_ema')}_ema." if averaged else f"{name}."
        own = network.state_dict()
        weights = {k.removeprefix(start): v for k, v in stored.items() if k.startswith(start)}
        fits = {k: v.shape for k, v in weights.items()} == {k: v.shape for k, v in own.items()}
        if name.startswith("denoiser") and not fits:
            raise ValueError(
                f"expected a checkpoint whose denoiser is that of the configuration "
                f"({_shape(config)}), got {_shape(checkpoint.config)}; set [networks] to that of "
                "the checkpoint"
            )
        if own and fits and (has_same_noise or not name.startswith("degrader")):
            network.load_state_dict(weights)
            taken.append(name)
    return {"sha256": checkpoint.sha256, "steps": checkpoint.step, "networks": taken}


def _shape(config: TrainConfig) -> str:
    shape = config.networks
    facts = (shape.generator, f"width {shape.width}", f"attention {shape.attention}")
    return ", ".join([*facts, f"slices {shape.slices}"])
