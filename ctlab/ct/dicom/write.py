"""Write a volume as a derived DICOM series that an archive accepts beside the original."""

import copy
import datetime
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ctlab import __version__
from ctlab.ct.dicom.frames import CT_CLASSIC, frame_facts
from ctlab.ct.dicom.header import first_line, read_dataset
from ctlab.ct.dicom.pixels.encode import (
    CLIP_HU,
    CLIPPED,
    INTERCEPT_HU,
    Rescale,
    rescale_of,
    stored_values,
)
from ctlab.ct.dicom.tags import code_item
from ctlab.ct.volume import Volume
from ctlab.files import fresh_folder

COMPRESSIONS = {
    "none": "1.2.840.10008.1.2.1",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg-2000": "1.2.840.10008.1.2.4.90",
}
"""Lossless encodings, and their transfer syntaxes."""

# Values that describe the source's own pixels or file and would be untrue of the new ones, and
# elements that archives and anonymisers leave at the top level, where CT images may not have them.
_STALE_TEXT = """
PixelData FloatPixelData DoubleFloatPixelData SmallestImagePixelValue LargestImagePixelValue
SmallestPixelValueInSeries LargestPixelValueInSeries PixelPaddingValue PixelPaddingRangeLimit
IconImageSequence PerFrameFunctionalGroupsSequence SharedFunctionalGroupsSequence NumberOfFrames
DimensionIndexSequence DimensionOrganizationSequence DimensionOrganizationType ConcatenationUID
ReferencedImageSequence SourceImageSequence DerivationCodeSequence DerivationDescription
ModalityLUTSequence VOILUTSequence RescaleType DigitalSignaturesSequence MACParametersSequence
OriginalAttributesSequence RealWorldValueMappingSequence SeriesDescriptionCodeSequence
InstanceCreatorUID
PerformedProtocolCodeSequence SOPInstanceStatus OverlayDate OverlayTime CurveDate CurveTime
ReferencedSOPClassUID ReferencedSOPInstanceUID LastMenstrualDate AdmittingDate AdmittingTime
ScheduledProcedureStepStartDate ScheduledProcedureStepStartTime ScheduledProcedureStepEndDate
ScheduledProcedureStepEndTime ContentCreatorName PlacerOrderNumberImagingServiceRequest
FillerOrderNumberImagingServiceRequest VerifyingObserverName PersonName UID
StorageMediaFileSetUID
"""
_STALE = _STALE_TEXT.split()

# Present in every CT image, empty where unknown (PS3.3, A.3: type 2 attributes).
_TYPE_2_TEXT = """
PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber
ReferringPhysicianName StudyID Manufacturer PositionReferenceIndicator KVP AcquisitionNumber
PatientPosition SeriesNumber SliceThickness
"""
_TYPE_2 = _TYPE_2_TEXT.split()


@dataclass(frozen=True)
class Derivation:
    """How the pixels came about: description, algorithm and its version, code of the operation.

    ``code`` is a value of DICOM context group 7203: 113087 smoothing, 113042 pixel by pixel
    addition, and so on; ``None`` where nothing fits.
    """

    description: str
    algorithm: str = "CT Lab"
    version: str = __version__
    code: tuple[str, str] | None = None


DENOISED = ("113087", "Smoothing")
NOISE_ADDED = ("113042", "Pixel by pixel addition")


def write_series(
    volume: Volume,
    folder: str | Path,
    *,
    description: str,
    derivation: Derivation | str = "",
    compression: str = "none",
    overwrite: bool = False,
) -> list[Path]:
    r"""Write the volume as a new series of classic CT images; paths in slice order.

    Patient, study and frame of reference are those of the volume's sources. Series and instance
    UIDs are new, ImageType is ``DERIVED\SECONDARY\AXIAL``, each image refers to its source,
    and HU are kept within half a unit.

    Parameters
    ----------
    volume : Volume
        Its ``sources``, where it has any, lend their headers, one a slice.
    folder : new or empty folder
    description : Series Description
    derivation : what was done, in words or with algorithm and code; default: the description
    compression : one of :data:`COMPRESSIONS`, all lossless

    Raises
    ------
    ValueError
        Values that are no HU or not finite, sources that do not match, an unknown compression,
        or a folder that is not empty.
    """
    writer = SeriesWriter.of(volume, description, derivation, compression)
    with fresh_folder(folder, overwrite=overwrite) as part:
        names = [writer.write(part, k, image).name for k, image in enumerate(volume.hu)]
    return [Path(folder) / name for name in names]


