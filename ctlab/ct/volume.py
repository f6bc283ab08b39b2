"""The CT volume in memory: HU, geometry, and how it was acquired."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Acquisition:
    """What the header says about the exposure and reconstruction; ``None`` where it is silent."""

    series_uid: str = ""
    study_uid: str = ""
    frame_of_reference_uid: str = ""
    patient_id: str = ""
    description: str = ""
    manufacturer: str = ""
    model: str = ""
    kernel: str = ""
    kvp: float | None = None
    tube_current_ma: float | None = None  # mean over slices
    exposure_mas: float | None = None  # mean over slices
    ctdivol_mgy: float | None = None


@dataclass(frozen=True)
class Volume:
    """A CT series in HU, slices sorted by position along the slice normal.

    Attributes
    ----------
    hu : ndarray, float32, shape (z, y, x)
    spacing_mm : tuple of float, (z, y, x)
    origin_mm : tuple of float, patient (x, y, z) of the centre of voxel [0, 0, 0]
    orientation : six direction cosines, along a row then down a column (0020,0037)
    sources : files in slice order; empty for phantoms
    source_frames : place of each slice among the frames of its file, from 0
    shear_mm : shift of each slice against the one before, down a column and along a row; not zero
        only where a tilted stack was read as it is
    current_ma : tube current of each slice; empty where the header does not give every one
    offsets_mm : patient (x, y, z) of each slice against the first; empty where ``spacing_mm``,
        ``orientation`` and ``shear_mm`` say it all
    units : what the values are: "HU", or the Rescale Type of images read as they are
    problems : findings about the series, in words
    is_placed : whether position and orientation are known; False where the header gives none
    """

    hu: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    orientation: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    acquisition: Acquisition = field(default_factory=Acquisition)
    sources: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    shear_mm: tuple[float, float] = (0.0, 0.0)
    current_ma: tuple[float, ...] = ()
    offsets_mm: tuple[tuple[float, ...], ...] = ()
    units: str = "HU"
    is_placed: bool = True
    source_frames: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.hu.ndim != 3:
            raise ValueError(f"a volume has shape (z, y, x), got {self.hu.shape}")
        if len(self.spacing_mm) != 3 or not all(s > 0 for s in self.spacing_mm):
            raise ValueError(f"spacing_mm must be three values above 0, got {self.spacing_mm}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        return self.hu.shape

    def slice_origin_mm(self, k: int) -> np.ndarray:
        """Patient (x, y, z) of the centre of the first pixel of slice ``k``.

        Examples
        --------
        >>> Volume(np.zeros((4, 2, 2)), (3.0, 1.0, 1.0), shear_mm=(0.5, 0.0)).slice_origin_mm(2)
        array([0., 1., 6.])
        """
        if len(self.offsets_mm) == len(self.hu):
            return np.asarray(self.origin_mm) + self.offsets_mm[k]
        row, column = np.reshape(self.orientation, (2, 3))
        step = np.cross(row, column) * self.spacing_mm[0]
        step = step + self.shear_mm[0] * column + self.shear_mm[1] * row
        return np.asarray(self.origin_mm) + k * step

    def slices(self, start: int, stop: int) -> "Volume":
        """Slices ``start`` to ``stop - 1`` with the origin and sources that belong to them."""
        count = len(self.hu)
        if not 0 <= start < stop <= count:
            raise ValueError(f"slices {start}:{stop} do not lie in 0:{count}")
        return replace(
            self,
            hu=self.hu[start:stop],
            origin_mm=tuple(self.slice_origin_mm(start).tolist()),
            sources=self.sources[start:stop],
            source_frames=self.source_frames[start:stop],
            current_ma=self.current_ma[start:stop],
            offsets_mm=tuple(
                tuple(np.subtract(o, self.offsets_mm[start]).tolist())
                for o in self.offsets_mm[start:stop]
            ),
        )

    def refuse_other_units(self, verb: str) -> None:
        """Raise ``ValueError`` where the values are no HU, which ``verb`` needs."""
        if self.units != "HU":
            raise ValueError(f"expected HU, got {self.units}: such images cannot be {verb}")

    def refuse_unplaced(self, verb: str) -> None:
        """Raise ``ValueError`` where positions, which ``verb`` needs, are not known."""
        if not self.is_placed:
            raise ValueError(
                "expected slices with Image Position and Orientation, got a series without: where "
                f"they lie is not known, so they cannot be {verb}; export the series again"
            )

    def with_hu(self, hu: np.ndarray) -> "Volume":
        """Same geometry and header facts, other HU (any shape that fits is the caller's duty)."""
        if hu.shape != self.hu.shape:
            raise ValueError(f"expected HU of shape {self.hu.shape}, got {hu.shape}")
        return replace(self, hu=np.asarray(hu, dtype=np.float32))
