"""The table: every configuration and every tuned classic filter on slices nobody was trained on.

Test images are every third packaged slice and, where their folder is given, every fourth slice of
the four patients of the radiomics phantom set of ``pycerr`` (evaluation only, never
redistributed), all simulated at 10 and 5 % of the scan's dose. The reference is the scan itself,
whose own noise is in every RMSE. Filters are tuned on the validation slices, which lie in the
gaps between the training slabs; the selection criterion of the variants is computed there as
well, and needs no reference.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctlab.assess import (
    LesionTask,
    contrast_recovery,
    find_rois,
    nps,
    nps_distance,
    psnr_db,
    rmse_hu,
    ssim,
)
from ctlab.classic import METHODS, denoise_classic, tune
from ctlab.ct import (
    LUNG,
    Volume,
    calibrate,
    load_sample,
    measure_noise_hu,
    read_series,
    simulate_dose,
)
from ctlab.ct.simulation.calibration import relative_currents
from ctlab.ct.simulation.low_dose import simulate_slices, slice_seeds
from ctlab.ct.tissue import BODY_ROI_HU, LUNG_ROI_HU, TISSUES_HU, tissue_masks
from ctlab.files import write_json
from ctlab.learn import Checkpoint, denoise_slices, load_checkpoint
from ctlab.learn.train.monitor import structure
from experiments.method_comparison.card import write_card
from experiments.method_comparison.configurations import DOSES, VALIDATION

RESULTS = Path(__file__).with_name("results.json")
TISSUES = ("lung", "soft", "bone")
ROI_PX, PATCH_PX = 32, 64
NODULES_HU = {"solid": 850.0, "ground-glass": 200.0}
DIAMETERS_MM = (4.0, 6.0, 8.0, 10.0)

DEFINITIONS = {
    "bias": {
        "ranges_hu": {tissue: TISSUES_HU[tissue] for tissue in TISSUES},
        "mask": "ctlab.ct.tissue.tissue_masks of the reference",
    },
    "texture": {"range_hu": BODY_ROI_HU, "squares_px": ROI_PX},
}
"""What bias and texture were measured in: stands in the results, for old ones had other masks."""

INPUT, SHIPPED = "input", "shipped"
"""Names of the noisy images and of the checkpoint that comes with the kit, among the methods."""

Method = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Case:
    """One patient at one dose."""

    name: str
    dose: float
    full: Volume
    low: Volume

    @classmethod
    def simulate(
        cls, name: str, scan: Volume, dose: float, *, picked: Sequence[int], seed: int = 0
    ) -> "Case":
        """These slices of a scan, with the noise they have where the whole series is simulated."""
        full = _picked(scan, picked)
        seeds = slice_seeds(np.random.default_rng(seed), len(scan.hu))
        currents = relative_currents(scan.current_ma, len(scan.hu))
        low = simulate_slices(
            [(scan.hu[z], int(seeds[z])) for z in picked],
            dose,
            pixel_mm=scan.spacing_mm[1],
            scanner=calibrate(scan),
            currents=[float(currents[z]) for z in picked],
        )
        return cls(name, dose, full, full.with_hu(np.stack(list(low))))


def fidelity(case: Case, image: np.ndarray) -> dict[str, float]:
    """RMSE, PSNR, SSIM, tissue bias, residual SD and structure of the residual."""
    full, low = case.full.hu, case.low.hu
    body = full > -1000
    error = image - full
    slices = list(zip(full, image, strict=True))
    values = {
        "rmse_body_hu": rmse_hu(full, image, mask=body),
        "psnr_db": np.mean([psnr_db(a, b, window=LUNG) for a, b in slices]),
        "ssim": np.mean([ssim(a, b, window=LUNG) for a, b in slices]),
        "residual_ratio": (low - image)[body].std() / (low - full)[body].std(),
        "structure": _structure(low - image, full),
    }
    masks = tissue_masks(full)
    for tissue in TISSUES:
        inside = masks[tissue]
        values[f"bias_{tissue}_hu"] = error[inside].mean() if inside.sum() > 500 else np.nan
    return {name: float(value) for name, value in values.items()}


def _structure(residual: np.ndarray, full: np.ndarray) -> float:
    """Correlation of the residual with the reference, both high-passed; 0 for pure noise."""
    removed = [
        structure(torch.from_numpy(r)[None, None].float(), torch.from_numpy(f)[None, None].float())
        for r, f in zip(residual[::4], np.clip(full[::4], -1024, 600), strict=True)
    ]
    return float(np.mean(removed))


def texture(case: Case, image: np.ndarray) -> dict[str, float]:
    """Distance of the distributions of texture: noise spectrum, and sliced W1 of patches."""
    places = [
        (z, y, x)
        for z, full in enumerate(case.full.hu)
        for y, x in find_rois(full, BODY_ROI_HU, size_px=ROI_PX, least_share=0.95)
    ]
    if len(places) < 8:
        return {"nps_shape": np.nan, "nps_power_ratio": np.nan, "sliced_w1_hu": np.nan}

    def rois(hu: np.ndarray) -> np.ndarray:
        return np.stack([hu[z, y : y + ROI_PX, x : x + ROI_PX] for z, y, x in places])

    reference, denoised = rois(case.full.hu), rois(image)
    spacing = case.full.spacing_mm
    apart = nps_distance(
        nps(reference, spacing, detrend="quadratic"), nps(denoised, spacing, detrend="quadratic")
    )
    return {
        "nps_shape": apart["shape"],
        "nps_power_ratio": apart["power_ratio"],
        "sliced_w1_hu": sliced_w1(_pieces(reference), _pieces(denoised)),
    }


def _pieces(rois: np.ndarray, size: int = 8) -> np.ndarray:
    """Pieces (n, size * size) of regions, each less its mean."""
    n = ROI_PX // size
    pieces = rois.reshape(len(rois), n, size, n, size).swapaxes(2, 3).reshape(-1, size * size)
    return pieces - pieces.mean(1, keepdims=True)


def sliced_w1(reference: np.ndarray, image: np.ndarray, *, directions: int = 128) -> float:
    """Mean W1 over random directions of two sets of equally many vectors (n, d), in their unit.

    Bonneel, Rabin, Peyre, Pfister 2015, doi 10.1007/s10851-014-0506-3.

    Examples
    --------
    >>> a = np.zeros((5, 1))
    >>> sliced_w1(a, a + 2.0)
    2.0
    """
    along = np.random.default_rng(0).normal(size=(reference.shape[1], directions))
    along /= np.linalg.norm(along, axis=0)
    return float(np.abs(np.sort(reference @ along, 0) - np.sort(image @ along, 0)).mean())


def nodules(case: Case, method: Method) -> list[dict[str, float | str]]:
    """Contrast recovery of nodules inserted into lung, with intervals over places."""
    places = [
        (z, y, x)
        for z, full in enumerate(case.full.hu)
        for y, x in find_rois(full, LUNG_ROI_HU, size_px=PATCH_PX, least_share=0.8)
    ][::3][:24]
    if len(places) < 8:
        return []

    def cut(hu: np.ndarray) -> np.ndarray:
        return np.stack([hu[z, y : y + PATCH_PX, x : x + PATCH_PX] for z, y, x in places])

    backgrounds, noise = cut(case.full.hu), cut(case.low.hu - case.full.hu)
    rows: list[dict[str, float | str]] = []
    for kind, contrast_hu in NODULES_HU.items():
        for diameter_mm in DIAMETERS_MM:
            signal = LesionTask(kind, diameter_mm, contrast_hu).draw(
                (PATCH_PX, PATCH_PX), case.full.spacing_mm
            )
            recovery = contrast_recovery(
                lambda hu: method(hu[None].astype(np.float32))[0], backgrounds, signal, noise
            )
            rows.append({"kind": kind, "diameter_mm": diameter_mm, **recovery})
    return rows


def gsure(case: Case, method: Method, *, step: float = 0.05) -> float:
    """Estimate of the MSE from the noisy image alone, in HU^2, up to a constant.

    ``mean (f(y) - y)^2 + 2 mean e . (f(y + h e) - f(y)) / h`` with ``e`` of the noise's covariance
    (Stein 1981, doi 10.1214/aos/1176345632; Ramani, Blu, Unser 2008, doi 10.1109/TIP.2008.2001404).
    Halving the dose of ``y`` once more adds noise of just the variance that ``y`` has, so its
    difference to ``y`` serves as ``e``.
    """
    y = case.low
    e = simulate_dose(y, 0.5, rng=np.random.default_rng(1)).hu - y.hu
    out = method(y.hu)
    inside = y.hu > -1000
    change = (method(y.hu + np.float32(step) * e) - out) / step
    return float(np.mean((out - y.hu)[inside] ** 2) + 2 * np.mean((e * change)[inside]))


def network(checkpoint: Checkpoint) -> Method:
    """A checkpoint as a function of slices, whatever its range of use says."""
    denoiser = checkpoint.denoiser()
    return lambda hu: denoise_slices(hu, denoiser)


def tuned_strengths(name: str, validation: list[Case]) -> dict[float, float]:
    """Strength of a filter at each dose, the best on the validation slices."""
    return {
        case.dose: tune(
            name, case.full.hu, case.low.hu, noise_sd_hu=measure_noise_hu(case.low)
        ).strength
        for case in validation
    }


def cases_of(series: Path, pycerr: Path | None) -> tuple[list[Case], list[Case]]:
    """Validation and test cases at each dose."""
    scan = read_series(series)
    picked = [z for first, last in VALIDATION for z in range(first, last + 1)]
    validation = [Case.simulate("validation", scan, dose, picked=picked, seed=7) for dose in DOSES]
    patients = {"sample": (load_sample(), 3)}
    if pycerr is not None:
        patients |= {path.name: (read_series(path), 4) for path in sorted(pycerr.glob("pat_*"))}
    test = [
        Case.simulate(name, whole, dose, picked=range(0, len(whole.hu), every))
        for name, (whole, every) in patients.items()
        for dose in DOSES
    ]
    return validation, test


def _picked(volume: Volume, slices: Sequence[int]) -> Volume:
    """Slices of a volume that are judged one by one: no longer a series."""
    hu = np.ascontiguousarray(volume.hu[list(slices)])
    return replace(volume, hu=hu, sources=(), current_ma=())


def judge(method_of: Callable[[Case], Method], cases: list[Case]) -> list[dict]:
    """All measures of one method, one row a case."""
    rows = []
    for case in cases:
        method = method_of(case)
        image = method(case.low.hu)
        row: dict[str, Any] = {"patient": case.name, "dose": case.dose}
        row["input_psnr_db"] = fidelity(case, case.low.hu)["psnr_db"]
        row |= fidelity(case, image) | texture(case, image)
        if case.name == "sample":
            row["nodules"] = nodules(case, method)
        rows.append(row)
    return rows


def main(work: Path, names: list[str], series: Path, pycerr: Path | None) -> None:
    """Judge everything in ``work/trained`` and write the results, method by method."""
    validation, test = cases_of(series, pycerr)
    results: dict = {
        "command": "python -m experiments.method_comparison evaluate WORK SERIES --pycerr FOLDER",
        "validation_slices": VALIDATION,
        "n_training_patients": 1,
        "definitions": DEFINITIONS,
        "methods": {},
    }
    trained = [name for name in names if (work / "trained" / f"{name}.pt").exists()]
    _judge_all(results, work, [INPUT, *METHODS, SHIPPED, *trained], validation, test)


def judge_again(work: Path, names: list[str], validation: list[Case], test: list[Case]) -> None:
    """Judge these methods anew and leave all else in the results as it stands."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    _judge_all(results, work, names, validation, test)


