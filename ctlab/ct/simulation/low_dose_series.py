"""A whole DICOM series at a lower dose, streamed slice by slice so that memory stays small."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.console import Note, Progress
from ctlab.ct.dicom.gantry_tilt import upright_against_header
from ctlab.ct.dicom.pixels.encode import count_beyond, note_clipped
from ctlab.ct.dicom.read import (
    HuTally,
    choose_series,
    slice_currents_ma,
    stream_plan,
    tallied,
    volume_of,
)
from ctlab.ct.dicom.slice_order import Plan, find_series
from ctlab.ct.dicom.write import NOISE_ADDED, Derivation, SeriesWriter
from ctlab.ct.noise_level import measure_noise_hu, noise_pair_hu, probe_indices
from ctlab.ct.simulation.calibration import (
    calibrate,
    photons_of_slices,
    relative_currents,
    trial_indices,
)
from ctlab.ct.simulation.low_dose import (
    LEFT_OUT,
    check_fraction,
    simulate_slices,
    slice_seeds,
)
from ctlab.ct.simulation.projection_noise import check_gantry_planes
from ctlab.ct.simulation.scanner import Scanner
from ctlab.ct.volume import Volume
from ctlab.files import fresh_folder, refuse_own_source

_ONE_SLICE = 0.2
"""How well the noise of one slice tells its photons."""

_ALIKE = 2.0
"""Photons of single slices, each known to some 20 %, that differ by less than this are alike."""


@dataclass(frozen=True)
class SimulationReport:
    """What was simulated: dose fraction of the scan's own dose, noise before and after in HU.

    ``calibrated_slices`` is how many slices the photons come from, 0 where a scanner was given;
    ``tube_current_ma`` the range that photons followed from slice to slice, ``None`` where it is
    alike in all slices or not known; ``photons_of_slices`` the fewest and most photons that single
    slices would give, ``None`` where a scanner was given; ``left_out`` what real noise has and the
    simulated lacks.
    """

    dose: float
    noise_sd_hu: float
    reference_noise_hu: float
    slices: int
    photons: float
    seed: int
    calibrated_slices: int = 0
    tube_current_ma: tuple[float, float] | None = None
    photons_of_slices: tuple[float, float] | None = None
    left_out: tuple[str, ...] = LEFT_OUT

    @property
    def photons_known_to(self) -> float | None:
        """Share by which the photons may be off by the calibration's own noise, one SD.

        In water of known photons single slices came out right within about a fifth; the slices of
        one calibration are independent. ``None`` where a scanner was given. The photons are those
        of the simulation's kernel: of a scan with another one they say how noisy it is, not how
        many there were.
        """
        return _ONE_SLICE / self.calibrated_slices**0.5 if self.calibrated_slices else None

    def as_dict(self) -> dict[str, Any]:
        """Every figure by its name, for JSON."""
        return asdict(self) | {"photons_known_to": self.photons_known_to}

    def calibration_in_words(self) -> str:
        """Where the photons come from, in one line of at most 80 characters."""
        slices, known = self.calibrated_slices, self.photons_known_to
        which = f"noise of {slices} slices (within {known:.0%})" if known else "scanner given"
        if self.tube_current_ma is None:
            return f"photons by the {which}, alike in all slices"
        low, high = self.tube_current_ma
        return f"photons by the {which}, following {low:.4g} to {high:.4g} mA"

    def spread_in_words(self) -> str:
        """How far the noise depends on the slices in the folder; empty where it hardly does."""
        if self.photons_of_slices is None:
            return ""
        low, high = self.photons_of_slices
        if high < _ALIKE * low:
            return ""
        return (
            f"single slices would give {low:.2g} to {high:.2g} photons a ray, the series gives "
            f"{self.photons:.2g}: a folder with other slices of this scan gets other noise, by up "
            f"to a factor of {(high / low) ** 0.5:.2g}; simulate the whole series"
        )


def simulate_series(
    path: str | Path,
    out: str | Path,
    *,
    fraction: float,
    seed: int = 0,
    scanner: Scanner | None = None,
    series_uid: str | None = None,
    allow_gaps: bool = False,
    skip_damaged: bool = False,
    clip: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
) -> SimulationReport:
    """Write the series at ``path`` to ``out`` as if scanned at ``fraction`` of its own dose.

    The slices are those of ``simulate_dose(read_series(path), ..., rng=default_rng(seed))`` with
    the same scanner, but only a few are in memory at a time. ``series_uid``, ``allow_gaps`` and
    ``skip_damaged`` are those of ``read_series``; a tilted gantry is no matter, since each slice
    is right. ``clip`` clamps HU to what one rescale holds, and counts them. Noise before and after
    is measured in the same windows, those that are flat before. ``note`` is called with every
    finding about the series.

    Raises
    ------
    ValueError
        The dose is out of range, the series cannot be read, its planes are none that a gantry
        turns in, it has too little soft tissue for its noise to be measured, or ``out`` is not
        empty.
    """
    check_fraction(fraction)
    refuse_own_source(path, out)
    plan = choose_series(
        find_series(path),
        path,
        series_uid,
        allow_gaps=allow_gaps,
        allow_tilt=True,
        skip_damaged=skip_damaged,
    )
    _refuse_planes(plan)
    if note:
        for problem in (*plan.problems, *plan.gaps, *plan.tilts):
            note(problem)
    before = probe_volume(plan).hu
    measure_noise_hu(before, spacing_mm=plan.spacing_mm[1])  # refused before the work begins
    spread = None
    given = scanner
    if scanner is None:
        few = _only(plan, trial_indices(len(plan.frames)))
        scanner = calibrate(few)
        spread = photons_of_slices(few, scanner)
    seeds = slice_seeds(np.random.default_rng(seed), len(plan.frames))
    description = f"Simulated {100 * fraction:g} % dose"
    writer = SeriesWriter.of(geometry_of(plan), description, _derivation(fraction), "none")
    writer = replace(writer, clip=clip)
    tally = HuTally()
    lowered = _lowered(plan, fraction, seeds, scanner, tally)
    with fresh_folder(out, overwrite=overwrite) as part:
        after = _written(lowered, plan, writer, part, progress, note)
    if note:
        for problem in tally.problems():
            note(problem)
    reference, noise = noise_pair_hu(before, after, spacing_mm=plan.spacing_mm[1])
    return SimulationReport(
        fraction,
        noise,
        reference,
        len(plan.frames),
        scanner.photons,
        seed,
        0 if given else len(trial_indices(len(plan.frames))),
        _current_range_ma(plan),
        (min(spread), max(spread)) if spread else None,
    )


def _refuse_planes(plan: Plan) -> None:
    """Raise where the rays of the scan do not lie in the slices, by geometry or by the header."""
    check_gantry_planes(geometry_of(plan))
    if resampled := upright_against_header(list(plan.frames)):
        raise ValueError(f"{resampled[0]}; simulate the scanner's own images")


def _written(
    lowered: Iterator[np.ndarray],
    plan: Plan,
    writer: SeriesWriter,
    folder: Path,
    progress: Progress | None,
    note: Note | None,
) -> np.ndarray:
    """Write every slice; those in which noise is measured (z, y, x), in HU."""
    after, clipped, count = [], 0, len(plan.frames)
    chosen = set(probe_indices(count))
    for k, hu in enumerate(lowered):
        writer.write(folder, k, hu)
        clipped += count_beyond(hu) if writer.clip else 0
        if k in chosen:
            after.append(hu)
        if progress:
            progress(k + 1, count)
    note_clipped(note, clipped)
    return np.stack(after)


def _derivation(fraction: float) -> Derivation:
    return Derivation(
        f"Ultra-low dose simulated at {100 * fraction:g} % of this scan's own dose by adding "
        "noise in the projections; exposure values in this header are those of the original scan. "
        f"The noise leaves out: {'; '.join(LEFT_OUT)}",
        algorithm="CT Lab dose simulation",
        code=NOISE_ADDED,
    )


def _lowered(
    plan: Plan, fraction: float, seeds: np.ndarray, scanner: Scanner, tally: HuTally
) -> Iterator[np.ndarray]:
    slices = tallied(plan, tally)
    if fraction == 1:
        return slices
    return simulate_slices(
        zip(slices, seeds, strict=True),
        fraction,
        pixel_mm=plan.spacing_mm[1],
        scanner=scanner,
        currents=relative_currents(_currents_ma(plan), len(plan.frames)),
    )


def _currents_ma(plan: Plan) -> tuple[float, ...]:
    return slice_currents_ma([f.header for f in plan.frames])


def _current_range_ma(plan: Plan) -> tuple[float, float] | None:
    current = _currents_ma(plan)
    return (min(current), max(current)) if len(set(current)) > 1 else None


def probe_volume(plan: Plan) -> Volume:
    """A few slices of a planned series, for measuring noise."""
    return _only(plan, probe_indices(len(plan.frames)))


def _only(plan: Plan, chosen: list[int]) -> Volume:
    few = Plan(plan.uid, tuple(plan.frames[k] for k in chosen), plan.spacing_mm)
    return volume_of(few, np.stack(list(stream_plan(few))))


def geometry_of(plan: Plan) -> Volume:
    """Geometry, header facts and sources of a plan; its HU take no memory and hold nothing."""
    return volume_of(plan, np.broadcast_to(np.float32(0), plan.shape))
