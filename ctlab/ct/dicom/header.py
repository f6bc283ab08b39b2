"""Headers of DICOM files, read lean: only the elements that geometry and HU rest on.

Parsing every element with a general library costs more than reading the pixels of a CT slice.
:func:`read_header` walks the top level of a little-endian file itself (DICOM PS3.5, section 7)
and takes the few elements it needs; everything unusual goes to pydicom.
"""

import re
import struct
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from ctlab.ct.dicom.discover import LARGEST_UNPACKED, open_source, read_start
from ctlab.ct.dicom.encapsulated import end_and_images
from ctlab.ct.dicom.tags import TAGS

_NAMES = {tag: name for name, tag in TAGS.items()}
_SHORTS = ("samples", "rows", "columns", "bits_allocated", "bits_stored", "high_bit", "signed")
_SHORTS += ("padding", "padding_limit", "concatenation_part", "concatenation_parts")
_FORMATS = {
    **dict.fromkeys(_SHORTS, "H"),
    "temporal_index": "I",
    **dict.fromkeys(("cardiac_percent", "respiratory_percent"), "f"),
    **dict.fromkeys(("ctdivol_mgy", "energy_kev", "cardiac_delay_ms"), "d"),
}
"""How numbers that are no text are packed."""
_SEQUENCES = {"modality_lut", "value_mapping"}
PIXEL_TAGS = {0x7FE00010, 0x7FE00008, 0x7FE00009}

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
NATIVE = {IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN}

_LONG_VR = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT"}
_LONG_VR |= {b"UV"}
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


class NotDicom(ValueError):  # noqa: N818  (a finding, not a fault)
    """The file is something else: text, a picture, an empty file."""


class CutShort(ValueError):  # noqa: N818  (a finding, not a fault)
    """The file ends before its pixels do; ``series_uid`` says where it belongs, if known."""

    def __init__(self, path: Path, elements: dict[str, bytes], lost: str) -> None:
        super().__init__(f"{path.name} is cut short: {lost}; copy the file again")
        self.series_uid = _text(elements.get("series_uid", b""))


@dataclass(frozen=True, slots=True)
class Header:
    """The elements of one file that matter here, as raw little-endian bytes by name."""

    path: Path
    transfer_syntax: str
    elements: dict[str, bytes]
    pixel_offset: int | None = None  # of native pixel data in the file; None if encoded
    pixel_bytes: int | None = None
    images: int | None = None  # that encoded pixel data hold; None if native
    has_pixels: bool = True  # false where the data set is known to end without them

    def text(self, name: str) -> str:
        """Value as text that can be printed, without padding; empty where there is none."""
        raw = self.elements.get(name, b"").strip(b" \0")
        if raw.isascii() and b"\x1b" not in raw:
            text = raw.decode("ascii")
        else:
            text = decoded_text(raw, self.elements.get("character_set", b""))
        return "".join(c for c in text if c.isprintable())

    def words(self, name: str) -> str:
        """Value as text, with one blank between words and none around parts."""
        return "\\".join(" ".join(part.split()) for part in self.text(name).split("\\"))

    def numbers(self, name: str) -> tuple[float, ...]:
        """All values as finite numbers; empty where absent, empty or not numbers."""
        raw = self.elements.get(name, b"")
        if kind := _FORMATS.get(name):
            count = len(raw) // struct.calcsize(kind)
            values = struct.unpack_from(f"<{count}{kind}", raw)
        else:
            try:
                values = tuple(map(float, raw.replace(b"\0", b" ").split(b"\\")))
            except ValueError:
                return ()
            if b"_" in raw:  # digits in groups, to Python alone
                return ()
        return values if all(abs(v) < 1e30 for v in values) else ()

    def number(self, name: str) -> float | None:
        """First value as a number, ``None`` where there is none."""
        values = self.numbers(name)
        return values[0] if values else None

    def integer(self, name: str, default: int = 0) -> int:
        """First value as a whole number, ``default`` where there is none."""
        value = self.number(name)
        return default if value is None else int(value)


