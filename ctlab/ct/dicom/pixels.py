"""Pixels of CT images: decoded, and in HU by the rescale of each image."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from pydicom.uid import UID

from ctlab.ct.dicom.discover import open_source
from ctlab.ct.dicom.frames import Frame
from ctlab.ct.dicom.header import (
    EXPLICIT,
    IMPLICIT,
    NATIVE,
    Header,
    read_dataset,
)
from ctlab.ct.dicom.jpeg import JPEG, decode_jpeg
from ctlab.ct.hu import HU_MIN

OWN = "ctlab"
DECODERS = {
    "1.2.840.10008.1.2.5": "pydicom",  # RLE; the faster one panics on damaged data
    **dict.fromkeys(JPEG, OWN),
    **{f"1.2.840.10008.1.2.4.{n}": "pyjpegls" for n in (80, 81)},  # JPEG-LS
    **{f"1.2.840.10008.1.2.4.{n}": "pylibjpeg" for n in (90, 91, 201, 202, 203)},  # JPEG 2000
}
"""The one decoder of each compressed transfer syntax: :mod:`ctlab.ct.dicom.jpeg` or a plugin of
pydicom. Left to choose, pydicom would try GDCM where another fails, and GDCM ends the whole
program on damaged data."""

LARGEST_SIDE = 8192
"""Rows or columns above this are a damaged header: no CT reconstructs such an image."""


def has_decoder(transfer_syntax: str) -> bool:
    """Whether the decoder that reads this compressed transfer syntax is installed.

    Examples
    --------
    >>> has_decoder("1.2.840.10008.1.2.5"), has_decoder("1.2.840.10008.1.2.4.100")
    (True, False)
    """
    from pydicom.pixels.decoders.base import get_decoder

    decoder = DECODERS.get(transfer_syntax)
    if decoder in (None, OWN):
        return decoder == OWN
    return decoder in get_decoder(UID(transfer_syntax)).available_plugins


def decode_hu(frames: list[Frame]) -> Iterator[np.ndarray]:
    """As :func:`stream_hu`, in this process alone."""
    for _, group in groupby(frames, key=lambda frame: frame.path):
        members = list(group)
        for frame, stored in zip(members, _stored(members), strict=True):
            yield to_hu(frame, stored)


def to_hu(frame: Frame, stored: np.ndarray) -> np.ndarray:
    """HU (float32) of stored values, by the rescale of this very image."""
    if frame.slope is None or frame.intercept is None or frame.slope == 0:
        raise ValueError(
            f"{frame.path.name} has no usable rescale slope and intercept, so its HU are unknown; "
            "export the series from its archive again"
        )
    hu = stored.astype(np.float32)
    if frame.slope != 1:
        hu *= np.float32(frame.slope)
    if frame.intercept != 0:
        hu += np.float32(frame.intercept)
    outside = padding_mask(frame, stored)
    if outside is not None:
        hu[outside] = HU_MIN
    return hu


def padding_mask(frame: Frame, stored: np.ndarray) -> np.ndarray | None:
    """Pixels that hold the padding value or lie in the padding range; ``None`` if undeclared."""
    first = frame.header.numbers("padding")
    if not first:
        return None
    last = frame.header.numbers("padding_limit") or first
    # Declared as unsigned or signed at will by vendors: what counts is the 16-bit pattern.
    bounds: list[Any] = [
        np.array(int(v) & 0xFFFF, np.uint16).view(_kind(stored)) for v in (first[0], last[0])
    ]
    low, high = int(min(bounds)), int(max(bounds))
    if low * (frame.slope or 1) + (frame.intercept or 0) < HU_MIN:
        mask = stored <= high  # below air: lossy compression smears such fill further down
    else:
        mask = stored == low if low == high else (stored >= low) & (stored <= high)
    return mask if mask.any() else None


def _kind(stored: np.ndarray) -> type:
    return np.int16 if stored.dtype.kind == "i" else np.uint16


def _stored(frames: list[Frame]) -> Iterator[np.ndarray]:
    """Stored pixel values of frames of one file."""
    header = frames[0].header
    rows, columns = frames[0].shape
    if not (0 < rows <= LARGEST_SIDE and 0 < columns <= LARGEST_SIDE):
        raise ValueError(
            f"{header.path.name} claims {rows} x {columns} pixels; its header is damaged"
        )
    in_place = header.pixel_offset is not None and header.transfer_syntax in (IMPLICIT, EXPLICIT)
    if in_place and header.integer("bits_allocated") == 16:
        for frame in frames:
            yield _native(header, rows, columns, frame.index)
    else:
        dataset = read_dataset(header.path)
        if "PixelData" not in dataset:
            raise ValueError(f"{header.path.name} holds no pixels")
        for frame in frames:
            yield _decoded(header, dataset, rows, columns, frame.index)


def _native(header: Header, rows: int, columns: int, index: int) -> np.ndarray:
    """16-bit little-endian pixels straight from their place in the file."""
    wanted = rows * columns * 2
    with open_source(header.path) as stream:
        stream.seek((header.pixel_offset or 0) + index * wanted)
        data = stream.read(wanted)
    if len(data) < wanted:
        raise ValueError(
            f"{header.path.name} is cut short: {wanted} bytes of pixels are needed, "
            f"{len(data)} are there; copy the file again"
        )
    kind = "<i2" if header.integer("signed") == 1 else "<u2"
    stored = np.frombuffer(data, kind).reshape(rows, columns)
    return _only_stored_bits(stored, header)


def _only_stored_bits(stored: np.ndarray, header: Header) -> np.ndarray:
    """Bits above the stored ones (old overlays) removed, the sign extended again."""
    bits = header.integer("bits_stored", 16)
    if not 0 < bits <= 16 or header.integer("high_bit", bits - 1) != bits - 1:
        raise ValueError(f"{header.path.name} has a damaged pixel description ({bits} bits stored)")
    if bits == 16:
        return stored
    shift = 16 - bits
    kept = np.left_shift(stored, shift)
    return np.right_shift(kept, shift)


def _decoded(header: Header, dataset: Any, rows: int, columns: int, index: int) -> np.ndarray:
    from pydicom.pixels.utils import pixel_array

    syntax = header.transfer_syntax
    plugin = DECODERS.get(syntax, "")
    if syntax not in NATIVE and not has_decoder(syntax):
        known = f"needs the decoder {plugin}, which is not installed" if plugin else "is unknown"
        raise ValueError(
            f"{header.path.name}: its encoding ({syntax or 'not given'}) {known}; run `ctlab "
            "doctor` to see what can be read, or export the series uncompressed"
        )
    try:
        if plugin == OWN:
            stored = _jpeg(header, dataset, index)
        else:
            stored = pixel_array(dataset, index=index, raw=True, decoding_plugin=plugin)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{header.path.name} cannot be decoded ({header.transfer_syntax}): {reason}"
        ) from error
    if stored.shape != (rows, columns):
        raise ValueError(
            f"{header.path.name} holds an image of shape {stored.shape} where its header says "
            f"{(rows, columns)}; it is no CT slice"
        )
    return stored


def _jpeg(header: Header, dataset: Any, index: int) -> np.ndarray:
    """JPEG by the project's own decoder: those of other libraries abort on damaged data."""
    from pydicom.encaps import get_frame

    frames = int(dataset.get("NumberOfFrames") or 1)
    stored = decode_jpeg(get_frame(dataset.PixelData, index, number_of_frames=frames))
    return _only_stored_bits(stored.view(np.int16) if header.integer("signed") else stored, header)
