"""Arms of a reader study from denoisers: a folder for each arm, in it one for each case."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ctlab.assess.safety.conformal_risk import change_score
from ctlab.console import Note
from ctlab.ct import Derivation, Volume, read_series, simulate_dose, write_series
from ctlab.ct.denoiser import Denoiser, tell_behaviour
from ctlab.ct.dicom.write import DENOISED, NOISE_ADDED
from ctlab.files import fresh_folder


def write_arms(
    cases: Sequence[str | Path],
    out: str | Path,
    denoisers: Sequence[Denoiser],
    *,
    dose: float | None = None,
    seed: int = 0,
    maps: str | Path | None = None,
    risk_factor: float | None = None,
    overwrite: bool = False,
    note: Note | None = None,
) -> list[str]:
    """Write ``out/ARM/CASE`` for ``reader-study new STUDY --from OUT``; the names of the arms.

    Arms are ``low-dose``, each denoiser on the same noise, and with a dose also ``full-dose``.

    Parameters
    ----------
    cases : folders with one series each, whose names become the cases'
    dose : fraction of each scan's dose to simulate; None takes the series as they are
    maps : folder for ``ARM/CASE.npz``, to lie over the images of a denoiser's arm: what it removed
        (input minus output, HU), or, with a factor, the band of risk
    risk_factor : calibrated by a passport; times the smoothed size of the change it bounds the
        error of the output in HU (:func:`ctlab.assess.risk_maps`)
    note : called with what a denoiser did wrong on images whose answer is known

    Raises
    ------
    ValueError
        No denoiser, two cases or arms of one name, or a denoiser that fails.
    """
    names = [re.sub(r"[^a-z0-9]+", "-", d.name.lower()).strip("-")[:40] for d in denoisers]
    folders = [Path(case).resolve().name for case in cases]
    if not denoisers or len(set(names)) < len(names) or len(set(folders)) < len(folders):
        raise ValueError(
            f"expected a denoiser or more and folders of different names, got {', '.join(names)} "
            f"and {', '.join(folders)}; rename those that are alike"
        )
    tell_behaviour(denoisers, note)
    rng = np.random.default_rng(seed)
    arms = [*(["full-dose"] if dose is not None else []), "low-dose", *names]
    with ExitStack() as stack:
        folder = stack.enter_context(fresh_folder(out, overwrite=overwrite))
        over = maps and stack.enter_context(fresh_folder(maps, overwrite=overwrite))
        for arm in arms:
            (folder / arm).mkdir()
        for case, name in zip(cases, folders, strict=True):
            full = read_series(case)
            low = full if dose is None else simulate_dose(full, dose, rng=rng)
            if dose is not None:
                _write(full, folder / "full-dose" / name, "Copied for a reader study")
                note = f"Dose fraction {dose:g} simulated"
                _write(low, folder / "low-dose" / name, note, NOISE_ADDED)
            else:
                _write(low, folder / "low-dose" / name, "Copied for a reader study")
            for arm, denoiser in zip(names, denoisers, strict=True):
                made = low.with_hu(denoiser.tuned_to(low)(low.hu, low.spacing_mm))
                _write(made, folder / arm / name, f"Denoised by {denoiser.name}", DENOISED)
                if over:
                    (over / arm).mkdir(exist_ok=True)
                    shown = map_over(low.hu, made.hu, risk_factor)
                    np.savez_compressed(over / arm / f"{name}.npz", signed=shown)
    return arms


def map_over(low: np.ndarray, made: np.ndarray, risk_factor: float | None = None) -> np.ndarray:
    """What was removed, HU, (z, y, x), or the band of risk of a calibrated factor.

    Examples
    --------
    >>> low, made = np.zeros((1, 3, 3)), np.full((1, 3, 3), -4.0)
    >>> float(map_over(low, made)[0, 1, 1]), float(map_over(low, made, 2.0)[0, 1, 1])
    (4.0, 10.0)
    """
    removed = np.asarray(low, np.float32) - np.asarray(made, np.float32)
    if risk_factor is None:
        return removed
    return np.asarray(risk_factor * change_score(low, made), np.float32)


def _write(volume: Volume, folder: Path, text: str, code: tuple[str, str] | None = None) -> None:
    write_series(volume, folder, description="CHEST", derivation=Derivation(text, code=code))
