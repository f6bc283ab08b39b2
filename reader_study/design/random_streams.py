"""Random streams whose numbers never change: across platforms, and across numpy versions.

Only the raw 64-bit output of PCG64DXSM is used, which numpy guarantees to keep. The methods of
``numpy.random.Generator`` may change their numbers from one version to the next (NEP 19), and
then a sealed seed would no longer give the allocation it once gave.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Stream:
    """Integers, choices and shuffles from one seed and one key.

    Parameters
    ----------
    seed : secret of the study
    *key : what the stream is for; different keys give independent streams

    Examples
    --------
    >>> Stream(1, 0).shuffled("abcd") == Stream(1, 0).shuffled("abcd")
    True
    """

    def __init__(self, seed: int, *key: int) -> None:
        self._bits = np.random.PCG64DXSM(np.random.SeedSequence(seed, spawn_key=key))

    def below(self, n: int) -> int:
        """Uniform integer from 0 to n - 1; draws that would favour small ones are thrown away."""
        if n < 1:
            raise ValueError(f"expected n of 1 or more, got {n}")
        limit = 2**64 - 2**64 % n
        while (raw := int(self._bits.random_raw())) >= limit:
            pass
        return raw % n

    def choice(self, items: Sequence[T]) -> T:
        """One of the items, each as likely as another."""
        return items[self.below(len(items))]

    def weighted(self, weights: Sequence[int]) -> int:
        """Index drawn in proportion to whole-number weights."""
        ticket = self.below(sum(weights))
        for index, weight in enumerate(weights):
            if ticket < weight:
                return index
            ticket -= weight
        raise AssertionError("unreachable: the ticket is below the sum of the weights")

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Fisher-Yates shuffle of a copy."""
        out = list(items)
        for i in range(len(out) - 1, 0, -1):
            j = self.below(i + 1)
            out[i], out[j] = out[j], out[i]
        return out
