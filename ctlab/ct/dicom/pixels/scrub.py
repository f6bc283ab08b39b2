"""What pixel data can carry beside the image, blanked: comments of codecs, spare bits, padding.

Codecs have room for text that no viewer shows: APPn and COM segments of JPEG and JPEG-LS (ITU-T
T.81, B.2.4), COM segments and file boxes of JPEG 2000 (ITU-T T.800, A.9.2), bytes after the end of
an image, and unused bits of 16-bit pixels, where old scanners kept overlays. Payloads are set to
zero and keep their length, so that nothing else moves and the image decodes as before.
"""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from ctlab.ct.dicom.encapsulated import RLE
from ctlab.ct.dicom.header import EXPLICIT, NATIVE
from ctlab.ct.dicom.pixels.decode import DECODERS, bits_of, decode_image
from ctlab.ct.dicom.pixels.jpeg import JPEG

JPEG_LIKE = JPEG | {f"1.2.840.10008.1.2.4.{n}" for n in (80, 81)}
J2K_LIKE = set(DECODERS) - JPEG_LIKE - {RLE}
_J2K_START, _JP2_BOX = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "


def scrub_pixels(dataset: Any) -> None:
    """Blank in place whatever the pixel data of a CT image hold beside the image.

    Raises
    ------
    ValueError
        Pixels are cut short, damaged, or encoded in a way that cannot be looked through.
    """
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:  # not kept by any profile, and wrong after a change
            del dataset[keyword]
    if syntax in NATIVE:
        _scrub_native(dataset)
    elif syntax == RLE:
        _scrub_rle(dataset)
    elif syntax in JPEG_LIKE | J2K_LIKE:
        _scrub_frames(dataset, jpeg=syntax in JPEG_LIKE)
        _scrub_spare_bits(dataset, syntax)
    else:
        raise ValueError(f"pixels encoded as {syntax} cannot be looked through for hidden text")


def _scrub_rle(dataset: Any) -> None:
    """Decoded with every bit, scrubbed, and encoded again."""
    bits, high = dataset.BitsStored, dataset.get("HighBit", dataset.BitsStored - 1)
    dataset.BitsStored, dataset.HighBit = dataset.BitsAllocated, dataset.BitsAllocated - 1
    dataset.decompress(generate_instance_uid=False, decoding_plugin="pydicom")
    dataset.BitsStored, dataset.HighBit = bits, high
    _scrub_native(dataset)
    dataset.BitsStored, dataset.HighBit = dataset.BitsAllocated, dataset.BitsAllocated - 1
    dataset.compress(RLE, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = bits, high


def _scrub_native(dataset: Any) -> None:
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    high = int(dataset.get("HighBit", stored - 1))
    if allocated not in (8, 16, 32) or not stored - 1 <= high < allocated:
        raise ValueError("an unusual layout of bits cannot be looked through for hidden text")
    count = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
    size_bytes = count * allocated // 8
    if len(dataset.PixelData) < size_bytes:
        raise ValueError("pixels are cut short")
    data = dataset.PixelData[:size_bytes]
    if 0 < stored < allocated and allocated > 8:
        order = "<" if dataset.original_encoding[1] in (None, True) else ">"
        kind = "i" if dataset.PixelRepresentation else "u"
        values = np.frombuffer(data, f"{order}{kind}{allocated // 8}")
        kept = bits_of(values, stored, high)
        data = np.left_shift(kept, high + 1 - stored).astype(values.dtype).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)


def _scrub_frames(dataset: Any, *, jpeg: bool) -> None:
    from pydicom.encaps import encapsulate, generate_frames

    count = int(dataset.get("NumberOfFrames") or 1)
    frames = [
        scrubbed_jpeg(frame) if jpeg else scrubbed_j2k(frame)
        for frame in generate_frames(dataset.PixelData, number_of_frames=count)
    ]
    dataset.PixelData = encapsulate(frames)


def _scrub_spare_bits(dataset: Any, syntax: str) -> None:
    """Where bits beyond the stored ones hold anything, pixels without them, uncompressed."""
    from pydicom.encaps import generate_frames

    stored = int(dataset.BitsStored)
    high, count = int(dataset.get("HighBit", stored - 1)), int(dataset.get("NumberOfFrames") or 1)
    frames = generate_frames(dataset.PixelData, number_of_frames=count)
    if all(encoded_bits(frame) <= stored for frame in frames):
        return
    if high != stored - 1:
        raise ValueError(f"expected High Bit {stored - 1} in compressed pixels, got {high}")
    images = [decode_image(dataset, syntax, k) for k in range(count)]
    kept = [bits_of(image, stored, high) for image in images]
    if all(map(np.array_equal, images, kept)):
        return
    dataset.PixelData = b"".join(
        image.astype(image.dtype.newbyteorder("<")).tobytes() for image in kept
    )
    dataset["PixelData"].VR = "OW"
    dataset["PixelData"].is_undefined_length = False
    dataset.file_meta.TransferSyntaxUID = EXPLICIT


