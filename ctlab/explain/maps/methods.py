"""Every map behind one call, by name."""

from collections.abc import Callable

import numpy as np
import torch

from ctlab.explain.maps import attribution
from ctlab.explain.maps.attention import attention_change, attention_weights, has_attention
from ctlab.explain.maps.cam import (
    CAM_METHODS,
    LIBRARY_METHODS,
    cam_map,
    library_cam_map,
)
from ctlab.explain.maps.gradient import input_gradient
from ctlab.explain.probe.denoiser_probe import DenoiserProbe, enlarge
from ctlab.explain.probe.targets import Explainer, Target

METHODS: dict[str, str] = {
    "hirescam": "gradient times activation at a layer, signed",
    "gradcam": "mean gradient times activation at a layer, signed; does not localise",
    "layercam": "positive gradient times activation at a layer",
    "gradient": "row of the Jacobian: the filter the network applied for the region",
    "ig": "integrated gradients from the local mean to the image; complete",
    "lam": "local attribution map: gradients along a path of falling blur",
    "occlusion": "change of the target when a patch is replaced by its local mean",
    "difference": "input minus output in HU; asks no target, costs nothing, and is the yardstick",
    "critic": "logits of the critic over the output; asks no target",
    "attention": "attention weights minus their mean; asks no target",
    "counterfactual": "output minus output with a flat attention, in HU; asks no target",
    "gradcam++": "by pytorch-grad-cam, signed; weights of squared gradients",
    "xgradcam": "by pytorch-grad-cam, signed; gradients weighted by activation",
    "scorecam": "by pytorch-grad-cam, unscaled; one pass per channel",
    "ablationcam": "by pytorch-grad-cam, signed; one pass per channel",
}


STARTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ig": attribution.local_mean,
    "lam": attribution.blurred,
}
"""Methods whose map has to add up, and the image from which the change is counted."""


def check_method(method: str) -> None:
    """Raises ValueError, with the names there are, for a method that is none of them."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")


def is_possible(method: str, probe: DenoiserProbe) -> bool:
    """Whether the model has the part that the method looks at: an attention, or a critic."""
    if method in ("attention", "counterfactual"):
        return has_attention(probe)
    return method != "critic" or probe.has_critic


def has_layer(method: str) -> bool:
    """Whether the map is read at a layer of the network."""
    return method in CAM_METHODS or method in LIBRARY_METHODS


def explainer(method: str, layer: str) -> Explainer:
    """Function of probe, image and target to the signed map at the image's resolution."""
    return lambda probe, image, target: enlarge(
        native_map(probe, image, target, method, layer), image.shape[-2:]
    )


def native_map(
    probe: DenoiserProbe, image: np.ndarray, target: Target, method: str, layer: str
) -> np.ndarray:
    """Signed map at its own resolution, (h, w), or (b, h, w) for a batch (b, c, y, x)."""
    if method in CAM_METHODS:
        return cam_map(probe, image, target, method=method, layer=layer)
    if method in LIBRARY_METHODS:
        return library_cam_map(probe, image, target, method=method, layer=layer)
    others: dict[str, Explainer] = {
        "gradient": input_gradient,
        "ig": attribution.integrated_gradients,
        "lam": attribution.local_attribution,
        "occlusion": attribution.occlusion,
        "difference": _difference,
        "critic": _critic_logits,
        "attention": lambda probe, image, _target: attention_weights(probe, image),
        "counterfactual": lambda probe, image, _target: attention_change(probe, image),
    }
    return others[method](probe, image, target)


def _difference(probe: DenoiserProbe, image: np.ndarray, _target: Target) -> np.ndarray:
    with torch.no_grad():
        batch = probe.tensor(image)
        removed = (probe.middle(batch) - probe.forward(batch))[:, 0].cpu().numpy()
    return removed if np.ndim(image) == 4 else removed[0]


def _critic_logits(probe: DenoiserProbe, image: np.ndarray, _target: Target) -> np.ndarray:
    with torch.no_grad():
        logits = probe.critic(probe.forward(probe.tensor(image)))[:, 0].cpu().numpy()
    return logits if np.ndim(image) == 4 else logits[0]
