"""The networks of the cycle and their optimisers: everything a training step changes."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ctlab.learn.config import TrainConfig
from ctlab.learn.models.critic import Critic
from ctlab.learn.models.degrader import (
    AIR_HU,
    NetworkDegrader,
    NoDegrader,
    Noise,
    NoiseDegrader,
)
from ctlab.learn.models.fbp_noise import ReconstructionNoise, TrunkNoise
from ctlab.learn.models.invertible import InvertibleDenoiser
from ctlab.learn.models.redcnn import RedCnn
from ctlab.learn.models.spectral_noise import SpectralNoise
from ctlab.learn.models.switchable import SwitchableUNet, SwitchedDegrader
from ctlab.learn.models.unet import ResidualUNet

STORED_NETWORKS = "players"
STORED_OPTIMISERS = {"generator_optimizer": "made_by", "critic_optimizer": "judged_by"}
"""Keys of a stored state by checkpoint format 1: files written by any version open in any other."""

Denoiser = ResidualUNet | InvertibleDenoiser | RedCnn


class CycleNetworks(nn.ModuleDict):
    """Networks by name: ``denoiser``, ``degrader``, their averages, and the two critics.

    ``denoiser_ema`` and ``degrader_ema`` are running averages of the weights: the first is the
    one that is used for denoising, the second makes the low-dose images of the cycle.
    """

    generators = ("denoiser", "degrader")
    critics = ("critic_full", "critic_low")

    def parameters_of(self, names: tuple[str, ...]) -> list[nn.Parameter]:
        """Parameters of the named networks, in a fixed order."""
        return [p for name in names for p in self[name].parameters()]

    def draw_noise(
        self, image: Tensor, generator: torch.Generator, device: torch.device | str
    ) -> Noise:
        """Random numbers the degrader needs for a batch."""
        degrader: Any = self["degrader"]
        noise: Noise = degrader.draw(image, generator, device)
        return noise

    @torch.no_grad()
    def update_averages(self, config: TrainConfig, step: int) -> None:
        """Move both averages one step towards the present weights; faster in early steps."""
        early = (1.0 + step) / (10.0 + step)
        for name, target_decay in (
            ("denoiser", config.ema_denoiser),
            ("degrader", config.ema_degrader),
        ):
            decay = min(target_decay, early)
            averaged = [p.data for p in self[f"{name}_ema"].parameters()]
            present = [p.data for p in self[name].parameters()]
            if averaged:
                torch._foreach_lerp_(averaged, present, 1.0 - decay)


def build_networks(config: TrainConfig) -> CycleNetworks:
    """Freshly initialised networks; the same configuration gives the same weights.

    The global random state of PyTorch is put back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        denoiser = build_denoiser(config)
        networks: dict[str, nn.Module] = {
            "denoiser": denoiser,
            "degrader": _degrader(config, denoiser),
            "critic_full": _critic(config),
            "critic_low": _critic(config),
        }
    for name in CycleNetworks.generators:
        networks[f"{name}_ema"] = copy.deepcopy(networks[name]).requires_grad_(False)
    averaged = networks["degrader_ema"]
    if isinstance(averaged, SwitchedDegrader | TrunkNoise):
        averaged.follow(networks["denoiser_ema"])  # type: ignore[arg-type]  # a switchable U-Net
    cycle = CycleNetworks(networks)
    cycle.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    return cycle


def build_denoiser(config: TrainConfig) -> Denoiser:
    """Untrained denoiser of a configuration; PyTorch's global generator is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        shape = config.networks
        if shape.generator == "invertible":
            return InvertibleDenoiser(shape.width)
        if shape.generator == "redcnn":
            return RedCnn(shape.width)
        kind = SwitchableUNet if shape.generator == "switchable" else ResidualUNet
        return kind(shape.width, shape.attention, shape.slices)


def _degrader(config: TrainConfig, denoiser: nn.Module) -> nn.Module:
    shape = config.networks
    if shape.degrader == "unet":
        return NetworkDegrader(shape.width)
    if shape.degrader not in ("noise", "reconstruction", "spectrum"):
        return NoDegrader()
    size = (shape.noise_kernels, shape.noise_kernel_px)
    air_net = float(config.scale.to_net(AIR_HU))
    if shape.degrader in ("reconstruction", "spectrum"):
        if shape.noise_curve == "measured":
            raise ValueError(
                "networks.noise_curve is still to be measured in the domains; build the networks "
                "from ctlab.learn.with_measured_noise(config, full, low)"
            )
        known = {"air_net": air_net, "curve": shape.noise_curve, "scale": config.scale}
        if shape.degrader == "spectrum":
            if shape.noise_spectrum == "measured":
                raise ValueError(
                    "networks.noise_spectrum is still to be measured in the domains; build the "
                    "networks from ctlab.learn.with_measured_noise(config, full, low)"
                )
            return SpectralNoise(**known, spectrum=shape.noise_spectrum, spread=shape.noise_spread)
        if isinstance(denoiser, SwitchableUNet):
            return TrunkNoise(denoiser, *size, **known)
        return ReconstructionNoise(*size, **known)
    if isinstance(denoiser, SwitchableUNet):
        return SwitchedDegrader(denoiser, *size, air_net=air_net, ramp=shape.noise_ramp)
    return NoiseDegrader(*size, air_net=air_net, ramp=shape.noise_ramp)


def _critic(config: TrainConfig) -> Critic:
    return Critic(config.networks.critic_width, config.networks.critic_highpass_px)


@dataclass
class TrainState:
    """Where a run stands: networks, moments of both optimisers, and steps done.

    There is no random state to keep: the draws of a step follow from the seed and its number.
    """

    networks: CycleNetworks
    generator_optimizer: torch.optim.Adam
    critic_optimizer: torch.optim.Adam
    step: int = 0

    @classmethod
    def start(cls, config: TrainConfig, device: torch.device | str = "cpu") -> "TrainState":
        """State before the first step."""
        networks = build_networks(config).to(device)

        def adam(names: tuple[str, ...]) -> torch.optim.Adam:
            owned = {name: networks.parameters_of((name,)) for name in names}
            groups = [{"params": parameters} for parameters in owned.values() if parameters]
            return torch.optim.Adam(groups, lr=config.learning_rate, betas=config.betas, fused=True)

        return cls(networks, adam(CycleNetworks.generators), adam(CycleNetworks.critics))

    def state_dict(self, *, with_optimisers: bool = True) -> dict[str, Any]:
        """Tensors and plain values that :meth:`load_state_dict` takes back."""
        values = {"step": self.step, STORED_NETWORKS: self.networks.state_dict()}
        if with_optimisers:
            for name, key in STORED_OPTIMISERS.items():
                values[key] = _plain(getattr(self, name).state_dict())
        return values

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Continue from a saved state of the same configuration.

        A state without the moments of the optimisers (a shipped checkpoint) starts them anew.
        """
        self.networks.load_state_dict(values[STORED_NETWORKS])
        for name, key in STORED_OPTIMISERS.items():
            if key in values:
                getattr(self, name).load_state_dict(values[key])
        self.step = int(values["step"])


def _plain(moments: dict[str, Any]) -> dict[str, Any]:
    """State of an optimiser as an eager one would write it; a captured step changes two options."""
    groups = [
        {**group, "lr": float(group["lr"]), "capturable": False}
        for group in moments["param_groups"]
    ]
    return {**moments, "param_groups": groups}