def encoded_bits(data: bytes) -> int:
    """Bits a pixel that a JPEG, JPEG-LS or JPEG 2000 image is encoded with."""
    if data[:4] == _J2K_START:
        return (data[42] & 0x7F) + 1  # ITU-T T.800, A.5.1
    sizes = {0xF7, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
    found = (data[start] for marker, start, _ in _segments(data, 2) if marker in sizes)
    return next(found, 16)


def scrubbed_jpeg(data: bytes) -> bytes:
    r"""A JPEG or JPEG-LS image without the payload of APPn and COM, and without a tail.

    Examples
    --------
    >>> image = b"\xff\xd8\xff\xfe\x00\x05Bob\xff\xda\x00\x02\x01\xff\xd9Bob"
    >>> scrubbed_jpeg(image)
    b'\xff\xd8\xff\xfe\x00\x05\x00\x00\x00\xff\xda\x00\x02\x01\xff\xd9'
    """
    scrubbed = bytearray(data)
    if data[:2] != b"\xff\xd8":
        raise ValueError("a JPEG image does not begin as one")
    position = 2
    for marker, start, end in _segments(data, position):
        if marker == 0xD9:
            return bytes(scrubbed[:end])
        if 0xE0 <= marker <= 0xEF or marker == 0xFE:
            scrubbed[start:end] = b"\0" * (end - start)
    raise ValueError("a JPEG image has no end")


def _segments(data: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    """Marker, and begin and end of its payload; scans and their entropy code are passed over."""
    while position + 2 <= len(data):
        if data[position] != 0xFF:
            raise ValueError("a JPEG image is damaged between its segments")
        marker = data[position + 1]
        position += 1
        if marker == 0xFF:  # fill
            continue
        position += 1
        if marker == 0xD9:
            yield marker, position, position
            return
        if position + 2 > len(data):
            break
        length = struct.unpack_from(">H", data, position)[0]
        yield marker, position + 2, min(position + max(length, 2), len(data))
        position += max(length, 2)
        if marker == 0xDA:
            position = _behind_scan(data, position)


def _behind_scan(data: bytes, position: int) -> int:
    """Where the next marker lies: 0xFF with a set top bit behind it, restarts apart."""
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 1 >= len(data):
            return len(data)
        following = data[position + 1]
        if following >= 0x80 and not 0xD0 <= following <= 0xD7 and following != 0xFF:
            return position
        position += 1 if following == 0xFF else 2


def scrubbed_j2k(data: bytes) -> bytes:
    """A JPEG 2000 codestream without the payload of COM segments, without file boxes or a tail."""
    if data[:8] == _JP2_BOX:
        data = _codestream(data)
    if data[:4] != _J2K_START:
        raise ValueError("a JPEG 2000 image does not begin as one")
    scrubbed = bytearray(data)
    position, tile_end = 2, 0
    while position + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, position)
        if marker == 0xFFD9:
            break
        if marker == 0xFF93:  # the data of a tile-part
            position = tile_end
            continue
        if marker >> 8 != 0xFF or length < 2 or position + 2 + length > len(data):
            raise ValueError("a JPEG 2000 image is damaged between its segments")
        if marker == 0xFF90:
            tile_end = _tile_end(data, position, length)
        if marker == 0xFF64:
            scrubbed[position + 6 : position + 2 + length] = b"\0" * (length - 4)
        position += 2 + length
    if data[position : position + 2] != b"\xff\xd9":
        raise ValueError("a JPEG 2000 image has no end")
    return bytes(scrubbed[: position + 2])


def _tile_end(data: bytes, position: int, length: int) -> int:
    """Where the tile-part that begins at ``position`` ends (ITU-T T.800, A.4.2)."""
    size = struct.unpack_from(">I", data, position + 6)[0] if length == 10 else 1
    # Nought is for the last one: it ends with the codestream.
    end: int = position + size if size else data.rfind(b"\xff\xd9")
    if end < position + 12:
        raise ValueError("a JPEG 2000 image is damaged: a tile-part has no length")
    return end


def _codestream(data: bytes) -> bytes:
    """The codestream of a JP2 file (ITU-T T.800, I.4)."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"jp2c":
            return data[position + 8 : position + size if size else None]
        if size < 8:
            break
        position += size
    raise ValueError("a JP2 file holds no codestream")
