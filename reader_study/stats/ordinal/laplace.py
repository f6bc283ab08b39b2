"""Laplace approximation of a cumulative link model with crossed random effects.

The random effects u are standard normal; the linear predictor gains Z * Lambda * u. The
largest random term has a block-diagonal Hessian and is eliminated first, so the work grows
with the second largest term, not with the number of cases.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from reader_study.stats.ordinal.formula import OrdinalData, RandomTerm
from reader_study.stats.ordinal.link_functions import CellTerms, Link, cell_terms

NEWTON_STEPS = 100
NEWTON_TOLERANCE = 1e-12


@dataclass(frozen=True)
class _Factor:
    """The Hessian of the penalised likelihood, factored; ``big`` indexes the eliminated term."""

    block: np.ndarray  # inverse diagonal blocks of the big term, (groups, d, d)
    cross: np.ndarray  # big by rest
    solved: np.ndarray  # block @ cross
    rest: np.ndarray  # inverse of the Schur complement
    logdet: float


@dataclass(frozen=True)
class _Place:
    """Random effects with the likelihood's terms there and its penalised value."""

    u: np.ndarray
    terms: CellTerms
    value: float


class Laplace:
    """Log-likelihood, its gradient and the modes, for given parameters.

    Parameters are the fixed ones of ``data`` followed by, per random term, the log of the
    standard deviation, or the rows of a Cholesky factor with the log of its diagonal.
    """

    def __init__(self, data: OrdinalData, link: Link) -> None:
        self.data, self.link = data, link
        self.terms = tuple(sorted(data.random, key=lambda t: -len(t.labels) * t.columns.shape[1]))
        self.order = [data.random.index(t) for t in self.terms]
        sizes = [len(t.labels) * t.columns.shape[1] for t in self.terms]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.n_fixed = data.cuts_upper.shape[1]
        widths = [t.columns.shape[1] for t in data.random]
        counts = [w * (w + 1) // 2 for w in widths]
        offsets = self.n_fixed + np.concatenate([[0], np.cumsum(counts)]).astype(int)
        self.slots = [slice(offsets[k], offsets[k + 1]) for k in self.order]
        self.n_parameters = int(offsets[-1])
        self.modes = np.zeros(self.starts[-1])
        self._keys = self._pair_keys()

    def value_and_gradient(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Laplace log-likelihood and its exact gradient; -inf where cut-points cross."""
        scales = [factor_of(parameters[s], t) for s, t in zip(self.slots, self.terms, strict=True)]
        solution = self._find_modes(parameters, scales)
        if solution is None:
            return -np.inf, np.zeros(self.n_parameters)
        terms, columns, factor = solution
        u = self.modes
        value = float(terms.loglik.sum() - 0.5 * u @ u - 0.5 * factor.logdet)
        return value, self._gradient(parameters, terms, columns, factor)

    def _pair_keys(self) -> dict[tuple[int, int], np.ndarray]:
        keys = {}
        for k, first in enumerate(self.terms):
            for m, second in enumerate(self.terms[: k + 1]):
                keys[k, m] = first.codes * len(second.labels) + second.codes
        return keys

    def _cuts(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fixed, data = parameters[: self.n_fixed], self.data
        return data.cuts_upper @ fixed + data.edge_upper, data.cuts_lower @ fixed + data.edge_lower

    def _effect(self, u: np.ndarray, columns: list[np.ndarray]) -> np.ndarray:
        total = np.zeros(self.data.y.size)
        for k, (term, x) in enumerate(zip(self.terms, columns, strict=True)):
            part = u[self.starts[k] : self.starts[k + 1]]
            if x.shape[1] == 1:
                total += x[:, 0] * part[term.codes]
            else:
                total += np.einsum("nd,nd->n", x, part.reshape(-1, x.shape[1])[term.codes])
        return total

    def _transposed(self, weights: np.ndarray, columns: list[np.ndarray]) -> np.ndarray:
        """(Z Lambda)' weights."""
        parts = [
            _sums_by_group(term, weights[:, None] * x).ravel()
            for term, x in zip(self.terms, columns, strict=True)
        ]
        return np.concatenate(parts)

    def _find_modes(
        self, parameters: np.ndarray, scales: list[np.ndarray]
    ) -> tuple[CellTerms, list[np.ndarray], _Factor] | None:
        """Damped Newton from the last modes; ``None`` where no finite start exists."""
        upper, lower = self._cuts(parameters)
        columns = [t.columns @ scale for t, scale in zip(self.terms, scales, strict=True)]
        at = self._penalised(upper, lower, self.modes, columns)
        if not np.isfinite(at.value):
            at = self._penalised(upper, lower, np.zeros_like(self.modes), columns)
            if not np.isfinite(at.value):
                return None
        tiny, last_gain = 1e-8 * (1 + abs(at.value)), np.inf
        for _ in range(NEWTON_STEPS):
            factor = self._factorise(at.terms.weight, columns)
            score = self._transposed(at.terms.slope, columns) - at.u
            step = self._solve(factor, score)
            gain = float(score @ step)
            if gain < NEWTON_TOLERANCE**2 * (1 + abs(at.value)) or gain >= last_gain < tiny:
                break
            size = 1.0
            while True:
                reached = self._penalised(upper, lower, at.u + size * step, columns)
                # Below ``tiny`` rounding hides whether the value rises.
                if gain < tiny or size < 1e-8 or reached.value >= at.value + 1e-4 * size * gain:
                    break
                size /= 2
            at, last_gain = reached, gain
        self.modes = at.u
        return at.terms, columns, factor

    def _penalised(
        self, upper: np.ndarray, lower: np.ndarray, u: np.ndarray, columns: list[np.ndarray]
    ) -> _Place:
        effect = self._effect(u, columns)
        terms = cell_terms(upper - effect, lower - effect, self.link)
        return _Place(u, terms, float(terms.loglik.sum() - 0.5 * u @ u))

    def _cross(self, k: int, m: int, weights: np.ndarray, columns: list[np.ndarray]) -> np.ndarray:
        """Block of (Z Lambda)' W (Z Lambda) for two terms, as a dense matrix."""
        first, second = self.terms[k], self.terms[m]
        rows, cols = len(first.labels), len(second.labels)
        block = np.empty((rows, columns[k].shape[1], cols, columns[m].shape[1]))
        for a in range(columns[k].shape[1]):
            for b in range(columns[m].shape[1]):
                w = weights * columns[k][:, a] * columns[m][:, b]
                sums = np.bincount(self._keys[k, m], w, minlength=rows * cols)
                block[:, a, :, b] = sums.reshape(rows, cols)
        return block.reshape(rows * columns[k].shape[1], -1)

    def _diagonal(self, k: int, weights: np.ndarray, columns: list[np.ndarray]) -> np.ndarray:
        """Diagonal blocks of one term, with the identity of its prior."""
        term, x = self.terms[k], columns[k]
        width = x.shape[1]
        blocks = np.empty((len(term.labels), width, width))
        for a in range(width):
            for b in range(width):
                w = weights * x[:, a] * x[:, b]
                blocks[:, a, b] = np.bincount(term.codes, w, minlength=len(term.labels))
        blocks[:, np.arange(width), np.arange(width)] += 1.0
        return blocks

    def _factorise(self, weights: np.ndarray, columns: list[np.ndarray]) -> _Factor:
        big = self._diagonal(0, weights, columns)
        if big.shape[1] == 1:
            inverse, logdet = 1.0 / big, float(np.log(big).sum())
        else:
            inverse, logdet = np.linalg.inv(big), float(np.linalg.slogdet(big)[1].sum())
        size, total = self.starts[1], self.starts[-1]
        if len(self.terms) == 1:
            empty = np.zeros((size, 0))
            return _Factor(inverse, empty, empty, np.zeros((0, 0)), logdet)
        rest = np.zeros((total - size, total - size))
        cross = np.empty((size, total - size))
        for k in range(1, len(self.terms)):
            at = slice(self.starts[k] - size, self.starts[k + 1] - size)
            cross[:, at] = self._cross(k, 0, weights, columns).T
            blocks = self._diagonal(k, weights, columns)
            rest[at, at] = (
                linalg.block_diag(*blocks) if blocks.shape[1] > 1 else np.diag(blocks[:, 0, 0])
            )
            for m in range(1, k):
                other = slice(self.starts[m] - size, self.starts[m + 1] - size)
                rest[at, other] = self._cross(k, m, weights, columns)
                rest[other, at] = rest[at, other].T
        solved = _blocks_times(inverse, cross)
        schur = np.linalg.cholesky(rest - cross.T @ solved)
        logdet += 2 * float(np.log(schur.diagonal()).sum())
        half = np.linalg.inv(schur)
        inverse_rest = half.T @ half
        return _Factor(inverse, cross, solved, inverse_rest, logdet)

    def _solve(self, factor: _Factor, right: np.ndarray) -> np.ndarray:
        size = self.starts[1]
        first = _blocks_times(factor.block, right[:size, None])[:, 0]
        below = factor.rest @ (right[size:] - factor.solved.T @ right[:size])
        return np.concatenate([first - factor.solved @ below, below])

    def _inverse_diagonal(self, factor: _Factor, k: int) -> np.ndarray:
        """Diagonal blocks of the inverse Hessian for one term, (groups, d, d)."""
        width = self.terms[k].columns.shape[1]
        groups = len(self.terms[k].labels)
        if k == 0 and width == 1:
            across = ((factor.solved @ factor.rest) * factor.solved).sum(axis=1)
            return np.asarray(factor.block + across[:, None, None])
        if k == 0:
            part = factor.solved.reshape(groups, width, -1)
            return np.asarray(
                factor.block + np.einsum("gar,rs,gbs->gab", part, factor.rest, part, optimize=True)
            )
        size = self.starts[1]
        at = np.arange(self.starts[k] - size, self.starts[k + 1] - size).reshape(groups, width)
        return factor.rest[at[:, :, None], at[:, None, :]]

    def _leverage(
        self, factor: _Factor, columns: list[np.ndarray], diagonals: list[np.ndarray]
    ) -> np.ndarray:
        """z_i Lambda H^-1 Lambda' z_i' of each observation."""
        total = np.zeros(self.data.y.size)
        size = self.starts[1]
        across = -factor.solved @ factor.rest
        for k, (term, x) in enumerate(zip(self.terms, columns, strict=True)):
            if x.shape[1] == 1:
                total += x[:, 0] ** 2 * diagonals[k][term.codes, 0, 0]
            else:
                total += np.einsum("na,nab,nb->n", x, diagonals[k][term.codes], x)
            at = self.starts[k] + term.codes[:, None] * x.shape[1] + np.arange(x.shape[1])
            for m in range(k):
                other, w = self.terms[m], columns[m]
                if w.shape[1] == x.shape[1] == 1:
                    row, column = self.starts[m] + other.codes, self.starts[k] - size + term.codes
                    source = across[row, column] if m == 0 else factor.rest[row - size, column]
                    total += 2 * w[:, 0] * source * x[:, 0]
                    continue
                to = self.starts[m] + other.codes[:, None] * w.shape[1] + np.arange(w.shape[1])
                source = (
                    across[to[:, :, None], at[:, None, :] - size]
                    if m == 0
                    else factor.rest[to[:, :, None] - size, at[:, None, :] - size]
                )
                total += 2 * np.einsum("na,nab,nb->n", w, source, x)
        return total

    def _gradient(
        self,
        parameters: np.ndarray,
        terms: CellTerms,
        columns: list[np.ndarray],
        factor: _Factor,
    ) -> np.ndarray:
        diagonals = [self._inverse_diagonal(factor, k) for k in range(len(self.terms))]
        leverage = self._leverage(factor, columns, diagonals)
        # How the log-determinant moves with the modes, and the modes with the parameters.
        by_eta = -leverage * (terms.weight_upper + terms.weight_lower)
        pull = self._solve(factor, self._transposed(by_eta, columns))
        shift = self._effect(pull, columns)
        on_upper = terms.upper - 0.5 * (leverage * terms.weight_upper + shift * terms.slope_upper)
        on_lower = terms.lower - 0.5 * (leverage * terms.weight_lower + shift * terms.slope_lower)
        gradient = np.zeros(self.n_parameters)
        gradient[: self.n_fixed] = (
            self.data.cuts_upper.T @ on_upper + self.data.cuts_lower.T @ on_lower
        )
        on_eta = -(on_upper + on_lower)
        for k, term in enumerate(self.terms):
            groups, width = len(term.labels), term.columns.shape[1]
            u = self.modes[self.starts[k] : self.starts[k + 1]].reshape(groups, width)
            v = pull[self.starts[k] : self.starts[k + 1]].reshape(groups, width)
            raw = [_sums_by_group(term, w[:, None] * term.columns) for w in (on_eta, terms.slope)]
            scale = factor_of(parameters[self.slots[k]], term)
            slack = np.eye(width) * groups - diagonals[k].sum(axis=0)
            gradient[self.slots[k]] = [
                float(
                    np.sum(raw[0] * (u @ change.T))
                    - 0.5 * np.sum(raw[1] * (v @ change.T))
                    - np.trace(slack @ np.linalg.solve(scale, change))
                )
                for change in factor_changes(parameters[self.slots[k]], term)
            ]
        return gradient


def _blocks_times(blocks: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    width = blocks.shape[1]
    if width == 1:
        return np.asarray(blocks[:, 0, 0][:, None] * matrix)
    return np.asarray((blocks @ matrix.reshape(len(blocks), width, -1)).reshape(matrix.shape))


def _sums_by_group(term: RandomTerm, values: np.ndarray) -> np.ndarray:
    """Sums of (n, d) values over the rows of each group, shape (groups, d)."""
    groups = len(term.labels)
    if values.shape[1] == 1:
        return np.bincount(term.codes, values[:, 0], minlength=groups)[:, None]
    sums = [np.bincount(term.codes, column, minlength=groups) for column in values.T]
    return np.stack(sums, axis=1)


def factor_of(values: np.ndarray, term: RandomTerm) -> np.ndarray:
    """Lower Cholesky factor of one term's covariance from its parameters."""
    width = term.columns.shape[1]
    if width == 1:
        return np.asarray(np.exp(values).reshape(1, 1))
    factor = np.zeros((width, width))
    factor[np.tril_indices(width)] = values
    factor[np.diag_indices(width)] = np.exp(np.diag(factor))
    return factor


def factor_changes(values: np.ndarray, term: RandomTerm) -> list[np.ndarray]:
    """Derivative of the Cholesky factor by each of its parameters."""
    width = term.columns.shape[1]
    if width == 1:
        return [np.exp(values).reshape(1, 1)]
    changes = []
    for row, column, value in zip(*np.tril_indices(width), values, strict=True):
        change = np.zeros((width, width))
        change[row, column] = np.exp(value) if row == column else 1.0
        changes.append(change)
    return changes
