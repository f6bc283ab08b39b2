"""Image quality of the shipped checkpoint on the packaged sample.

    python -m experiments.shipped_model.image_quality

All 40 slices, none of them trained on, simulated at 5, 10, 25 and 50 % of the scan's dose (the last
to see whether a quiet series is made worse), beside the classic filters. The reference is the scan
itself, which has noise of its own: about 15 HU of every RMSE cannot be removed. Writes
``experiments/shipped_model/image_quality.json`` and the table in ``MODEL_CARD.md``.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctlab.assess import psnr_db, rmse_hu, ssim
from ctlab.classic import denoise_classic
from ctlab.ct import (
    LUNG,
    Volume,
    load_sample,
    measure_noise_hu,
    simulate_dose,
)
from ctlab.ct.tissue import TISSUES_HU, tissue_masks
from ctlab.files import write_whole
from ctlab.learn import denoise_volume, load_checkpoint

RESULTS = Path(__file__).with_name("image_quality.json")
CARD = Path(__file__).parents[2] / "ctlab" / "learn" / "shipped" / "MODEL_CARD.md"
MARKS = (
    "<!-- measured: python -m experiments.shipped_model.image_quality -->",
    "<!-- end of measured -->",
)
COLUMNS = {
    "rmse_body_hu": ("RMSE, HU", ".1f"),
    "psnr_db": ("PSNR, dB", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "bias_lung_hu": ("bias lung, HU", "+.1f"),
    "bias_soft_hu": ("soft", "+.1f"),
    "bias_bone_hu": ("bone", "+.1f"),
    "residual_ratio": ("residual SD / noise SD", ".2f"),
}
TISSUES = ("lung", "soft", "bone")
BASELINES = ("nlm", "tv", "bilateral", "bm3d")


def measure(
    reference: Volume, low: Volume, image: Volume, masks: dict[str, np.ndarray]
) -> dict[str, float]:
    """Means over slices of PSNR, SSIM and RMSE; bias over voxels; residual over true noise."""
    pairs = list(zip(reference.hu, image.hu, strict=True))
    body = reference.hu > -1000
    values = {
        "psnr_db": np.mean([psnr_db(a, b, window=LUNG) for a, b in pairs]),
        "ssim": np.mean([ssim(a, b, window=LUNG) for a, b in pairs]),
        "rmse_hu": np.mean([rmse_hu(a, b) for a, b in pairs]),
        "rmse_body_hu": rmse_hu(reference.hu, image.hu, mask=body),
        "residual_ratio": (low.hu - image.hu)[body].std() / (low.hu - reference.hu)[body].std(),
    }
    for name, mask in masks.items():
        values[f"bias_{name}_hu"] = np.mean((image.hu - reference.hu)[mask])
    return {name: float(value) for name, value in values.items()}


def baselines(low: Volume) -> dict[str, Volume]:
    """The classic filters at the strength they choose from the noise."""
    noise_hu = measure_noise_hu(low)
    return {
        method: low.with_hu(denoise_classic(low.hu, method, noise_sd_hu=noise_hu))
        for method in BASELINES
    }


def evaluate(
    doses: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5),
    *,
    with_baselines: float = 0.1,
    known: Mapping[str, Any] | None = None,
) -> dict:
    """All numbers: one entry a dose, in it one entry a method.

    ``known`` are results from before: rows of filters are taken from there where the noisy images
    are the same, for they do not depend on the checkpoint.
    """
    reference, checkpoint = load_sample(), load_checkpoint()
    every = tissue_masks(reference.hu)
    masks = {tissue: every[tissue] for tissue in TISSUES}
    table = {}
    for dose in doses:
        low = simulate_dose(reference, dose, rng=np.random.default_rng(0))
        noisy = measure(reference, low, low, masks)
        before = (known or {}).get("doses", {}).get(str(dose), {})
        filters = {n: before[n] for n in BASELINES if before.get("input") == noisy and n in before}
        images = {"model": denoise_volume(low, checkpoint, force=True)}
        if dose == with_baselines and not filters:
            images |= baselines(low)
        made = {name: measure(reference, low, image, masks) for name, image in images.items()}
        found = {"noise_hu": measure_noise_hu(low), "input": noisy, **made, **filters}
        table[str(dose)] = found
    return {
        "command": "python -m experiments.shipped_model.image_quality",
        "checkpoint_sha256": checkpoint.sha256,
        "series": "packaged sample, 40 slices of LIDC-IDRI-0001; low dose simulated, seed 0",
        "window": str(LUNG),
        "bias_ranges_hu": {tissue: TISSUES_HU[tissue] for tissue in TISSUES},
        "n_patients": 1,
        "torch": torch.__version__,
        "doses": table,
    }


def table(results: dict) -> str:
    """The results as a Markdown table, one row a dose and method."""
    heads = ["dose", "image", *(head for head, _ in COLUMNS.values())]
    rows = [heads, ["---"] * len(heads)]
    for dose, methods in results["doses"].items():
        for name, values in methods.items():
            if isinstance(values, dict):
                numbers = [format(values[key], spec) for key, (_, spec) in COLUMNS.items()]
                rows.append([f"{100 * float(dose):g} %", name, *numbers])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def between_marks(card: str, marks: tuple[str, str], text: str) -> str:
    """The model card with what stands between two marks replaced."""
    before, rest = card.split(marks[0])
    after = rest.split(marks[1])[1]
    return f"{before}{marks[0]}\n\n{text}\n\n{marks[1]}{after}"


def main() -> None:
    """Measure, then write results and card."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else None
    results = evaluate(known=known)
    with write_whole(CARD) as part:
        part.write_text(
            between_marks(CARD.read_text(encoding="utf-8"), MARKS, table(results)), encoding="utf-8"
        )
    with write_whole(RESULTS) as part:
        part.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
