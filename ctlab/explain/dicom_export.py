"""A map for the archive: as secondary capture, which every PACS shows, and as segmentation.

The secondary capture is the picture with its caption and verdict. The segmentation marks the
region and the pixels where the map is strong, on the grid of the source image, so that a viewer
can lay them over it. Both say the verdict of the audit, and that they are not for diagnosis.
"""

import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ctlab import __version__
from ctlab.ct.hu import LUNG, Window
from ctlab.ct.volume import Volume
from ctlab.explain.explanation import Explanation, picture
from ctlab.explain.overlay import ABOVE, BELOW
from ctlab.files import fresh_folder

STRONG = 0.5
"""Share of a map's largest absolute value from which a pixel belongs to a segment."""

_STUDY_KEYWORDS = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "ReferringPhysicianName"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"),
    "StudyDescription",
)
_YELLOW = (255.0, 225.0, 77.0)
_SCHEME = "99CTLAB"


def write_archive(
    explanation: Explanation,
    folder: str | Path,
    volume: Volume,
    number: int,
    *,
    window: Window = LUNG,
    overwrite: bool = False,
) -> list[Path]:
    """Writes ``capture.dcm`` and ``segmentation.dcm`` into a new folder; their paths.

    Both belong to the patient and study of the volume and refer to the slice they explain.

    Parameters
    ----------
    explanation : of slice ``number`` of the volume
    folder : new or empty folder
    volume : Volume
        Its ``sources``, where it has any, lend patient, study and position.
    number : int
        Slice; 0 is the first.
    window : of the picture

    Raises
    ------
    ValueError
        The slice is not in the volume or has another size; the folder is not empty.
    """
    if not 0 <= number < len(volume.hu) or explanation.signed.shape != volume.hu.shape[1:]:
        raise ValueError(
            f"expected the explanation of one of the {len(volume.hu)} slices of "
            f"{volume.hu.shape[1:]} px, got slice {number} of {explanation.signed.shape} px"
        )
    header = _Header(volume, number)
    rgb = picture(explanation, window=window)
    made = {
        "capture.dcm": _capture(explanation, header, rgb),
        "segmentation.dcm": _segmentation(explanation, header, volume),
    }
    with fresh_folder(folder, overwrite=overwrite) as part:
        for name, dataset in made.items():
            dataset.save_as(part / name, enforce_file_format=True)
    return [Path(folder) / name for name in made]


class _Header:
    """What both objects take over from the slice they explain."""

    def __init__(self, volume: Volume, number: int) -> None:
        from pydicom import dcmread
        from pydicom.dataset import Dataset
        from pydicom.uid import CTImageStorage, generate_uid

        facts, source = volume.acquisition, Dataset()
        if volume.sources:
            source = dcmread(volume.sources[number], stop_before_pixels=True)
        self.source = source or None
        self.study = {keyword: source.get(keyword) for keyword in _STUDY_KEYWORDS}
        self.study["StudyInstanceUID"] = facts.study_uid or generate_uid(prefix=None)
        self.study["PatientID"] = self.study["PatientID"] or facts.patient_id
        self.frame_uid = facts.frame_of_reference_uid or generate_uid(prefix=None)
        self.source_class = source.get("SOPClassUID", CTImageStorage)
        self.position = volume.slice_origin_mm(number).tolist()
        self.created = datetime.datetime.now(datetime.UTC)

    def start(self, sop_class: str, modality: str, words: str) -> Any:
        """Data set with patient, study, series and equipment."""
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian, generate_uid

        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.SpecificCharacterSet = "ISO_IR 192"
        for keyword, value in self.study.items():
            if value is not None or keyword != "StudyDescription":
                setattr(made, keyword, value)
        made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid(prefix=None)
        made.SeriesInstanceUID = generate_uid(prefix=None)
        made.Modality, made.SeriesDescription = modality, words[:64]
        made.SeriesNumber, made.InstanceNumber = 9100, 1
        made.Manufacturer, made.ManufacturerModelName = "CT Lab contributors", "CT Lab"
        made.DeviceSerialNumber, made.SoftwareVersions = "0", __version__
        for stem in ("Series", "Content", "InstanceCreation"):
            setattr(made, f"{stem}Date", self.created.strftime("%Y%m%d"))
            setattr(made, f"{stem}Time", self.created.strftime("%H%M%S"))
        return made

    def reference(self, **more: Any) -> list[Any]:
        """Sequence with the explained slice; empty where it has no file."""
        from pydicom.dataset import Dataset

        if self.source is None:
            return []
        item = Dataset()
        item.ReferencedSOPClassUID = self.source.SOPClassUID
        item.ReferencedSOPInstanceUID = self.source.SOPInstanceUID
        for keyword, value in more.items():
            setattr(item, keyword, value)
        return [item]


def _capture(explanation: Explanation, header: _Header, rgb: np.ndarray) -> Any:
    from pydicom.uid import SecondaryCaptureImageStorage

    made = header.start(SecondaryCaptureImageStorage, "OT", _title(explanation))
    made.ConversionType = "WSD"
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.PatientOrientation = made.Laterality = ""
    made.BurnedInAnnotation = "NO"  # the caption names nobody
    made.ImageComments = _words(explanation)
    made.DerivationDescription = _words(explanation)[:1024]
    purpose = [_code("121322", "DCM", "Source image for image processing operation")]
    if source := header.reference(PurposeOfReferenceCodeSequence=purpose):
        made.SourceImageSequence = source
    made.SamplesPerPixel, made.PhotometricInterpretation = 3, "RGB"
    made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.Rows, made.Columns = rgb.shape[:2]
    data = np.ascontiguousarray(rgb).tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    return made


