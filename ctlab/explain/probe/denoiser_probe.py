"""The denoiser under study: any module from HU to HU, run, cut and randomised without a trace."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ctlab.explain.probe.critic import CriticOfHu, critic_of
from ctlab.learn import Checkpoint

FIELD_MARGIN_PX = 64
"""Least margin around a region in which its map is audited."""

_PROBES_PX = (128, 256, 512, 1024)


class DenoiserProbe:
    """A denoiser from HU to HU with named layers.

    Parameters
    ----------
    model : Checkpoint or Module
        A module takes and gives (B, C, H, W) in HU; of several input channels (neighbouring
        slices) the middle one is the slice that is denoised. It is used in evaluation mode and
        put back into the mode it was in; its weights and their gradients are not touched.
    critic : CriticOfHu, optional
        For maps and targets that ask the critic; a checkpoint brings its own.
    device : torch.device or str
        Where a checkpoint's denoiser runs; a module stays where it is.

    Examples
    --------
    >>> probe = DenoiserProbe(nn.Conv2d(1, 1, 3, padding=1))
    >>> probe.layers, probe.run(np.zeros((6, 5))).shape
    (['conv'], (6, 5))
    """

    def __init__(
        self,
        model: Checkpoint | nn.Module,
        *,
        critic: CriticOfHu | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model.denoiser(device) if isinstance(model, Checkpoint) else model
        self._checkpoint = model if isinstance(model, Checkpoint) else None
        self._critic = critic
        if not isinstance(self.model, nn.Module):
            raise ValueError(f"expected a checkpoint or a torch module, got {type(model).__name__}")
        self.network: nn.Module = getattr(self.model, "network", self.model)
        named = {n: m for n, m in self.network.named_modules() if isinstance(m, nn.Conv2d)}
        self._convolutions: dict[str, nn.Module] = {
            name or "conv": module for name, module in named.items()
        }
        self.size_multiple = int(getattr(self.network, "size_multiple", 1))

    @property
    def layers(self) -> list[str]:
        """Names of the convolutions, in the order they were made."""
        return list(self._convolutions)

    @property
    def critic(self) -> CriticOfHu:
        """The critic the denoiser was trained against.

        Raises
        ------
        ValueError
            The model came without one.
        """
        if self._critic is None:
            if self._checkpoint is None:
                raise ValueError("the model came without a critic; pass a checkpoint, or critic=")
            self._critic = critic_of(self._checkpoint, device=self.device)
        return self._critic

    @property
    def has_critic(self) -> bool:
        """Whether :attr:`critic` has an answer."""
        try:
            return self.critic is not None
        except ValueError:
            return False

    @property
    def crops_are_exact(self) -> bool:
        """Whether a crop gives the same HU as the whole slice, away from its border."""
        declared = getattr(self.network, "depends_on_extent", True) is False
        if getattr(self.model, "has_one_size", False):
            return False
        return declared and self.reach_px is not None

    @cached_property
    def reach_px(self) -> int | None:
        """How far an input pixel can matter to the output; None where there is no end to it.

        Found by sending one NaN through the model: whatever touches it becomes NaN, whatever the
        weights are.
        """
        for size in _PROBES_PX:
            middle = size // 2
            probe = torch.zeros(1, self.channels, size, size, device=self.device)
            probe[..., middle, middle] = torch.nan
            with torch.no_grad():
                touched = torch.isnan(self.forward(probe))[0, 0].nonzero()
            if not len(touched):
                return 0
            far = int((touched - middle).abs().max())
            # One step more, because the probe stood at one place of the network's grid.
            if far + self.size_multiple < middle:
                return far + self.size_multiple
        return None

    def layer(self, name: str) -> nn.Module:
        """The module of a name; any module of the network, not only convolutions."""
        if name in self._convolutions:
            return self._convolutions[name]
        modules: dict[str, nn.Module] = dict(self.network.named_modules())
        if name in modules and name:
            return modules[name]
        raise ValueError(f"the model has no layer {name!r}; it has {', '.join(self.layers)}")

    def default_layer(self) -> str:
        """Last convolution at the coarsest resolution, where a map is not trivially local.

        At the last layer of a network every map repeats the region by construction.
        """
        sizes: dict[str, int] = {}

        def note(name: str, out: Tensor) -> None:
            if out.shape[1] > 1 and out.shape[-1] > 1:  # not the weights of an attention
                sizes[name] = out.shape[-1]

        with torch.no_grad(), _watching(self._convolutions, note):
            self.forward(torch.zeros(1, self.channels, 64, 64, device=self.device))
        if not sizes:
            return self.layers[-1]
        coarsest = min(sizes.values())
        return [name for name, size in sizes.items() if size == coarsest][-1]

    @property
    def device(self) -> torch.device:
        """Where the model's weights lie; the CPU where it has none."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    @property
    def channels(self) -> int:
        """Channels of the image the model takes: 1, or the number of neighbouring slices."""
        return int(getattr(self.network, "slices", 1))

    def tensor(self, hu: np.ndarray) -> Tensor:
        """Batch (B, C, H, W) on the model's device from (y, x), (c, y, x) or (b, c, y, x)."""
        hu = np.ascontiguousarray(hu, dtype=np.float32)
        if hu.ndim not in (2, 3, 4) or not np.isfinite(hu).all():
            raise ValueError(f"expected finite HU of shape (y, x) or (b, c, y, x), got {hu.shape}")
        return torch.from_numpy(hu.reshape((1,) * (4 - hu.ndim) + hu.shape)).to(self.device)

    def middle(self, batch: Tensor) -> Tensor:
        """The slice that is denoised, (B, 1, H, W), of a batch (B, C, H, W)."""
        return batch[:, batch.shape[1] // 2][:, None]

    def forward(self, batch: Tensor) -> Tensor:
        """Output (B, 1, H, W) for a batch of any height and width, with gradients if asked for."""
        height, width = batch.shape[-2:]
        extra = [-n % self.size_multiple for n in (height, width)]
        padded = pad(batch, (0, extra[1], 0, extra[0]), mode="replicate") if any(extra) else batch
        with _evaluating(self.model):
            out: Tensor = self.model(padded)
        if out.shape[-2:] != padded.shape[-2:]:
            raise ValueError(f"the model turned {tuple(padded.shape)} into {tuple(out.shape)}")
        return out[..., :height, :width]

    def field_box(
        self, mask: np.ndarray, *, margin_px: int | None = None
    ) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of what can matter to a region: all unless crops are exact.

        Parameters
        ----------
        mask : ndarray of bool, shape (y, x)
        margin_px : int, optional
            Around the region; default the model's reach, but at least :data:`FIELD_MARGIN_PX`.
        """
        height, width = mask.shape
        if not self.crops_are_exact:
            return 0, 0, height, width
        step = self.size_multiple
        margin = max(FIELD_MARGIN_PX, self.reach_px or 0) if margin_px is None else margin_px
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        low = [max(0, int(v[0]) - margin) // step * step for v in (rows, columns)]
        high = [
            min(size, -(-(int(v[-1]) + 1 + margin) // step) * step)
            for v, size in ((rows, height), (columns, width))
        ]
        return low[0], low[1], high[0], high[1]

    @torch.no_grad()
    def run(self, hu: np.ndarray) -> np.ndarray:
        """Denoised HU (y, x) of (y, x) or (c, y, x); (b, 1, y, x) of (b, c, y, x)."""
        out = self.forward(self.tensor(hu)).cpu().numpy()
        return out[0, 0] if np.ndim(hu) < 4 else out

    def image(self, hu: np.ndarray) -> np.ndarray:
        """HU as the model takes them, float32: (y, x), or (c, y, x) for neighbouring slices.

        Raises
        ------
        ValueError
            Another shape, or another number of slices than the model takes.
        """
        hu = np.asarray(hu, dtype=np.float32)
        expected = (
            "one slice of shape (y, x)"
            if self.channels == 1
            else f"{self.channels} neighbouring slices of shape (c, y, x)"
        )
        if hu.ndim == 3 and len(hu) == self.channels == 1:
            hu = hu[0]
        if hu.ndim != (2 if self.channels == 1 else 3) or (
            hu.ndim == 3 and len(hu) != self.channels
        ):
            raise ValueError(f"the model takes {expected}, got {hu.shape}")
        return hu

    def of_stack(self, volume_hu: np.ndarray, number: int) -> np.ndarray:
        """Slice of a stack (z, y, x) as the model takes it, with neighbours where it sees them.

        Beyond the ends of the stack the last slice is its own neighbour, as in
        :func:`ctlab.learn.denoise_slices`.
        """
        reach = self.channels // 2
        around = np.arange(number - reach, number + reach + 1).clip(0, len(volume_hu) - 1)
        return np.asarray(volume_hu[number] if reach == 0 else np.asarray(volume_hu)[around])

    def randomised(
        self, rng: np.random.Generator, *, names: list[str] | None = None
    ) -> "DenoiserProbe":
        """Copy whose weights are shuffled within each tensor, in all layers or those named.

        With all layers the critic's are shuffled too, where it was asked for before. Shuffling
        keeps the mean and spread of every layer, so that signals neither die nor explode, and
        destroys what was learnt.
        """
        twin = DenoiserProbe(copy.deepcopy(self.model), critic=self._critic)
        twin._checkpoint = self._checkpoint
        twin.__dict__["reach_px"] = self.reach_px  # the same layers, in the same places
        chosen = set(self.layers if names is None else names)
        for name in self.layers:
            if name in chosen:
                _shuffle(twin.layer(name), rng)
        if names is None and self._critic is not None:
            critic = copy.deepcopy(self._critic.critic)
            _shuffle(critic, rng)
            twin._critic = replace(self._critic, critic=critic)
        return twin


def _shuffle(module: nn.Module, rng: np.random.Generator) -> None:
    """Shuffles the weights within each tensor, in place."""
    for parameter in module.parameters():
        order = torch.from_numpy(rng.permutation(parameter.numel()))
        shuffled = parameter.detach().flatten()[order.to(parameter.device)]
        parameter.data.copy_(shuffled.view_as(parameter))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, every module's own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _watching(modules: dict[str, nn.Module], see: Callable[[str, Any], None]) -> Iterator[None]:
    """Calls ``see(name, output)`` for each of the modules; the hooks go whatever happens."""
    handles = [
        module.register_forward_hook(lambda _module, _inputs, out, name=name: see(name, out))
        for name, module in modules.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def enlarge(native: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bilinear enlargement to the image's shape."""
    if native.shape == tuple(shape):
        return native
    # A padded image gives a slightly larger grid: enlarge by the whole factor, then cut.
    factors = [-(-target // cells) for target, cells in zip(shape, native.shape, strict=True)]
    size = [cells * factor for cells, factor in zip(native.shape, factors, strict=True)]
    large = nn.functional.interpolate(
        torch.from_numpy(native)[None, None], size=size, mode="bilinear", align_corners=False
    )
    return large[0, 0, : shape[0], : shape[1]].numpy()
