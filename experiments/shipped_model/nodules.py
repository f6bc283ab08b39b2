"""Contrast that the shipped model leaves to nodules.

    python -m experiments.shipped_model.nodules

Nodules are inserted into lung of the packaged slices (never trained on), solid ones of 850 HU over
lung and ground-glass ones of 100, 200 and 300 HU, 4 to 10 mm across, at 5, 10 and 25 % of the
dose. Recovery is what the nodule adds to the denoised image over what it added to the noisy one,
as means over its core; intervals are over places. BM3D at its default strength stands beside the
model. Writes ``experiments/shipped_model/nodules.json`` and the table in ``MODEL_CARD.md``.
"""

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctlab.assess import LesionTask, contrast_recovery, find_rois
from ctlab.classic import denoise_classic
from ctlab.ct import (
    Volume,
    load_sample,
    measure_noise_hu,
    simulate_dose,
)
from ctlab.ct.tissue import LUNG_ROI_HU
from ctlab.files import write_json, write_whole
from ctlab.learn import denoise_slices, load_checkpoint
from experiments.shipped_model.image_quality import CARD, between_marks

RESULTS = Path(__file__).with_name("nodules.json")
PATCH_PX, PLACES = 64, 24
TASKS = [
    LesionTask(kind, diameter_mm, contrast_hu)
    for kind, contrast_hu in (
        ("solid", 850.0),
        ("ground-glass", 100.0),
        ("ground-glass", 200.0),
        ("ground-glass", 300.0),
    )
    for diameter_mm in (4.0, 6.0, 8.0, 10.0)
]
DOSES = (0.05, 0.1, 0.25)
AIM, SOLID_AIM = 0.9, 0.95
AIMED_HU, AIMED_MM = 200.0, 6.0
"""Ground glass of this contrast, from this diameter on, shall keep 0.9, solid nodules 0.95."""
MARKS = (
    "<!-- measured: python -m experiments.shipped_model.nodules -->",
    "<!-- end of nodules -->",
)

Method = Callable[[np.ndarray], np.ndarray]


def places_of(scan: Volume) -> list[tuple[int, int, int]]:
    """Corners (z, y, x) of squares of lung, evenly taken from all slices."""
    places = [
        (z, y, x)
        for z, hu in enumerate(scan.hu)
        for y, x in find_rois(hu, LUNG_ROI_HU, size_px=PATCH_PX, least_share=0.8)
    ]
    chosen = np.linspace(0, len(places) - 1, min(PLACES, len(places))).round().astype(int)
    return [places[k] for k in chosen]


def recoveries(
    scan: Volume, dose: float, methods: dict[str, Method], tasks: Sequence[LesionTask] = TASKS
) -> list[dict[str, Any]]:
    """One row a nodule and method, at one dose."""
    low = simulate_dose(scan, dose, rng=np.random.default_rng(0))
    places = places_of(scan)

    def cut(hu: np.ndarray) -> np.ndarray:
        return np.stack([hu[z, y : y + PATCH_PX, x : x + PATCH_PX] for z, y, x in places])

    backgrounds, noises = cut(scan.hu), cut(low.hu - scan.hu)
    rows = []
    for name, method in methods.items():
        for task in tasks:
            signal = task.draw((PATCH_PX, PATCH_PX), scan.spacing_mm[1:])
            recovery = contrast_recovery(
                lambda hu, method=method: method(hu[None].astype(np.float32))[0],  # type: ignore[misc]
                backgrounds,
                signal,
                noises,
            )
            facts = {"kind": task.kind, "contrast_hu": task.contrast_hu}
            facts |= {"diameter_mm": task.diameter_mm}
            rows.append({"method": name, "dose": dose} | facts | recovery)
    return rows


def measure(
    doses: tuple[float, ...] = DOSES,
    scan: Volume | None = None,
    *,
    known: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """All rows, with the checkpoint they are of.

    ``known`` are rows from before. Those of the filter are taken from there where the first of a
    dose, made anew, is as it was: they do not depend on the checkpoint.
    """
    scan, checkpoint = scan or load_sample(), load_checkpoint()
    model = checkpoint.denoiser()
    rows = []
    for dose in doses:
        noise_hu = measure_noise_hu(simulate_dose(scan, dose, rng=np.random.default_rng(0)))
        methods: dict[str, Method] = {
            "bm3d": lambda hu, sd=noise_hu: denoise_classic(hu, "bm3d", noise_sd_hu=sd),  # type: ignore[misc]
        }
        rows += recoveries(scan, dose, {"model": lambda hu: denoise_slices(hu, model)})
        before = [row for row in known if (row["method"], row["dose"]) == ("bm3d", dose)]
        is_as_before = len(before) == len(TASKS) and math.isclose(
            recoveries(scan, dose, methods, TASKS[:1])[0]["recovery"], before[0]["recovery"]
        )
        rows += before if is_as_before else recoveries(scan, dose, methods)
    return {
        "command": "python -m experiments.shipped_model.nodules",
        "checkpoint_sha256": checkpoint.sha256,
        "series": "packaged sample, lung of LIDC-IDRI-0001; low dose simulated, seed 0",
        "n_patients": 1,
        "aim": AIM,
        "rows": rows,
    }


def table(results: dict[str, Any]) -> str:
    """Markdown: a row a dose and method, a column a kind of nodule, least and most over sizes."""
    kinds = sorted({(r["kind"], r["contrast_hu"]) for r in results["rows"]}, key=lambda k: -k[1])
    heads = ["dose", "image", *(f"{kind}, {contrast:g} HU" for kind, contrast in kinds)]
    lines = [heads, ["---"] * len(heads)]
    for dose, method in dict.fromkeys((r["dose"], r["method"]) for r in results["rows"]):
        cells = []
        for kind in kinds:
            kept = [
                r["recovery"]
                for r in results["rows"]
                if (r["dose"], r["method"], r["kind"], r["contrast_hu"]) == (dose, method, *kind)
            ]
            cells.append(f"{min(kept):.2f} to {max(kept):.2f}")
        lines.append([f"{100 * dose:g} %", method, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def aims(results: dict[str, Any]) -> str:
    """Which nodules of the model keep less than they should, in Markdown."""

    def short(row: dict[str, Any]) -> bool:
        if row["kind"] == "solid":
            return bool(row["recovery"] < SOLID_AIM)
        is_aimed_at = row["contrast_hu"] == AIMED_HU and row["diameter_mm"] >= AIMED_MM
        return bool(is_aimed_at and row["recovery"] < AIM)

    rows = [row for row in results["rows"] if row["method"] == "model"]
    missed = [
        f"{row['kind']} of {row['diameter_mm']:g} mm at {100 * row['dose']:g} % keeps "
        f"{row['recovery']:.2f}"
        for row in rows
        if short(row)
    ]
    aim = (
        f"ground glass of {AIMED_HU:g} HU keeps {AIM:g} or more from {AIMED_MM:g} mm on, solid "
        f"nodules {SOLID_AIM:g}"
    )
    return f"The aim: {aim}. " + (f"**Missed**: {'; '.join(missed)}." if missed else "Reached.")


def main() -> None:
    """Measure, then write results and card."""
    torch.set_num_threads(1)
    stored = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results = measure(known=stored.get("rows", ()))
    write_json(RESULTS, results)
    with write_whole(CARD) as part:
        card = CARD.read_text(encoding="utf-8")
        part.write_text(
            between_marks(card, MARKS, f"{table(results)}\n\n{aims(results)}"), encoding="utf-8"
        )
    sys.stdout.write(table(results) + "\n")


if __name__ == "__main__":
    main()