def _segmentation(explanation: Explanation, header: _Header, volume: Volume) -> Any:
    from pydicom.pixels.utils import pack_bits
    from pydicom.uid import SegmentationStorage

    segments = _segments(explanation)
    made = header.start(SegmentationStorage, "SEG", _title(explanation))
    made.ImageType = ["DERIVED", "PRIMARY"]
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = header.frame_uid, None
    made.ContentLabel, made.ContentDescription = "CTLAB_MAP", explanation.verdict
    made.ContentCreatorName = None
    made.SegmentationType = "BINARY"
    made.LossyImageCompression = "00"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 1
    made.HighBit = made.PixelRepresentation = 0
    made.Rows, made.Columns = explanation.mask.shape
    made.NumberOfFrames = len(segments)
    made.SegmentSequence = [_segment(k, *s[:2]) for k, s in enumerate(segments, 1)]
    _place(made, header, volume, len(segments))
    if header.source is not None:
        made.ReferencedSeriesSequence = [
            _item(
                SeriesInstanceUID=header.source.SeriesInstanceUID,
                ReferencedInstanceSequence=header.reference(),
            )
        ]
    made.PixelData = pack_bits(np.concatenate([mask.ravel() for _, _, mask in segments]))
    return made


def _segments(explanation: Explanation) -> list[tuple[str, tuple[float, ...], np.ndarray]]:
    """Label, colour and mask of what is marked; maps without one sign have one segment less."""
    strong = np.abs(explanation.scaled) >= STRONG
    found = [
        ("Region explained", _YELLOW, explanation.mask),
        ("Raises the target", tuple(ABOVE), strong & (explanation.signed > 0)),
        ("Lowers the target", tuple(BELOW), strong & (explanation.signed < 0)),
    ]
    return [(label, colour, mask.astype(np.uint8)) for label, colour, mask in found if mask.any()]


def _segment(number: int, label: str, colour: tuple[float, ...]) -> Any:
    return _item(
        SegmentNumber=number,
        SegmentLabel=label,
        SegmentAlgorithmType="AUTOMATIC",
        SegmentAlgorithmName=f"CT Lab {__version__}",
        SegmentedPropertyCategoryCodeSequence=[
            _code("309825002", "SCT", "Spatial and Relational Concept")
        ],
        SegmentedPropertyTypeCodeSequence=[_code(label.split()[0].upper(), _SCHEME, label)],
        RecommendedDisplayCIELabValue=_cielab(colour),
    )


def _place(made: Any, header: _Header, volume: Volume, frames: int) -> None:
    """Functional groups and dimensions: one frame for each segment, all at the slice's place."""
    from pydicom.uid import generate_uid

    z_mm, y_mm, x_mm = (f"{v:.10g}" for v in volume.spacing_mm)
    uid = generate_uid(prefix=None)
    made.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=uid)]
    made.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=uid,
            DimensionIndexPointer=0x0062000B,  # Referenced Segment Number
            FunctionalGroupPointer=0x0062000A,  # Segment Identification Sequence
        )
    ]
    measures = _item(PixelSpacing=[y_mm, x_mm], SliceThickness=z_mm, SpacingBetweenSlices=z_mm)
    orientation = _item(ImageOrientationPatient=[f"{v:.10g}" for v in volume.orientation])
    made.SharedFunctionalGroupsSequence = [
        _item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[orientation])
    ]
    position = _item(ImagePositionPatient=[f"{v:.10g}" for v in header.position])
    purpose = [_code("121322", "DCM", "Source image for image processing operation")]
    derived = [
        _item(
            DerivationCodeSequence=[_code("113076", "DCM", "Segmentation")],
            SourceImageSequence=header.reference(PurposeOfReferenceCodeSequence=purpose),
        )
        for _ in header.reference()
    ]
    made.PerFrameFunctionalGroupsSequence = [
        _item(
            FrameContentSequence=[_item(DimensionIndexValues=[k])],
            PlanePositionSequence=[position],
            SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=k)],
            DerivationImageSequence=derived,
        )
        for k in range(1, frames + 1)
    ]


def _title(explanation: Explanation) -> str:
    return f"CT Lab {explanation.method} map: {explanation.verdict}"


def _words(explanation: Explanation) -> str:
    return f"{explanation.in_words()} For teaching and research, not for diagnosis."


def _item(**values: Any) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _code(value: str, scheme: str, meaning: str) -> Any:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _cielab(rgb: tuple[float, ...]) -> list[int]:
    """Colour as DICOM wants it: CIELab in 16 bits (PS3.3, C.10.7.1.1)."""
    from skimage.color import rgb2lab

    light, a, b = rgb2lab(np.array(rgb).reshape(1, 1, 3) / 255)[0, 0]
    return [round(light * 655.35), round((a + 128) * 257), round((b + 128) * 257)]
