"""One image of a CT series: where it lies in space, and its rescale to HU."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctlab.ct.dicom.header import (
    Header,
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
    def shape(self) -> tuple[int, int]:
        """Rows and columns (y, x)."""
        return self.header.integer("rows"), self.header.integer("columns")


def frames_of(header: Header) -> list[Frame]:
    """The images of one file: one for classic CT, many for enhanced multi-frame CT."""
    if header.text("sop_class") in CT_ENHANCED:
        try:
            return _enhanced(header)
        except Exception as error:  # nested sequences are parsed on first use, and may be cut
            raise ValueError(
                f"{header.path.name} is damaged: its functional groups cannot be read ({error})"
            ) from error
    count = header.integer("frames", 1)
    images = (header.pixel_bytes or 0) // max(_image_bytes(header), 1)
    if max(count, images) > 1:
        raise ValueError(
            f"{header.path.name}: expected one image in a classic CT object, got "
            f"{max(count, images)} without positions of their own; export it as enhanced CT or "
            "one file a slice"
        )
    return [
        Frame(
            header,
            header.numbers("position_mm"),
            header.numbers("orientation"),
            header.numbers("spacing_mm"),
            header.number("slope"),
            header.number("intercept"),
        )
    ]


def _image_bytes(header: Header) -> int:
    return (
        header.integer("rows") * header.integer("columns") * header.integer("bits_allocated") // 8
    )


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
                next(iter(_group(groups, _RESCALE, "RescaleSlope")), None),
                next(iter(_group(groups, _RESCALE, "RescaleIntercept")), None),
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
            values[name] = str(value).encode()
    return values


def _group(groups: tuple[Any, Any], sequence: str, keyword: str) -> tuple[float, ...]:
    value = _value(groups, sequence, keyword)
    if value is None:
        return ()
    return tuple(map(float, [value] if isinstance(value, int | float) else value))


def _value(groups: tuple[Any, Any], sequence: str, keyword: str) -> Any:
    """Value of a nested element: the frame's own first, the shared one second."""
    for group in groups:
        items = group.get(sequence) if group is not None else None
        value = items[0].get(keyword) if items else None
        if value is not None:
            return value
    return None
