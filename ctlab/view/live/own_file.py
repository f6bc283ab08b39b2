"""A DICOM file of the reader's own, read by the kernel where a notebook shows the live figure."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct import read_series
from ctlab.ct.series_facts import describe_series


def read_own_file(name: str, content: bytes) -> tuple[np.ndarray, dict[str, Any]]:
    """HU, float32, (y, x), of the slice in a file; and its spacing and facts, for the page.

    Raises
    ------
    ValueError
        It is no DICOM file of one CT slice.
    """
    with tempfile.TemporaryDirectory(prefix="own-slice-") as folder:
        (Path(folder) / "slice.dcm").write_bytes(content)
        try:
            volume = read_series(Path(folder))
        except ValueError as error:
            said = str(error).replace(folder, name).replace("slice.dcm", name)
            raise ValueError(said) from None
    if len(volume.hu) != 1:
        raise ValueError(f"expected one slice, got {len(volume.hu)} frames; give one slice")
    spacing = [float(mm) for mm in volume.spacing_mm[1:]]
    return volume.hu[0].astype("<f4"), {"spacing": spacing, "facts": describe_series(volume)}
