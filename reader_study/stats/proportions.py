"""Limits of a share: Clopper and Pearson's exact ones, by statsmodels."""


def clopper_pearson(successes: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404).

    Parameters
    ----------
    successes, n : float
        Counts; fractions are allowed, as an effective sample size may be one.

    Returns
    -------
    low, high : float
        (0, 1) when ``n`` is 0.

    Examples
    --------
    With 10 of 10, the lower limit solves low**10 = 0.025.

    >>> low, high = clopper_pearson(10, 10)
    >>> round(low**10, 12), high
    (0.025, 1.0)
    """
    from statsmodels.stats.proportion import proportion_confint  # slow to import

    if not 0 <= successes <= n:
        raise ValueError(f"expected 0 <= successes <= n, got {successes} of {n}; check the counts")
    if n == 0:
        return 0.0, 1.0
    low, high = proportion_confint(successes, n, alpha=1 - level, method="beta")
    return float(low), float(high)
