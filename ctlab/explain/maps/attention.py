"""Attention maps of a generator, and what changes in HU when one is made flat.

A map of weights describes the forward pass. It explains something only if flattening it changes
the output, and changes it where the map said.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ctlab.assess import local_noise_hu
from ctlab.ct.tissue import tissue_masks
from ctlab.explain.probe.denoiser_probe import DenoiserProbe, enlarge
from ctlab.learn.models.unet import AttentionGate, Cbam


@dataclass(frozen=True)
class AttentionFinding:
    """An attention map and its counterfactual.

    Attributes
    ----------
    weights : ndarray, float32, shape (y, x)
        Enlarged to the image; ``native`` is the map as the network uses it.
    change_hu : ndarray, float32, shape (y, x)
        Output with the map minus output with the map replaced by its mean over the slice.
    numbers : dict
        ``change_sd_hu``; ``agreement``: correlation of the absolute departure of the weights
        from their mean with the absolute change; ``with_noise`` and ``with_edges``: correlation
        of the weights with local noise and gradient; ``mean_<tissue>``.
    """

    weights: np.ndarray
    native: np.ndarray
    change_hu: np.ndarray
    numbers: dict[str, float]


def attention_finding(probe: DenoiserProbe, image_hu: np.ndarray) -> AttentionFinding:
    """Attention map of the first gate or CBAM block, and its counterfactual.

    Parameters
    ----------
    image_hu : ndarray, HU, shape (y, x), or (c, y, x) for neighbouring slices

    Raises
    ------
    ValueError
        The model has no attention.
    """
    stack = probe.image(image_hu)
    image = stack if stack.ndim == 2 else stack[len(stack) // 2]
    native, output, flat = _with_and_without(probe, stack)
    native, output, flat = native[0], output[0], flat[0]
    weights = enlarge(native, image.shape)
    change = output - flat
    departure = np.abs(weights - native.mean())
    numbers = {
        "change_sd_hu": float(change.std()),
        "agreement": _correlation(departure, np.abs(change)),
        "with_noise": _correlation(weights, local_noise_hu(image)),
        "with_edges": _correlation(weights, np.hypot(*np.gradient(output))),
        "lowest": float(native.min()),
        "highest": float(native.max()),
    }
    for tissue, mask in tissue_masks(output).items():
        numbers[f"mean_{tissue}"] = float(weights[mask].mean()) if mask.any() else float("nan")
    return AttentionFinding(weights, native, change, numbers)


def attention_weights(probe: DenoiserProbe, image: np.ndarray) -> np.ndarray:
    """Weights minus their mean over the image, at their own resolution; a batch gives (b, h, w)."""
    native, _, _ = _with_and_without(probe, image)
    departure = native - native.mean(axis=(1, 2), keepdims=True)
    return np.asarray(departure if np.ndim(image) == 4 else departure[0])


def attention_change(probe: DenoiserProbe, image: np.ndarray) -> np.ndarray:
    """Output minus output with the weights replaced by their mean, HU; a batch gives (b, y, x)."""
    _, output, flat = _with_and_without(probe, image)
    return np.asarray(output - flat if np.ndim(image) == 4 else output[0] - flat[0])


def _with_and_without(
    probe: DenoiserProbe, image: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (b, h, w), output with them, and output with their mean instead, (b, y, x)."""
    module = _attention_module(probe)
    seen: list[Tensor] = []
    batch = probe.tensor(image)
    with torch.no_grad():
        with _seen(module, seen):
            output = probe.forward(batch)
        with _flattened(module):
            flat = probe.forward(batch)
    native, with_map, without = (v[:, 0].cpu().numpy() for v in (seen[0], output, flat))
    return native, with_map, without


def has_attention(probe: DenoiserProbe) -> bool:
    """Whether the network holds a gate or a CBAM block."""
    return any(isinstance(m, AttentionGate | Cbam) for m in probe.network.modules())


def _attention_module(probe: DenoiserProbe) -> nn.Module:
    for module in probe.network.modules():
        if isinstance(module, AttentionGate | Cbam):
            return module
    raise ValueError(
        "the model has no attention; train one with attention = 'gate' or 'cbam' in [networks], "
        "or use another method"
    )


def _weights(module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Spatial weights (B, 1, h, w) the module computes for its inputs."""
    if isinstance(module, Cbam):
        return module.weights(*inputs)[1]
    assert isinstance(module, AttentionGate)
    return module.weights(*inputs)


@contextmanager
def _seen(module: nn.Module, kept: list[Tensor]) -> Iterator[None]:
    handle = module.register_forward_hook(
        lambda m, inputs, _out: kept.append(_weights(m, inputs).detach())
    )
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _flattened(module: nn.Module) -> Iterator[None]:
    """Inside, the spatial weights are their own mean over the slice."""

    def flat(m: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
        weights = _weights(m, inputs)
        # The module multiplies by its weights, so its output is put right by their ratio.
        return out * (weights.mean(dim=(2, 3), keepdim=True) / weights)

    handle = module.register_forward_hook(flat)
    try:
        with torch.no_grad():
            yield
    finally:
        handle.remove()


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation; NaN where one of the two is constant."""
    a, b = first.ravel() - first.mean(), second.ravel() - second.mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.dot(a, b) / length) if length > 1e-12 else float("nan")
