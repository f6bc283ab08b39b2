"""Series beside their reference: which patients there are, and the metrics of each."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctlab.assess import evaluate_volume, summarise
from ctlab.console import Note, Progress, note_problems
from ctlab.ct import Volume, Window, read_series
from ctlab.ct.denoiser import Denoiser, tell_behaviour
from ctlab.ct.dicom.read import named_uids, refuse_unused
from ctlab.ct.dicom.slice_order import find_series


def evaluate_folders(
    reference: str | Path,
    images: list[Path],
    *,
    window: Window,
    models: Sequence[Denoiser] = (),
    series_uid: Sequence[str] = (),
    allow_gaps: bool = False,
    skip_damaged: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
) -> pd.DataFrame:
    """Metrics of every slice of every patient, one row each, ``arm`` naming the image folder.

    Parameters
    ----------
    reference : folder with one series, or one series a patient
    images : folders with the same patients; each is an arm
    models : denoisers; each is an arm of its own for every folder of images, which it is given
    series_uid : the series that are meant where a folder holds several of a patient
    allow_gaps : also compare series with gaps
    note : called with every finding about a series

    Raises
    ------
    ValueError
        A folder lacks a patient of the reference, or holds two series of one; orientation,
        spacing or the position of any slice differ.
    """
    named = partial(patients_of, series_uid=series_uid, skip_damaged=skip_damaged, note=note)
    patients, *images_of = map(named, (reference, *images))
    refuse_unused(series_uid, {u for part in (patients, *images_of) for u in part.values()})
    tables = []
    total = len(patients) * len(images) * (1 + len(models))
    tell_behaviour(models, note)
    allowed = {"allow_gaps": allow_gaps, "allow_tilt": True, "skip_damaged": skip_damaged}
    for image, uids in zip(images, images_of, strict=True):
        # One series on each side needs no name: anonymised copies may carry other identifiers.
        if len(patients) == len(uids) == 1:
            uids = dict.fromkeys(patients, next(iter(uids.values())))
        missing = sorted(set(patients) - set(uids))
        if missing:
            raise ValueError(
                f"{image} lacks {len(missing)} of {len(patients)} patients of {reference}: "
                f"{', '.join(missing[:5])}"
            )
        more = sorted(set(uids) - set(patients))
        if more:
            what = f"{len(more)} patients are not in the reference: {', '.join(more[:5])}"
            note_problems(note, image, [f"left out: {what}"])
        for patient, uid in patients.items():
            first = read_series(reference, series_uid=uid, **allowed)
            second = read_series(image, series_uid=uids[patient], **allowed)
            note_problems(note, reference, first.problems)
            note_problems(note, image, (*other_identity(first, second), *second.problems))
            arms: dict[str, Callable[[Volume], np.ndarray]] = {str(image): lambda volume: volume.hu}
            arms |= {f"{image}, {m.name}": partial(_denoised, m) for m in models}
            for arm, denoise in arms.items():
                arm_volume = second.with_hu(denoise(second))
                rows = evaluate_volume(first, arm_volume, window=window, patient=patient)
                tables.append(rows.assign(arm=arm))
                if progress:
                    progress(len(tables), total)
    return pd.concat(tables, ignore_index=True)


def other_identity(reference: Volume, image: Volume) -> list[str]:
    """Findings where two volumes name different patients or frames of reference.

    They may be one scan all the same: a de-identified copy carries other identifiers.

    Examples
    --------
    >>> import numpy as np
    >>> from ctlab.ct import Acquisition
    >>> one, other = (Volume(np.zeros((1, 1, 1)), (1, 1, 1), acquisition=Acquisition(patient_id=p))
    ...               for p in ("P1", "P2"))
    >>> other_identity(one, other), other_identity(one, one)
    (["compared although patient differs (reference 'P1', image 'P2'): right only for ..."], [])
    """
    facts = {
        "patient": [" ".join(v.acquisition.patient_id.upper().split()) for v in (reference, image)],
        "frame of reference": [v.acquisition.frame_of_reference_uid for v in (reference, image)],
    }
    return [
        f"compared although {what} differs (reference {first!r}, image {second!r}): right only for "
        "copies of one scan"
        for what, (first, second) in facts.items()
        if first and second and first != second
    ]


def _denoised(denoiser: Denoiser, volume: Volume) -> np.ndarray:
    return denoiser.tuned_to(volume)(volume.hu, volume.spacing_mm)


def patients_of(
    folder: str | Path,
    series_uid: Sequence[str] = (),
    *,
    skip_damaged: bool = False,
    note: Note | None = None,
) -> dict[str, str]:
    """Patient identifier -> series UID of the folder's CT series, of those named if any are."""
    uid_of: dict[str, str] = {}
    contents = find_series(folder)
    lost = [] if series_uid else contents.lost_series()
    if lost and not skip_damaged:
        raise ValueError(
            f"{folder} holds {len(lost)} damaged files of series that nothing else is left of: "
            f"{lost[0]}; or pass skip_damaged=True (on the command line --skip-damaged)"
        )
    note_problems(note, folder, [f"left out: {text}" for text in lost])
    series = contents.series
    by_patient: dict[str, list[str]] = {}
    for uid, frames in series.items():
        by_patient.setdefault(frames[0].header.text("patient_id") or "unknown", []).append(uid)
    for patient, uids in by_patient.items():
        meant = named_uids(uids, series_uid)
        if len(meant) > 1:
            raise ValueError(
                f"{folder} holds {len(meant)} CT series of patient {patient}; name the one that is "
                f"meant with --series: {', '.join(meant)}"
            )
        uid_of[patient] = meant[0]
    if not uid_of:
        raise ValueError(f"{folder} holds no CT series")
    return uid_of


def report_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One dict per arm: metric -> mean, low, high; intervals are null below ten patients."""
    reports = []
    for arm, part in summarise(table).groupby("arm", sort=False):
        report: dict[str, Any] = {
            row.metric: {"mean": row.mean, "low": row.low, "high": row.high}
            for row in part.itertuples(index=False)
        }
        slices = table[table["arm"] == arm]
        counts = {"n_patients": int(slices["patient"].nunique()), "n_slices": len(slices)}
        notes = sorted(set(part["note"]) - {""})
        reports.append({"image": arm, **report, **counts, "note": "; ".join(notes)})
    return reports
