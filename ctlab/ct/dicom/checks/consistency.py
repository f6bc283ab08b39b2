"""What every slice of one volume must share, and what headers give away about their values."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from ctlab.ct.dicom.checks.units import units_of
from ctlab.ct.dicom.frames import Frame

LOSSY = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51)}
"""Encodings that always lose detail: JPEG of 8 and 12 bits."""

MAY_LOSE = {f"1.2.840.10008.1.2.4.{n}" for n in (81, 91, 203)}
"""Encodings that may: JPEG-LS near-lossless, JPEG 2000 and HTJ2K."""

LARGEST_SLOPE, LARGEST_INTERCEPT = 1e4, 1e7
"""Rescales beyond are damaged: no attenuation is that large, in HU."""


def mixtures(frames: list[Frame]) -> list[str]:
    """Properties that one volume can have only one of, and that differ between slices."""
    checks = [
        ("orientations", [_named(f.orientation) for f in frames]),
        ("image sizes", ["{} x {}".format(*f.shape) for f in frames]),
        ("pixel spacings", [_spacing_text(f) for f in frames]),
        ("patients", [_patient(f) for f in frames]),
        ("studies", [f.header.text("study_uid") or "none" for f in frames]),
        (
            "frames of reference",
            [f.header.text("frame_of_reference_uid") or "none" for f in frames],
        ),
        ("kinds of values", [units_of(f) or "HU" for f in frames]),
        # What slices do not say, they may still share.
        ("tube voltages", [_kvp_text(f) for f in frames]),
        *((what, [f.header.words(name) for f in frames]) for what, name in _ONE_SCAN.items()),
    ]
    faults = []
    for what, values in checks:
        spelt = {v.casefold(): v for v in reversed(values) if v}
        counts = Counter(spelt[v.casefold()] for v in values if v)
        if len(counts) > 1:
            faults.append(
                f"series mixes {len(counts)} {what} ({_counted(counts)}), expected one; put the "
                "files of one kind into a folder of their own"
            )
    if not faults:
        first = frames[0]
        if len(first.spacing_mm) != 2 or not all(0.01 < s < 20 for s in first.spacing_mm):
            faults.append(
                "expected two values in mm as Pixel Spacing, got "
                f"{list(first.spacing_mm) or 'none'}; export the series again"
            )
    return faults


_ONE_SCAN = {
    "sexes of the patient": "sex",
    "kernels": "kernel",
    "patient positions": "patient_position",
    "manufacturers": "manufacturer",
    "scanner models": "model",
    "scanners by serial number": "device_serial",
}


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{k}: {n}" for k, n in counts.most_common(6))


def _patient(frame: Frame) -> str:
    """Who it is, by all that the header says; upper case, without the marks between names."""
    facts = (frame.header.text(n) for n in ("patient_id", "patient_name", "birth_date"))
    return " ".join(" ".join(f.replace("^", " ").upper().split()) for f in facts if f) or "none"


def _spacing_text(frame: Frame) -> str:
    return " x ".join(f"{s:.4g}" for s in frame.spacing_mm) + " mm"


def _kvp_text(frame: Frame) -> str:
    """Tube voltage as a number: 120 and 120.0 are one."""
    kvp = frame.header.number("kvp")
    return "" if kvp is None else f"{kvp:g}"


def _named(orientation: tuple[float, ...]) -> str:
    """Plane of an image by its normal, with two digits where it is oblique."""
    if len(orientation) != 6:
        return "unknown"
    normal = np.cross(orientation[:3], orientation[3:])
    name = ("sagittal", "coronal", "axial")[int(np.argmax(np.abs(normal)))]
    cosines = np.round(np.array(orientation), 2) + 0.0
    if np.array_equal(cosines, (1, 0, 0, 0, 1, 0)):
        return name
    straight = np.isin(np.abs(cosines), (0, 1)).all()
    # Slices turned or mirrored within one plane are no stack, though the plane is the same.
    return f"{name}{'' if straight else ' oblique'} {'/'.join(f'{c:g}' for c in cosines)}"


def rescale_faults(frames: list[Frame]) -> list[str]:
    """Slices whose stored values cannot be turned into HU."""
    tables = [f for f in frames if "modality_lut" in f.header.elements]
    if tables:
        return [
            f"expected a rescale slope and intercept, got a Modality LUT in {len(tables)} of "
            f"{len(frames)} slices (first: {tables[0].path.name}), which CT does not have; export "
            "the series again"
        ]
    bad = [f for f in frames if not _usable(f.slope, f.intercept)]
    if not bad:
        return []
    first = bad[0]
    slope, intercept = (
        (first.header.text(n) if not first.is_multi_frame else f"{v}") or "none"
        for n, v in (("slope", first.slope), ("intercept", first.intercept))
    )
    return [
        "expected a rescale slope and intercept in every slice, one number each, got none that "
        f"can be used in {len(bad)} of {len(frames)} (first: {first.name}, slope {slope}, "
        f"intercept {intercept}); export the series again"
    ]


def _usable(slope: float | None, intercept: float | None) -> bool:
    if slope is None or intercept is None or slope == 0:
        return False
    return abs(slope) <= LARGEST_SLOPE and abs(intercept) <= LARGEST_INTERCEPT


def header_problems(frames: list[Frame]) -> list[str]:
    """Findings of any slice that leave HU and geometry right."""
    problems = []
    lacking = {
        name: sum(not f.header.text(name) for f in frames)
        for name in ("kvp", "tube_current_ma", "kernel")
    }
    for count in sorted({n for n in lacking.values() if n}, reverse=True):
        names = ", ".join(name for name, n in lacking.items() if n == count)
        problems.append(f"the header does not say {names}{_of(count, frames)}")
    for what, names in (("instance UID", "sop_uid"), ("instance number", "instance_number")):
        shared = _sharing(frames, names)
        if shared:
            problems.append(f"{shared} slices share their {what} with another one")
    rescales = Counter((f.slope, f.intercept) for f in frames)
    if len(rescales) > 1:
        problems.append(f"rescale differs between slices ({len(rescales)} pairs); each is applied")
    thick = Counter(f"{v:g} mm" for f in frames if (v := f.header.number("thickness_mm")))
    if len(thick) > 1:
        problems.append(f"slice thickness differs between slices ({_counted(thick)})")
    for finding, is_so in _FINDINGS.items():
        count = sum(map(is_so, frames))
        if count:
            problems.append(f"{finding}{_of(count, frames)}")
    return problems + next(filter(None, map(_exposure_problem, frames)), [])


_FINDINGS: dict[str, Callable[[Frame], bool]] = {
    "Rescale Type is 'US', not HU; rescaled values are taken as HU": lambda f: (
        f.header.text("rescale_type").strip().upper() == "US"
    ),
    "pixels were compressed with loss": lambda f: (
        f.header.text("lossy") == "01" or f.header.transfer_syntax in LOSSY
    ),
    "the encoding may lose detail, and the header does not say whether it did": (
        lambda f: (
            f.header.transfer_syntax in MAY_LOSE and f.header.text("lossy") not in ("00", "01")
        )
    ),
    "the header says text is burned into the pixels": lambda f: (
        f.header.text("burned_in").upper() == "YES"
    ),
    "derived images, not the scanner's own reconstruction": lambda f: any(
        f.header.text(n).upper().startswith("DERIVED") for n in ("image_type", "frame_type")
    ),
}


def _of(count: int, frames: list[Frame]) -> str:
    return "" if count == len(frames) else f" (in {count} of {len(frames)} slices)"


def _sharing(frames: list[Frame], name: str) -> int:
    counts = Counter((f.header.text(name), f.index) for f in frames if f.header.text(name))
    return sum(n for n in counts.values() if n > 1)


def _exposure_problem(frame: Frame) -> list[str]:
    header = frame.header
    current, duration = header.number("tube_current_ma"), header.number("exposure_time_ms")
    exposure = header.number("exposure_mas")
    if current and duration and exposure:
        product = current * duration / 1000
        if not 0.5 < exposure / product < 2:
            return [
                f"Exposure says {exposure:g} mAs, but current x time is {product:.0f} mAs: "
                "it may be that of the whole scan"
            ]
    return []
