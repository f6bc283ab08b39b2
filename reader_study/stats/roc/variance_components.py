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
    arms = len(cells.arms)
    var_r = (squares["ms_r"] - squares["ms_tr"]) / arms - cov1 + cov3
    var_tr = squares["ms_tr"] - var + cov1 + cov2 - cov3
    names = ("var_reader", "var_arm_reader", "var_error", "cov1", "cov2", "cov3")
    return dict(zip(names, (var_r, var_tr, var, cov1, cov2, cov3), strict=True))


def mean_squares(cells: Cells, spread: float) -> dict[str, float]:
    """MS(T), MS(R) and MS(TR); within blocks of readers where there are several."""
    if cells.nested_readers:
        return {"ms_t": spread, "ms_r": np.nan, "ms_tr": np.nan}
    freedom = within_blocks(cells)
    values, arms = cells.values, len(cells.arms)
    reader_sum, both_sum = 0.0, 0.0
    for block in np.unique(cells.blocks):
        part = values[:, cells.blocks == block]
        centred = part - part.mean(axis=1, keepdims=True)
        common = centred.mean(axis=0)
        reader_sum += arms * float(np.sum(common**2))
        both_sum += float(np.sum((centred - common) ** 2))
    if freedom == 0:
        return {"ms_t": spread, "ms_r": np.nan, "ms_tr": np.nan}
    return {
        "ms_t": spread,
        "ms_r": reader_sum / freedom,
        "ms_tr": both_sum / (freedom * (arms - 1)),
    }


def within_blocks(cells: Cells) -> int:
    """Degrees of freedom of readers within their blocks."""
    return len(cells.readers) - np.unique(cells.blocks).size
