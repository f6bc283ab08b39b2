"""Adaptive Gauss-Hermite quadrature for a cumulative link model with one scalar random effect."""

import numpy as np
from scipy import special

from reader_study.stats.ordinal.formula import OrdinalData
from reader_study.stats.ordinal.link_functions import Link, cell_loglik, cell_terms

NEWTON_STEPS = 60
DIFFERENCE = 1e-5


class Quadrature:
    """Log-likelihood by quadrature around each group's mode; same face as ``Laplace``."""

    def __init__(self, data: OrdinalData, link: Link, nodes: int) -> None:
        if nodes < 2:
            raise ValueError(f"expected at least 2 nodes, got {nodes}")
        self.data, self.link = data, link
        self.terms = data.random
        self.n_fixed = data.cuts_upper.shape[1]
        self.n_parameters = self.n_fixed + 1
        self.slots = [slice(self.n_fixed, self.n_fixed + 1)]
        groups = len(self.terms[0].labels)
        self.starts = np.array([0, groups])
        self.modes = np.zeros(groups)
        self.points, self.weights = np.polynomial.hermite.hermgauss(nodes)

    def value_and_gradient(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood and its gradient by central differences (nodes move with the modes)."""
        value = self._value(parameters)
        gradient = np.zeros(parameters.size)
        if not np.isfinite(value):
            return value, gradient
        for k in range(parameters.size):
            h = DIFFERENCE * max(1.0, abs(parameters[k]))
            ahead, behind = parameters.copy(), parameters.copy()
            ahead[k] += h
            behind[k] -= h
            gradient[k] = (self._value(ahead) - self._value(behind)) / (2 * h)
        self._value(parameters)
        return value, gradient

    def _value(self, parameters: np.ndarray) -> float:
        data, term = self.data, self.terms[0]
        fixed = parameters[: self.n_fixed]
        scale = float(np.exp(parameters[-1])) * term.columns[:, 0]
        upper = data.cuts_upper @ fixed + data.edge_upper
        lower = data.cuts_lower @ fixed + data.edge_lower
        if not np.isfinite(cell_loglik(upper, lower, self.link).sum()):
            return -np.inf
        curvature = self._find_modes(upper, lower, scale)
        spread = np.sqrt(2 / curvature)
        groups = len(term.labels)
        logs = np.empty((groups, self.points.size))
        for q, (x, w) in enumerate(zip(self.points, self.weights, strict=True)):
            u = self.modes + spread * x
            effect = scale * u[term.codes]
            each = cell_loglik(upper - effect, lower - effect, self.link)
            sums = np.bincount(term.codes, each, minlength=groups)
            logs[:, q] = sums - 0.5 * u * u + x * x + np.log(w)
        total = special.logsumexp(logs, axis=1) + np.log(spread) - 0.5 * np.log(2 * np.pi)
        return float(total.sum())

    def _find_modes(self, upper: np.ndarray, lower: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Newton for all groups at once; returns the curvature at each mode."""
        term = self.terms[0]
        groups = len(term.labels)
        u = self.modes if np.isfinite(self.modes).all() else np.zeros(groups)
        for _ in range(NEWTON_STEPS):
            effect = scale * u[term.codes]
            terms = cell_terms(upper - effect, lower - effect, self.link)
            score = np.bincount(term.codes, scale * terms.slope, minlength=groups) - u
            weight = np.bincount(term.codes, scale**2 * terms.weight, minlength=groups) + 1.0
            step = np.clip(score / weight, -2.0, 2.0)
            u = u + step
            if np.abs(step).max() < 1e-10:
                break
        self.modes = u
        return weight
