"""What every slice of one volume must share, and what headers give away about their values."""

from collections import Counter

import numpy as np

from ctlab.ct.dicom.frames import Frame

NO_HU = {
    *("MAT_SPECIFIC", "MAT_FRACTIONAL", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY"),
    *("CBF", "CBV", "RCBF", "RCBV", "MTT", "TTP", "TMAX", "TTD", "PERMEABILITY"),
}
"""Words of Image Type whose images hold other quantities than HU."""


def mixtures(frames: list[Frame]) -> list[str]:
    """Properties that one volume can have only one of, and that differ between slices."""
    orientations = [_named(f.orientation) for f in frames]
    checks = [
        ("orientations", orientations),
        ("image sizes", ["{} x {}".format(*f.shape) for f in frames]),
        ("pixel spacings", [_spacing_text(f) for f in frames]),
        ("kernels", [f.header.text("kernel") or "none" for f in frames]),
        ("tube voltages", [_kvp_text(f) for f in frames]),
        ("patients", [_patient(f) for f in frames]),
        ("studies", [f.header.text("study_uid") or "none" for f in frames]),
        (
            "frames of reference",
            [f.header.text("frame_of_reference_uid") or "none" for f in frames],
        ),
    ]
    faults = []
    for what, values in checks:
        counts = Counter(values)
        if len(counts) > 1:
            listed = ", ".join(f"{k}: {n}" for k, n in counts.most_common(6))
            faults.append(
                f"series mixes {len(counts)} {what} ({listed}), expected one; put the files of one "
                "kind into a folder of their own"
            )
    if not faults:
        first = frames[0]
        if len(first.spacing_mm) != 2 or not all(0.01 < s < 20 for s in first.spacing_mm):
            faults.append(
                "expected two values in mm as Pixel Spacing, got "
                f"{list(first.spacing_mm) or 'none'}; export the series again"
            )
    return faults


def _patient(frame: Frame) -> str:
    """Who it is, by all that the header says; upper case, without the marks between names."""
    facts = (frame.header.text(n) for n in ("patient_id", "patient_name", "birth_date"))
    return " ".join(" ".join(f.replace("^", " ").upper().split()) for f in facts if f) or "none"


def _spacing_text(frame: Frame) -> str:
    return " x ".join(f"{s:.4g}" for s in frame.spacing_mm) + " mm"


def _kvp_text(frame: Frame) -> str:
    """Tube voltage as a number: 120 and 120.0 are one."""
    kvp = frame.header.number("kvp")
    return "none" if kvp is None else f"{kvp:g}"


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
    tables = [f for f in frames if f.header.text("modality_lut")]
    if tables:
        return [
            f"expected a rescale slope and intercept, got a Modality LUT in {len(tables)} of "
            f"{len(frames)} slices (first: {tables[0].path.name}), which CT does not have; export "
            "the series again"
        ]
    bad = [f for f in frames if f.slope is None or f.intercept is None or f.slope == 0]
    if not bad:
        return []
    return [
        "expected a rescale slope and intercept in every slice, got none that can be used in "
        f"{len(bad)} of {len(frames)} (first: {bad[0].path.name}); export the series again"
    ]


def other_units(frames: list[Frame]) -> str:
    """What the values are where they are no HU ("MGML", "EFF_ATOMIC_NUM"); empty for HU.

    By Rescale Type (0028,1054), for which ``US`` says nothing, and by what Image Type says of
    multi-energy and perfusion images (DICOM PS3.3, C.8.15.2.1.1 and C.11.1.1.2).
    """
    for frame in frames:
        kind = frame.header.text("rescale_type").strip().upper()
        if kind not in ("", "HU", "US"):
            return kind
        words = set(frame.header.text("image_type").upper().replace(" ", "").split("\\"))
        if named := sorted(words & NO_HU):
            return named[0]
    return ""


def header_problems(frames: list[Frame]) -> list[str]:
    """Findings that leave HU and geometry right."""
    first, problems = frames[0].header, []
    missing = [t for t in ("kvp", "tube_current_ma", "kernel") if not first.text(t)]
    if missing:
        problems.append(f"the header does not say {', '.join(missing)}")
    kind = first.text("rescale_type")
    if kind not in ("", "HU"):
        problems.append(f"Rescale Type is {kind!r}, not HU; rescaled values are taken as HU")
    uids = Counter((f.header.text("sop_uid"), f.index) for f in frames)
    shared = sum(n for (uid, _), n in uids.items() if uid and n > 1)
    if shared:
        problems.append(f"{shared} slices share their instance UID with another one")
    rescales = Counter((f.slope, f.intercept) for f in frames)
    if len(rescales) > 1:
        problems.append(f"rescale differs between slices ({len(rescales)} pairs); each is applied")
    if any(f.header.text("lossy") == "01" for f in frames):
        problems.append("pixels were compressed with loss")
    if any(f.header.text("burned_in").upper() == "YES" for f in frames):
        problems.append("the header says text is burned into the pixels")
    if frames[0].header.text("image_type").upper().startswith("DERIVED"):
        problems.append("derived images, not the scanner's own reconstruction")
    current, duration = first.number("tube_current_ma"), first.number("exposure_time_ms")
    exposure = first.number("exposure_mas")
    if current and duration and exposure:
        product = current * duration / 1000
        if not 0.5 < exposure / product < 2:
            problems.append(
                f"Exposure says {exposure:g} mAs, but current x time is {product:.0f} mAs: "
                "it may be that of the whole scan"
            )
    return problems
