"""Frozen recipes on published splits, measured as published: rows for a table others keep.

``mayo-chest`` trains *unpaired* on the chest patients of the LDCT benchmark (Eulig, Ommer,
Kachelriess, Med Phys 51(12), 2024, doi 10.1002/mp.17379) and measures on its five test patients.
The low dose of these scans is simulated: noise was inserted into real projections.
"""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctlab.assess import psnr_db, rmse_hu, vif
from ctlab.assess.fidelity.metrics import CHEST, PROTOCOL_CLIP_HU
from ctlab.console import Progress
from ctlab.ct import Volume
from ctlab.ct.datasets.layouts import Scan, benchmark_split, open_collection
from ctlab.ct.denoiser import Denoiser
from ctlab.files import write_csv, write_json

METRICS = ("ssim", "psnr_db", "vif", "rmse_hu")
PUBLISHED = {  # SSIM, PSNR, VIF of chest in the benchmark's table; all but the first are supervised
    "low dose": (0.312, 18.07, 0.083),
    "CNN-10": (0.559, 27.31, 0.175),
    "RED-CNN": (0.584, 28.00, 0.205),
    "ResNet": (0.581, 28.03, 0.210),
    "QAE": (0.557, 27.12, 0.167),
    "DU-GAN": (0.544, 26.32, 0.156),
    "TransCT": (0.538, 26.74, 0.155),
    "WGAN-VGG": (0.505, 25.32, 0.137),
    "trainable bilateral": (0.529, 25.06, 0.143),
}
ROUNDING = (0.001, 0.01, 0.001)
"""How far our low-dose row may lie from the published one and still be the same measurement."""

REHEARSAL = {
    "patch_px": 32,
    "batch": 2,
    "cycle_batch": 2,
    "steps": 4,
    "save_every": 2,
    "monitor_every": 2,
    "precision": "32-true",
    "networks": {"width": 4, "critic_width": 4, "noise_kernels": 2, "noise_kernel_px": 9},
}
"""What a rehearsal changes: the same path in a minute, with networks that learn nothing."""


