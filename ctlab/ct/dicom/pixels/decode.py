"""Pixels of CT images: decoded, and in HU by the rescale of each image."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from pydicom.uid import UID

from ctlab.ct.dicom.discover import open_source
from ctlab.ct.dicom.encapsulated import RLE
from ctlab.ct.dicom.frames import Frame
from ctlab.ct.dicom.header import (
    EXPLICIT,
    IMPLICIT,
    NATIVE,
    Header,
    read_dataset,
)
from ctlab.ct.dicom.pixels.jpeg import JPEG, decode_jpeg
from ctlab.ct.hu import HU_MIN

OWN = "ctlab"
DECODERS = {
    RLE: "pydicom",  # RLE; the faster one panics on damaged data
    **dict.fromkeys(JPEG, OWN),
    **{f"1.2.840.10008.1.2.4.{n}": "pyjpegls" for n in (80, 81)},  # JPEG-LS
    **{f"1.2.840.10008.1.2.4.{n}": "pylibjpeg" for n in (90, 91, 201, 202, 203)},  # JPEG 2000
}
"""The one decoder of each compressed transfer syntax: our own (:mod:`ctlab.ct.dicom.pixels.jpeg`)
or a plugin of pydicom. Left to choose, pydicom would try GDCM where another fails, and GDCM ends
the whole program on damaged data."""

LEAST_FILL_PX = 4
"""Fewer pixels of a possible HU in a corner are taken for tissue or noise, not for fill."""

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
    """Pixels of the fill outside the field of view; ``None`` where there are none.

    Of a padding value below air every pixel is fill, and so is what lies beyond it: compression
    with loss smears fill. A padding value that tissue can have, too, is fill only in areas that
    reach a corner of the image; elsewhere such pixels are tissue (:func:`padding_range_hu`).
    """
    bounds = _padding_bounds(frame.header, stored.dtype)
    if bounds is None:
        return None
    low, high = bounds
    slope, intercept = frame.slope or 1, frame.intercept or 0
    mask: np.ndarray
    if max(low * slope, high * slope) + intercept < HU_MIN:
        mask = stored <= high if slope > 0 else stored >= low
    elif min(low * slope, high * slope) + intercept < HU_MIN:
        mask = (
            (stored >= low) & (stored <= high) & (stored * np.float32(slope) < HU_MIN - intercept)
        )
    else:
        mask = _reaching_corners((stored >= low) & (stored <= high))
    return mask if mask.any() else None


def padding_range_hu(frame: Frame) -> tuple[float, float] | None:
    """Lowest and highest HU that are padding by the header but may be tissue; else ``None``."""
    kind = np.dtype(np.int16 if frame.header.integer("signed") else np.uint16)
    bounds = _padding_bounds(frame.header, kind)
    if bounds is None or frame.slope is None or frame.intercept is None:
        return None
    ends = np.array(bounds, np.float32) * np.float32(frame.slope) + np.float32(frame.intercept)
    low, high = float(ends.min()), float(ends.max())
    return (max(low, HU_MIN + 0.5), high) if high > HU_MIN else None


def _padding_bounds(header: Header, kind: np.dtype[Any]) -> tuple[int, int] | None:
    """Padding range as stored values; vendors declare it signed or unsigned at will."""
    first = header.numbers("padding")
    if not first:
        return None
    last = header.numbers("padding_limit") or first
    bits = header.integer("bits_stored", 16)
    ends = []
    for value in (int(first[0]), int(last[0])):
        if kind.kind != "i":
            ends.append(value & 0xFFFF)
        else:  # what counts is the pattern of the stored bits, or of 16 where more are set
            width = bits if 0 < bits < 16 and not value >> bits else 16
            ends.append(((value & 0xFFFF) ^ 1 << width - 1) - (1 << width - 1))
    return min(ends), max(ends)


def _reaching_corners(mask: np.ndarray) -> np.ndarray:
    """Areas of the mask (y, x) that hold a corner of the image and more than a few pixels."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    corners = {int(labels[y, x]) for y in (0, -1) for x in (0, -1)} - {0}
    sizes = np.bincount(labels.ravel())
    return np.isin(labels, [c for c in corners if sizes[c] >= LEAST_FILL_PX])


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
        width = header.integer("bits_allocated")
        if header.transfer_syntax in NATIVE | {RLE} and width:  # every bit as it was written
            dataset.BitsStored, dataset.HighBit = width, width - 1
        for frame in frames:
            yield _decoded(header, dataset, rows, columns, frame.index)


