"""Terms of the objective: pure functions of tensors, each with a value worked by hand.

The dual of optimal transport with a penalised least-squares cost (Sim, Oh, Kim, Jung, Ye 2020,
doi 10.1137/20M1317992) has two critics that widen and two generators that narrow the gap between
the mean potentials of real and generated images, and a cycle term ties the generators together.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def gap(real: Tensor, generated: Tensor) -> Tensor:
    """Mean score of real minus generated images: a critic of slope 1 widens it to at most W1.

    Examples
    --------
    >>> gap(torch.tensor([3.0, 1.0]), torch.tensor([0.0, 1.0])).item()
    1.5
    """
    return real.mean() - generated.mean()


def least_squares_critic(real: Tensor, generated: Tensor) -> Tensor:
    """Critic's loss of a least-squares GAN (Mao et al. 2017): real towards 1, generated towards 0.

    Examples
    --------
    >>> least_squares_critic(torch.tensor([0.0]), torch.tensor([2.0])).item()
    2.5
    """
    return 0.5 * ((real - 1.0) ** 2).mean() + 0.5 * (generated**2).mean()


def least_squares_generator(generated: Tensor) -> Tensor:
    """Generator's loss of a least-squares GAN: generated towards 1.

    Examples
    --------
    >>> least_squares_generator(torch.tensor([3.0])).item()
    2.0
    """
    return 0.5 * ((generated - 1.0) ** 2).mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor, mix: Tensor
) -> Tensor:
    """Mean of ``(slope - 1)^2`` on the segments between real and generated images.

    The slope is the Euclidean norm of the gradient over *all* pixels of an image (Gulrajani et
    al. 2017, arXiv 1704.00028, equation 3), the norm that belongs to the L2 transport cost.
    Computed in float32 whatever the precision around it.

    Parameters
    ----------
    critic : function, (B, 1, H, W) -> (B,)
    real, generated : tensor, (B, 1, H, W)
    mix : tensor, (B, 1, 1, 1), values in [0, 1]
        Place on the segment, 1 at ``real``.

    Examples
    --------
    >>> image = torch.zeros(2, 1, 4, 4)
    >>> three = lambda x: 0.75 * x.sum((1, 2, 3))  # slope 0.75 * sqrt(16) = 3
    >>> gradient_penalty(three, image, image, torch.zeros(2, 1, 1, 1)).item()
    4.0
    """
    with torch.autocast(real.device.type, enabled=False):
        between = (
            (mix * real.float() + (1.0 - mix) * generated.float()).detach().requires_grad_(True)
        )
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        # The tiny constant keeps the derivative finite where a critic is flat.
        return (((slope.square().sum((1, 2, 3)) + 1e-12).sqrt() - 1.0) ** 2).mean()


def cycle(
    image: Tensor, returned: Tensor, *, rounding_net: float = 0.0, weight: Tensor | None = None
) -> Tensor:
    """L1 distance after a round trip: ``sqrt(pixels) * mean |returned - image|``.

    The factor makes the gradient of an image comparable with that of a 1-Lipschitz critic at
    every patch size (an L1 mean alone fades as one over the root of the number of pixels).

    Parameters
    ----------
    image, returned : tensor, (B, 1, H, W), network units
    rounding_net : float
        Below this error the distance is quadratic (Huber 1964). An L1 distance alone is least at
        the *median* of the images that fit, which in lung, with its few bright vessels, lies
        several HU below their mean.
    weight : tensor (B, 1, 1, 1), optional
        Of each image.

    Examples
    --------
    >>> cycle(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.5)).item()
    2.0
    >>> cycle(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.5), rounding_net=1.0).item()
    0.5
    """
    pixels = image.shape[-1] * image.shape[-2]
    if rounding_net == 0:
        apart = (returned - image).abs()
    else:
        huber = torch.nn.functional.huber_loss(
            returned, image, delta=rounding_net, reduction="none"
        )
        apart = huber / rounding_net
    return math.sqrt(pixels) * (apart if weight is None else weight * apart).mean()


MEAN_BLOCK_PX = 16


def mean_shift(image: Tensor, denoised: Tensor) -> Tensor:
    """Squared change of local means: ``sqrt(pixels) * mean (blockmean(denoised - image))^2``.

    Noise has mean zero, so means over blocks of 16 x 16 pixels are nearly free of it: a denoiser
    has no reason to change them. The adversarial terms do not see such a shift, for the critics
    look at high-passed images, and an L1 cycle prefers medians.

    Examples
    --------
    >>> flat, dark = torch.zeros(1, 1, 16, 16), torch.full((1, 1, 16, 16), -0.5)
    >>> mean_shift(flat, dark).item()
    4.0
    """
    pixels = image.shape[-1] * image.shape[-2]
    shift = torch.nn.functional.avg_pool2d(denoised - image, MEAN_BLOCK_PX)
    return math.sqrt(pixels) * shift.square().mean()


def transport(image: Tensor, mapped: Tensor) -> Tensor:
    """Quadratic cost of moving an image: ``sqrt(pixels) * mean (mapped - image)^2``.

    With a critic it makes an optimal transport map from one domain to the other without a way
    back (Korotin, Selikhanovych, Burnaev 2023, arXiv 2201.12220; Rout, Korotin, Burnaev 2022).

    Examples
    --------
    >>> transport(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.5)).item()
    1.0
    """
    pixels = image.shape[-1] * image.shape[-2]
    return math.sqrt(pixels) * (mapped - image).square().mean()


ALIKE_PX, ALIKE_SD = 7, 0.5


def neighbour(denoised: Tensor, image: Tensor, beside: Tensor, noise_sd: Tensor | float) -> Tensor:
    """Squared distance of a denoised slice to its noisy neighbour, where both show the same.

    Noise of neighbouring slices is independent, so the neighbour is a noisy target whose mean is
    the truth (Noise2Noise: Lehtinen et al. 2018, arXiv 1803.04189; Noise2Sim: Niu et al. 2023,
    doi 10.1109/TMI.2022.3231428). "The same" are means over 7 x 7 pixels within half a noise SD.

    Parameters
    ----------
    denoised, image, beside : tensor, (B, 1, H, W), network units
    noise_sd : tensor (B, 1, 1, 1) or float
        SD of the noise of ``image`` in network units.

    Examples
    --------
    >>> flat, other = torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 0.25)
    >>> neighbour(flat, flat, other, 1.0).item()  # 8 * 0.25^2
    0.5
    >>> neighbour(flat, flat, other, 0.1).item()  # nothing is alike
    0.0
    """
    pixels = image.shape[-1] * image.shape[-2]
    apart = torch.nn.functional.avg_pool2d(
        image - beside, ALIKE_PX, 1, ALIKE_PX // 2, count_include_pad=False
    )
    alike = (apart.abs() < ALIKE_SD * noise_sd).to(image.dtype)
    error = (alike * (denoised - beside).square()).sum() / alike.sum().clamp_min(1.0)
    return math.sqrt(pixels) * error
