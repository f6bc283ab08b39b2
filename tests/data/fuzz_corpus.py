"""Write the seed corpus of the fuzz tests: ``python tests/data/fuzz_corpus.py``.

Seven toy CT images, one an encoding, a few hundred bytes of pixels each.
"""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

FOLDER = Path(__file__).parent / "fuzz"


def toy(size: int = 16) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.826.0.1.3680043.8.498.1"
    dataset.ImageType, dataset.Modality = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT"
    dataset.PatientID, dataset.KVP, dataset.ConvolutionKernel = "fuzz", 120, "B30f"
    dataset.SliceThickness, dataset.PixelSpacing = 2.5, [0.5, 0.5]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.ImagePositionPatient = [0, 0, 0]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = size
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    stored = np.random.default_rng(1).integers(0, 2000, (size, size)).astype(np.int16)
    dataset.PixelData = stored.tobytes()
    return dataset


def enhanced() -> Dataset:
    dataset = toy()
    dataset.SOPClassUID, dataset.NumberOfFrames = EnhancedCTImageStorage, 2
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.5], 2.5
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    groups = []
    for k in range(2):
        group, place, rescale = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, 2.5 * k]
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, -1024, "HU"
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [place], [rescale]
        groups.append(group)
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.PixelData = dataset.PixelData * 2
    return dataset


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, syntax in (
        ("explicit", ExplicitVRLittleEndian),
        ("implicit", ImplicitVRLittleEndian),
        ("deflated", DeflatedExplicitVRLittleEndian),
    ):
        dataset = toy()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(FOLDER / f"{name}.dcm", enforce_file_format=True)
    for name, syntax, size in (
        ("rle", RLELossless, 16),
        ("jpeg-ls", JPEGLSLossless, 16),
        ("jpeg-2000", JPEG2000Lossless, 32),
    ):
        dataset = toy(size)
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(FOLDER / f"{name}.dcm", enforce_file_format=True)
    enhanced().save_as(FOLDER / "enhanced.dcm", enforce_file_format=True)


if __name__ == "__main__":
    main()