def _native(header: Header, rows: int, columns: int, index: int) -> np.ndarray:
    """16-bit little-endian pixels straight from their place in the file."""
    slice_bytes = rows * columns * 2
    held = header.pixel_bytes
    if held is not None and (index + 1) * slice_bytes > held:
        raise ValueError(
            f"{header.path.name} is cut short: {slice_bytes} bytes of pixels are needed for image "
            f"{index + 1}, the pixel data end after {held}; copy the file again"
        )
    with open_source(header.path) as stream:
        stream.seek((header.pixel_offset or 0) + index * slice_bytes)
        data = stream.read(slice_bytes)
    if len(data) < slice_bytes:
        raise ValueError(
            f"{header.path.name} is cut short: {slice_bytes} bytes of pixels are needed, "
            f"{len(data)} are there; copy the file again"
        )
    kind = "<i2" if header.integer("signed") == 1 else "<u2"
    stored = np.frombuffer(data, kind).reshape(rows, columns)
    return _only_stored_bits(stored, header)


def _only_stored_bits(stored: np.ndarray, header: Header, *, shifted: bool = True) -> np.ndarray:
    """Bits other than the stored ones (old overlays) removed, the sign extended again.

    Before 2005 the stored bits could end above BitsStored - 1; ``shifted`` says whether they
    still lie there.
    """
    width = 8 * stored.dtype.itemsize
    bits = header.integer("bits_stored", width)
    high = header.integer("high_bit", bits - 1)
    if not 0 < bits <= width or not bits - 1 <= high < width:
        raise ValueError(
            f"{header.path.name}: expected stored bits within {width}, got {bits} with High Bit "
            f"{high}; its pixel description is damaged, export it again"
        )
    if high != bits - 1 and not shifted:
        raise ValueError(
            f"{header.path.name}: expected High Bit {bits - 1} in compressed pixels, got {high}; "
            "export it uncompressed"
        )
    return stored if bits == width else bits_of(stored, bits, high)


def bits_of(stored: np.ndarray, bits: int, high: int) -> np.ndarray:
    """So many bits, the uppermost of them bit ``high``, as numbers with their sign.

    Examples
    --------
    >>> bits_of(np.array([0x70FF, 0x0800], np.int16), 12, 11)
    array([  255, -2048], dtype=int16)
    """
    width = 8 * stored.dtype.itemsize
    kept: np.ndarray = np.right_shift(np.left_shift(stored, width - 1 - high), width - bits)
    return kept


def _decoded(header: Header, dataset: Any, rows: int, columns: int, index: int) -> np.ndarray:
    syntax = header.transfer_syntax
    plugin = DECODERS.get(syntax, "")
    if syntax not in NATIVE and not has_decoder(syntax):
        known = f"needs the decoder {plugin}, which is not installed" if plugin else "is unknown"
        raise ValueError(
            f"{header.path.name}: its encoding ({syntax or 'not given'}) {known}; run `ctlab "
            "doctor` to see what can be read, or export the series uncompressed"
        )
    try:
        stored = decode_image(dataset, syntax, index)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{header.path.name} cannot be decoded ({syntax}): {reason}; copy or export it again"
        ) from error
    if stored.shape != (rows, columns):
        raise ValueError(
            f"{header.path.name}: expected an image of shape {(rows, columns)} by its header, got "
            f"{stored.shape}; it is no CT slice"
        )
    return _only_stored_bits(stored, header, shifted=syntax in NATIVE | {RLE})


def decode_image(dataset: Any, syntax: str, index: int) -> np.ndarray:
    """Pixels of one image of a data set, with every bit that its encoding holds.

    JPEG goes through the project's own decoder: those of other libraries abort on damaged data.
    """
    from pydicom.encaps import get_frame
    from pydicom.pixels.utils import pixel_array

    plugin = DECODERS.get(syntax, "")
    if plugin != OWN:
        return pixel_array(dataset, index=index, raw=True, decoding_plugin=plugin)
    frames = int(dataset.get("NumberOfFrames") or 1)
    stored = decode_jpeg(get_frame(dataset.PixelData, index, number_of_frames=frames))
    return stored.view(np.int16) if dataset.PixelRepresentation else stored
