"""The checks of a passport: each gives one number, and the tables and pictures behind it."""

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from ctlab.assess import (
    NODULE_TASKS,
    LesionTask,
    Transfer,
    calibrate_risk,
    check_coverage,
    coherence,
    contrast_recovery,
    detectability_table,
    equivalent_dose,
    evaluate_volume,
    false_lesion_rate,
    hidden_information,
    loss_curve,
    nps_by_tissue,
    patients_needed,
    task_transfer,
    z_banding_hu,
    z_correlation,
)
from ctlab.assess.detection.detectability import MakeImages
from ctlab.assess.safety.conformal_risk import SIDES, change_score
from ctlab.passport.bench import NEEDS, Bench, Check, Finding
from ctlab.passport.invariance import NAMES, invariance, leak
from ctlab.passport.patient_scan import (
    PATCH_PX,
    clean_patches,
    one_by_one,
    taking_turns,
)
from ctlab.passport.phantoms import COUNT, POPULATION, phantom_patient

TASKS = tuple(t for t in NODULE_TASKS if t.diameter_mm in (6.0, 10.0))
CONTRAST_HU = 300.0
BLUR_MM = 0.5  # the scanner's, as in LesionTask.draw
PATCHES = 240
THRESHOLD_D_PRIME = 1.5  # AUC about 0.86
FACTORS = tuple(np.geomspace(0.05, 500.0, 60))


def accuracy(bench: Bench) -> Finding:
    """HU bias per tissue and error beside the input's, against the noisy reference."""
    before = pd.concat([evaluate_volume(s.full.hu, s.low, patient="") for s in bench.scans])
    after = pd.concat([evaluate_volume(s.full.hu, s.out, patient="") for s in bench.scans])
    noise = f"the reference's own noise is {after['reference_noise_hu'].mean():.1f} HU"
    return Finding(
        {
            "bias in lung": _size(after["bias_lung_hu"].mean()),
            "bias in soft tissue": _size(after["bias_soft_hu"].mean()),
            "error left": float(after["rmse_hu"].mean() / before["rmse_hu"].mean()),
        },
        {"error left": noise},
        {"slices": after.to_dict("records")},
    )


def noise(bench: Bench) -> Finding:
    """Noise left and its mean frequency, from differences of two realisations."""
    shifts, left, rows = [], [], []
    for scan in bench.scans:
        spectra = [
            nps_by_tissue(a, b, scan.full.spacing_mm)
            for a, b in ((scan.low, scan.other), (scan.out, scan.other_out))
        ]
        for tissue in spectra[0]:
            low, out = (spectrum[tissue] for spectrum in spectra)
            shifts.append(out.mean_frequency_per_mm / low.mean_frequency_per_mm - 1)
            left.append(out.noise_sd_hu / low.noise_sd_hu)
            for arm, spectrum in (("input", low), ("denoised", out)):
                rows += spectrum.radial().assign(tissue=tissue, arm=arm).to_dict("records")
    return Finding(
        {
            "noise left": float(np.mean(left)),
            "shift of mean noise frequency": abs(float(max(shifts, key=abs))),
        },
        {"shift of mean noise frequency": f"largest of {len(shifts)}: {max(shifts, key=abs):+.2f}"},
        {"nps": rows},
    )


