"""Pictures of a run: what comes in, what goes out, and what was taken away."""

import numpy as np
import torch
from numpy.typing import NDArray

from ctlab.ct import LUNG, MEDIASTINUM, Window
from ctlab.learn.alarms import Probe
from ctlab.learn.config import TrainConfig
from ctlab.learn.networks import centre
from ctlab.learn.players import Players

COUNT = 4
RESIDUAL = Window(0.0, 300.0, "residual")


@torch.no_grad()
def samples(players: Players, probe: Probe, config: TrainConfig) -> NDArray:
    """Grey picture (uint8, y, x) of fixed patches, a row each.

    Columns: low dose and denoised in the lung window, the same two in the soft-tissue window,
    and the difference, grey where it is 0.
    """
    device = next(players.parameters()).device
    low = probe.low[:COUNT].to(device)
    denoised = players["denoiser_ema"](low).float()
    hu = [config.scale.to_hu(image)[:, 0].cpu().numpy() for image in (centre(low), denoised)]
    columns = [window.render(image) for window in (LUNG, MEDIASTINUM) for image in hu]
    columns.append(RESIDUAL.render(hu[0] - hu[1]))
    return np.concatenate([np.concatenate(list(column), axis=0) for column in columns], axis=1)
