"""The JPEG of medical archives, decoded: 8 and 12 bits with loss, up to 16 bits without.

The free decoders at hand either do not know 12 bits or end the whole program on damaged data.
This one reads what CT can be, one component of sequential or lossless Huffman coding (ITU-T T.81,
processes 1, 2, 4 and 14), and refuses the rest.
"""

import re
import struct

import numpy as np

# imagecodecs is as right on whole files, but gives images for damaged ones that are refused here,
# and one ended the program; numbers in book/how-the-kit-is-built.md.
JPEG = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70)}
"""Transfer syntaxes: baseline, extended, lossless with any predictor and with the first."""

# Along the diagonals of a block, upwards on the even ones (T.81, figure 5).
_ZIGZAG = np.array(
    sorted(
        range(64), key=lambda k: (k // 8 + k % 8, k % 8 if (k // 8 + k % 8) % 2 == 0 else k // 8)
    )
)

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD
_SEQUENTIAL, _LOSSLESS = (0xC0, 0xC1), 0xC3
_OTHER_FRAMES = set(range(0xC0, 0xD0)) - {*_SEQUENTIAL, _LOSSLESS, _DHT, 0xC8, 0xCC}
_LARGEST_SIDE = 8192


class _Tables:
    """What the segments in front of the scan say."""

    def __init__(self) -> None:
        self.quantisation: dict[int, np.ndarray] = {}
        self.huffman: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self.precision = self.rows = self.columns = self.restart = 0
        self.quantiser = -1
        self.lossless = False


def decode_jpeg(data: bytes) -> np.ndarray:
    """Pixels of one JPEG image, uint16 of shape (y, x).

    Raises
    ------
    ValueError
        The data are damaged or cut short, or of a kind that CT has no use for: colour,
        progressive or arithmetic.
    """
    try:
        tables, header, entropy = _parsed(data)
        dc, predictor, shift = header[2] >> 4, header[3], header[5] & 15
        if tables.lossless:
            tables.precision -= shift
            return _differences(entropy, tables, dc, predictor) << np.uint16(shift)
        blocks = _coefficients(entropy, tables, dc, 16 + (header[2] & 15))
        return _image(blocks * tables.quantisation[tables.quantiser], tables)
    except (struct.error, KeyError, IndexError) as error:
        raise ValueError("the JPEG data are damaged or cut short") from error


def _parsed(data: bytes) -> tuple[_Tables, bytes, bytes]:
    """Tables, the header of the scan, and its entropy-coded bytes."""
    if data[:2] != bytes((0xFF, _SOI)):
        raise ValueError("the pixel data are no JPEG image")
    tables, position = _Tables(), 2
    while True:
        if data[position] != 0xFF:
            raise ValueError("the JPEG data are damaged: a marker is missing")
        marker = data[position + 1]
        if marker == 0xFF:  # fill
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        body = data[position + 4 : position + 2 + length]
        position += 2 + length
        if marker == _SOS:
            if body[0] != 1 or not tables.precision:
                raise ValueError("a JPEG without frame or of several components cannot be decoded")
            return tables, body, data[position:]
        _segment(tables, marker, body)


def _segment(tables: _Tables, marker: int, body: bytes) -> None:
    if marker in _SEQUENTIAL or marker == _LOSSLESS:
        tables.lossless = marker == _LOSSLESS
        tables.precision, tables.rows, tables.columns, components = struct.unpack_from(
            ">BHHB", body
        )
        tables.quantiser = body[8]
        known = 2 <= tables.precision <= 16 if tables.lossless else tables.precision in (8, 12)
        if components != 1 or not known:
            raise ValueError(
                f"JPEG of {components} components with {tables.precision} bits cannot be decoded"
            )
        if not (0 < tables.rows <= _LARGEST_SIDE and 0 < tables.columns <= _LARGEST_SIDE):
            raise ValueError(f"the JPEG claims {tables.rows} x {tables.columns} pixels")
    elif marker in _OTHER_FRAMES:
        raise ValueError("progressive and arithmetic JPEG cannot be decoded")
    elif marker == _DQT:
        while body:
            wide, name = body[0] >> 4, body[0] & 15
            values = struct.unpack_from(">64H" if wide else ">64B", body, 1)
            table = np.zeros(64)
            table[_ZIGZAG] = values
            tables.quantisation[name], body = table, body[1 + 64 * (1 + bool(wide)) :]
    elif marker == _DHT:
        while body:
            counts = np.frombuffer(body, np.uint8, 16, 1).astype(np.int64)
            total = int(counts.sum())
            values = np.frombuffer(body, np.uint8, total, 17)
            tables.huffman[body[0]] = (*_code_limits(counts), values)
            body = body[17 + total :]
    elif marker == _DRI:
        (tables.restart,) = struct.unpack_from(">H", body)


def _code_limits(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each length 1 to 16: the largest code (-1 if none), and index minus code (T.81, F.15)."""
    largest, offset = np.full(17, -1, np.int64), np.zeros(17, np.int64)
    code = index = 0
    for length in range(1, 17):
        count = int(counts[length - 1])
        offset[length] = index - code
        code, index = code + count, index + count
        if count:
            largest[length] = code - 1
        code <<= 1
    return largest, offset


def _coefficients(entropy: bytes, tables: _Tables, dc: int, ac: int) -> np.ndarray:
    """Quantised coefficients in their natural order, shape (blocks, 64)."""
    from ctlab.ct.dicom.pixels._jpeg_kernels import decode_blocks

    total = -(-tables.rows // 8) * -(-tables.columns // 8)
    if not tables.quantiser >= 0 or total > 8 * len(entropy) + 8:
        raise ValueError("the JPEG data are damaged or cut short")
    coefficients = np.zeros((total, 64), np.int32)
    step = tables.restart or total
    for first, plain in zip(range(0, total, step), _pieces(entropy, total, step), strict=True):
        part = coefficients[first : first + step]
        if not decode_blocks(plain, *tables.huffman[dc], *tables.huffman[ac], _ZIGZAG, part):
            raise ValueError("the JPEG data are damaged or cut short")
    return coefficients


def _pieces(entropy: bytes, total: int, step: int) -> list[np.ndarray]:
    """Coded bytes between restart markers, without stuffing: one piece every ``step`` units."""
    end = re.search(rb"\xff+[\x01-\xcf\xd8-\xfe]", entropy)
    pieces = re.split(rb"\xff+[\xd0-\xd7]", entropy[: end.start() if end else None])
    expected = -(-total // step)
    if len(pieces) < expected:
        raise ValueError("the JPEG data are cut short")
    return [np.frombuffer(p.replace(b"\xff\x00", b"\xff"), np.uint8) for p in pieces[:expected]]


def _differences(entropy: bytes, tables: _Tables, dc: int, predictor: int) -> np.ndarray:
    """Pixels of a lossless image before its point transform (T.81, annex H)."""
    from ctlab.ct.dicom.pixels._jpeg_kernels import decode_lossless

    rows, columns = tables.rows, tables.columns
    if not 1 <= predictor <= 7 or rows * columns > 8 * len(entropy):
        raise ValueError("the JPEG data are damaged or cut short")
    if tables.restart % columns:
        raise ValueError("the JPEG data are damaged: a restart lies within a line")
    differences = np.zeros((rows, columns), np.uint16)
    step = tables.restart // columns or rows
    first_value = 1 << (tables.precision - 1)
    for first, plain in zip(range(0, rows, step), _pieces(entropy, rows, step), strict=True):
        part = differences[first : first + step]
        if not decode_lossless(plain, *tables.huffman[dc], predictor, first_value, part):
            raise ValueError("the JPEG data are damaged or cut short")
    return differences


def _image(coefficients: np.ndarray, tables: _Tables) -> np.ndarray:
    """Inverse cosine transform of the blocks, put together (T.81, A.3.3)."""
    from scipy.fft import idctn

    down, across = -(-tables.rows // 8), -(-tables.columns // 8)
    blocks = idctn(coefficients.reshape(-1, 8, 8), axes=(1, 2), norm="ortho")
    top = 1 << tables.precision
    values = np.clip(np.rint(blocks + top / 2), 0, top - 1).astype(np.uint16)
    whole = values.reshape(down, across, 8, 8).swapaxes(1, 2).reshape(8 * down, 8 * across)
    return np.ascontiguousarray(whole[: tables.rows, : tables.columns])
