"""A series that stays on disk: its slices are read when they are asked for, and not kept."""

import warnings
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct.dicom.pixels.parallel_decode import stream_hu
from ctlab.ct.dicom.read import HuTally, choose_series, volume_of
from ctlab.ct.dicom.slice_order import Plan, find_series
from ctlab.ct.volume import Volume

KEPT_SLICES = 4


class SlicesOnDisk:
    """Looks like an array (z, y, x) in HU to code that takes slices out of it.

    An index, a range or a list of indices gives an array in memory. The last few slices are
    kept, since neighbours are often asked for one after the other.
    """

    ndim = 3
    dtype = np.dtype(np.float32)

    def __init__(self, plan: Plan) -> None:
        self.frames = list(plan.frames)
        self.shape = plan.shape
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._seen: set[int] = set()
        self._tally = HuTally()

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[np.ndarray]:
        with warnings.catch_warnings():  # what is wrong is said by an error, in words
            warnings.simplefilter("ignore")
            yield from stream_hu(self.frames)

    def __getitem__(self, which: Any) -> np.ndarray:
        if isinstance(which, slice):
            which = range(*which.indices(len(self)))
        if isinstance(which, int | np.integer):
            return self._one(range(len(self))[int(which)])
        return np.stack([self._one(int(k)) for k in which])

    def findings(self) -> tuple[str, ...]:
        """What the values of all slices give away (:class:`HuTally`)."""
        for k in sorted(set(range(len(self))) - self._seen):
            self._one(k)
        return self._tally.problems()

    def _one(self, k: int) -> np.ndarray:
        if k not in self._kept:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                (self._kept[k],) = stream_hu([self.frames[k]])
            if k not in self._seen:
                self._seen.add(k)
                self._tally.add(self.frames[k], self._kept[k])
            if len(self._kept) > KEPT_SLICES:
                self._kept.popitem(last=False)
        return self._kept[k]


def hu_findings(volume: Volume) -> tuple[str, ...]:
    """What the values of a series give away; slices that nobody asked for yet are read."""
    lazy: Any = volume.hu
    return tuple(lazy.findings())


def open_series(
    path: str | Path,
    *,
    series_uid: str | None = None,
    allow_gaps: bool = False,
    skip_damaged: bool = False,
) -> Volume:
    """As :func:`ctlab.ct.read_series`, but ``hu`` is a :class:`SlicesOnDisk`.

    Geometry and header are checked here; a damaged image shows when its slice is read. Slices of
    a tilted gantry are taken as they are, since each is right.
    """
    plan = choose_series(
        find_series(path),
        path,
        series_uid,
        allow_gaps=allow_gaps,
        allow_tilt=True,
        skip_damaged=skip_damaged,
    )
    facts = volume_of(plan, np.zeros((1, 1, 1), np.float32))
    lazy: Any = SlicesOnDisk(plan)  # sliced as an array is
    return replace(facts, hu=lazy, problems=plan.problems + plan.gaps + plan.tilts)