def are_of_other_images(test: list[Case]) -> bool:
    """Whether the noisy images of the results are not these: the simulation has changed since."""
    methods = json.loads(RESULTS.read_text(encoding="utf-8"))["methods"]
    known = {(row["patient"], row["dose"]): row for row in methods[INPUT]["rows"]}
    return any(
        abs(fidelity(case, case.low.hu)["psnr_db"] - known[case.name, case.dose]["psnr_db"]) > 1e-3
        for case in test
    )


def _judge_all(
    results: dict, work: Path, names: list[str], validation: list[Case], test: list[Case]
) -> None:
    torch.set_num_threads(1)
    for name in names:
        path = work / "trained" / f"{name}.pt"
        if name == INPUT:
            found: dict = {"rows": judge(lambda _case: lambda hu: hu, test)}
        elif name in METHODS:
            found = _of_filter(name, validation, test)
        else:
            checkpoint = load_checkpoint(None if name == SHIPPED else path)
            found = _of_network(checkpoint, path, validation, test)
        results["methods"][name] = found
        _report(results, name)
        write_json(RESULTS, to_five_places(results))
    write_card(RESULTS)


def _of_filter(name: str, validation: list[Case], test: list[Case]) -> dict:
    """A filter at the strengths that are best on the validation slices."""
    strengths = tuned_strengths(name, validation)

    def filtered(case: Case) -> Method:
        noise_hu, strength = measure_noise_hu(case.low), strengths[case.dose]
        return lambda hu: denoise_classic(hu, name, noise_sd_hu=noise_hu, strength=strength)

    return {
        "supervision": "tuned filter",
        "strengths": {f"{dose:g}": strengths[dose] for dose in DOSES},
        "rows": judge(filtered, test),
    }


