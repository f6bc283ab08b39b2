"""A passport from what a denoiser was given and what it gave: no new run, so fewer checks.

For reconstructions and products that run elsewhere. A check that needs what two folders cannot
give is left out, and its row says what it would need; no other number stands in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.assess.fidelity.tables import check_same_grid
from ctlab.console import Note, Progress, note_problems
from ctlab.ct import Volume, read_series
from ctlab.ct.denoiser import Denoiser, Spacing
from ctlab.passport import page
from ctlab.passport.document import NEIGHBOURS, Passport, measure, unexplained
from ctlab.passport.facts import gather_facts
from ctlab.passport.limits import DEFAULT_LIMITS, Limit
from ctlab.passport.patient_scan import PatientScan


def passport_before_after(
    before: Sequence[str | Path],
    after: Sequence[str | Path],
    reference: Sequence[str | Path] = (),
    *,
    reading: Mapping[str, Any] | None = None,
    slices: int = 8,
    limits: Mapping[str, Limit] = DEFAULT_LIMITS,
    seed: int = 0,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Passport:
    """Every check that two series of each patient can answer, or three with a reference.

    Parameters
    ----------
    before, after : folders with DICOM, one a patient, in the same order
    reference : folders at higher dose, in the same order; none, or one a patient
    reading : keywords of :func:`ctlab.ct.read_series`
    slices : of each series, spread evenly
    note : called with every finding about a series

    Raises
    ------
    ValueError
        Another number of folders, or series of one patient that do not lie on one grid.
    """
    if not before or len(before) != len(after) or len(reference) not in (0, len(before)):
        raise ValueError(
            f"expected as many folders after as before, and none or as many references, got "
            f"{len(before)} before, {len(after)} after and {len(reference)} references; name one "
            "of each for every patient"
        )
    if slices < 1:
        raise ValueError(f"expected 1 or more slices, got {slices}; leave it out for 8")
    how = dict(reading or {})
    scans, volumes = [], []
    for k, pair in enumerate(zip(before, after, strict=True)):
        images = _read_patient((*pair, *reference[k : k + 1]), how, note)
        low, out, full = images[0], images[1], images[2] if reference else images[0]
        volumes.append(low)
        scans.append(_pair(full, low, out, slices, neighbours=0 if k else NEIGHBOURS))
    offers = {"neighbours"} | ({"reference"} if reference else set())
    checks, tables = measure(
        scans, _cannot_run, limits=limits, seed=seed, progress=progress, offers=offers
    )
    denoiser = Denoiser("before and after", _cannot_run_stack, "pair")
    facts = gather_facts(
        denoiser,
        volumes,
        scans[0],
        dose=None,
        slices=slices,
        seed=seed,
        low_dose="as given; nothing was simulated and nothing was run",
        after=[str(Path(folder).name) for folder in after],
        claim=[
            ("Data for training", "not stated: the denoiser is known by its output alone"),
            ("Reference standard", "the reference series" if reference else "none was given"),
            ("Evaluation", f"{len(volumes)} patient(s); intervals over patients from 10 on"),
            ("Clinical evaluation", "none in a passport; see the reader study"),
        ],
    )
    explained = unexplained("a map needs a denoiser that can be run here", limits)
    pictures = page.views(scans[0], "before and after") | page.curves(tables)
    return Passport([*checks, explained], facts, tables, pictures)


def _read_patient(
    folders: Sequence[str | Path], how: Mapping[str, Any], note: Note | None
) -> list[Volume]:
    """The series of one patient, on the grid of the first."""
    images = [read_series(folder, **how) for folder in folders]
    for name, image in zip(folders, images, strict=True):
        note_problems(note, name, image.problems)
        try:
            check_same_grid(images[0], image)
        except ValueError as error:
            raise ValueError(f"{name} beside {folders[0]}: {error}") from None
    return images


def _pair(full: Volume, low: Volume, out: Volume, slices: int, *, neighbours: int) -> PatientScan:
    """Slices spread over a patient's series; without repeats, those arrays are empty."""
    spread = np.unique(np.linspace(0, len(low.hu) - 1, slices).round().astype(int))
    count = min(neighbours, len(low.hu))
    start = (len(low.hu) - count) // 2
    run = None
    if count > 1:
        run = _scan(full, low, out, np.arange(start, start + count))
    return replace(_scan(full, low, out, spread), run=run)


def _scan(full: Volume, low: Volume, out: Volume, picked: np.ndarray) -> PatientScan:
    shown = replace(full, hu=np.ascontiguousarray(full.hu[picked]), sources=())
    noisy, denoised = low.hu[picked], out.hu[picked]
    return PatientScan(shown, noisy, noisy[:0], denoised, denoised[:0], nan, nan)


def _cannot_run(_images: np.ndarray) -> np.ndarray:
    raise ValueError("needs a denoiser that can be run here (--model or --exec)")


def _cannot_run_stack(hu: np.ndarray, _spacing: Spacing) -> np.ndarray:
    return _cannot_run(hu)