def banding(bench: Bench) -> Finding:
    """Offsets that jump from slice to slice, seen as bands in coronal views; noise along z."""
    name, run = "banding along z", bench.scans[0].run
    if run is None or len(run.low) < 4:
        count = 0 if run is None else len(run.low)
        raise ValueError(f"bands need 4 neighbouring slices or more, got {count}")
    body = run.full.hu > -950
    rows = []
    bands, note = z_banding_hu(run.low, run.out, mask=body), f"over {len(run.low)} slices"
    if not len(run.other):  # no second realisation: the offsets alone
        return Finding({name: bands}, {name: note})
    arms = {"input": (run.low, run.other), "denoised": (run.out, run.other_out)}
    for arm, (a, b) in arms.items():
        correlation = z_correlation(
            a, b, run.full.spacing_mm, mask=body, max_lag=min(5, len(a) - 1)
        )
        rows += correlation.assign(arm=arm).to_dict("records")
    next_to = [row["correlation"] for row in rows if row["lag_slices"] == 1]
    note = (
        f"over {len(run.low)} neighbouring slices; noise of neighbours correlates by "
        f"{next_to[0]:.2f} before and {next_to[1]:.2f} after"
    )
    return Finding({name: bands}, {name: note}, {"z correlation": rows})


def resolution(bench: Bench) -> Finding:
    """Resolution of a 10 mm insert of 300 HU in lung after the denoiser, beside no denoiser."""
    name = "loss of resolution (f50 of a 10 mm insert)"
    scan = bench.scans[0]
    signal = LesionTask("solid", 10.0, CONTRAST_HU).draw((PATCH_PX, PATCH_PX), scan.pixel_mm)
    noises = np.stack(list(islice(taking_turns(scan.noise_patches(), bench.rng), 40)))
    flat = np.full((PATCH_PX, PATCH_PX), -850.0)
    curves = {
        "input": task_transfer(lambda hu: hu, flat, signal, noises, spacing_mm=scan.pixel_mm),
        "denoised": task_transfer(
            one_by_one(bench.denoise), flat, signal, noises, spacing_mm=scan.pixel_mm
        ),
    }
    rows = [r for arm, c in curves.items() for r in c.frame().assign(arm=arm).to_dict("records")]
    before = _half_frequency(curves["input"])
    after = _half_frequency(curves["denoised"])
    note = f"f50 {before:.3f} per mm before (scanner blur of {BLUR_MM:g} mm), {after:.3f} after"
    return Finding({name: max(0.0, 1 - after / before)}, {name: note}, {"ttf": rows})


def _half_frequency(curve: Transfer) -> float:
    """Frequency at which scanner and denoiser together fall to one half."""
    f = curve.frequency_per_mm
    both = np.exp(-2 * (np.pi * BLUR_MM * f) ** 2) * curve.normalised
    below = np.flatnonzero(both < 0.5)
    if len(below) == 0 or below[0] == 0:
        raise ValueError("the transfer does not fall to one half within the insert's frequencies")
    k = int(below[0])
    return float(np.interp(0.5, [both[k], both[k - 1]], [f[k], f[k - 1]]))


def detection(bench: Bench) -> Finding:
    """Observer and equivalent dose in even lung; recovery and false lesions among vessels."""
    worst = "change of detectability (lower 95 % bound, worst nodule)"
    scan, single = bench.scans[0], one_by_one(bench.denoise)
    noises = np.stack(list(islice(taking_turns(scan.noise_patches(), bench.rng), 2 * PATCHES)))
    clean = clean_patches(bench.rng, 60)

    def images(task: LesionTask, dose: float) -> tuple[np.ndarray, np.ndarray]:
        # Quantum noise: the variance goes with one over the dose.
        shown = noises * np.sqrt(scan.dose / dose) - 850.0
        signal = task.draw((PATCH_PX, PATCH_PX), scan.pixel_mm)
        return shown[:PATCHES] + signal, shown[PATCHES:]

    faint = _at_threshold(images, scan.dose)
    table = detectability_table(images, single, nodules=faint, doses=(scan.dose,))
    raw = detectability_table(
        images, None, nodules=faint, doses=tuple(scan.dose * f for f in (0.3, 0.55, 1.8, 3.0))
    )
    recovered, rows = [], []
    for task in TASKS:
        signal = task.draw((PATCH_PX, PATCH_PX), scan.pixel_mm)
        recovery = contrast_recovery(single, clean[:24], signal, noises[:24])
        recovered.append(recovery["recovery"])
        rows.append({"kind": task.kind, "diameter_mm": task.diameter_mm} | recovery)
    smallest = TASKS[0].draw((PATCH_PX, PATCH_PX), scan.pixel_mm)
    healthy = np.stack([single(c + n) for c, n in zip(clean, noises[:60], strict=True)])
    false = false_lesion_rate(healthy, clean, smallest, least_contrast_hu=100.0)
    notes = {
        "contrast recovery, worst nodule": "noise-free lung with vessels and this series' noise",
        worst: f"even lung, contrast at which the input gives d' = {THRESHOLD_D_PRIME:g}; "
        f"{PATCHES} patches with and without, half train the observer",
        "false lesions": f"{false['n_false']} of {false['n']}, interval to {false['high']:.2f}",
    }
    tables = {"detectability": table.to_dict("records"), "contrast recovery": rows}
    try:
        doses = equivalent_dose(pd.concat([table, raw], ignore_index=True))
        tables["equivalent dose"] = doses.to_dict("records")
    except ValueError as error:
        notes[worst] += f"; no equivalent dose: {error}"
    values: dict[str, float | None] = {
        "contrast recovery, worst nodule": float(min(recovered)),
        worst: float(table["change_low"].min()),
        "false lesions": float(false["rate"]),
    }
    return Finding(values, notes, tables)


