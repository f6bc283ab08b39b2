"""One image of a CT series: where it lies in space, and its rescale to HU."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctlab.ct.dicom.header import (
    Header,
    encoded,
    read_dataset,
)

CT_CLASSIC = "1.2.840.10008.5.1.4.1.1.2"
CT_ENHANCED = {"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"}


@dataclass(frozen=True, slots=True)
class Frame:
    """Geometry and rescale of one image; ``index`` counts frames within a multi-frame file."""

    header: Header
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, ...]  # (row, column): down, then across
    slope: float | None
    intercept: float | None
    index: int = 0

    @property
    def path(self) -> Path:
        """File that holds the image."""
        return self.header.path

    @property
    def is_multi_frame(self) -> bool:
        """Whether its file is an enhanced object, which holds many images."""
        return self.header.text("sop_class") in CT_ENHANCED

    @property
    def name(self) -> str:
        """File name, with the number of the frame where the file holds many."""
        return f"{self.path.name} frame {self.index + 1}" if self.is_multi_frame else self.path.name

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (y, x)."""
        return self.header.integer("rows"), self.header.integer("columns")


def frames_of(header: Header) -> list[Frame]:
    """The images of one file: one for classic CT, many for enhanced multi-frame CT.

    Raises
    ------
    ValueError
        Functional groups cannot be read, or the pixel data hold another number of images than
        the header says.
    """
    several = [n for n in _ONE_VALUE if len(header.numbers(n)) > 1]
    if several:
        raise ValueError(
            f"{header.path.name} is damaged: expected one value as {several[0]}, got "
            f"{len(header.numbers(several[0]))}; export it again"
        )
    if header.text("sop_class") in CT_ENHANCED:
        try:
            frames = _enhanced(header)
        except Exception as error:  # nested sequences are parsed on first use, and may be cut
            raise ValueError(
                f"{header.path.name} is damaged: its functional groups cannot be read ({error})"
            ) from error
        _refuse_other_count(header, len(frames))
        return frames
    count = max(header.integer("frames", 1), _images_held(header))
    if count > 1:
        raise ValueError(
            f"{header.path.name}: expected one image in a classic CT object, got {count} without "
            "positions of their own; export it as enhanced CT or one file a slice"
        )
    _refuse_other_count(header, 1)
    if "value_mapping" in header.elements:
        header = replace(header, elements=header.elements | _top_level_units(header))
    return [
        Frame(
            header,
            header.numbers("position_mm"),
            header.numbers("orientation"),
            header.numbers("spacing_mm"),
            _one(header.numbers("slope")),
            _one(header.numbers("intercept")),
        )
    ]


_ONE_VALUE = (
    *("rows", "columns", "samples", "frames"),
    *("bits_allocated", "bits_stored", "high_bit", "signed"),
)


def _one(values: tuple[float, ...]) -> float | None:
    """The one finite value, ``None`` where there is none or several differ."""
    return values[0] if len(set(values)) == 1 and math.isfinite(values[0]) else None


def _image_bytes(header: Header) -> int:
    samples = header.integer("rows") * header.integer("columns") * header.integer("samples", 1)
    return samples * header.integer("bits_allocated") // 8


def _images_held(header: Header) -> int:
    """Whole images in the pixel data, as far as their lengths and markers tell."""
    listed = len(header.elements.get("frame_offsets", b"")) // 8
    held = (header.pixel_bytes or 0) // max(_image_bytes(header), 1)
    return max(listed, header.images or held)


