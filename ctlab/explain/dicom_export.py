"""A map for the archive: secondary capture, which every PACS shows, segmentation, parametric map.

The secondary capture is the picture with its caption and verdict. The segmentation marks the
region and the pixels where the map is strong, on the grid of the source image, so that a viewer
can lay them over it. The parametric map holds the numbers themselves, in their unit. All say the
verdict of the audit, and that they are not for diagnosis.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ctlab import __version__
from ctlab.ct.hu import LUNG, Window
from ctlab.ct.volume import Volume
from ctlab.explain.explanation import Explanation, picture
from ctlab.explain.overlay import ABOVE, BELOW
from ctlab.files import fresh_folder, write_whole

STRONG = 0.5
"""Share of a map's largest absolute value from which a pixel belongs to a segment."""

_STUDY_KEYWORDS = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "ReferringPhysicianName"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"),
    "StudyDescription",
)
_YELLOW = np.array([255.0, 225.0, 77.0])


def write_archive(
    explanation: Explanation,
    folder: str | Path,
    volume: Volume,
    number: int,
    *,
    window: Window = LUNG,
    overwrite: bool = False,
) -> list[Path]:
    """Writes ``capture.dcm``, ``segmentation.dcm`` and ``map.dcm`` into a new folder; their paths.

    All belong to the patient and study of the volume and refer to the slice they explain.

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
    explained, study, source_class = _slice(volume, number)
    unit, series = _unit(explanation), _series(explanation)
    datasets = {
        "capture.dcm": _capture(explanation, explained, picture(explanation, window=window)),
        "segmentation.dcm": _segmentation(explanation, explained),
        "map.dcm": _parametric_map(explanation.signed, explained, unit, series),
    }
    with fresh_folder(folder, overwrite=overwrite) as part:
        for name, dataset in datasets.items():
            for keyword, value in study.items():
                setattr(dataset, keyword, value)
            _link(dataset, source_class)
            dataset.save_as(part / name, enforce_file_format=True)
    return [Path(folder) / name for name in datasets]


def write_parametric_map(
    values: np.ndarray, path: str | Path, volume: Volume, number: int, *, label: str, unit: str
) -> Path:
    """Writes one slice of numbers, such as local noise in HU, as a DICOM Parametric Map; its path.

    Parameters
    ----------
    values : ndarray, shape (y, x), in ``unit``
    volume, number : the slice that they belong to
    label : what they are, at most 64 characters
    unit : "HU", or a word for anything else

    Raises
    ------
    ValueError
        The slice is not in the volume or has another size.

    Examples
    --------
    >>> import tempfile
    >>> from ctlab.assess import local_noise_hu
    >>> from ctlab.ct import load_sample
    >>> few = load_sample().slices(0, 1)
    >>> to = Path(tempfile.mkdtemp()) / "noise.dcm"
    >>> noise_hu = local_noise_hu(few.hu[0])
    >>> write_parametric_map(noise_hu, to, few, 0, label="local noise", unit="HU").name
    'noise.dcm'
    """
    if not 0 <= number < len(volume.hu) or values.shape != volume.hu.shape[1:]:
        raise ValueError(
            f"expected a map of one of the {len(volume.hu)} slices of {volume.hu.shape[1:]} px, "
            f"got slice {number} of {values.shape} px"
        )
    explained, study, source_class = _slice(volume, number)
    dataset = _parametric_map(values, explained, unit, _equipment(f"CT Lab {label}"))
    for keyword, value in study.items():
        setattr(dataset, keyword, value)
    _link(dataset, source_class)
    with write_whole(path) as part:
        dataset.save_as(part, enforce_file_format=True)
    return Path(path)


def _parametric_map(values: np.ndarray, explained: Any, unit: str, series: dict[str, Any]) -> Any:
    from highdicom import VOILUTTransformation
    from highdicom.pm import ParametricMap, RealWorldValueMapping
    from highdicom.sr import CodedConcept

    code = CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit")
    if unit != "HU":
        code = CodedConcept(f"{{{unit.replace(' ', '_')[:14]}}}", "UCUM", unit[:64])
    numbers = np.ascontiguousarray(values, np.float32)
    largest = float(np.abs(numbers).max()) or 1.0
    mapping = RealWorldValueMapping(
        lut_label="CTLAB",
        lut_explanation=series["series_description"],
        unit=code,
        value_range=(-largest, largest),
        slope=1.0,
        intercept=0.0,
    )
    made = ParametricMap(
        [explained],
        numbers[None],
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            VOILUTTransformation(0.0, 2 * largest, voi_lut_function="LINEAR_EXACT")
        ],
        content_label="CTLAB_MAP",
        content_description="For teaching and research, not for diagnosis",
        **series,
    )
    made.add_new("Laterality", "CS", None)  # of paired organs: not known
    return made


def _slice(volume: Volume, number: int) -> tuple[Any, dict[str, Any], str]:
    """Explained slice as highdicom reads it; patient and study as they stand; class of the file.

    The slice is a single-frame CT at the volume's own place, also where the file has many frames
    or there is none to refer to; then its class is "". Patient and study stay out of it, because
    highdicom refuses values that scanners do write, such as a sex of "X".
    """
    from pydicom.dataset import Dataset
    from pydicom.uid import CTImageStorage, generate_uid

    from ctlab.ct.dicom.header import read_dataset

    facts, source, image = volume.acquisition, Dataset(), Dataset()
    if volume.sources:
        source = read_dataset(volume.sources[number], pixels=False)  # also a member of a zip
    study = {k: source.get(k) for k in _STUDY_KEYWORDS if k != "StudyDescription" or k in source}
    study["StudyInstanceUID"] = facts.study_uid or generate_uid(prefix=None)
    study["PatientID"] = study["PatientID"] or facts.patient_id
    for keyword in study:
        setattr(image, keyword, None)
    image.StudyInstanceUID = study["StudyInstanceUID"]
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = source.get("SOPInstanceUID", generate_uid(prefix=None))
    image.SeriesInstanceUID = source.get("SeriesInstanceUID", generate_uid(prefix=None))
    image.FrameOfReferenceUID = facts.frame_of_reference_uid or generate_uid(prefix=None)
    image.Modality, (image.Rows, image.Columns) = "CT", volume.hu.shape[1:]
    z_mm, *in_plane_mm = volume.spacing_mm
    image.PixelSpacing = [f"{v:.10g}" for v in in_plane_mm]
    image.SliceThickness = image.SpacingBetweenSlices = f"{z_mm:.10g}"
    image.ImageOrientationPatient = [f"{v:.10g}" for v in volume.orientation]
    image.ImagePositionPatient = [f"{v:.10g}" for v in volume.slice_origin_mm(number)]
    named = "SOPInstanceUID" in source and "SeriesInstanceUID" in source
    return image, study, source.get("SOPClassUID", "") if named else ""


def _link(dataset: Any, source_class: str) -> None:
    """References name the class of the file; where there is no file, there are none."""
    if source_class:
        for element in dataset.iterall():
            if element.keyword == "ReferencedSOPClassUID":
                element.value = source_class
        return
    for item in (dataset, *dataset.get("PerFrameFunctionalGroupsSequence", [])):
        for link in ("SourceImageSequence", "ReferencedSeriesSequence", "DerivationImageSequence"):
            item.pop(link, None)


def _unit(explanation: Explanation) -> str:
    """Unit of a map: that of its target."""
    return "HU" if explanation.target == "mean" else f"units of {explanation.target}"


def _series(explanation: Explanation) -> dict[str, Any]:
    return _equipment(f"CT Lab {explanation.method} map: {explanation.verdict}")


def _equipment(description: str) -> dict[str, Any]:
    """Arguments that all objects hand to highdicom: series, equipment and encoding."""
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    return {
        "series_instance_uid": generate_uid(prefix=None),
        "sop_instance_uid": generate_uid(prefix=None),
        "series_number": 9100,
        "instance_number": 1,
        "series_description": description[:64],
        "manufacturer": "CT Lab contributors",
        "manufacturer_model_name": "CT Lab",
        "device_serial_number": "0",
        "software_versions": __version__,
        "specific_character_set": "ISO_IR 192",
        "transfer_syntax_uid": ExplicitVRLittleEndian,
    }


def _capture(explanation: Explanation, explained: Any, rgb: np.ndarray) -> Any:
    from highdicom.sc import ConversionTypeValues, SCImage
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    along_row, down_column = np.reshape(explained.ImageOrientationPatient, (2, 3)).astype(float)
    capture = SCImage.from_ref_dataset(
        explained,
        np.ascontiguousarray(rgb),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=(_towards(along_row), _towards(down_column)),
        **_series(explanation),
    )
    words = f"{explanation.in_words()} For teaching and research, not for diagnosis."
    capture.ConversionType = ConversionTypeValues.WSD.value
    capture.add_new("Laterality", "CS", None)  # of paired organs: not known
    capture.BurnedInAnnotation = "NO"  # the caption names nobody
    capture.ImageComments, capture.DerivationDescription = words, words[:1024]
    source = Dataset()
    source.ReferencedSOPClassUID = explained.SOPClassUID
    source.ReferencedSOPInstanceUID = explained.SOPInstanceUID
    purpose = CodedConcept(*codes.DCM.SourceImageForImageProcessingOperation)
    source.PurposeOfReferenceCodeSequence = [purpose]
    capture.SourceImageSequence = [source]
    return capture


def _towards(cosines: np.ndarray) -> str:
    """Letter of the patient's side that a direction points to most (PS3.3, C.7.6.1.1.1)."""
    axis = int(np.abs(cosines).argmax())
    return "LPH"[axis] if cosines[axis] > 0 else "RAF"[axis]


