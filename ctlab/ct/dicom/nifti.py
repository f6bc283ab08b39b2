"""NIfTI in and out, with the patient the right way round."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct.dicom.media.zips import BEST_RATIO, LARGEST_UNPACKED
from ctlab.ct.volume import Volume
from ctlab.files import write_whole
from ctlab.input_files import declared

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM counts to the patient's left and back, NIfTI to the right and front."""

FORMS_APART = 0.1
"""Rounding keeps qform and sform of one file closer, in its unit of length."""

DEFLATE_RATIO = 1032
"""No deflated byte gives more (zlib, technical details); so a header that asks for it is wrong."""


def affine_of(volume: Volume) -> np.ndarray:
    """Voxel (x, y, z) to DICOM patient coordinates in mm (4 x 4).

    Examples
    --------
    >>> affine_of(Volume(np.zeros((2, 2, 2)), (3.0, 2.0, 1.0), (5.0, 6.0, 7.0)))
    array([[1., 0., 0., 5.],
           [0., 2., 0., 6.],
           [0., 0., 3., 7.],
           [0., 0., 0., 1.]])
    """
    z_mm, y_mm, x_mm = volume.spacing_mm
    row, column = (np.asarray(volume.orientation[i : i + 3], float) for i in (0, 3))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * x_mm, column * y_mm
    affine[:3, 2] = np.cross(row, column) * z_mm
    affine[:3, 3] = volume.origin_mm
    return affine


def write_nifti(volume: Volume, path: str | Path) -> Path:
    """Write HU as float32 to ``.nii`` or ``.nii.gz``; header facts of DICOM are not kept.

    Raises
    ------
    ValueError
        The name ends in something else, positions are not known, slices are not evenly spaced (a
        gap), or the stack is sheared by a tilted gantry.

    Examples
    --------
    >>> import tempfile
    >>> volume = Volume(np.full((2, 4, 4), 40, np.float32), (2.5, 0.7, 0.7))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = read_nifti(write_nifti(volume, f"{folder}/liver.nii.gz"))
    >>> again.shape, float(again.hu.mean())
    ((2, 4, 4), 40.0)
    """
    import nibabel

    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"expected a name that ends in .nii or .nii.gz, got {path.name!r}")
    volume.refuse_unplaced("written as NIfTI")
    if any(volume.shear_mm):
        raise ValueError(
            "expected an upright stack, got one sheared by a tilted gantry, which most readers of "
            "NIfTI overlook; read the series with straighten=True"
        )
    _refuse_uneven(volume)
    image = nibabel.Nifti1Image(
        np.ascontiguousarray(volume.hu.transpose(2, 1, 0)), _LPS_TO_RAS @ affine_of(volume)
    )
    image.header.set_xyzt_units("mm")
    image.set_qform(image.affine, code=1)
    image.set_sform(image.affine, code=1)
    # The double suffix must survive in the temporary name: nibabel compresses by it.
    with write_whole(path.with_name(path.name)) as part:
        named = part.with_name(part.name.removesuffix(part.suffix) + "".join(path.suffixes[-2:]))
        if not path.name.endswith(".nii.gz"):
            named = part
        nibabel.save(image, named)
        if named != part:
            named.replace(part)
    return path


def _refuse_uneven(volume: Volume) -> None:
    """Raise where slices lie off the even grid of an affine: by a tenth of a step, or a pixel."""
    places = np.array([volume.slice_origin_mm(k) for k in range(len(volume.hu))])
    step = affine_of(volume)[:3, 2]
    off = places - places[0] - np.outer(np.arange(len(places)), step)
    z_mm = volume.spacing_mm[0]
    along = off @ step / z_mm
    aside = np.linalg.norm(off - np.outer(along, step / z_mm), axis=1)
    if np.abs(along).max() > 0.1 * z_mm or aside.max() > max(volume.spacing_mm[1:]):
        steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        raise ValueError(
            f"expected evenly spaced slices, got steps from {steps.min():g} to {steps.max():g} mm, "
            "which NIfTI cannot hold; cut the series at the gap with Volume.slices and write parts"
        )


@contextmanager
def _repairs() -> Iterator[list[str]]:
    """What nibabel says that it mends in headers meanwhile, which it would print."""
    from nibabel.imageglobals import logger

    said: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    kept, before, passes_on = Kept(), logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [kept], False
    try:
        yield said
    finally:
        logger.handlers, logger.propagate = before, passes_on


