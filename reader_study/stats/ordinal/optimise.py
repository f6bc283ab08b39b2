"""Maximising a log-likelihood: Newton where the Hessian is known, quasi-Newton elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
MAX_STEPS = 200
GRADIENT_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Optimum:
    """Where a search ended; ``gradient`` is the largest slope left over."""

    parameters: np.ndarray
    covariance: np.ndarray
    value: float
    gradient: float
    note: str = ""
    fixed_at_zero: tuple[int, ...] = ()


def newton(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]], start: np.ndarray
) -> Optimum:
    """Damped Newton ascent; stops where parameters run beyond 50 (separation)."""
    parameters = start
    value, gradient, hessian = objective(parameters)
    for _ in range(MAX_STEPS):
        step = np.linalg.lstsq(-hessian, gradient, rcond=None)[0]
        if gradient @ step < 0:
            step = gradient / max(np.abs(hessian).max(), 1.0)
        size = 1.0
        while size > 1e-10:
            reached = objective(parameters + size * step)
            if reached[0] >= value - 1e-12 * abs(value):
                break
            size /= 2
        else:
            break
        parameters = parameters + size * step
        settled = np.abs(reached[1]).max() < 1e-10 * max(1.0, abs(value))
        value, gradient, hessian = reached
        if settled or np.abs(parameters).max() > 50:
            break
    return Optimum(
        parameters, np.linalg.pinv(-hessian, hermitian=True), value, float(np.abs(gradient).max())
    )


def quasi_newton(
    objective: Objective, start: np.ndarray, inverse: np.ndarray, *, tolerance: float = 1e-4
) -> tuple[np.ndarray, float, np.ndarray]:
    """BFGS ascent from ``start``; returns parameters, value and gradient.

    ``inverse`` is the first guess of the inverse Hessian (a covariance matrix). Steps into
    regions of value -inf are halved back.

    Examples
    --------
    >>> def bowl(x): return -float((x**2).sum()), -2 * x
    >>> quasi_newton(bowl, np.array([3.0]), np.eye(1))[0].round(6).tolist()
    [0.0]
    """
    x, (value, gradient) = start, objective(start)
    if not np.isfinite(value):
        raise ValueError("the model has no finite likelihood at its start; simplify the formula")
    b = inverse.copy()
    for _ in range(MAX_STEPS):
        if np.abs(gradient).max() < tolerance:
            break
        step = b @ gradient
        if gradient @ step <= 0:
            b, step = inverse.copy(), inverse @ gradient
        step *= min(1.0, 5.0 / np.abs(step).max())
        size, gain, rounding = 1.0, gradient @ step, 1e-9 * (1 + abs(value))
        while size > 1e-10:
            reached, slope = objective(x + size * step)
            if reached > value + 1e-4 * size * gain:
                break
            if gain < rounding and np.abs(slope).max() < np.abs(gradient).max():
                break  # rounding hides whether the value rises; the slope tells
            size /= 2 if gain >= rounding else np.inf
        else:
            break
        s, y = size * step, gradient - slope
        x, value, gradient = x + s, reached, slope
        if s @ y > 1e-12:
            turn = np.eye(x.size) - np.outer(s, y) / (s @ y)
            b = turn @ b @ turn.T + np.outer(s, s) / (s @ y)
    return x, value, gradient


def ascend(
    objective: Objective,
    start: np.ndarray,
    inverse: np.ndarray,
    *,
    hold: Callable[[np.ndarray, float], np.ndarray] | None = None,
) -> Optimum:
    """Quasi-Newton ascent, finished by Newton steps on a numerical Hessian.

    ``hold`` sees where the ascent ended and returns the parameters with those to be held set
    to their bound; the others are settled with these fixed.
    """
    x, value, gradient = quasi_newton(objective, start, inverse, tolerance=0.5 * GRADIENT_TOLERANCE)
    held = x if hold is None else hold(x, value)
    free = np.flatnonzero(held == x)
    if free.size == x.size:
        return polish(objective, x, value, gradient)
    return polish(objective, held, *objective(held), free)


def polish(
    objective: Objective,
    x: np.ndarray,
    value: float,
    gradient: np.ndarray,
    free: np.ndarray | None = None,
) -> Optimum:
    """Newton steps in the ``free`` parameters, and their covariance at the end."""
    free = np.arange(x.size) if free is None else free
    for attempt in range(6):
        hessian = _numeric_hessian(objective, x, free)
        values, vectors = np.linalg.eigh(-hessian)
        settled = np.abs(gradient[free]).max() < GRADIENT_TOLERANCE
        if settled or attempt == 5:
            break
        step = np.zeros(x.size)
        bounded = np.maximum(values, 1e-3 * max(values.max(), 1e-8))
        step[free] = vectors @ ((vectors.T @ gradient[free]) / bounded)
        step *= min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        size = 1.0
        while size > 1e-6:
            reached, slope = objective(x + size * step)
            if reached >= value - 1e-10 * abs(value):
                break
            size /= 2
        else:
            break
        x, value, gradient = x + size * step, reached, slope
    covariance = np.zeros((x.size, x.size))
    safe = np.where(values > 1e-8 * max(values.max(), 1e-300), values, np.nan)
    with np.errstate(invalid="ignore"):
        covariance[np.ix_(free, free)] = (vectors / np.nan_to_num(safe, nan=np.inf)) @ vectors.T
    return Optimum(x, covariance, value, float(np.abs(gradient[free]).max()))


def _numeric_hessian(objective: Objective, x: np.ndarray, free: np.ndarray) -> np.ndarray:
    hessian = np.empty((free.size, free.size))
    for row, k in enumerate(free):
        h = 1e-4 * max(1.0, abs(x[k]))
        ahead, behind = x.copy(), x.copy()
        ahead[k] += h
        behind[k] -= h
        hessian[row] = (objective(ahead)[1][free] - objective(behind)[1][free]) / (2 * h)
    return (hessian + hessian.T) / 2
