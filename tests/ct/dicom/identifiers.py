"""Identifiers of every kind, put everywhere in a data set, and what of them is found again."""

import struct

from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

SECRET = "Zaphodbeeblebrox"
"""A word that occurs nowhere by chance; values of every VR carry it or a form of it."""

NUMBER = 19770523
"""A date of birth as a number; its forms as text and in binary are searched for, too."""

BINARY = SECRET.encode()
"""16 bytes: as many whole values of two, four or eight bytes."""

IDENTIFIERS = {
    "AE": SECRET.upper(),
    "AS": "977Y",
    "AT": [0x70615A00, 0x19770523],
    "CS": SECRET.upper(),
    "DA": str(NUMBER),
    "DS": str(NUMBER),
    "DT": f"{NUMBER}112233",
    "FD": list(struct.unpack("<2d", BINARY)),
    "FL": list(struct.unpack("<4f", BINARY)),
    "IS": str(NUMBER),
    "LO": SECRET,
    "LT": f"Seen by {SECRET}",
    "OB": BINARY,
    "OD": BINARY,
    "OF": BINARY,
    "OL": BINARY,
    "OV": BINARY,
    "OW": BINARY,
    "PN": f"{SECRET}^Arthur",
    "SH": SECRET,
    "SL": list(struct.unpack("<4l", BINARY)),
    "SS": list(struct.unpack("<8h", BINARY)),
    "ST": SECRET,
    "SV": list(struct.unpack("<2q", BINARY)),
    "TM": "112233.777",
    "UC": SECRET,
    "UI": f"1.2.777.42.{NUMBER}",
    "UL": list(struct.unpack("<4L", BINARY)),
    "UN": BINARY,
    "UR": f"http://{SECRET}.example",
    "US": list(struct.unpack("<8H", BINARY)),
    "UT": SECRET,
    "UV": list(struct.unpack("<2Q", BINARY)),
}
TRACES = [
    SECRET.lower().encode(),
    SECRET[:8].lower().encode(),
    str(NUMBER).encode(),
    b"112233.777",
    b"977y",
    b"1.2.777.42",
    b"arthur",
    b"\x77\x19\x23\x05",  # the AT value, group before element
]
_PIXEL_GROUPS = (0x7FE0, 0x0028)


def attributes():
    """Every attribute of the data dictionary outside the file meta, with each VR it may have."""
    for tag, (vrs, _, _, _, keyword) in sorted(DicomDictionary.items()):
        if keyword and tag >> 16 not in (0, 2) and tag & 0xFFFF:
            for vr in vrs.split(" or "):
                yield tag, vr, keyword


def insert(dataset, number, of):
    """The secret in every ``of``-th attribute of the standard, beginning with ``number``.

    Left alone are pixels and their description, which the image needs, and attributes that are
    kept and already hold what an image needs. Kept ones the image can do without are filled.
    """
    count = dict.fromkeys([*IDENTIFIERS, "SQ"], 0)
    for i, (tag, vr, keyword) in enumerate(attributes()):
        private_form = keyword in dataset or tag >> 16 in _PIXEL_GROUPS or i % of != number
        if private_form or vr not in count:
            continue
        if keyword in ("BurnedInAnnotation", "NumberOfFrames", "SpecificCharacterSet"):
            continue
        if vr == "SQ":
            item = Dataset()
            item.PatientName = f"{SECRET}^Ford"
            item.add_new(0x00090010, "LO", SECRET)
            item.add_new(0x00091001, "UN", BINARY)
            item.add_new(0x00189345, "FD", list(struct.unpack("<2d", BINARY)))
            dataset.add_new(tag, "SQ", [item])
        else:
            dataset.add_new(tag, vr, IDENTIFIERS[vr])
        count[vr] += 1
    return count


def insert_outside(dataset):
    """In private elements of every VR, overlays, curves, preamble, and behind the pixels."""
    dataset.add_new(0x00090010, "LO", SECRET)
    for k, vr in enumerate(IDENTIFIERS):
        dataset.add_new(0x00091000 + k, vr, IDENTIFIERS[vr])
    deep = Dataset()
    deep.add_new(0x00090010, "LO", SECRET)
    deep.add_new(0x00091002, "PN", f"{SECRET}^Trillian")
    dataset.add_new(0x000910F0, "SQ", [deep])
    for group in (0x6000, 0x6002, 0x601E):
        dataset.add_new(group << 16 | 0x3000, "OW", BINARY)
        dataset.add_new(group << 16 | 0x0022, "LO", SECRET)
    for group in (0x5000, 0x501E):
        dataset.add_new(group << 16 | 0x3000, "OW", BINARY)
        dataset.add_new(group << 16 | 0x2500, "LO", SECRET)
    dataset.add_new(0xFFFCFFFC, "OB", BINARY)  # Data Set Trailing Padding
    dataset.PatientName, dataset.PatientID = f"{SECRET}^Arthur", SECRET
    dataset.PatientSex, dataset.PatientAge = "O", "977Y"
    dataset.ConvolutionKernel = SECRET  # a kept attribute that a site filled with a name
    dataset.StudyDate, dataset.AcquisitionDate = str(NUMBER), str(NUMBER + 1)
    dataset.preamble = SECRET.ljust(128).encode()
    meta = dataset.file_meta
    meta.SourceApplicationEntityTitle = SECRET
    meta.ImplementationVersionName = SECRET
    meta.PrivateInformationCreatorUID = f"1.2.777.42.{NUMBER}"
    meta.PrivateInformation = BINARY


def traces_in(folder):
    """Which traces of the identifiers are found in any byte of any file."""
    return {
        (file.name, trace)
        for file in folder.iterdir()
        for trace in TRACES
        if trace in file.read_bytes().lower() or trace in file.name.lower().encode()
    }
