"""Compressed slices decoded by workers on all cores beside the same decoder in one process.

The slices are those of the packaged sample, encoded in each way for which there is an encoder
here, and repeated to the 400 slices of a chest series.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from benchmarks.driver import compare
from ctlab.ct.datasets.sample import SAMPLE_FOLDER
from ctlab.ct.dicom.discover import list_files
from ctlab.ct.dicom.frames import Frame, frames_of
from ctlab.ct.dicom.header import read_header
from ctlab.ct.dicom.pixels.decode import decode_hu
from ctlab.ct.dicom.pixels.parallel_decode import shared_hu
from ctlab.threads import allowed_threads

SOURCES = 8
SLICES = 400
SYNTAXES: dict[str, UID] = {
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "RLE": RLELossless,
    "JPEG lossless": JPEGLosslessSV1,
}


def jpeg_lossless(stored: np.ndarray) -> bytes:
    """16-bit pixels (y, x) as lossless JPEG, each predicted from its left (ITU-T T.81, annex H).

    The Huffman code gives all 17 categories of difference 5 bits: no small file, but a right one.
    """
    rows, columns = stored.shape
    before = np.empty_like(stored)
    before[:, 1:], before[1:, 0], before[0, 0] = stored[:, :-1], stored[:-1, 0], 1 << 15
    change = (stored - before).view(np.int16).astype(np.int64).ravel()
    size = np.where(change, np.floor(np.log2(np.maximum(np.abs(change), 1))).astype(int) + 1, 0)
    size[change == -32768] = 16
    more = np.where(size == 16, 0, size)  # category 16 has no bits of its own
    value = np.where(change > 0, change, change + (1 << more) - 1) & ((1 << more) - 1)
    code = (size << more) | value
    ends = np.cumsum(5 + more)
    bits = np.ones(-(-int(ends[-1]) // 8) * 8, np.uint8)
    for k in range(int((5 + more).max())):
        here = 5 + more > k
        bits[ends[here] - 1 - k] = code[here] >> k & 1
    entropy = np.packbits(bits).tobytes().replace(b"\xff", b"\xff\0")
    size_yx = rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
    counts = bytes([0, 0, 0, 0, 17] + [0] * 11)
    return (
        b"\xff\xd8\xff\xc3\0\x0b\x10" + size_yx + b"\x01\x01\x11\0"
        b"\xff\xc4\0\x24\0"
        + counts
        + bytes(range(17))
        + b"\xff\xda\0\x08\x01\x01\0\x01\0\0"
        + entropy
        + b"\xff\xd9"
    )


def write_compressed(folder: Path, syntax: UID) -> list[Path]:
    """A few slices of the packaged sample, compressed."""
    paths = []
    for file in sorted(SAMPLE_FOLDER.glob("*.dcm"))[::5][:SOURCES]:
        dataset = pydicom.dcmread(file)
        dataset.decompress(generate_instance_uid=False)
        if syntax == JPEGLosslessSV1:
            stored = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, -1)
            dataset.PixelData = encapsulate([jpeg_lossless(stored)])
            dataset.file_meta.TransferSyntaxUID = syntax
        else:
            dataset.compress(syntax, generate_instance_uid=False)
        paths.append(folder / file.name)
        dataset.save_as(paths[-1])
    return paths


def decoding(frames: list[Frame], name: str) -> dict[str, Any]:
    """Workers on all cores beside one process, both through every slice."""
    return compare(
        f"decode {len(frames)} slices of {name}, workers on {allowed_threads()} cores",
        lambda: _total(shared_hu(frames)),
        lambda: _total(decode_hu(frames)),
        peer_name="the same decoder in one process",
        difference=lambda ours, peer: float(np.abs(ours - peer).max()),
        tolerance=0.0,
        packages=("pydicom", "pyjpegls", "pylibjpeg-openjpeg"),
        rounds=5,
    )


def _total(slices: Iterator[np.ndarray]) -> np.ndarray:
    """Sum of the slices, each weighed by its place: the same for the same slices in order."""
    total = np.zeros((), np.float64)
    for k, hu in enumerate(slices, 1):
        total = total + k * hu.astype(np.float64)
    return total


def results() -> Iterator[dict[str, Any]]:
    """A series of 400 slices in each encoding."""
    for name, syntax in SYNTAXES.items():
        with tempfile.TemporaryDirectory() as scratch:
            write_compressed(Path(scratch), syntax)
            few = [f for path in list_files(scratch) for f in frames_of(read_header(path))]
            yield decoding([few[k % len(few)] for k in range(SLICES)], name)
