"""Class activation maps of a region's target, signed and unscaled.

Own exact and fast path for Grad-CAM, HiResCAM and LayerCAM: the forward pass is cut at the
layer, so that only what lies above it is differentiated, and where the target reads one region
of a network that looks no farther than it has to, only the field of that region. Nothing is
approximated: outside that field the gradient is zero. ``pytorch-grad-cam`` serves the wider
family and is the reference in tests; its own result is clipped at 0 and scaled to 1, so its map
is taken before that step, with sign and size.
"""

from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from io import StringIO
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctlab.explain.maps.torchvision_ops import import_with_torchvision
from ctlab.explain.probe.denoiser_probe import DenoiserProbe
from ctlab.explain.probe.targets import RegionTarget, Target

CAM_METHODS = ("hirescam", "gradcam", "layercam")

LIBRARY_METHODS = {
    "gradcam++": "GradCAMPlusPlus",
    "xgradcam": "XGradCAM",
    "scorecam": "ScoreCAM",
    "ablationcam": "AblationCAM",
}


def cam_map(
    probe: DenoiserProbe, image: np.ndarray, target: Target, *, method: str, layer: str
) -> np.ndarray:
    """Signed, unscaled map at the layer's own resolution.

    With activations A and gradients G = dS/dA at the layer, summed over its channels c:
    HiResCAM ``sum G_c A_c`` (Draelos, Carin 2020, arXiv 2011.08891), Grad-CAM
    ``sum mean(G_c) A_c`` (Selvaraju 2017, doi 10.1109/ICCV.2017.74), LayerCAM
    ``sum max(G_c, 0) A_c`` (Jiang 2021, doi 10.1109/TIP.2021.3089943). The last step of the
    published maps, clipping at 0, is left out.

    Parameters
    ----------
    image : ndarray, HU, shape (y, x), (c, y, x) or a batch (b, c, y, x)
    method : one of :data:`CAM_METHODS`
    layer : name of a layer of the probe

    Returns
    -------
    ndarray, float32, shape (h, w), or (b, h, w) for a batch
        In units of the target.

    Notes
    -----
    Grad-CAM averages the gradient over the whole layer. A classifier pools position away; a
    denoiser does not, so the average says little about one region: expect a map that does not
    localise.
    """
    if method not in CAM_METHODS:
        raise ValueError(f"unknown map {method!r}; choose one of {', '.join(CAM_METHODS)}")
    if np.ndim(image) < 4 and isinstance(target, RegionTarget) and probe.crops_are_exact:
        return _near_the_region(probe, image, target, method, layer)
    activation, gradient = activation_and_gradient(probe, probe.tensor(image), target, layer)
    maps = _combined(method, activation, gradient).cpu().numpy()
    return maps if np.ndim(image) == 4 else maps[0]


def _combined(method: str, activation: Tensor, gradient: Tensor) -> Tensor:
    """Maps (B, h, w) of activations and gradients (B, C, h, w)."""
    if method == "gradcam":
        gradient = gradient.mean(dim=(2, 3), keepdim=True)
    elif method == "layercam":
        gradient = gradient.clamp(min=0)
    return torch.einsum("bchw,bchw->bhw", gradient.expand_as(activation), activation)


