"""The packaged sample: 40 slices of a real chest CT (LIDC-IDRI-0001, CC BY 3.0; see LICENSE.md)."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ctlab.ct.volume import Volume
from ctlab.files import fresh_folder

SAMPLE_FOLDER = Path(__file__).parent / "slices"

SAMPLE_CREDIT = (
    "LIDC-IDRI-0001, CC BY 3.0: Armato et al., Med Phys 38:915 (2011), doi 10.1118/1.3528204; "
    "collection doi 10.7937/K9/TCIA.2015.LO9QL9SX"
)


@dataclass(frozen=True)
class Nodule:
    """Place and size of a nodule: centre voxel (z, y, x) and diameter."""

    centre: tuple[int, int, int]
    diameter_mm: float


SAMPLE_NODULE = Nodule(centre=(20, 367, 316), diameter_mm=26.0)
"""The spiculated nodule in the left lower lobe.

Centre: mean of the outlines drawn by the four readers of the collection. Diameter: geometric
mean of their largest extents on the middle slice, 35 x 40 pixels of 0.703 mm; along z it spans
7 slices of 2.5 mm.
"""


def load_sample() -> Volume:
    """The sample in HU: float32, shape (40, 512, 512), spacing (2.5, 0.703, 0.703) mm."""
    from ctlab.ct.dicom.read import read_series

    return read_series(SAMPLE_FOLDER)


def write_sample(folder: str | Path, *, overwrite: bool = False) -> int:
    """Copy the sample's DICOM files and their licence into ``folder``; the number of slices."""
    files = sorted(SAMPLE_FOLDER.glob("*.dcm"))
    with fresh_folder(folder, overwrite=overwrite) as part:
        for file in files:
            shutil.copyfile(file, part / file.name)
        shutil.copyfile(SAMPLE_FOLDER.parent / "LICENSE.md", part / "LICENSE.md")
    return len(files)
