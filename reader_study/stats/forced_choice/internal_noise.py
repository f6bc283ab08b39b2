"""A reader's own noise, from the agreement with the same trials shown again."""

import numpy as np
from scipy import optimize, stats


def agreement_of_passes(share: float, noise_ratio: float) -> float:
    """Expected share of two-place trials answered alike in two passes, right or wrong.

    Parameters
    ----------
    share : right answers
    noise_ratio : SD of the reader's own noise over that which the images bring

    Notes
    -----
    Two passes share the noise of the images, so their responses correlate by ``1 / (1 + r^2)``
    (Burgess & Colborne 1988, J Opt Soc Am A 5:617, doi:10.1364/JOSAA.5.000617).

    Examples
    --------
    >>> round(agreement_of_passes(0.75, 1.0), 3)
    0.741
    """
    z = stats.norm.ppf(share)
    if noise_ratio == 0:
        return 1.0
    rho = 1 / (1 + noise_ratio**2)
    both = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([z, z])
    return float(2 * both - 2 * share + 1)


def internal_noise(share: float, agreement: float) -> float:
    """Reader's own noise over the images', from the right answers and agreement of two passes.

    Two-place trials alone. Infinite where the passes agree no more than independent ones would.

    Raises
    ------
    ValueError
        Shares outside 0.5 to 1: there is nothing to tell the two noises apart by.

    Examples
    --------
    >>> round(internal_noise(0.75, 0.741), 1)
    1.0
    """
    if not (0.5 < share < 1 and 0 <= agreement <= 1):
        raise ValueError(
            f"expected between half and all answers right and an agreement from 0 to 1, got "
            f"{share:g} and {agreement:g}; use contrasts that are neither sure nor lost"
        )
    if agreement >= 1:
        return 0.0
    if agreement <= share**2 + (1 - share) ** 2:
        return float("inf")

    def gap(log_ratio: float) -> float:
        return agreement_of_passes(share, float(np.exp(log_ratio))) - agreement

    if gap(np.log(50.0)) > 0:
        return float("inf")
    return float(np.exp(optimize.brentq(gap, np.log(1e-3), np.log(50.0), xtol=1e-6)))
