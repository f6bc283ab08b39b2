"""Small DICOM series, written element by element, that tests can fault."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

Faults = Callable[[int, Dataset], None]


def ct_slice(k: int, *, size: int = 16, step_mm: float = 2.5, uid: str = "1.2.3") -> Dataset:
    """Slice ``k`` of a toy chest: air outside, water inside, one voxel that tells slices apart."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[uid, str(k)])
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality = "CT"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.9", uid
    dataset.FrameOfReferenceUID = "1.2.8"
    dataset.PatientID, dataset.PatientName = "P1", "Doe^Jane"
    dataset.KVP, dataset.XRayTubeCurrent, dataset.ConvolutionKernel = 120, 100 + k, "B30f"
    dataset.SliceThickness = step_mm
    dataset.InstanceNumber = k + 1
    dataset.ImagePositionPatient = [-8.0, -8.0, 10 + step_mm * k]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.5, 0.75]
    stored = np.full((size, size), 24, np.int16)
    stored[4:12, 4:12] = 1024
    stored[0, 0] = 100 + k
    put_pixels(dataset, stored)
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    return dataset


def put_pixels(dataset: Dataset, stored: np.ndarray, *, bits: int = 16) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()


@pytest.fixture
def make_series(tmp_path) -> Callable[..., Path]:
    """Write a series of slices; ``change(k, dataset)`` may fault each before it is written."""

    def make(
        slices: int = 4,
        change: Faults | None = None,
        name: str = "series",
        enforce: bool = True,
        **facts: Any,
    ):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True, parents=True)
        for k in range(slices):
            dataset = ct_slice(k, **facts)
            if change:
                change(k, dataset)
            # Names run against z, so that sorting by name gives the wrong order.
            dataset.save_as(
                folder / f"{facts.get('uid', '')}-{99 - k}.dcm", enforce_file_format=enforce
            )
        return folder

    return make


def item(**elements: Any) -> Dataset:
    """One item of a sequence."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def enhanced_ct(slices: list[Dataset]) -> Dataset:
    """An enhanced CT object of classic slices: positions per frame, the rest shared."""
    first = slices[0]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for element in first:
        dataset.add(element)
    for keyword in (
        *("RescaleSlope", "RescaleIntercept", "SliceThickness", "KVP", "InstanceNumber"),
        *("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "XRayTubeCurrent"),
        "ConvolutionKernel",
    ):
        delattr(dataset, keyword)
    dataset.SOPClassUID = EnhancedCTImageStorage
    dataset.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75], SliceThickness=2.5)],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelValueTransformationSequence=[
                item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
            ],
            CTXRayDetailsSequence=[item(KVP=100.0)],
            CTReconstructionSequence=[item(ConvolutionKernel="B45f")],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=list(s.ImagePositionPatient))],
            CTExposureSequence=[item(XRayTubeCurrentInmA=float(s.XRayTubeCurrent))],
        )
        for s in slices
    ]
    dataset.NumberOfFrames = len(slices)
    dataset.PixelData = b"".join(s.PixelData for s in slices)
    return dataset


@pytest.fixture
def make_enhanced(tmp_path) -> Callable[..., Path]:
    """Write an enhanced CT of the slices at these places, changed before it is written."""

    def make(
        numbers: list[int],
        change: Callable[[Dataset], None] | None = None,
        name: str = "multiframe",
    ) -> Path:
        dataset = enhanced_ct([ct_slice(k) for k in numbers])
        if change:
            change(dataset)
        path = tmp_path / name / "E.dcm"
        path.parent.mkdir(exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return make
