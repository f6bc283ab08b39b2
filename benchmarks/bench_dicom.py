"""Reading 400 uncompressed slices beside a plain pydicom loop, and the memory it takes.

The slices are those of the packaged sample, repeated ten times at new positions.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from benchmarks.driver import compare
from ctlab.ct import read_series
from ctlab.ct.datasets.sample import SAMPLE_FOLDER

SLICES = 400


def write_long_series(folder: Path, slices: int = SLICES) -> None:
    """``slices`` uncompressed files, 2.5 mm apart, from the packaged sample."""
    sources = []
    for file in sorted(SAMPLE_FOLDER.glob("*.dcm")):
        dataset = pydicom.dcmread(file)
        dataset.decompress()
        sources.append(dataset)
    for k in range(slices):
        dataset = sources[k % len(sources)]
        dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{k + 1}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.ImagePositionPatient[2] = 2.5 * k
        dataset.InstanceNumber = k + 1
        dataset.save_as(folder / f"{k:04d}.dcm")


def pydicom_loop(folder: Path) -> np.ndarray:
    """What most scripts do: read, sort by position, stack, rescale."""
    slices = [pydicom.dcmread(file) for file in folder.iterdir()]
    slices.sort(key=lambda s: float(s.ImagePositionPatient[2]))
    stack = np.stack([s.pixel_array for s in slices]).astype(np.float32)
    return stack * np.float32(slices[0].RescaleSlope) + np.float32(slices[0].RescaleIntercept)


_PEAK = """
def peak_bytes():
    # VmHWM begins anew with each program; ru_maxrss would inherit this process's own peak.
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
"""


def run_alone(code: str, *arguments: Path) -> float:
    """The number a short program prints, in a fresh process."""
    command = [sys.executable, "-c", _PEAK + code, *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def peak_over_volume(folder: Path) -> float:
    """Peak memory that ``read_series`` adds, relative to the float32 volume."""
    return run_alone(
        "import sys; from ctlab.ct import load_sample, read_series\n"
        "load_sample().slices(0, 1)\n"  # libraries are loaded; what follows is the series alone
        "before = peak_bytes()\n"
        "volume = read_series(sys.argv[1])\n"
        "print((peak_bytes() - before) / volume.hu.nbytes)",
        folder,
    )


def simulation_peak_gib(folder: Path, out: Path) -> float:
    """Peak memory of a whole process that simulates the series, in GiB; few views, for speed."""
    return run_alone(
        "import sys; from ctlab.ct import Scanner, simulate_series\n"
        "scanner = Scanner(photons=8e4, views=90)\n"
        "simulate_series(sys.argv[1], sys.argv[2], fraction=0.1, scanner=scanner)\n"
        "print(peak_bytes() / 2**30)",
        folder,
        out,
    )


def results() -> Iterator[dict[str, Any]]:
    """Speed with equal arrays, then the peak memory of reading and of a streamed simulation."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "series"
        folder.mkdir()
        write_long_series(folder)
        yield compare(
            f"read {SLICES} uncompressed slices 512x512",
            lambda: read_series(folder).hu,
            lambda: pydicom_loop(folder),
            peer_name="pydicom.dcmread and pixel_array in a loop",
            difference=lambda ours, peer: float(np.abs(ours - peer).max()),
            tolerance=0.0,
            packages=("numpy", "pydicom"),
            rounds=5,
        )
        peak = peak_over_volume(folder)
        yield {
            "name": "peak memory of read_series over the float32 volume",
            "value": round(peak, 3),
            "unit": "of the volume",
        }
        gib = simulation_peak_gib(folder, Path(scratch) / "low")
        yield {
            "name": f"peak memory of a streamed simulation of {SLICES} slices, GiB",
            "value": round(gib, 3),
            "unit": "GiB",
        }
