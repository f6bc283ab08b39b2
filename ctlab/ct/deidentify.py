"""De-identify DICOM files after the basic profile of PS3.15, annex E.

Two layers. dicognito replaces UIDs, names, identifiers and shifts all dates of a run by one
secret offset, consistently over files. Then only elements on a list of technical attributes
remain: whatever is not known to be harmless is removed, private elements, overlays, free text
and file preamble included. At last, what is left is searched for the patient's own identifiers.
"""

import re
import secrets
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ctlab.ct.discover import list_files
from ctlab.ct.files import fresh_folder
from ctlab.ct.header import NotDicom, read_dataset, read_header
from ctlab.ct.series import reason_aside

_KEPT_TEXT = """
AcquisitionDate AcquisitionDateTime AcquisitionNumber AcquisitionTime
BeamLimitingDevicePositionSequence BitsAllocated BitsStored BodyPartExamined BurnedInAnnotation
CTDIvol Columns ContentDate ContentTime ConvolutionKernel DataCollectionDiameter
DimensionIndexPointer DistanceSourceToDetector DistanceSourceToPatient EstimatedDoseSaving
ExposedArea Exposure ExposureInuAs ExposureModulationType ExposureTime FilterType FocalSpots
FrameAcquisitionNumber FrameContentSequence FrameOfReferenceUID FrameType GantryDetectorTilt
GeneratorPower HighBit ImageOrientationPatient ImagePositionPatient ImageType InstanceNumber
LossyImageCompression LossyImageCompressionMethod LossyImageCompressionRatio Manufacturer
ManufacturerModelName Modality NumberOfFrames PatientAge PatientBirthDate PatientID PatientName
PatientPosition PatientSex PerFrameFunctionalGroupsSequence PhotometricInterpretation
PixelAspectRatio PixelData PixelMeasuresSequence PixelPaddingRangeLimit PixelPaddingValue
PixelRepresentation PixelSpacing PixelValueTransformationSequence PlanarConfiguration
PlaneOrientationSequence PlanePositionSequence PositionReferenceIndicator PresentationLUTShape
ReconstructionAlgorithm ReconstructionDiameter ReconstructionFieldOfView ReferringPhysicianName
RescaleIntercept RescaleSlope RescaleType RevolutionTime RotationDirection Rows SOPClassUID
SOPInstanceUID SamplesPerPixel ScanOptions SeriesDate SeriesInstanceUID SeriesNumber SeriesTime
SharedFunctionalGroupsSequence SingleCollimationWidth SliceLocation SliceThickness
SpacingBetweenSlices SpecificCharacterSet SpiralPitchFactor StudyDate StudyID StudyInstanceUID
StudyTime TableFeedPerRotation TableHeight TableSpeed TotalCollimationWidth WindowCenter
WindowWidth XRayTubeCurrent XRayTubeCurrentInmA AccessionNumber KVP
"""
KEPT = frozenset(_KEPT_TEXT.split())
"""Keywords that stay (replaced, shifted or emptied where they identify)."""

_EMPTIED = ("PatientBirthDate", "ReferringPhysicianName", "AccessionNumber", "StudyID")
_IDENTIFYING_TEXT = """
PatientName PatientID OtherPatientIDs PatientBirthName PatientMotherBirthName PatientBirthDate
AccessionNumber ReferringPhysicianName PerformingPhysicianName OperatorsName InstitutionName
InstitutionAddress StationName PatientAddress PatientTelephoneNumbers
NameOfPhysiciansReadingStudy RequestingPhysician StudyID DeviceSerialNumber MedicalRecordLocator
IssuerOfPatientID
"""
_IDENTIFYING = _IDENTIFYING_TEXT.split()
_NO_WORDS = {"SQ", "OB", "OW", "UI", "DS", "IS", "US", "SS", "FD", "FL"}
_PROFILE = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)


@dataclass
class DeidentificationReport:
    """What was done to a folder.

    Attributes
    ----------
    files : files written
    removed : keyword or tag of each removed element, and in how many files it stood
    replaced : keyword of each element whose value was replaced, shifted or emptied, likewise
    left_out : files not written, with the reason; they may show names in their pixels
    warnings : what a person should look at
    """

    files: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        return asdict(self) | {"removed": dict(self.removed), "replaced": dict(self.replaced)}


