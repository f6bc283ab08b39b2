"""What is explained: one number read off the denoised image in a region."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Target = Callable[[Tensor, Tensor], Tensor]
"""Function of input and output in HU, each (B, 1, H, W), to one number per image, (B,)."""

TARGETS = {
    "mean": "mean HU of the output in the region",
    "edge": "mean gradient magnitude of the output in the region, HU per pixel",
    "noise": "mean square of input minus output in the region, HU^2",
    "removed": "mean of input minus output in the region, HU",
    "template": "template times output, summed over the region (a lesion's detectability score)",
}


def make_target(name: str, mask: np.ndarray, *, template: np.ndarray | None = None) -> Target:
    """Function from input and output batches (HU) to one number per image.

    Parameters
    ----------
    name : one of :data:`TARGETS`
    mask : ndarray of bool, shape (y, x)
    template : ndarray, shape (y, x), for ``"template"`` only
        Weights of a linear observer, for instance of a channelised Hotelling observer.

    Raises
    ------
    ValueError
        Unknown name, or a template missing or not wanted.

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
    inside = torch.from_numpy(np.ascontiguousarray(mask))

    def mean(values: Tensor) -> Tensor:
        return values[:, 0][:, inside.to(values.device)].mean(dim=1)

    if template is not None:
        weights = torch.from_numpy(np.where(mask, template, 0).astype(np.float32))
        return lambda low, out: (out[:, 0] * weights.to(out.device)).sum(dim=(1, 2))
    return {
        "mean": lambda low, out: mean(out),
        "edge": lambda low, out: mean(gradient_magnitude(out)),
        "noise": lambda low, out: mean((low - out) ** 2),
        "removed": lambda low, out: mean(low - out),
    }[name]


def gradient_magnitude(image: Tensor) -> Tensor:
    """Length of the forward difference at each pixel, (B, 1, H, W); the last row repeats."""
    down = torch.diff(image, dim=2, append=image[:, :, -1:])
    right = torch.diff(image, dim=3, append=image[:, :, :, -1:])
    # Smooth at zero, where a root has no derivative; 1e-6 HU^2 is far below any noise.
    return torch.sqrt(down**2 + right**2 + 1e-6)