def _refuse_other_count(header: Header, count: int) -> None:
    """Raise where pixel data hold more or fewer images than ``count``."""
    name, one = header.path.name, _image_bytes(header)
    if header.images is not None:
        held = _images_held(header)
        if held not in (0, count):  # 0: of an encoding whose images have no marker
            raise ValueError(
                f"{name}: expected {count} images by its header, got {held} in the pixel data; "
                "copy or export it again"
            )
        return
    if header.pixel_bytes is None or not one:
        return
    if header.pixel_bytes < count * one:
        index = header.pixel_bytes // one + 1
        raise ValueError(
            f"{name} is cut short: {one} bytes of pixels are needed for image {index}, the pixel "
            f"data end after {header.pixel_bytes}; copy the file again"
        )
    row = max(one // max(header.integer("rows"), 1), 2)
    if header.pixel_bytes >= count * one + row:
        raise ValueError(
            f"{name}: expected {count * one} bytes of pixels by its header, got "
            f"{header.pixel_bytes}; its rows, columns or number of frames are wrong, export it "
            "again"
        )


def _top_level_units(header: Header) -> dict[str, bytes]:
    return {"mapped_units": _units((read_dataset(header.path, pixels=False),))}


def _units(groups: tuple[Any, ...]) -> bytes:
    """Units of Real World Value Mappings (0040,9096): HU where one of them is, else the first."""
    codes = [
        str(unit.get("CodeValue") or unit.get("CodeMeaning") or "")
        for group in groups
        for mapping in (group.get("RealWorldValueMappingSequence") if group else None) or []
        for unit in mapping.get("MeasurementUnitsCodeSequence") or []
    ]
    hu = [c for c in codes if "HNSF" in c.upper() or c.upper() == "HU"]
    return (hu or codes or [""])[0].encode()


def _enhanced(header: Header) -> list[Frame]:
    """Frames with per-frame groups first, shared groups second (DICOM PS3.3, C.7.6.16)."""
    dataset = read_dataset(header.path, pixels=False)
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    count = int(dataset.get("NumberOfFrames") or 1)
    if len(per_frame) != count:
        raise ValueError(f"expected functional groups of {count} frames, got {len(per_frame)}")
    frames = []
    for index, own in enumerate(per_frame):
        groups = (own, shared)
        frames.append(
            Frame(
                replace(header, elements=header.elements | _exposure(groups)),
                _group(groups, "PlanePositionSequence", "ImagePositionPatient"),
                _group(groups, "PlaneOrientationSequence", "ImageOrientationPatient"),
                _group(groups, "PixelMeasuresSequence", "PixelSpacing"),
                _rescale(groups, "RescaleSlope"),
                _rescale(groups, "RescaleIntercept"),
                index,
            )
        )
    return frames


_RESCALE = "PixelValueTransformationSequence"
_NESTED = {
    "kvp": ("CTXRayDetailsSequence", "KVP"),
    "tube_current_ma": ("CTExposureSequence", "XRayTubeCurrentInmA"),
    "exposure_time_ms": ("CTExposureSequence", "ExposureTimeInms"),
    "exposure_mas": ("CTExposureSequence", "ExposureInmAs"),
    "kernel": ("CTReconstructionSequence", "ConvolutionKernel"),
    "thickness_mm": ("PixelMeasuresSequence", "SliceThickness"),
    "rescale_type": (_RESCALE, "RescaleType"),
    "acquisition_number": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "acquisition_datetime": ("FrameContentSequence", "FrameAcquisitionDateTime"),
    "temporal_index": ("FrameContentSequence", "TemporalPositionIndex"),
    "stack_id": ("FrameContentSequence", "StackID"),
    "content_time": ("FrameContentSequence", "FrameReferenceDateTime"),
    "comments": ("FrameContentSequence", "FrameComments"),
    "frame_type": ("CTImageFrameTypeSequence", "FrameType"),
    "cardiac_percent": ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    "cardiac_delay_ms": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "respiratory_percent": (
        "RespiratorySynchronizationSequence",
        "NominalPercentageOfRespiratoryPhase",
    ),
    "irradiation_uid": ("IrradiationEventIdentificationSequence", "IrradiationEventUID"),
    "reconstruction_mm": ("CTReconstructionSequence", "ReconstructionDiameter"),
    "filter": ("CTXRayDetailsSequence", "FilterType"),
    "energy_kev": ("MultienergyCTCharacteristicsSequence", "MonoenergeticEnergyEquivalent"),
}


def frame_facts(dataset: Any, number: int | None) -> dict[str, Any]:
    """What classic CT says at top level, of one frame (1-based) of an enhanced object."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    own = dataset.PerFrameFunctionalGroupsSequence[number - 1] if number else None
    facts = {
        "KVP": _value((own, shared), *_NESTED["kvp"]),
        "XRayTubeCurrent": _value((own, shared), *_NESTED["tube_current_ma"]),
        "ConvolutionKernel": _value((own, shared), *_NESTED["kernel"]),
        "SliceThickness": _value((own, shared), *_NESTED["thickness_mm"]),
    }
    if facts["XRayTubeCurrent"] is not None:
        facts["XRayTubeCurrent"] = round(facts["XRayTubeCurrent"])  # an IS in classic CT
    return facts


def _exposure(groups: tuple[Any, Any]) -> dict[str, bytes]:
    """Header facts that enhanced CT keeps in functional groups, as raw elements."""
    values = {}
    for name, (sequence, keyword) in _NESTED.items():
        value = _value(groups, sequence, keyword)
        if value is not None:
            values[name] = encoded(name, value)
    return values | {"mapped_units": _units(groups)}


def _rescale(groups: tuple[Any, Any], keyword: str) -> float | None:
    """Slope or intercept; a frame and its shared groups may not say different ones."""
    own, shared = (_group((group, None), _RESCALE, keyword) for group in groups)
    if own and shared and own != shared:
        raise ValueError(f"{keyword} of a frame is {own}, that of the shared groups {shared}")
    return _one(_group(groups, _RESCALE, keyword))


def _group(groups: tuple[Any, Any], sequence: str, keyword: str) -> tuple[float, ...]:
    value = _value(groups, sequence, keyword)
    if value is None:
        return ()
    try:
        return tuple(map(float, [value] if isinstance(value, int | float) else value))
    except (TypeError, ValueError):
        return ()


def _value(groups: tuple[Any, Any], sequence: str, keyword: str) -> Any:
    """Value of a nested element: the frame's own first, the shared one second."""
    for group in groups:
        items = group.get(sequence) if group is not None else None
        value = items[0].get(keyword) if items else None
        if value is not None:
            return value
    return None
