"""Compiled loops of the JPEG decoder; use it through :mod:`ctlab.ct.dicom.pixels.jpeg`."""

import numpy as np
from numba import njit

Array = np.ndarray


@njit(cache=True)
def _bit(data: Array, position: int) -> int:
    """Bit at a position; zero behind the end, as decoders pad."""
    byte = position >> 3
    if byte >= data.size:
        return 0
    bit: int = (data[byte] >> (7 - (position & 7))) & 1
    return bit


@njit(cache=True)
def _symbol(
    data: Array, position: int, largest: Array, offset: Array, values: Array
) -> tuple[int, int]:
    """Huffman symbol and the position behind it; -1 where no code fits (T.81, F.16)."""
    code = 0
    for length in range(1, 17):
        code = (code << 1) | _bit(data, position)
        position += 1
        if code <= largest[length]:
            index = code + offset[length]
            if 0 <= index < values.size:
                return values[index], position
            return -1, position
    return -1, position


@njit(cache=True)
def _signed(data: Array, position: int, size: int) -> tuple[int, int]:
    """Number of ``size`` bits, negative ones in ones' complement (T.81, F.12)."""
    value = 0
    for _ in range(size):
        value = (value << 1) | _bit(data, position)
        position += 1
    if size and value < 1 << (size - 1):
        value += 1 - (1 << size)
    return value, position


@njit(cache=True)
def decode_blocks(
    data: Array,
    dc_largest: Array,
    dc_offset: Array,
    dc_values: Array,
    ac_largest: Array,
    ac_offset: Array,
    ac_values: Array,
    order: Array,
    blocks: Array,
) -> bool:
    """Fill ``blocks`` (n, 64); false where the data are damaged or end early."""
    position, level = 0, 0
    limit = 8 * data.size
    for k in range(blocks.shape[0]):
        size, position = _symbol(data, position, dc_largest, dc_offset, dc_values)
        if size < 0 or size > 15:
            return False
        change, position = _signed(data, position, size)
        level += change
        blocks[k, 0] = level
        at = 1
        while at < 64:
            both, position = _symbol(data, position, ac_largest, ac_offset, ac_values)
            if both < 0:
                return False
            run, size = both >> 4, both & 15
            if size == 0:
                if run != 15:
                    break
                at += 16
                continue
            at += run
            if at > 63:
                return False
            blocks[k, order[at]], position = _signed(data, position, size)
            at += 1
        if position > limit:
            return False
    return True


@njit(cache=True)
def decode_lossless(
    data: Array,
    largest: Array,
    offset: Array,
    values: Array,
    predictor: int,
    first_value: int,
    image: Array,
) -> bool:
    """Fill ``image`` (y, x), uint16, from coded differences; false where they are damaged."""
    position, limit = 0, 8 * data.size
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            size, position = _symbol(data, position, largest, offset, values)
            if size < 0 or size > 16:
                return False
            if size == 16:
                change = 32768
            else:
                change, position = _signed(data, position, size)
            if y == 0:
                near = first_value if x == 0 else np.int64(image[y, x - 1])
            elif x == 0:
                near = np.int64(image[y - 1, x])
            else:
                near = _predicted(
                    np.int64(image[y, x - 1]),
                    np.int64(image[y - 1, x]),
                    np.int64(image[y - 1, x - 1]),
                    predictor,
                )
            image[y, x] = (near + change) & 0xFFFF
        if position > limit:
            return False
    return True


@njit(cache=True)
def _predicted(left: np.int64, above: np.int64, corner: np.int64, predictor: int) -> np.int64:
    """Prediction of a pixel (T.81, table H.1)."""
    if predictor == 1:
        return left
    if predictor == 2:
        return above
    if predictor == 3:
        return corner
    if predictor == 4:
        return left + above - corner
    if predictor == 5:
        return left + ((above - corner) >> 1)
    if predictor == 6:
        return above + ((left - corner) >> 1)
    return (left + above) >> 1