def decoded_text(raw: bytes, character_sets: bytes) -> str:
    r"""Text of an element by Specific Character Set (0008,0005), which may switch within it.

    Examples
    --------
    >>> decoded_text(b"\x1b$B6;It\x1b(B", rb"\ISO 2022 IR 87")
    '胸部'
    """
    from pydicom.charset import convert_encodings, decode_bytes

    names = [n.strip(" \0") for n in character_sets.decode("latin-1").split("\\")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown sets: what they cannot decode follows below
        try:
            if any(names):
                return decode_bytes(raw, convert_encodings(names), {0x5C, 0x5E, 0x3D})
            return raw.decode("utf-8")
        except (LookupError, UnicodeError):
            return raw.decode("latin-1")


def read_header(path: Path) -> Header:
    """Header of one file whose pixels are there to the end.

    Raises
    ------
    NotDicom
        The file is not DICOM at all.
    ValueError
        It is DICOM but its header cannot be read, or the file ends before its pixels do.
    """
    for size in (1 << 14, 1 << 20, -1):
        data, length = read_start(path, size)
        elements: dict[str, bytes] = {}
        try:
            header, start = _walk(path, data, elements)
            return _whole(header, start, length)
        except _End:
            if size < 0:
                return replace(_parsed(path), has_pixels=False)
        except _Short:
            if size < 0:
                raise CutShort(path, elements, "its header ends in the middle") from None
        except _Unusual:
            break
    return _parsed(path)


class _Short(Exception):  # noqa: N818
    """The bytes end within an element before the pixel data."""


class _End(Exception):  # noqa: N818
    """The data set ends, or the bytes at hand do, between two elements before the pixel data."""


class _Unusual(Exception):  # noqa: N818
    """Something that is left to pydicom."""


def _walk(path: Path, data: bytes, elements: dict[str, bytes]) -> tuple[Header, int]:
    """Header with ``elements`` filled, and where the value of the pixel data begins."""
    meta, position = _little_endian_meta(data)
    syntax = _text(meta[0x00020010])
    if 0x00020002 in meta:
        elements["sop_class"] = meta[0x00020002]  # the data set's own follows, if it has one
    explicit = _is_explicit(data, position, syntax)
    while True:
        if position + 8 > len(data):
            raise _End if position == len(data) else _Short
        tag, length, value = _element(data, position, explicit)
        if tag in PIXEL_TAGS:
            offset = value if length != _UNDEFINED else None
            return Header(path, syntax, elements, offset, length if offset else None), value
        if tag > 0x7FE00010 or tag < 0x00080000:
            raise _Unusual
        if length == _UNDEFINED:
            if tag in _NAMES:  # that it is there is all that counts
                elements[_NAMES[tag]] = b"1"
            position = _skip_sequence(data, value, explicit)
            continue
        position = value + length
        if position > len(data):
            raise _Short
        if tag in _NAMES and (length or _NAMES[tag] not in elements):
            elements[_NAMES[tag]] = data[value:position]


def _is_explicit(data: bytes, position: int, syntax: str) -> bool:
    """Whether elements name their VR; as a length, two letters would be 16 KB or more."""
    if syntax == IMPLICIT and re.fullmatch(b"[A-Z]{2}", data[position + 4 : position + 6]):
        raise _Unusual  # declared implicit, and written with VRs all the same
    return syntax != IMPLICIT


def _whole(header: Header, start: int, end: int) -> Header:
    """The header with the number of encoded images; raises where the file ends before them."""
    if header.pixel_bytes is not None:
        needed = start + header.pixel_bytes
    else:
        with open_source(header.path) as stream:
            needed, images = end_and_images(stream, start, header.transfer_syntax)
        header = replace(header, images=images)
    if needed > end:
        lost = f"expected {needed} bytes or more, got {end}"
        raise CutShort(header.path, header.elements, lost)
    return header


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0 ").decode("latin-1")


def _little_endian_meta(data: bytes) -> tuple[dict[int, bytes], int]:
    """Elements of group 0002, and where the data set begins, if little endian, not deflated."""
    if data[128:132] != b"DICM":
        raise _Unusual
    try:
        meta, start = _meta(data)
    except (struct.error, IndexError):
        raise _Short from None
    if _text(meta.get(0x00020010, b"")) in (DEFLATED, BIG_ENDIAN, ""):
        raise _Unusual
    return meta, start


def _meta(data: bytes) -> tuple[dict[int, bytes], int]:
    """Elements of group 0002 and the offset behind them."""
    elements: dict[int, bytes] = {}
    position = 132
    while True:
        tag = _tag(data, position)
        if tag >> 16 != 2:
            return elements, position
        _, length, value = _element(data, position, True)
        elements[tag] = data[value : value + length]
        position = value + length


def _tag(data: bytes, position: int) -> int:
    group, element = struct.unpack_from("<HH", data, position)
    return int(group << 16 | element)


def _element(data: bytes, position: int, explicit: bool) -> tuple[int, int, int]:
    """Tag, length of the value, and where the value begins."""
    tag = _tag(data, position)
    try:
        if not explicit or tag >> 16 == 0xFFFE:
            return tag, struct.unpack_from("<I", data, position + 4)[0], position + 8
        vr = data[position + 4 : position + 6]
        if vr in _LONG_VR:
            return tag, struct.unpack_from("<I", data, position + 8)[0], position + 12
        if not (vr.isalpha() and vr.isupper()):
            raise _Unusual
        return tag, struct.unpack_from("<H", data, position + 6)[0], position + 8
    except struct.error:
        raise _Short from None


def _skip_sequence(data: bytes, position: int, explicit: bool, depth: int = 0) -> int:
    """Offset behind a sequence of undefined length that begins at ``position``."""
    if depth > 16:
        raise _Unusual
    while True:
        if position + 8 > len(data):
            raise _Short
        tag, length, value = _element(data, position, explicit)
        if tag == _SEQUENCE_END:
            return value
        if tag != _ITEM:
            raise _Unusual
        position = value + length
        if length == _UNDEFINED:
            position = _skip_item(data, value, explicit, depth)


def _skip_item(data: bytes, position: int, explicit: bool, depth: int) -> int:
    while True:
        if position + 8 > len(data):
            raise _Short
        tag, length, value = _element(data, position, explicit)
        if tag == _ITEM_END:
            return value
        position = value + length
        if length == _UNDEFINED:
            position = _skip_sequence(data, value, explicit, depth + 1)


def _parsed(path: Path) -> Header:
    """The same through pydicom: headerless files, big endian, deflated, and oddities."""
    dataset = read_dataset(path)
    elements = {}
    for name, tag in TAGS.items():
        if tag in dataset:
            elements[name] = encoded(name, dataset[tag].value)
    elements["character_set"] = b"ISO_IR 192"  # as encoded above
    if not elements.get("sop_class"):
        elements["sop_class"] = str(dataset.file_meta.get("MediaStorageSOPClassUID", "")).encode()
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    header = Header(path, syntax, elements, has_pixels=any(tag in dataset for tag in PIXEL_TAGS))
    pixels = dataset.get("PixelData") or b""
    if syntax in NATIVE:
        return replace(header, pixel_bytes=len(pixels))
    needed, images = end_and_images(BytesIO(pixels), 0, syntax)
    if needed > len(pixels):
        raise CutShort(path, elements, f"expected {needed} bytes of pixels, got {len(pixels)}")
    return replace(header, images=images)


def first_line(error: Exception) -> str:
    """What an error of pydicom says, without the traceback that it adds to its sentence."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def read_dataset(path: Path, *, pixels: bool = True) -> Any:
    """The whole file through pydicom, with every way of failing turned into one.

    Raises
    ------
    NotDicom, ValueError
        As :func:`read_header`.
    """
    import pydicom

    with open_source(path) as stream:
        head = stream.read(132)
        stream.seek(0)
        is_marked = head[128:132] == b"DICM"
        # Old files begin with group 0008 at once; anything else is not DICOM.
        if not is_marked and head[:2] not in (b"\x08\x00", b"\x02\x00", b"\x00\x08"):
            raise NotDicom(f"{path} is not a DICOM file")
        _refuse_bomb(path, stream)
        try:
            dataset = pydicom.dcmread(stream, force=not is_marked, stop_before_pixels=not pixels)
            for tag in (*TAGS.values(), *PIXEL_TAGS):  # converted on first use, and may fail then
                dataset.get(tag)
            list(dataset.file_meta)
        except Exception as error:
            raise ValueError(
                f"{path.name} is damaged: its header cannot be read ({first_line(error)})"
            ) from error
    if not dataset or ("SOPClassUID" not in dataset and "Modality" not in dataset):
        kind = ValueError if is_marked else NotDicom
        raise kind(f"{path.name} holds no DICOM object, or is cut short")
    if not dataset.file_meta.get("TransferSyntaxUID"):  # pydicom has seen how it is written
        implicit, little = dataset.original_encoding
        meta: Any = dataset.file_meta
        native = EXPLICIT if little else BIG_ENDIAN
        meta.TransferSyntaxUID = IMPLICIT if implicit else native
    return dataset


def _refuse_bomb(path: Path, stream: BinaryIO) -> None:
    """Raise where a deflated data set unpacks to more than any image; memory stays small."""
    head = stream.read(1 << 14)
    stream.seek(0)
    try:
        meta, start = _meta(head)
    except (struct.error, IndexError, _Short, _Unusual):
        return
    if _text(meta.get(0x00020010, b"")) != DEFLATED:
        return
    stream.seek(start)
    packed, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with suppress(zlib.error):  # damaged: pydicom will say so
        while data := packed.unconsumed_tail or stream.read(1 << 16):
            size += len(packed.decompress(data, 1 << 20))
            if size > LARGEST_UNPACKED:
                raise ValueError(
                    f"{path.name} is deflated and unpacks to more than {LARGEST_UNPACKED >> 20} "
                    "MB, which no image does; export it uncompressed"
                )
    stream.seek(0)


def encoded(name: str, value: Any) -> bytes:
    """A value as the raw bytes that :class:`Header` holds."""
    from pydicom.multival import MultiValue

    if value is None:
        return b""
    if name in _SEQUENCES:
        return b"1"
    values = list(value) if isinstance(value, MultiValue | list) else [value]
    if kind := _FORMATS.get(name):
        numbers = [v for v in values if not isinstance(v, bytes | str)]
        if kind in "HI":
            numbers = [int(v) % 256 ** struct.calcsize(kind) for v in numbers]
        return struct.pack(f"<{len(numbers)}{kind}", *numbers)
    return b"\\".join(v if isinstance(v, bytes) else str(v).encode() for v in values)
