"""Attention maps of a generator, and what changes in HU when one is made flat.

A map of weights describes the forward pass. It explains something only if flattening it changes
the output, and changes it where the map said.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ctlab.explain.probe.denoiser_probe import DenoiserProbe
from ctlab.learn.models.unet import AttentionGate, Cbam


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