@dataclass(frozen=True)
class SeriesWriter:
    """Writes the slices of one derived series, one at a time, so that series can be streamed."""

    geometry: Volume  # only geometry, header facts and sources are used, not its HU
    description: str
    derivation: Derivation
    transfer_syntax: str
    series_uid: str
    study_uid: str
    frame_uid: str
    created: datetime.datetime
    clip: bool = False  # clamp HU to CLIP_HU

    @classmethod
    def of(
        cls, volume: Volume, description: str, derivation: Derivation | str, compression: str
    ) -> "SeriesWriter":
        """Writer of a series with the volume's geometry and header facts, under new UIDs."""
        from pydicom.uid import generate_uid

        volume.refuse_other_units("written as CT")
        volume.refuse_unplaced("written as CT")
        if compression not in COMPRESSIONS:
            known = ", ".join(COMPRESSIONS)
            raise ValueError(f"expected one of {known} as compression, got {compression!r}")
        if volume.sources and len(volume.sources) != len(volume.hu):
            raise ValueError(
                f"expected a source for each of {len(volume.hu)} slices, got "
                f"{len(volume.sources)}; cut the volume with Volume.slices so that both stay "
                "together"
            )
        if isinstance(derivation, str):
            derivation = Derivation(derivation or description)
        facts = volume.acquisition
        return cls(
            volume,
            description,
            derivation,
            COMPRESSIONS[compression],
            generate_uid(prefix=None),
            facts.study_uid or generate_uid(prefix=None),
            facts.frame_of_reference_uid or generate_uid(prefix=None),
            datetime.datetime.now(datetime.UTC),
        )

    def write(self, folder: Path, k: int, hu: np.ndarray) -> Path:
        """Write slice ``k`` (HU, y, x) as ``IM0001.dcm`` and so on; the path written."""
        return self.write_to(folder / self.name(k), k, hu)

    def name(self, k: int) -> str:
        """File name of slice ``k``."""
        return f"IM{k + 1:04d}.dcm"

    def write_to(self, path: Path, k: int, hu: np.ndarray) -> Path:
        """Write slice ``k`` to a path of the caller's."""
        with warnings.catch_warnings():
            # About values inherited from the source, which are kept as they are.
            warnings.simplefilter("ignore")
            hu = np.clip(hu, *CLIP_HU) if self.clip else hu
            rescale = rescale_of(hu)
            dataset = self.dataset(k, stored_values(hu, rescale), rescale)
            made = BytesIO()  # so that a full disk is not taken for a damaged source
            with self._copied(k):
                dataset.save_as(made, enforce_file_format=True)
        path.write_bytes(made.getbuffer())
        return path

    @contextmanager
    def _copied(self, k: int) -> Iterator[None]:
        """Elements of the source are parsed, and written, on first use, and may be damaged."""
        try:
            yield
        except Exception as error:
            name = self.geometry.sources[k].name if self.geometry.sources else f"slice {k}"
            raise ValueError(
                f"the header of {name} cannot be copied ({first_line(error)})"
            ) from error

    def dataset(self, k: int, stored: np.ndarray, rescale: Rescale = (1, INTERCEPT_HU)) -> Any:
        """The complete data set of slice ``k`` with stored values (int16, y, x)."""
        from pydicom.uid import generate_uid

        source = self._source(k)
        with self._copied(k):
            dataset = _inherited(source)
        dataset.SOPClassUID = CT_CLASSIC
        dataset.SOPInstanceUID = generate_uid(prefix=None)
        self._identify(dataset, k)
        self._derive(dataset, source, k)
        self._place(dataset, source, k)
        dataset.RescaleSlope, dataset.RescaleIntercept = rescale
        _set_pixels(dataset, stored, self.transfer_syntax)
        return dataset

    def _source(self, k: int) -> Any | None:
        if not self.geometry.sources:
            return None
        return read_dataset(self.geometry.sources[k], pixels=False)

    def _identify(self, dataset: Any, k: int) -> None:
        facts = self.geometry.acquisition
        for keyword in _TYPE_2:
            if keyword not in dataset:
                setattr(dataset, keyword, None)
        if not dataset.get("BodyPartExamined") and "Laterality" not in dataset:
            dataset.Laterality = None  # it may be one of a pair of organs
        dataset.Modality = "CT"
        dataset.StudyInstanceUID = self.study_uid
        dataset.SeriesInstanceUID = self.series_uid
        dataset.FrameOfReferenceUID = self.frame_uid
        dataset.PatientID = dataset.PatientID or facts.patient_id
        dataset.KVP = dataset.KVP or facts.kvp
        dataset.SeriesDescription = self.description[:64]
        dataset.SeriesNumber = _derived_number(dataset.SeriesNumber)
        dataset.InstanceNumber = k + 1
        dataset.InstanceCreationDate = self.created.strftime("%Y%m%d")
        dataset.InstanceCreationTime = self.created.strftime("%H%M%S")

    def _derive(self, dataset: Any, source: Any | None, k: int) -> None:
        derivation = self.derivation
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        dataset.DerivationDescription = (
            f"{derivation.description}{CLIPPED if self.clip else ''} "
            f"({derivation.algorithm} {derivation.version})"[:1024]
        )
        if derivation.code:
            value, meaning = derivation.code
            dataset.DerivationCodeSequence = [code_item(value, "DCM", meaning)]
        if source is not None:
            dataset.SourceImageSequence = [_reference(source, self._frame_number(source, k))]
        dataset.ContributingEquipmentSequence = [
            *dataset.get("ContributingEquipmentSequence", []),
            _equipment(derivation, self.created),
        ]

    def _frame_number(self, source: Any, k: int) -> int | None:
        """1-based frame of a multi-frame source: places may repeat, of two energies or phases."""
        if "PerFrameFunctionalGroupsSequence" not in source or not self.geometry.source_frames:
            return None
        return self.geometry.source_frames[k] + 1

    def _place(self, dataset: Any, source: Any | None, k: int) -> None:
        """Position, orientation and spacing of the slice itself, whatever the header inherited."""
        z_mm, y_mm, x_mm = self.geometry.spacing_mm
        dataset.ImagePositionPatient = [_ds(v) for v in self.geometry.slice_origin_mm(k)]
        dataset.ImageOrientationPatient = [_ds(v) for v in self.geometry.orientation]
        dataset.PixelSpacing = [_ds(y_mm), _ds(x_mm)]
        if source is not None and "PerFrameFunctionalGroupsSequence" in source:
            facts = frame_facts(source, self._frame_number(source, k))
            for keyword in ("KVP", "XRayTubeCurrent", "ConvolutionKernel", "SliceThickness"):
                if facts.get(keyword) is not None:
                    setattr(dataset, keyword, facts[keyword])
            if "SliceLocation" in dataset:  # a stray one, of no frame in particular
                del dataset.SliceLocation
        dataset.SliceThickness = dataset.get("SliceThickness") or _ds(z_mm)


