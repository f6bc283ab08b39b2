"""Decode compressed slices on all cores.

The decoders hold Python's lock, so threads do not help. Workers are programs of their own
(``python -m ctlab.ct.dicom.pixels.parallel_decode``), which works in scripts without a main guard
and beside libraries that must not be forked. This process decodes too: the first slices alone,
while workers start, then slices in turn with them. A worker writes each slice as it is done; its
pipe is full after a fraction of one, so no more than one slice a worker waits in memory.
"""

import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import IO

import numpy as np

from ctlab.ct.dicom.frames import Frame
from ctlab.ct.dicom.pixels.decode import decode_hu
from ctlab.threads import allowed_threads

START_S = 1.0
"""Time that a worker needs to start, in seconds; this process decodes alone meanwhile."""

WORTH_S = 2.0
"""Decoding time of a series from which workers pay."""

_SLICE_S = {
    "1.2.840.10008.1.2.4.80": 0.007,  # JPEG-LS
    "1.2.840.10008.1.2.4.81": 0.007,
    "1.2.840.10008.1.2.4.90": 0.05,  # JPEG 2000
    "1.2.840.10008.1.2.4.91": 0.05,
    "1.2.840.10008.1.2.4.201": 0.01,  # HTJ2K
    "1.2.840.10008.1.2.4.202": 0.01,
    "1.2.840.10008.1.2.4.203": 0.01,
    "1.2.840.10008.1.2.4.51": 0.03,  # JPEG of 12 bits
    "1.2.840.10008.1.2.4.57": 0.015,  # JPEG lossless
    "1.2.840.10008.1.2.4.70": 0.015,
    "1.2.840.10008.1.2.5": 0.005,  # RLE
}
"""Time to decode 512 x 512 pixels, in seconds."""


def worth_sharing(frames: list[Frame]) -> bool:
    """Whether decoding takes long enough for workers to pay, and there are cores for them."""
    if not frames or len({f.path for f in frames}) < 2:
        return False
    return seconds_to_decode(frames) > WORTH_S and allowed_threads() > 1


def seconds_to_decode(frames: list[Frame]) -> float:
    """About how long one process takes; 0 where slices are not compressed."""
    rows, columns = frames[0].shape
    each = _SLICE_S.get(frames[0].header.transfer_syntax, 0.0) * rows * columns / 512**2
    return each * len(frames)


def stream_hu(frames: list[Frame]) -> Iterator[np.ndarray]:
    """HU of each frame in turn: float32, shape (y, x).

    Pixels that hold the declared padding value lie outside the field of view; they become
    -1024 HU, the lowest value of 12-bit CT.

    Raises
    ------
    ValueError
        A file is cut short, cannot be decoded, or lacks what HU rest on.
    """
    if worth_sharing(frames):
        yield from shared_hu(frames)
        return
    yield from decode_hu(frames)


def shared_hu(frames: list[Frame]) -> Iterator[np.ndarray]:
    """HU of each frame in order, decoded by this process and one worker for each further core.

    Raises
    ------
    ValueError
        As :func:`ctlab.ct.dicom.pixels.parallel_decode.stream_hu`, with the worker's own message.
    """
    alone = int(min(START_S / max(seconds_to_decode(frames), 1e-9), 1) * len(frames))
    rest = frames[alone:]
    turns = max(min(allowed_threads(), len(rest)), 1)
    workers: list[subprocess.Popen[bytes]] = []
    try:
        workers.extend(_started(rest[i::turns]) for i in range(1, turns))
        own = decode_hu(frames[:alone] + rest[::turns])
        for _ in range(alone):
            yield next(own)
        for k in range(len(rest)):
            yield next(own) if k % turns == 0 else _received(workers[k % turns - 1])
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _started(frames: list[Frame]) -> subprocess.Popen[bytes]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "ctlab.ct.dicom.pixels.parallel_decode"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    if worker.stdin:  # always: a pipe was asked for
        pickle.dump(frames, worker.stdin)
        worker.stdin.close()
        worker.stdin = None
    return worker


def _received(worker: subprocess.Popen[bytes]) -> np.ndarray:
    pipe = worker.stdout
    head = pipe.read(12) if pipe else b""
    if len(head) < 12:
        raise ValueError("a decoder process ended early, perhaps for lack of memory; try again")
    kind, rows, columns = np.frombuffer(head, "<u4")
    body = pipe.read(int(rows) * int(columns) * (4 if kind == 0 else 1)) if pipe else b""
    if kind:
        raise ValueError(body.decode())
    return np.frombuffer(body, "<f4").reshape(rows, columns)


def _work(frames: list[Frame], out: IO[bytes]) -> None:
    """Write header and HU of each frame, or header and message of the first failure."""
    try:
        for hu in decode_hu(frames):
            out.write(np.array([0, *hu.shape], "<u4").tobytes())
            out.write(hu.astype("<f4", copy=False).tobytes())
            out.flush()
    except ValueError as error:
        message = str(error).encode()
        out.write(np.array([1, 1, len(message)], "<u4").tobytes() + message)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _work(pickle.load(sys.stdin.buffer), sys.stdout.buffer)
