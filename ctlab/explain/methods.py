"""Every map behind one call, by name."""

import numpy as np
import torch
from torch import nn

from ctlab.explain import attribution
from ctlab.explain.audit import Explainer, input_gradient
from ctlab.explain.cam import CAM_METHODS, LIBRARY_METHODS, cam_map, library_cam_map
from ctlab.explain.subject import Subject
from ctlab.explain.targets import Target

METHODS: dict[str, str] = {
    "hirescam": "gradient times activation at a layer, signed",
    "gradcam": "mean gradient times activation at a layer, signed; does not localise",
    "layercam": "positive gradient times activation at a layer",
    "gradient": "row of the Jacobian: the filter the network applied for the region",
    "ig": "integrated gradients from the local mean to the image; complete",
    "lam": "local attribution map: gradients along a path of falling blur",
    "occlusion": "change of the target when a patch is replaced by its local mean",
    "gradcam++": "by pytorch-grad-cam, clipped and scaled",
    "xgradcam": "by pytorch-grad-cam, clipped and scaled",
    "scorecam": "by pytorch-grad-cam, clipped and scaled; one pass per channel",
    "ablationcam": "by pytorch-grad-cam, clipped and scaled; one pass per channel",
}


def check_method(method: str) -> None:
    """Raises ValueError, with the names there are, for a method that is none of them."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")


def has_layer(method: str) -> bool:
    """Whether the map is read at a layer of the network."""
    return method in CAM_METHODS or method in LIBRARY_METHODS


def explainer(method: str, layer: str) -> Explainer:
    """Function of subject, image and target to the signed map at the image's resolution."""
    return lambda subject, image, target: enlarge(
        native_map(subject, image, target, method, layer), image.shape
    )


def native_map(
    subject: Subject, image: np.ndarray, target: Target, method: str, layer: str
) -> np.ndarray:
    """Signed map at its own resolution."""
    if method in CAM_METHODS:
        return cam_map(subject, image, target, method=method, layer=layer)
    if method in LIBRARY_METHODS:
        return library_cam_map(subject, image, target, method=method, layer=layer)
    return {
        "gradient": input_gradient,
        "ig": attribution.integrated_gradients,
        "lam": attribution.local_attribution,
        "occlusion": attribution.occlusion,
    }[method](subject, image, target)


def enlarge(native: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bilinear enlargement to the image's shape."""
    if native.shape == tuple(shape):
        return native
    # A padded image gives a slightly larger grid: enlarge by the whole factor, then cut.
    factors = [-(-wanted // have) for wanted, have in zip(shape, native.shape, strict=True)]
    size = [have * factor for have, factor in zip(native.shape, factors, strict=True)]
    large = nn.functional.interpolate(
        torch.from_numpy(native)[None, None], size=size, mode="bilinear", align_corners=False
    )
    return large[0, 0, : shape[0], : shape[1]].numpy()