def _at_threshold(images: MakeImages, dose: float) -> list[LesionTask]:
    """The nodules at the contrast where the input is neither hopeless nor easy.

    Where every image is told right, or none, a denoiser can neither help nor harm. The d' of a
    linear observer goes with the contrast, so one measurement gives the factor.
    """
    seen = detectability_table(images, None, nodules=TASKS, doses=(dose,))
    factors = THRESHOLD_D_PRIME / np.maximum(seen["d_prime"], 0.1)
    return [
        replace(t, contrast_hu=t.contrast_hu * float(f))
        for t, f in zip(TASKS, factors, strict=True)
    ]


def structure(bench: Bench) -> Finding:
    """Structure that went with the noise: coherence of the residual with the noise-free image."""
    noises = np.stack(list(islice(taking_turns(bench.scans[0].noise_patches(), bench.rng), 80)))
    clean = clean_patches(bench.rng, 80)
    shown = (clean + noises).astype(np.float32)
    table = coherence(shown - bench.denoise(shown), clean, bench.scans[0].pixel_mm)
    # Only frequencies that hold structure: a large share of nothing is nothing.
    visible = table[(table["finding"] != "") & (table["frequency_per_mm"] < 0.35)]
    worst = float(visible["removed_fraction"].abs().max()) if len(visible) else 0.0
    note = f"{len(visible)} of {len(table)} frequencies show it, below 0.35 per mm"
    return Finding(
        {"structure removed": worst}, {"structure removed": note}, {"coherence": _rows(table)}
    )


def hidden(bench: Bench) -> Finding:
    """Removed noise that can be recovered at 1 HU but no longer at 16 HU: hidden, not left."""
    middle = np.s_[:, 192:320, 192:320]
    scan = bench.scans[0]
    crop = middle if min(scan.out.shape[1:]) >= 320 else np.s_[:]
    out = np.concatenate([scan.out[crop], scan.other_out[crop]])
    low = np.concatenate([scan.low[crop], scan.other[crop]])
    removed = low - out
    if removed.std() < 0.01:  # an offset at most: there is nothing that could be hidden
        return Finding({"hidden information": 0.0}, {"hidden information": "nothing was removed"})
    table = hidden_information(out, removed)
    value = float(table["r2"].iloc[0] - table["r2"].iloc[-1])
    note = f"at 1 HU {table['r2'].iloc[0]:.2f} of the removed variance can be predicted, openly"
    return Finding(
        {"hidden information": max(value, 0.0)},
        {"hidden information": note},
        {"hidden information": _rows(table)},
    )


