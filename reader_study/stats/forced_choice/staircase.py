"""Staircases: the contrast falls after some right answers and rises after a wrong one."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Staircase:
    """Down by a factor after ``down`` right answers in a row, up by it after each wrong one.

    It settles where ``down`` right answers in a row are as likely as not: ``0.5 ** (1 / down)``
    right, 79.4 % for three (Levitt 1971, J Acoust Soc Am 49:467, doi:10.1121/1.1912375). Good for
    practice and for finding a threshold; to compare images use fixed levels, so that every arm is
    seen at the same contrasts.

    Attributes
    ----------
    contrast : of the next trial
    factor : between two steps, above 1
    down : right answers in a row before the contrast falls
    lowest, highest : the contrasts there are
    reversals : contrasts at which the direction turned

    Examples
    --------
    >>> stairs = Staircase(64.0, factor=2.0, down=3, lowest=1.0, highest=256.0)
    >>> for right in (True, True, True, False, False):
    ...     stairs.answer(right)
    >>> stairs.contrast, stairs.reversals
    (128.0, [32.0])
    """

    contrast: float
    factor: float = 10**0.1
    down: int = 3
    lowest: float = 0.0
    highest: float = np.inf
    reversals: list[float] = field(default_factory=list)
    _in_a_row: int = 0
    _direction: int = 0

    def __post_init__(self) -> None:
        if not (self.factor > 1 and self.down >= 1 and self.contrast > 0):
            raise ValueError(
                "expected a contrast above 0, a factor above 1 and one right answer or more before "
                f"a step, got {self.contrast}, {self.factor} and {self.down}"
            )

    @property
    def target_share(self) -> float:
        """Share of right answers at which it settles."""
        return float(0.5 ** (1 / self.down))

    def answer(self, right: bool) -> None:
        """Take an answer and set the contrast of the next trial."""
        self._in_a_row = self._in_a_row + 1 if right else 0
        if right and self._in_a_row < self.down:
            return
        self._in_a_row = 0
        direction = -1 if right else 1
        if self._direction == -direction:
            self.reversals.append(self.contrast)
        self._direction = direction
        made = self.contrast * self.factor**direction
        self.contrast = float(min(max(made, self.lowest), self.highest))

    def threshold(self, *, drop: int = 2) -> float:
        """Geometric mean of an even number of the last reversals; NaN before there are two.

        Parameters
        ----------
        drop : first reversals that still lead from the start to the threshold
        """
        kept = self.reversals[drop:]
        kept = kept[len(kept) % 2 :]
        return float(np.exp(np.mean(np.log(kept)))) if kept else float("nan")
