"""Mean squares and components of figures of merit in the Obuchowski-Rockette model."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cells:
    """Figures of merit (arm, reader), NaN where a reader did not read the arm.

    ``covariance`` has shape (arm, reader, arm, reader); ``blocks`` (reader,) says which
    readers share their cases.
    """

    arms: tuple[str, ...]
    readers: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    blocks: np.ndarray
    nested_readers: bool = False


def error_components(cells: Cells) -> dict[str, float]:
    """Var, Cov1, Cov2, Cov3, VarR and VarTR of the Obuchowski-Rockette model.

    Cov1: same reader, different arm; Cov2: same arm, different reader; Cov3: both different.
    Averages run over pairs that share cases. Components that the design cannot tell are NaN.
    """
    arm, reader = np.nonzero(np.isfinite(cells.values))
    matrix = cells.covariance[arm[:, None], reader[:, None], arm[None], reader[None]]
    same_arm, same_reader = arm[:, None] == arm[None], reader[:, None] == reader[None]
    block = cells.blocks[reader]
    together = block[:, None] == block[None]

    def mean(mask: np.ndarray) -> float:
        return float(matrix[mask].mean()) if mask.any() else np.nan

    var = mean(same_arm & same_reader)
    cov1 = mean(~same_arm & same_reader)
    cov2 = mean(same_arm & ~same_reader & together)
    cov3 = mean(~same_arm & ~same_reader & together)
    squares = mean_squares(cells, np.nan)
    arms, share = len(cells.arms), _sharing(cells.blocks)
    var_r = (squares["ms_r"] - squares["ms_tr"]) / arms - cov1 + share * cov3
    var_tr = squares["ms_tr"] - var + cov1 + share * (cov2 - cov3)
    names = ("var_reader", "var_arm_reader", "var_error", "cov1", "cov2", "cov3")
    return dict(zip(names, (var_r, var_tr, var, cov1, cov2, cov3), strict=True))


def _sharing(blocks: np.ndarray) -> float:
    """Share of the pairs of readers that read the same cases; 1 where there is one block."""
    apart = ~np.eye(blocks.size, dtype=bool)
    together = blocks[:, None] == blocks[None]
    return float(together[apart].mean()) if apart.any() else 1.0


def between_readers(cells: Cells) -> tuple[np.ndarray, float]:
    """Cov2 of each arm and Cov3, over all pairs of readers: zero for those without a common case.

    Examples
    --------
    >>> covariance = np.zeros((2, 2, 2, 2))
    >>> covariance[0, 0, 0, 1] = covariance[0, 1, 0, 0] = 0.5
    >>> cells = Cells(("a", "b"), ("R1", "R2"), np.ones((2, 2)), covariance, np.zeros(2, int))
    >>> between_readers(cells)
    (array([0.5, 0. ]), 0.0)
    """
    arms, readers = cells.values.shape
    apart = ~np.eye(readers, dtype=bool)
    by_arms = np.moveaxis(cells.covariance, 1, 2)[:, :, apart].mean(axis=2)
    cov2 = np.diag(by_arms)
    cov3 = float(by_arms[~np.eye(arms, dtype=bool)].mean())
    return cov2, cov3


def mean_squares(cells: Cells, spread: float) -> dict[str, float]:
    """MS(T), MS(R) and MS(TR) over all readers, whatever block of cases they read."""
    arms, freedom = len(cells.arms), len(cells.readers) - 1
    if cells.nested_readers or freedom == 0:
        return {"ms_t": spread, "ms_r": np.nan, "ms_tr": np.nan}
    centred = cells.values - cells.values.mean(axis=1, keepdims=True)
    common = centred.mean(axis=0)
    return {
        "ms_t": spread,
        "ms_r": arms * float(np.sum(common**2)) / freedom,
        "ms_tr": float(np.sum((centred - common) ** 2)) / (freedom * (arms - 1)),
    }