def risk(bench: Bench) -> Finding:
    """Coverage of a calibrated risk band on patients not used to calibrate it.

    Patients given calibrate where there are enough of them, against their noisy reference; else
    phantom patients do, whose truth is known, and the guarantee speaks of them alone.
    """
    needed, name = patients_needed(0.1), "risk coverage"
    if len(bench.scans) > needed:
        triples = [(s.full.hu, s.low, s.out) for s in bench.scans]
        population = "low dose simulated from patients' scans"
    elif not np.isfinite(bench.scans[0].dose):
        raise ValueError(
            f"needs {needed + 1} patients with a reference, got {len(bench.scans)}; or "
            f"{NEEDS['answers']}"
        )
    else:
        known = [phantom_patient(k, bench.scans[0].dose) for k in range(COUNT)]
        triples = [(p.truth, p.low, bench.denoise(p.low[None])[0]) for p in known]
        population = POPULATION
    losses = np.array([_losses(*triple) for triple in triples])  # (patients, sides, factors)
    spread = float(np.median([np.median(change_score(low, out)) for _, low, out in triples]))
    first = max(needed, 2 * len(triples) // 3)
    rows, worst, bounds = [], 0.0, []
    for k, side in enumerate(SIDES):
        limit = calibrate_risk(losses[:first, k], FACTORS, alpha=0.1, population=population)
        at = int(np.flatnonzero(np.isclose(FACTORS, limit.factor))[0])
        unseen = losses[first:, k, at]
        worst = max(worst, float(unseen.mean()))
        bounds.append(f"{limit.factor * spread:.0f} HU {side}")
        row = {"side": side, "factor": limit.factor, "median_bound_hu": limit.factor * spread}
        rows.append(row | check_coverage(limit, unseen).to_dict())
    note = (
        f"calibrated on {first}, verified on {len(losses) - first}; {population}; "
        f"half the voxels within {' and '.join(bounds)}"
    )
    return Finding({name: worst}, {name: note}, {"risk": rows})


def _losses(truth: np.ndarray, low: np.ndarray, out: np.ndarray) -> list[np.ndarray]:
    """Loss curves of one patient, for structure added and removed."""
    body, score = truth > -950, change_score(low, out)
    return [loss_curve(truth, out, score, FACTORS, side=side, mask=body) for side in SIDES]


def speed(bench: Bench) -> Finding:
    """Seconds for 100 slices on the machine that made the passport."""
    seconds = float(np.median([s.seconds_per_slice for s in bench.scans]))
    return Finding({"speed": 100 * seconds})


CHECKS: dict[str, Check] = {
    "accuracy": Check(
        accuracy, ("bias in lung", "bias in soft tissue", "error left"), frozenset({"reference"})
    ),
    "noise": Check(noise, ("noise left", "shift of mean noise frequency"), frozenset({"repeats"})),
    "banding": Check(banding, ("banding along z",), frozenset({"neighbours"})),
    "resolution": Check(
        resolution, ("loss of resolution (f50 of a 10 mm insert)",), frozenset({"answers"})
    ),
    "detection": Check(
        detection,
        (
            "contrast recovery, worst nodule",
            "change of detectability (lower 95 % bound, worst nodule)",
            "false lesions",
        ),
        frozenset({"answers"}),
    ),
    "structure": Check(structure, ("structure removed",), frozenset({"answers"})),
    "hidden": Check(hidden, ("hidden information",)),
    "risk": Check(risk, ("risk coverage",), frozenset({"reference"})),
    "invariance": Check(invariance, NAMES, frozenset({"answers"})),
    "leak": Check(leak, ("leak between slices",), frozenset({"answers", "neighbours"})),
    "speed": Check(speed, ("speed",), frozenset({"time"})),
}


def _size(value: float) -> float | None:
    return abs(float(value)) if np.isfinite(value) else None


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_dict("records")
    return rows