def _near_the_region(
    probe: DenoiserProbe, image: np.ndarray, target: RegionTarget, method: str, layer: str
) -> np.ndarray:
    """The map of the whole slice, from the part of it that the region's target depends on."""
    margin = (probe.reach_px or 0) + target.reach_px
    box = probe.field_box(target.mask, margin_px=margin)
    batch = probe.tensor(image)
    near = batch[..., box[0] : box[2], box[1] : box[3]]
    activation, gradient = activation_and_gradient(probe, near, target.crop(box), layer)
    multiple = probe.size_multiple
    padded = [[side + -side % multiple for side in part.shape[-2:]] for part in (near, batch)]
    step = padded[0][0] // activation.shape[-2]  # pixels of the image per pixel of the layer
    if [side // step for side in padded[0]] != list(activation.shape[-2:]) or multiple % step:
        whole_slice = activation_and_gradient(probe, batch, target, layer)
        return _combined(method, *whole_slice)[0].cpu().numpy()
    grid = [side // step for side in padded[1]]
    if method == "gradcam":  # its mean is over the whole layer, and it marks the whole layer
        weights = gradient.sum(dim=(2, 3)) / (grid[0] * grid[1])
        whole = activation_at(probe, batch, layer)
        return torch.einsum("bc,bchw->bhw", weights, whole)[0].cpu().numpy()
    grid_map = np.zeros(grid, dtype=np.float32)
    part = _combined(method, activation, gradient)[0].cpu().numpy()
    top, left = box[0] // step, box[1] // step
    grid_map[top : top + part.shape[0], left : left + part.shape[1]] = part
    return grid_map


class _ReachedError(Exception):
    """Ends a forward pass at a layer."""


def activation_at(probe: DenoiserProbe, batch: Tensor, layer: str) -> Tensor:
    """Output of a layer, (B, C, h, w); what lies above it is not run."""
    kept: list[Tensor] = []

    def stop(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kept.append(output)
        raise _ReachedError

    handle = probe.layer(layer).register_forward_hook(stop)
    try:
        with torch.no_grad(), suppress(_ReachedError):
            probe.forward(batch)
    finally:
        handle.remove()
    return kept[0]


def activation_and_gradient(
    probe: DenoiserProbe, batch: Tensor, target: Target, layer: str
) -> tuple[Tensor, Tensor]:
    """Output of a layer and the derivative of the target with respect to it, (B, C, h, w).

    The part of the network below the layer runs without recording anything.
    """
    kept: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if kept:
            raise ValueError(f"layer {layer!r} runs more than once; name one that runs once")
        if not isinstance(output, Tensor) or output.ndim != 4:
            raise ValueError(
                f"layer {layer!r} gives no image of features; choose one of "
                f"{', '.join(probe.layers)}"
            )
        kept.append(output.detach().requires_grad_(True))
        torch.set_grad_enabled(True)
        return kept[0].clone()  # a copy, because what follows may work in place

    handle = probe.layer(layer).register_forward_hook(cut)
    try:
        with torch.no_grad():  # also puts the recording mode back after the hook switched it on
            output = probe.forward(batch)
            if not kept:
                raise ValueError(f"layer {layer!r} took no part in the forward pass")
            with torch.enable_grad():
                score = target(probe.middle(batch), output).sum()
    finally:
        handle.remove()
    if not score.requires_grad:
        raise ValueError(f"the target does not depend on layer {layer!r}")
    (gradient,) = torch.autograd.grad(score, kept[0])
    return kept[0].detach(), gradient


def library_cam_map(
    probe: DenoiserProbe, image: np.ndarray, target: Target, *, method: str, layer: str
) -> np.ndarray:
    """Signed, unscaled map by ``pytorch-grad-cam`` at the layer's own resolution.

    The library goes on to clip the map at 0 and to scale it to 1; what is returned here is what
    it clips and scales.

    Parameters
    ----------
    method : one of :data:`LIBRARY_METHODS`
        Score-CAM and Ablation-CAM run the network once per channel of the layer.

    Returns
    -------
    ndarray, float32, shape (h, w), or (b, h, w) for a batch
        Weighted sum of the activations: in units of the target for XGrad-CAM and Grad-CAM++, and
        in units of the activations for the two others, whose weights are shares.
    """
    if method not in LIBRARY_METHODS:
        raise ValueError(f"unknown map {method!r}; choose one of {', '.join(LIBRARY_METHODS)}")
    library = import_with_torchvision("pytorch_grad_cam")
    batch = probe.tensor(image)
    copied = probe.randomised(np.random.default_rng(0), names=[])  # shuffles nothing
    copied.model.requires_grad_(True)  # the library reads gradients off the recorded graph
    middle = probe.middle(batch)

    def read(which: int) -> Callable[[Tensor], Tensor]:
        return lambda output: target(middle[which][None], output[None])[0]

    kind = getattr(library, LIBRARY_METHODS[method])
    machine = kind(model=_Plain(copied), target_layers=[copied.layer(layer)])
    kept = _kept_before_scaling(machine)
    try:
        with redirect_stderr(StringIO()):  # the library draws a bar of its own for every map
            machine(input_tensor=batch.clone(), targets=[read(k) for k in range(len(batch))])
    finally:
        machine.activations_and_grads.release()
    maps = np.asarray(kept[0], dtype=np.float32)
    return maps if np.ndim(image) == 4 else maps[0]


def _kept_before_scaling(machine: Any) -> list[np.ndarray]:
    """List that will hold the maps (b, h, w) that the library makes before it clips them."""
    kept: list[np.ndarray] = []
    make = machine.get_cam_image

    def keep(*args: Any, **options: Any) -> np.ndarray:
        kept.append(make(*args, **options))
        return kept[-1]

    machine.get_cam_image = keep
    return kept


class _Plain(nn.Module):
    """A probe's copy as a module, so that the library's clearing of gradients stays there."""

    def __init__(self, probe: DenoiserProbe) -> None:
        super().__init__()
        self.probe = probe
        self.inner = probe.model

    def forward(self, batch: Tensor) -> Tensor:
        return self.probe.forward(batch)