def mayo_chest(
    data: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    rehearse: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train by the frozen recipe, measure on the test patients, write ``out/results.json``.

    Parameters
    ----------
    data : folder of ``ctlab fetch mayo-chest``, or of TCIA's LDCT-and-Projection-data
    out : folder for the run and the results; about 25 GB of memory are needed for the whole set
    resume : continue training in ``out``
    rehearse : tiny networks and four steps, to see whether everything is in place

    Returns
    -------
    dict
        ``table`` (a row per method; ``source`` says who measured it), ``patients``,
        ``same_protocol`` (whether our row of the low-dose images is the published one),
        ``recipe_sha256``, ``is_rehearsal``, ``claim`` in words.

    Raises
    ------
    ValueError
        A patient of the published split is missing, at either dose.
    """
    from ctlab.learn import denoise_volume, load_checkpoint, train_run

    pairs = published_pairs(data)
    text = (files("ctlab.learn") / "frozen" / "mayo-chest.toml").read_text(encoding="utf-8")
    config = frozen_config(text, pairs, rehearse=rehearse)
    run = Path(out) / "run"
    result = train_run(
        config,
        run,
        resume=resume and run.exists(),
        on_row=lambda row: progress(int(row["step"]), config.steps) if progress else None,
    )
    checkpoint = load_checkpoint(result.checkpoint)

    def denoised(noisy: Volume) -> np.ndarray:
        # Test patients are measured wherever they lie: a refusal would be a choice of cases.
        return np.asarray(denoise_volume(noisy, checkpoint, force=True).hu)

    table = pd.concat([_measured(*pair, denoised) for pair in pairs["test"]], ignore_index=True)
    results = {
        "format_version": 1,
        "benchmark": "mayo-chest",
        "is_rehearsal": rehearse,
        "recipe_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "checkpoint_sha256": checkpoint.sha256,
        "split_hash": checkpoint.split_hash,
        "patients": {part: [full.patient for full, _ in pairs[part]] for part in pairs},
        "alarms": [str(warning) for warning in result.warnings],
        **conclusions(table, rehearse=rehearse),
    }
    _write(out, table, results)
    return results


def _write(out: str | Path, slices: pd.DataFrame, results: dict[str, Any]) -> None:
    write_csv(Path(out) / "slices.csv", slices)
    write_json(Path(out) / "results.json", results)


def mayo_chest_of(data: str | Path, out: str | Path, denoiser: Denoiser) -> dict[str, Any]:
    """Measure any denoiser on the test patients, without training; write ``out/results.json``.

    Parameters
    ----------
    data : as for :func:`mayo_chest`
    denoiser : see :func:`ctlab.workflows.model_spec.load_denoiser`

    Returns
    -------
    dict
        As :func:`mayo_chest`, without recipe and training.
    """
    pairs = published_pairs(data)["test"]

    def run(noisy: Volume) -> np.ndarray:
        return denoiser.tuned_to(noisy)(noisy.hu, noisy.spacing_mm)

    table = pd.concat([_measured(*pair, run) for pair in pairs], ignore_index=True)
    results = {
        "format_version": 1,
        "benchmark": "mayo-chest",
        "denoiser": denoiser.name,
        "denoiser_sha256": denoiser.sha256,
        "patients": {"test": [full.patient for full, _ in pairs]},
        **conclusions(table, rehearse=False),
    }
    if results["same_protocol"]:
        results["claim"] = (
            f"{denoiser.name} on this split; who trained it, and on what, is not known"
        )
    _write(out, table, results)
    return results


def published_pairs(data: str | Path) -> dict[str, list[tuple[Scan, Scan]]]:
    """(full, low) scans of the 50 chest patients by part of the split, sorted by patient."""
    split = {p: part for p, part in benchmark_split().items() if p.startswith("C")}
    pairs = {full.patient: (full, low) for full, low in open_collection(data, kind="mayo").pairs()}
    missing = sorted(set(split) - set(pairs))
    if missing:
        raise ValueError(
            f"{data} lacks {len(missing)} of {len(split)} chest patients of the published split at "
            f"full and low dose ({', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}); "
            "get them with: ctlab fetch mayo-chest"
        )
    by_split: dict[str, list[tuple[Scan, Scan]]] = {"train": [], "val": [], "test": []}
    for patient in sorted(split):
        by_split[split[patient]].append(pairs[patient])
    return by_split


def frozen_config(
    text: str, pairs: dict[str, list[tuple[Scan, Scan]]], *, rehearse: bool = False
) -> Any:
    """The recipe with its data: training patients lend one dose each, in turn."""
    from ctlab.learn import TrainConfig

    frozen = TrainConfig.from_toml_text(text)
    full = [str(full.folder) for full, _ in pairs["train"][::2]]
    low = [str(low.folder) for _, low in pairs["train"][1::2]]
    values = frozen.model_dump(mode="json")
    values["data"] |= {"full": full, "low": low}
    if rehearse:
        values["networks"] |= REHEARSAL["networks"]
        values |= {k: v for k, v in REHEARSAL.items() if k != "networks"}
    return TrainConfig.from_dict(values)


def protocol_metrics(reference_hu: np.ndarray, image_hu: np.ndarray) -> dict[str, float]:
    """SSIM, PSNR, VIF and RMSE of one slice (y, x) in HU, exactly as the benchmark takes them.

    SSIM and PSNR after windowing -600/1500 to [0, 1]; its SSIM is scikit-image's default (a
    uniform window of 7 x 7 and the sample covariance), not the Gaussian one of ``ctlab evaluate``.
    VIF and RMSE on HU + 1024 clipped to [0, 2924].
    """
    from skimage.metrics import structural_similarity

    grey = CHEST.scale(reference_hu), CHEST.scale(image_hu)
    return {
        "ssim": float(structural_similarity(*grey, data_range=1.0)),  # type: ignore[no-untyped-call]  # scikit-image declares none
        "psnr_db": psnr_db(reference_hu, image_hu, window=CHEST),
        "vif": vif(reference_hu, image_hu),
        "rmse_hu": rmse_hu(reference_hu, image_hu, clip_hu=PROTOCOL_CLIP_HU),
    }


def _measured(full: Scan, low: Scan, run: Callable[[Volume], np.ndarray]) -> pd.DataFrame:
    """Metrics of every slice of a patient: the low dose as it is, and denoised."""
    reference, noisy = full.read(), low.read()
    images = {"low dose": noisy.hu, "ours": run(noisy)}
    return pd.DataFrame(
        [
            {"patient": full.patient, "method": method, "slice": k} | protocol_metrics(a, b)
            for method, hu in images.items()
            for k, (a, b) in enumerate(zip(reference.hu, hu, strict=True))
        ]
    )


def conclusions(slices: pd.DataFrame, *, rehearse: bool) -> dict[str, Any]:
    """Means over slices beside the published rows, and what may be said of them."""
    means = slices.groupby("method")[list(METRICS)].mean()
    published = [
        {"method": name, **dict(zip(METRICS, values, strict=False)), "source": "published"}
        for name, values in PUBLISHED.items()
    ]
    ours = [
        {"method": name, **means.loc[name].to_dict(), "source": "this run"}
        for name in ("low dose", "ours")
    ]
    apart = [
        abs(means.loc["low dose", m] - v)
        for m, v in zip(METRICS, PUBLISHED["low dose"], strict=False)
    ]
    same = all(a <= 0.5 * limit + 1e-12 for a, limit in zip(apart, ROUNDING, strict=True))
    if rehearse:
        claim = "a rehearsal: its numbers say nothing about the method"
    elif not same:
        claim = (
            "our row of the low-dose images differs from the published one, so these are other "
            "data or another protocol: the rows must not be compared"
        )
    else:
        claim = "the first unpaired row on this split; every published method is supervised"
    return {"table": published + ours, "same_protocol": same, "claim": claim}