def _segmentation(explanation: Explanation, explained: Any) -> Any:
    """Segments of what is marked; maps without one sign have one segment less."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import Segmentation, SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    strong = np.abs(explanation.scaled) >= STRONG
    regions = [
        ("Region explained", _YELLOW, explanation.mask),
        ("Raises the target", ABOVE, strong & (explanation.signed > 0)),
        ("Lowers the target", BELOW, strong & (explanation.signed < 0)),
    ]
    regions = [(label, colour, mask.astype(bool)) for label, colour, mask in regions if mask.any()]
    algorithm = AlgorithmIdentificationSequence(
        f"CT Lab {__version__}", codes.DCM.ArtificialIntelligence, __version__
    )
    described = [
        SegmentDescription(
            segment_number=k,
            segment_label=label,
            segmented_property_category=codes.SCT.SpatialAndRelationalConcept,
            segmented_property_type=CodedConcept(label.split()[0].upper(), "99CTLAB", label),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            display_color=CIELabColor.from_rgb(*colour),
        )
        for k, (label, colour, _) in enumerate(regions, 1)
    ]
    return Segmentation(
        [explained],
        np.stack([mask for _, _, mask in regions], axis=-1)[None],
        segmentation_type="BINARY",
        segment_descriptions=described,
        content_label="CTLAB_MAP",
        content_description=explanation.verdict,
        **_series(explanation),
    )
