"""A denoiser as a filter that adapts to each place: rows of its Jacobian.

Near an image x any network is ``f(z) = J z + b``: the output at a place is a weighted sum of
input pixels plus a constant in HU. Mohan et al. 2020 (arXiv 1906.05478) read denoisers this way.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ctlab.explain.maps.gradient import gradient_of_slices
from ctlab.explain.probe.denoiser_probe import DenoiserProbe
from ctlab.explain.probe.regions import Region, region_mask
from ctlab.explain.probe.targets import make_target


@dataclass(frozen=True)
class JacobianRow:
    """The filter a network applied for one region's mean.

    Attributes
    ----------
    weights : ndarray, float32, shape of the image, (y, x) or (c, y, x)
        HU of output per HU of each input pixel.
    gain_at_dc : float
        Sum of the weights: 1 where adding a constant to the input adds it to the output.
    bias_hu : float
        What the network adds by itself, ``f(x) - J x``; invented HU, not filtered ones.
    radius_95_px : float
        Distance from the region's centre within which 95 % of the absolute weights lie.
    noise_gain : float
        Root of the sum of squared weights: output over input SD, for white noise.
    """

    weights: np.ndarray
    gain_at_dc: float
    bias_hu: float
    radius_95_px: float
    noise_gain: float


def jacobian_row(probe: DenoiserProbe, image_hu: np.ndarray, roi: Region) -> JacobianRow:
    """The filter for a region's mean, with its gain, bias, reach and noise gain.

    Parameters
    ----------
    image_hu : ndarray, HU, shape (y, x), or (c, y, x) for neighbouring slices
    roi : see :func:`ctlab.explain.region_mask`; radius 0 is one pixel

    Examples
    --------
    >>> row = jacobian_row(DenoiserProbe(torch.nn.Identity()), np.full((5, 5), 7.0), (2, 2, 0))
    >>> row.gain_at_dc, row.bias_hu, row.radius_95_px
    (1.0, 0.0, 0.0)
    """
    image_hu = probe.image(image_hu)
    mask = region_mask(roi, image_hu.shape[-2:])
    top, left, bottom, right = probe.field_box(mask)
    inside = np.s_[..., top:bottom, left:right]
    crop, small = image_hu[inside], mask[inside]
    weights = np.zeros_like(image_hu)
    gradient = gradient_of_slices(probe, crop, make_target("mean", small))
    weights[inside] = gradient.reshape(crop.shape)
    value = float(probe.run(crop)[small].mean(dtype=np.float64))
    return JacobianRow(
        weights=weights,
        gain_at_dc=float(weights.sum(dtype=np.float64)),
        bias_hu=value - float(np.sum(weights * image_hu, dtype=np.float64)),
        radius_95_px=_radius(weights, mask, share=0.95),
        noise_gain=float(np.sqrt(np.sum(weights.astype(np.float64) ** 2))),
    )


def jacobian_times(probe: DenoiserProbe, image_hu: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """First-order change of the output when ``direction`` is added to the input, HU, (y, x).

    With a lesion's profile as direction this is how much of a faint lesion would come through,
    everywhere at the cost of one pass.

    Parameters
    ----------
    image_hu, direction : ndarray, HU, shape (y, x)
    """
    if np.shape(image_hu) != np.shape(direction):
        raise ValueError(f"image is {np.shape(image_hu)}, direction {np.shape(direction)}")
    batch = probe.tensor(image_hu).requires_grad_(True)
    with torch.enable_grad():  # twice backwards: the derivative of J^T u along u is J
        output = probe.forward(batch)
        dual = torch.zeros_like(output, requires_grad=True)
        (pulled,) = torch.autograd.grad(output, batch, dual, create_graph=True)
        (change,) = torch.autograd.grad(pulled, dual, probe.tensor(direction))
    return change[0, 0].cpu().numpy()


def divergence(
    probe: DenoiserProbe, image_hu: np.ndarray, *, rng: np.random.Generator, probes: int = 8
) -> tuple[float, float]:
    """Trace of the Jacobian and its standard error, by Hutchinson's random probes.

    Hutchinson 1990, doi 10.1080/03610919008812866. Over the number of pixels it is the mean
    weight of a pixel on itself; in SURE it is the price of fitting noise.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> divergence(DenoiserProbe(torch.nn.Identity()), np.zeros((4, 4)), rng=rng)
    (16.0, 0.0)
    """
    if probes < 2:
        raise ValueError(f"a standard error needs 2 probes or more, got {probes}")
    estimates = []
    for _ in range(probes):
        signs = rng.choice([-1.0, 1.0], size=np.shape(image_hu))
        estimates.append(float(np.sum(signs * jacobian_times(probe, image_hu, signs))))
    return float(np.mean(estimates)), float(np.std(estimates, ddof=1) / np.sqrt(probes))


def sure_hu2(
    probe: DenoiserProbe,
    image_hu: np.ndarray,
    noise_sd_hu: float,
    *,
    rng: np.random.Generator,
    probes: int = 8,
) -> float:
    """Estimate of the mean square error without the truth; white Gaussian noise only.

    ``|x - f|^2 / n - sigma^2 + 2 sigma^2 div f / n`` (Stein 1981, doi 10.1214/aos/1176345632).
    CT noise is correlated: on patients this is a lesson, not a measurement.

    Examples
    --------
    An output that equals the input keeps all of the noise, 20 HU squared:

    >>> keeps_all = torch.nn.Identity()
    >>> keeps_all.depends_on_extent = False
    >>> rng = np.random.default_rng(0)
    >>> noisy = rng.normal(0, 20, (16, 16))
    >>> round(sure_hu2(DenoiserProbe(keeps_all), noisy, 20.0, rng=rng))
    400
    """
    n = np.size(image_hu)
    trace, _ = divergence(probe, image_hu, rng=rng, probes=probes)
    residual = float(np.mean((np.asarray(image_hu) - probe.run(image_hu)) ** 2, dtype=np.float64))
    return residual - noise_sd_hu**2 + 2 * noise_sd_hu**2 * trace / n


def _radius(weights: np.ndarray, mask: np.ndarray, *, share: float) -> float:
    """Distance from the region's centre that encloses a share of the absolute weights."""
    rows, columns = np.nonzero(mask)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    distance = np.hypot(y - rows.mean(), x - columns.mean()).ravel()
    order = np.argsort(distance)
    sizes = np.abs(weights).reshape(-1, mask.size).sum(axis=0)
    mass = np.cumsum(sizes[order], dtype=np.float64)
    if mass[-1] == 0:
        return 0.0
    return float(distance[order][np.searchsorted(mass, share * mass[-1])])