_GUESSES = ("form_code", "too low", "should be non-zero")
"""Repairs that put the patient elsewhere, give him another size, or take other bytes as HU."""

LARGEST_VOXEL_MM = 1000.0


def _check_size(path: Path, image: Any) -> None:
    """Raise ``ValueError`` where a file cannot hold the voxels that its header speaks of."""
    import nibabel

    if not isinstance(image, nibabel.Nifti1Pair):  # also the parent of NIfTI-2
        raise ValueError(f"it is a {type(image).__name__}")
    wanted = math.prod(image.shape) * image.get_data_dtype().itemsize
    held = Path(str(image.file_map["image"].filename)).stat().st_size
    packed = path.suffix in (".gz", ".bz2", ".zst")
    if wanted > held * (DEFLATE_RATIO if packed else 1) or (
        packed and wanted > max(LARGEST_UNPACKED, held * BEST_RATIO)
    ):
        raise ValueError(f"its {held} bytes do not hold {image.shape} voxels, {wanted} bytes")


def read_nifti(path: str | Path) -> Volume:
    """A NIfTI image in HU as a volume; slices along its third axis.

    Raises
    ------
    ValueError
        The file is no NIfTI image, has not three axes, its axes are sheared, its values are no
        numbers one by one, or it does not say where it lies.
    """
    import nibabel

    with declared(path, "is not a readable NIfTI image"), _repairs() as repairs:
        image: Any = nibabel.load(path)
        _check_size(Path(path), image)
        if guessed := [said for said in repairs if any(word in said for word in _GUESSES)]:
            raise ValueError(guessed[0])
        kind = image.get_data_dtype()
        hu = np.asarray(image.dataobj if kind.kind in "iuf" else [], dtype=np.float32)
    if kind.kind not in "iuf":  # a colour, a complex value
        raise ValueError(f"{path}: expected one number a voxel, got {kind}; it holds no HU")
    hu = hu.reshape(hu.shape[:3]) if hu.size == math.prod(hu.shape[:3]) else hu
    if hu.ndim != 3 or hu.size == 0:
        raise ValueError(f"{path}: expected three axes, got shape {hu.shape}; choose one volume")
    if not np.isfinite(hu).all():
        raise ValueError(
            f"{path}: expected HU in every voxel, got values that are infinite or no number; "
            "fill them, with -1024 where there is no image"
        )
    affine = _LPS_TO_RAS @ _affine_mm(path, image)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    is_size = ((spacing > 0) & (spacing < LARGEST_VOXEL_MM)).all() and spacing.min() > 1e-6
    if not (np.isfinite(affine).all() and is_size):
        raise ValueError(f"{path}: expected a voxel size above 0 mm, got {spacing.tolist()}")
    axes = affine[:3, :3] / spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-3:
        raise ValueError(f"{path} is sheared; resample it to a rectangular grid first")
    origin = affine[:3, 3].copy()
    if np.dot(np.cross(axes[:, 0], axes[:, 1]), axes[:, 2]) < 0:
        # Slices run against the normal of their plane: turn the stack, not the slices.
        origin += affine[:3, 2] * (hu.shape[2] - 1)
        hu = hu[:, :, ::-1]
    return Volume(
        hu=np.ascontiguousarray(hu.transpose(2, 1, 0)),
        spacing_mm=(float(spacing[2]), float(spacing[1]), float(spacing[0])),
        origin_mm=(float(origin[0]), float(origin[1]), float(origin[2])),
        orientation=tuple(float(v) for v in (*axes[:, 0], *axes[:, 1])),
    )


def _affine_mm(path: str | Path, image: Any) -> np.ndarray:
    """Voxel to patient in mm, whatever unit the file is in; both its forms must agree.

    NIfTI-1 counts in metres, mm or micrometres (xyzt_units), and says by a code of 0 that a form
    holds nothing; what libraries then make up knows no left and right.
    """
    affine = np.asarray(image.affine, dtype=np.float64)
    header = image.header
    if hasattr(header, "get_xyzt_units"):
        forms = [f for f, code in (image.get_sform(True), image.get_qform(True)) if code]
        if not forms:
            raise ValueError(
                f"{path} does not say where it lies: qform and sform are unset; convert the series "
                "from DICOM again"
            )
        if any(np.abs(f - forms[0]).max() > FORMS_APART for f in forms):
            raise ValueError(f"{path}: its qform and sform differ; set both to the right one")
        affine[:3] *= {"meter": 1000.0, "micron": 0.001}.get(header.get_xyzt_units()[0], 1.0)
    return affine