def _inherited(source: Any | None) -> Any:
    """Header of the source without what describes its own pixels, and without private tags."""
    from pydicom.dataset import Dataset

    dataset = Dataset()
    stale = {*_STALE}
    for element in source or ():
        overlay = element.tag.group & 0xFF00 in (0x5000, 0x6000)
        if not (element.tag.is_private or overlay or element.keyword in stale):
            dataset.add(copy.deepcopy(element))  # a shared element would change the source
    return dataset


def _derived_number(number: Any) -> int:
    """A series number away from the scanner's own, within the 32 bits of an IS."""
    value = int(number or 0) + 9000
    return value if value < 2**31 else 9000


def _reference(source: Any, frame: int | None) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    if frame is not None:
        item.ReferencedFrameNumber = frame
    item.PurposeOfReferenceCodeSequence = [
        code_item("121322", "DCM", "Source image for image processing operation")
    ]
    return item


def _equipment(derivation: Derivation, when: datetime.datetime) -> Any:
    """Who changed the pixels: the algorithm and its version (PS3.3, C.12.1.1.5)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item("109103", "DCM", "Modifying Equipment")]
    item.Manufacturer = "CT Lab contributors"
    item.ManufacturerModelName = derivation.algorithm[:64]
    item.SoftwareVersions = derivation.version[:64]
    item.ContributionDateTime = when.strftime("%Y%m%d%H%M%S")
    item.ContributionDescription = derivation.description[:1024]
    return item


def _set_pixels(dataset: Any, stored: np.ndarray, transfer_syntax: str) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.RescaleType = "HU"
    dataset.PixelData = stored.astype("<i2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if transfer_syntax != ExplicitVRLittleEndian:
        dataset.compress(UID(transfer_syntax), generate_instance_uid=False)


def _ds(value: float) -> str:
    """A number as Decimal String, at most 16 characters."""
    return f"{float(value):.10g}"