def _of_network(
    checkpoint: Checkpoint, path: Path, validation: list[Case], test: list[Case]
) -> dict:
    method = network(checkpoint)
    facts = path.with_suffix(".json")
    weights = checkpoint.denoiser().network.parameters()
    return {
        "supervision": checkpoint.config.supervision,
        "generator_weights": sum(p.numel() for p in weights),
        "checkpoint_sha256": checkpoint.sha256,
        "training": json.loads(facts.read_text()) if facts.exists() else {},
        "steps": checkpoint.step,
        "criterion": {f"{c.dose:g}": gsure(c, method) for c in validation},
        "validation": judge(lambda _case: method, validation),
        "rows": judge(lambda _case: method, test),
    }


def to_five_places(results: Any) -> Any:
    """Results with all floats rounded, so that files change where numbers do."""
    if isinstance(results, dict):
        return {key: to_five_places(value) for key, value in results.items()}
    if isinstance(results, list):
        return [to_five_places(value) for value in results]
    return round(float(results), 5) if isinstance(results, float) else results


def _report(results: dict, name: str) -> None:
    for row in results["methods"][name]["rows"]:
        shown = " ".join(f"{k}={v:.3g}" for k, v in row.items() if isinstance(v, float))
        sys.stdout.write(f"{name:20} {row['patient']:8} {shown}\n")
    sys.stdout.flush()
