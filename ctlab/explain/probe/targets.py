"""What is explained: one number read off the denoised image in a region."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ctlab.explain.probe.critic import CRITIC_REACH_PX, CriticOfHu
from ctlab.explain.probe.denoiser_probe import DenoiserProbe

Target = Callable[[Tensor, Tensor], Tensor]
"""Function of input and output in HU, each (B, 1, H, W), to one number per image, (B,)."""

Explainer = Callable[[DenoiserProbe, np.ndarray, Target], np.ndarray]
"""Function of probe, image (y, x) and target to a signed map (y, x)."""

TARGETS = {
    "mean": "mean HU of the output in the region",
    "edge": "mean gradient magnitude of the output in the region, HU per pixel",
    "noise": "mean square of input minus output in the region, HU^2",
    "removed": "mean of input minus output in the region, HU",
    "template": "template times output, summed over the region (a lesion's detectability score)",
    "realism": "mean logit of the critic in the region; higher looks more like full dose to it",
}
_REACH_PX = {"edge": 1, "realism": CRITIC_REACH_PX}


@dataclass(frozen=True, eq=False)
class RegionTarget:
    """A number read in a region: a function of input and output batches in HU.

    Attributes
    ----------
    name : one of :data:`TARGETS`
    mask : ndarray of bool, shape (y, x)
    template : ndarray, shape (y, x), or None
    critic : for ``realism``
    """

    name: str
    mask: np.ndarray
    template: np.ndarray | None = None
    critic: CriticOfHu | None = None

    @property
    def reach_px(self) -> int:
        """How far beyond the region the output is read."""
        return _REACH_PX.get(self.name, 0)

    def crop(self, box: tuple[int, int, int, int]) -> "RegionTarget":
        """The same target on a part of the image: top, left, bottom, right."""
        inside = np.s_[box[0] : box[2], box[1] : box[3]]
        template = None if self.template is None else self.template[inside]
        return replace(self, mask=self.mask[inside], template=template)

    def __call__(self, low: Tensor, out: Tensor) -> Tensor:
        """One number per image, (B,), from input and output, each (B, 1, H, W) in HU."""
        if self.name == "mean":
            return self._mean(out)
        if self.name == "edge":
            return self._mean(gradient_magnitude(out))
        if self.name == "noise":
            return self._mean((low - out) ** 2)
        if self.name == "removed":
            return self._mean(low - out)
        if self.critic is not None:
            return self._mean(self.critic(out))
        weights = np.where(self.mask, self.template, 0).astype(np.float32)  # type: ignore[arg-type]  # make_target refuses a template target without one
        return (out[:, 0] * torch.from_numpy(weights).to(out.device)).sum(dim=(1, 2))

    def _mean(self, values: Tensor) -> Tensor:
        inside = torch.from_numpy(np.ascontiguousarray(self.mask)).to(values.device)
        return values[:, 0][:, inside].mean(dim=1)


class BranchTarget(RegionTarget):
    """The same number without what it would be had the network handed the image through."""

    @classmethod
    def of(cls, target: RegionTarget) -> "BranchTarget":
        """The branch target of a region's target."""
        return cls(target.name, target.mask, target.template, target.critic)

    def __call__(self, low: Tensor, out: Tensor) -> Tensor:
        """The number for the output less the number for the input itself, (B,)."""
        return super().__call__(low, out) - super().__call__(low, low)


def make_target(
    name: str,
    mask: np.ndarray,
    *,
    template: np.ndarray | None = None,
    critic: CriticOfHu | None = None,
) -> RegionTarget:
    """Function from input and output batches (HU) to one number per image.

    Parameters
    ----------
    name : one of :data:`TARGETS`
    mask : ndarray of bool, shape (y, x)
    template : ndarray, shape (y, x), for ``"template"`` only
        Weights of a linear observer; see :func:`ctlab.explain.detectability_template`.
    critic : for ``"realism"`` only; see :func:`ctlab.explain.critic_of`

    Raises
    ------
    ValueError
        Unknown name, or a template or critic missing or not used.

    Examples
    --------
    >>> corner = np.array([[True, False], [False, False]])
    >>> image = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> make_target("removed", corner)(image + 7, image).tolist()
    [7.0]
    """
    if name not in TARGETS:
        raise ValueError(f"unknown target {name!r}; choose one of {', '.join(TARGETS)}")
    if (template is None) == (name == "template"):
        raise ValueError("pass template= with target='template', and with no other")
    if (critic is None) == (name == "realism"):
        raise ValueError("pass critic= with target='realism', and with no other")
    if template is not None and np.shape(template) != np.shape(mask):
        raise ValueError(f"template is {np.shape(template)}, region {np.shape(mask)}; use one grid")
    return RegionTarget(name, np.asarray(mask, bool), template, critic)


def gradient_magnitude(image: Tensor) -> Tensor:
    """Length of the forward difference at each pixel, (B, 1, H, W); the last row repeats."""
    down = torch.diff(image, dim=2, append=image[:, :, -1:])
    right = torch.diff(image, dim=3, append=image[:, :, :, -1:])
    # Smooth at zero, where a root has no derivative; 1e-6 HU^2 is far below any noise.
    return torch.sqrt(down**2 + right**2 + 1e-6)
