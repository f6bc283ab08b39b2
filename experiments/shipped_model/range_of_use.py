"""Where the shipped model stays ahead of a tuned filter: measured beside the range on its card.

    python -m experiments.shipped_model SERIES PYCERR --again range_of_use

Of LIDC-IDRI-0001 four slices in the gaps between the training slabs, that neither training nor the
other results use, get noise of a tenth of the dose, made weaker or stronger, of sharper or softer
kernels, on larger or smaller pixels, in thicker slices. Beside the model stands NLM, at the best of
three strengths for each series, chosen with the reference. A condition is within the range where
the model gains on the noisy image and is not behind NLM by more than 0.1 dB. Along each axis
the range reaches as far as all conditions from the nominal one on are within it. Writes
``range_of_use.json``. Five minutes of one core.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, uniform_filter1d, zoom

from ctlab.assess import psnr_db
from ctlab.classic import denoise_classic
from ctlab.ct import LUNG, Volume, calibrate, measure_noise_hu, read_series
from ctlab.ct.simulation.low_dose import simulate_slices, slice_seeds
from ctlab.files import write_json
from ctlab.learn import denoise_slices, load_checkpoint
from experiments.method_comparison.configurations import VALIDATION

RESULTS = Path(__file__).with_name("range_of_use.json")
DOSE = 0.1
BEHIND_DB = 0.1
STRENGTHS = (0.6, 0.8, 1.0)
LEVELS = (0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0)
SOFTER_PX = (0.0, 0.4, 0.6, 0.8, 1.0)
ZOOMS = (0.6, 0.75, 1.0, 1.25, 1.5)
THICKER = (1, 2, 3)
HALF_PX = 128


@dataclass(frozen=True)
class Condition:
    """A series with known reference: which axis it moves along, how far, and its images."""

    axis: str
    step: float
    full: Volume
    low: Volume


def conditions(scan: Volume) -> Iterator[Condition]:
    """Every condition of the four slices, cut to their middle."""
    picked = [z for first, last in VALIDATION for z in range(first, last + 1)]
    nominal = _cut(scan, scan.hu[picked])
    scanner, seeds = calibrate(scan), slice_seeds(np.random.default_rng(11), len(picked))

    def noise_of(filter_name: str) -> np.ndarray:
        own = replace(scanner, filter_name=filter_name)
        slices = [(scan.hu[z], int(seed)) for z, seed in zip(picked, seeds, strict=True)]
        low = simulate_slices(slices, DOSE, pixel_mm=scan.spacing_mm[1], scanner=own)
        return _cut(scan, np.stack(list(low))).hu - nominal.hu

    usual, sharp = noise_of(scanner.filter_name), noise_of("ramp")
    sharp *= usual.std() / sharp.std()

    def made(axis: str, step: float, full: Volume, noise: np.ndarray) -> Condition:
        return Condition(axis, step, full, full.with_hu((full.hu + noise).astype(np.float32)))

    for level in LEVELS:
        yield made("noise", level, nominal, level * usual)
    yield made("kernel", -1.0, nominal, sharp)
    for sd_px in SOFTER_PX:
        full = nominal.with_hu(_each(nominal.hu, sd_px))
        soft = _each(usual, sd_px)
        yield made("kernel", sd_px, full, soft * (usual.std() / soft.std()))
    for factor in ZOOMS:
        hu = np.stack([zoom(image, 1 / factor, order=1) for image in nominal.hu])
        size = hu.shape[1]
        around = tuple(
            (0, 0) if axis == 0 else (0, max(size - usual.shape[1], 0)) for axis in range(3)
        )
        noise = np.pad(usual, around, mode="reflect")[:, :size, :size]
        thick_mm, y_mm, x_mm = nominal.spacing_mm
        spacing = (thick_mm, y_mm * factor, x_mm * factor)
        full = replace(nominal, hu=hu.astype(np.float32), spacing_mm=spacing)
        yield made("pixel", factor, full, noise)
    for count in THICKER:
        hu = uniform_filter1d(scan.hu, count, axis=0)[picked] if count > 1 else scan.hu[picked]
        full = _cut(scan, hu)
        thick_mm, y_mm, x_mm = full.spacing_mm
        full = replace(full, spacing_mm=(thick_mm * count, y_mm, x_mm))
        yield made("slice", float(count), full, usual)


def _cut(scan: Volume, hu: np.ndarray) -> Volume:
    """The middle of some slices, as a series of their own."""
    y, x = (n // 2 for n in hu.shape[1:])
    middle = hu[:, y - HALF_PX : y + HALF_PX, x - HALF_PX : x + HALF_PX]
    return replace(scan, hu=np.ascontiguousarray(middle, np.float32), sources=(), current_ma=())


def _each(hu: np.ndarray, sd_px: float) -> np.ndarray:
    return np.stack([gaussian_filter(image, sd_px) for image in hu]) if sd_px else hu


def judge(condition: Condition, model: Any) -> dict[str, Any]:
    """Facts of the series, and the gain in dB of model and filter."""
    full, low = condition.full.hu, condition.low.hu
    noise_hu = float(measure_noise_hu(condition.low))

    def psnr(image: np.ndarray) -> float:
        pairs = zip(full, image, strict=True)
        return float(np.mean([psnr_db(a, b, window=LUNG) for a, b in pairs]))

    before = psnr(low)
    filtered = (
        psnr(denoise_classic(low, "nlm", noise_sd_hu=noise_hu, strength=strength))
        for strength in STRENGTHS
    )
    gain, best = psnr(denoise_slices(low, model)) - before, max(filtered) - before
    return {
        "axis": condition.axis,
        "step": condition.step,
        "noise_hu": noise_hu,
        "pixel_mm": condition.low.spacing_mm[1],
        "slice_mm": condition.low.spacing_mm[0],
        "gain_db": gain,
        "nlm_gain_db": best,
        "is_within": bool(gain > 0 and gain >= best - BEHIND_DB),
    }


NOMINAL = {"noise": 1.0, "pixel": 1.0, "slice": 1.0}
FACTS = {
    "noise": "noise_hu",
    "pixel": "pixel_mm",
    "slice": "slice_mm",
}


def reach(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Least and most of each fact over the unbroken run of conditions around the nominal one."""
    found = {}
    for axis, fact in FACTS.items():
        along = sorted((r for r in rows if r["axis"] == axis), key=lambda r: r["step"])
        at = next(k for k, r in enumerate(along) if r["step"] == NOMINAL[axis])
        first = last = at
        while first > 0 and along[first - 1]["is_within"]:
            first -= 1
        while last + 1 < len(along) and along[last + 1]["is_within"]:
            last += 1
        values = [r[fact] for r in along[first : last + 1]]
        found[fact] = [min(values), max(values)]
    return found


def main(series: Path) -> None:
    """Measure the range in the series of LIDC-IDRI-0001."""
    torch.set_num_threads(1)
    shipped = load_checkpoint()
    model = shipped.denoiser()
    rows = []
    for condition in conditions(read_series(series)):
        rows.append(judge(condition, model))
        sys.stdout.write(json.dumps(rows[-1]) + "\n")
        sys.stdout.flush()
    found = reach(rows)
    results = {
        "command": "python -m experiments.shipped_model SERIES PYCERR --again range_of_use",
        "checkpoint_sha256": shipped.sha256,
        "behind_db": BEHIND_DB,
        "range_of_use": found,
        "card": {name: list(map(float, shipped.card["range_of_use"][name])) for name in found},
        "rows": rows,
    }
    write_json(RESULTS, results)
