"""Maps that lie over images: read from what ``ctlab explain``, NumPy or DICOM wrote."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ctlab.ct.volume import Volume
from reader_study.design.protocol import Case
from reader_study.stats.read_table import read_table
from reader_study.stats.tables import check_table

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

FOLDER = "overlays"
_ARRAYS = ("signed", "map")  # names in an NPZ, the first that is there
_MARK = ("z", "y", "x")


def read_overlay(study: Path, case: Case, volume: Volume, *, other: bool = False) -> np.ndarray:
    """Map of a case, float32, shape of its slices (z, y, x); signed, any unit.

    Looked for in ``overlays/<case>.npz``, ``.npy``, ``.csv``, ``.dcm`` or a folder of DICOM, where
    ``<case>`` is the case's own name: slabs of one series have maps of their own. A CSV holds marks
    of a second reader or a model, ``z, y, x`` in voxels of the series and ``diameter_mm``.

    Parameters
    ----------
    volume : the whole series of the case; DICOM maps are placed in it by their positions
    other : the second map, of ``overlays/other/``

    Raises
    ------
    ValueError
        There is no map, it has another size, holds no number, or is zero everywhere.
    """
    path = _found(study / FOLDER / "other" if other else study / FOLDER, case)
    whole = volume.shape
    first, last = case.slices or (0, whole[0])
    if path.is_dir() or path.suffix == ".dcm":
        values = _from_dicom(path, volume)
    elif path.suffix == ".csv":
        values = _from_marks(path, volume)
    else:
        values = _from_numpy(path)
    values = values[None] if values.ndim == 2 else values
    if values.shape == whole:
        values = values[first:last]
    expected = (last - first, *whole[1:])
    if values.shape != expected:
        raise ValueError(
            f"{path}: expected a map of {_plain(expected)} voxels, as case {case.name} has, or "
            f"{_plain(whole)} as its series has, got {_plain(values.shape)}; make it on the grid "
            "of the series"
        )
    if not np.isfinite(values).all() or not values.any():
        raise ValueError(
            f"{path}: expected a map of finite numbers that are not all 0; make it again"
        )
    return values.astype(np.float32)


def _found(folder: Path, case: Case) -> Path:
    for path in (*(folder / f"{case.name}{end}" for end in (".npz", ".npy", ".csv", ".dcm")),):
        if path.is_file():
            return path
    if (folder / case.name).is_dir():
        return folder / case.name
    raise ValueError(
        f"{folder.name}/{case.name}.npz is missing (or .npy, .csv, .dcm, folder of DICOM); put the "
        f"map of case {case.name} there: ctlab explain --out and ctlab arms --maps write some"
    )


def _from_numpy(path: Path) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded.astype(np.float32)
        with loaded:
            names = [n for n in _ARRAYS if n in loaded.files] or loaded.files[:1]
            return np.asarray(loaded[names[0]]).astype(np.float32)
    except Exception:
        raise ValueError(
            f"{path} cannot be read as an array of numbers; write it with numpy.save, or by "
            "ctlab explain"
        ) from None


def _from_marks(path: Path, volume: Volume) -> np.ndarray:
    """Balls around marks, (z, y, x); as bright as ``confidence`` (0 to 100) where it is given."""
    table = check_table(
        read_table(path),
        columns=(*_MARK, "diameter_mm"),
        numeric=(*_MARK, "diameter_mm"),
        filled=(*_MARK, "diameter_mm"),
    )
    sure = pd.to_numeric(table["confidence"]) / 100 if "confidence" in table else 1.0
    grid = np.indices(volume.shape, np.float32)
    values = np.zeros(volume.shape, np.float32)
    for row in table.assign(sure=sure).itertuples():
        away = [
            (axis - place) * mm
            for axis, place, mm in zip(grid, (row.z, row.y, row.x), volume.spacing_mm, strict=True)
        ]
        ball = away[0] ** 2 + away[1] ** 2 + away[2] ** 2 <= (row.diameter_mm / 2) ** 2
        np.maximum(values, row.sure * ball, out=values)
    return values


def _from_dicom(path: Path, volume: Volume) -> np.ndarray:
    """Frames of a segmentation, parametric map or derived series, each in the slice it lies in."""
    import pydicom

    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    across = np.array(volume.orientation).reshape(2, 3)
    normal = np.cross(across[0], across[1])
    start = normal @ np.array(volume.origin_mm)
    values, placed = np.zeros(volume.shape, np.float32), 0
    for file in (f for f in files if f.is_file()):
        try:
            frames = list(_frames(pydicom.dcmread(file)))
        except Exception as error:
            raise ValueError(f"{file} cannot be read as a DICOM map ({error})") from None
        for position, frame in frames:
            z = (normal @ position - start) / volume.spacing_mm[0]
            inside = 0 <= round(z) < volume.shape[0] and abs(z - round(z)) < 0.1
            if frame.shape != volume.shape[1:] or not inside:
                raise ValueError(
                    f"{file}: a frame of {_plain(frame.shape)} at {normal @ position:.1f} mm lies "
                    "in no slice of the series; make the map on its grid"
                )
            slice_ = values[round(z)]
            np.copyto(slice_, frame, where=np.abs(frame) > np.abs(slice_))
            placed += 1
    if placed == 0:
        raise ValueError(f"{path} holds no DICOM frame; put the map there")
    return values


def _frames(data: "Dataset") -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Position (x, y, z, mm) and values of each frame."""
    pixels = np.asarray(data.pixel_array, dtype=np.float32)
    if "PerFrameFunctionalGroupsSequence" not in data:
        slope, intercept = (
            float(data.get(name, at)) for name, at in (("RescaleSlope", 1), ("RescaleIntercept", 0))
        )
        yield np.array(data.ImagePositionPatient, dtype=float), pixels * slope + intercept
        return
    pixels = pixels.reshape(-1, *pixels.shape[-2:])
    for frame, group in zip(pixels, data.PerFrameFunctionalGroupsSequence, strict=True):
        place = group.PlanePositionSequence[0].ImagePositionPatient
        yield np.array(place, dtype=float), frame


def _plain(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
