"""A folder of real CT slices with four faults, for practice."""

from pathlib import Path

import numpy as np

PATIENT = "Doe^Jane"
MISSING, SHIFTED, COPIED, BURNED = 5, 8, 2, 10
"""Position in the stack of the slice that is missing, the one whose HU are off, the one that is
there twice, and the one that is said to have text in its pixels."""


def write_faulty(folder: str | Path, *, slices: int = 12) -> Path:
    """Copy slices of the sample in disorder, with a name and four faults; the folder.

    The faults: one slice is missing, one has another rescale intercept, one is there twice, and
    one says that text is burned into its pixels.
    """
    import pydicom

    from ctlab.ct.datasets.sample import SAMPLE_FOLDER

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    read = [pydicom.dcmread(file) for file in sorted(SAMPLE_FOLDER.glob("*.dcm"))]
    read.sort(key=lambda dataset: float(dataset.ImagePositionPatient[2]))
    order = np.random.default_rng(4).permutation(slices + 1)
    stack = [*read[:slices], read[COPIED]]
    for k, (number, dataset) in enumerate(zip(order, stack, strict=True)):
        if k == MISSING:
            continue
        dataset.PatientName = PATIENT
        dataset.BurnedInAnnotation = "YES" if k == BURNED else "NO"
        if k == SHIFTED:
            dataset.RescaleIntercept = int(dataset.RescaleIntercept) + 1000
        dataset.save_as(folder / f"IM{number:04d}.dcm")
    return folder
