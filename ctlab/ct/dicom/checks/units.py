"""What the values of an image are: HU, or another quantity that CT images may hold, too."""

import re

from ctlab.ct.dicom.frames import Frame

NO_HU = {
    *("MAT_SPECIFIC", "MAT_REMOVED", "MAT_MODIFIED", "MAT_FRACTIONAL", "MAT_VALUE_BASED"),
    *("EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "Z_EFF", "ZEFF", "EFFECTIVE_Z", "EFF_Z", "RHO_Z"),
    *(
        "RHO",
        "EDW",
        "IODINE",
        "IODINE_MAP",
        "MATERIAL_DENSITY",
        "URIC_ACID",
        "VNC",
        "VUE",
        "VNCA",
        "VNCALCIUM",
    ),
    *("VIRTUAL_NON_CONTRAST", "VIRTUAL_UNENHANCED", "PBV", "LUNG_PBV", "LUNGPBV"),
    *("FAT_FRACTION", "PROTON_STOPPING_POWER", "STOPPING_POWER", "SPR"),
    *("CBF", "CBV", "RCBF", "RCBV", "MTT", "TTP", "TMAX", "TTD", "PERMEABILITY"),
    *("SUBTRACTION", "DIVISION", "MULTIPLICATION", "STD_DEVIATION", "QUANTITY"),
}
"""Words of Image Type or Frame Type whose images hold other quantities than HU, or HU from which
a material was taken out. Standard ones: DICOM PS3.3, C.8.2.1.1.1 and C.8.16.1.4; the rest are
vendors'. A virtual monoenergetic image (VMI, MONO_E) holds HU."""

_PARTS = (
    *("IODINE", "ZEFF", "EFF_ATOMIC", "ELECTRON_DENS", "STOPPING_POWER", "NON_CONTRAST"),
    *("CA_SUPP", "CASUPP", "CALCIUM_SUPP", "BONE_REMOV", "BLOOD_FLOW", "BLOOD_VOL", "STDEV"),
    *("STD_DEV", "NOISE_MAP"),
)
"""Parts of vendors' words that say the same."""

_HU = {"HU", "[HNSF'U]", "HNSF'U", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNSFIELD UNITS"}


def units_of(frame: Frame) -> str:
    """What the values of one image are where they are no HU ("MGML", "Z_EFF"); empty for HU.

    By Rescale Type (0028,1054), for which ``US`` says nothing, by what Image Type or Frame Type
    says of multi-energy and perfusion images, and by the units of a Real World Value Mapping
    (DICOM PS3.3, C.11.1.1.2, C.8.2.1.1.1 and C.7.6.16.2.11).
    """
    kind = frame.header.text("rescale_type").strip().upper()
    if kind not in ("", "US", *_HU):
        return kind
    said = "\\".join(frame.header.text(n) for n in ("image_type", "frame_type")).upper()
    words = [re.sub(r"[^A-Z0-9]+", "_", word).strip("_") for word in said.split("\\")]
    for word in words:
        if any(f"_{name}_" in f"_{word}_" for name in NO_HU) or any(p in word for p in _PARTS):
            return word
    mapped = frame.header.text("mapped_units")
    return "" if mapped.upper() in ("", *_HU) else mapped


def other_units(frames: list[Frame]) -> str:
    """What the values of a series are where any are no HU; empty for HU."""
    return next(filter(None, map(units_of, frames)), "")