def deidentify_series(
    path: str | Path, out: str | Path, *, overwrite: bool = False, secret: str | None = None
) -> DeidentificationReport:
    """Write de-identified copies of the CT images at ``path`` to ``out`` as ``IM00001.dcm``...

    Parameters
    ----------
    secret : decides new UIDs and the shift of dates; the same secret gives the same answer, so
        that follow-up scans stay together. Default: a random one that is kept nowhere.

    Raises
    ------
    ValueError
        Nothing there is a CT image, or ``out`` is not empty.

    Notes
    -----
    Dates move by 62 days to two years. Images marked as having text burned in, colour images
    and everything that is no CT slice are left out. Compressed pixels are copied as they are.
    """
    from dicognito.anonymizer import Anonymizer

    report = DeidentificationReport()
    anonymizer = Anonymizer(seed=secret or secrets.token_hex(16))
    with warnings.catch_warnings(), fresh_folder(out, overwrite=overwrite) as part:
        warnings.simplefilter("ignore")  # about odd values, which are removed or kept as found
        for file in list_files(path):
            dataset = _accepted(file, report)
            if dataset is None:
                continue
            _scrub(dataset, anonymizer, report)
            report.files += 1
            dataset.save_as(part / f"IM{report.files:05d}.dcm", enforce_file_format=True)
        if not report.files:
            reasons = "; ".join(sorted(set(report.left_out.values()))) or "no DICOM files"
            raise ValueError(f"{path} holds no CT image that can be de-identified ({reasons})")
    return report


def _accepted(file: Path, report: DeidentificationReport) -> Any | None:
    """The data set, or ``None`` with the reason noted."""
    try:
        header = read_header(file)
        reason = reason_aside(header)
        if header.text("burned_in").upper() == "YES":
            reason = "text is burned into the pixels"
        dataset = None if reason else read_dataset(file)
    except NotDicom:
        reason, dataset = "not DICOM", None
    except ValueError as error:
        reason, dataset = str(error), None
    if reason:
        report.left_out[file.name] = reason
    return dataset


def _scrub(dataset: Any, anonymizer: Any, report: DeidentificationReport) -> None:
    names = identifiers(dataset)
    before = {element.keyword: str(element.value) for element in _short(dataset)}
    anonymizer.anonymize(dataset)
    for tag in _remove_unknown(dataset):
        report.removed[tag] += 1
    for keyword in _EMPTIED:
        if keyword in dataset:
            setattr(dataset, keyword, None)
    for keyword in _blank_leaks(dataset, names):
        note = f"{keyword} held one of the patient's identifiers and was emptied"
        if note not in report.warnings:
            report.warnings.append(note)
    for element in _short(dataset):
        if before.get(element.keyword, str(element.value)) != str(element.value):
            report.replaced[element.keyword] += 1
    _warn(dataset, report)
    _declare(dataset)


def _short(dataset: Any) -> list[Any]:
    return [e for e in dataset if e.VR not in ("SQ", "OB", "OW", "UN")]


def identifiers(dataset: Any) -> set[str]:
    """Lower-case words of four letters or more that identify the patient, staff or site.

    Shorter words would also occur in technical values.
    """
    found: set[str] = set()
    for keyword in _IDENTIFYING:
        if keyword in dataset and dataset[keyword].value:
            found |= set(re.findall(r"\w{4,}", str(dataset[keyword].value).lower()))
    return found


def _remove_unknown(dataset: Any) -> list[str]:
    """Delete what is not on the list, at every depth; the keywords or tags deleted."""
    removed = []
    for element in list(dataset):
        if element.keyword in KEPT and not element.tag.is_private:
            if element.VR == "SQ":
                for item in element.value:
                    removed += _remove_unknown(item)
        else:
            removed.append(element.keyword or str(element.tag))
            del dataset[element.tag]
    return removed


def _blank_leaks(dataset: Any, names: set[str]) -> list[str]:
    """Empty remaining text that holds an identifier; the keywords emptied."""
    leaks = []
    for element in dataset.iterall():
        if element.VR in ("SQ", "OB", "OW", "UI") or element.keyword in (
            "PatientName",
            "PatientID",
        ):
            continue
        words = set(re.findall(r"\w{4,}", str(element.value).lower()))
        if words & names:
            element.value = None
            leaks.append(element.keyword)
    return leaks


def _warn(dataset: Any, report: DeidentificationReport) -> None:
    part = str(dataset.get("BodyPartExamined", "")).upper()
    if any(word in part for word in ("HEAD", "BRAIN", "SKULL", "FACE", "NECK")):
        note = f"body part {part}: a face can be reconstructed from the slices"
        if note not in report.warnings:
            report.warnings.append(note)


def _declare(dataset: Any) -> None:
    """Say in the header what was done, and clear what lies outside the data set proper."""
    from pydicom.dataset import Dataset, FileMetaDataset

    codes = []
    for value, meaning in _PROFILE:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
        codes.append(code)
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "CT Lab: dicognito, then a list of kept attributes"
    dataset.DeidentificationMethodCodeSequence = codes
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    meta = FileMetaDataset()
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    meta.TransferSyntaxUID = syntax or _syntax(dataset)  # type: ignore[assignment]
    dataset.file_meta = meta
    dataset.preamble = b"\0" * 128


def _syntax(dataset: Any) -> str:
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian
