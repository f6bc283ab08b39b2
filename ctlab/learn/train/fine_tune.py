"""Fine-tune the shipped checkpoint: training whose effect is seen within seconds."""

import time
from collections.abc import Iterator
from importlib.resources import files

import numpy as np

from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.train.checkpoint import load_checkpoint
from ctlab.learn.train.loop import train
from ctlab.learn.train.state import TrainState


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
