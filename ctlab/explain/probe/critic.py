"""What the critic thought: its logits over an image, higher where it looks like full dose to it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctlab.ct import HuScale
from ctlab.learn import Checkpoint

CRITIC_REACH_PX = 48
"""Pixels around a logit that matter to it: the critic's layers, and its high-pass of 6 px."""


@dataclass(frozen=True)
class CriticOfHu:
    """Critic of images in HU: a batch (B, 1, H, W) to logits of the same shape.

    The critic itself gives one number per image, the mean of its logits times a constant. Here
    the logits are kept where they arise, every fourth pixel, and repeated in between.
    """

    critic: nn.Module
    scale: HuScale

    def __call__(self, hu: Tensor) -> Tensor:
        """Logits of images in HU, each (B, 1, H, W)."""
        kept: list[Tensor] = []
        last = [m for m in self.critic.modules() if isinstance(m, nn.Conv2d)][-1]
        handle = last.register_forward_hook(lambda _module, _inputs, out: kept.append(out))
        try:
            self.critic(self.scale.to_net(hu))
        finally:
            handle.remove()
        logits = kept[0].float().mean(dim=1, keepdim=True)
        return nn.functional.interpolate(logits, size=hu.shape[-2:], mode="nearest")


def critic_of(
    checkpoint: Checkpoint, *, name: str = "critic_full", device: torch.device | str = "cpu"
) -> CriticOfHu:
    """The critic a denoiser was trained against.

    Parameters
    ----------
    name : ``critic_full`` (of denoised images) or ``critic_low`` (of made low-dose images)

    Raises
    ------
    ValueError
        The checkpoint holds no such critic.
    """
    networks = checkpoint.train_state().networks
    if name not in networks:
        raise ValueError(f"the checkpoint has no {name!r}; it has {', '.join(networks.keys())}")
    critic = networks[name].to(device).eval().requires_grad_(False)
    return CriticOfHu(critic, checkpoint.scale)
