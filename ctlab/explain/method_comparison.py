"""All methods beside each other on the packaged sample: audits, and failures they find."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from ctlab.console import Progress, table
from ctlab.ct import SAMPLE_NODULE, Volume, load_sample, simulate_dose
from ctlab.explain.audit.audit_map import AuditPlan
from ctlab.explain.audit.failure_detection import measure_failure_detection
from ctlab.explain.explanation import explain_region
from ctlab.explain.explanation_page import limits_in_words
from ctlab.explain.maps.methods import METHODS, check_method, is_possible
from ctlab.explain.probe.denoiser_probe import DenoiserProbe
from ctlab.explain.probe.regions import Region, region_of_nodule
from ctlab.files import write_json
from ctlab.learn import Checkpoint, load_checkpoint

STUDY_COMMAND = "ctlab explain --study"

STUDY_DOSE, STUDY_SEED, STUDY_SLICES = 0.1, 7, (12, 20, 28)

_ONE_LUNG = (slice(150, 406), slice(60, 316))

_STUDY_PLAN = AuditPlan(draws=4, random_networks=3, fractions=(0.005, 0.02, 0.08))

DEFAULT_METHODS = ("hirescam", "layercam", "gradcam", "gradient", "ig", "lam", "occlusion")
STUDY_METHODS = tuple(METHODS)
"""Every method; those a model has no part for (attention, critic) are left out of the table."""


def study_in_words(result: dict[str, Any]) -> str:
    """The two tables of :func:`study_of_sample` for a terminal of 80 columns."""
    audits: dict[str, list[tuple[str, ...]]] = {}
    for r in result["methods"]:
        audits.setdefault(r["region"], []).append(
            (
                r["method"],
                r["verdict"],
                _cell(r["deletion_over_random"]),
                _cell(r["deletion_over_nearest"]),
                _cell(r["randomised_cosine"]),
            )
        )
    finds = [
        (
            r["kind"],
            r["map"],
            _cell(r["auc"]),
            _cell(r["auc_low"]),
            _cell(r["auc_high"]),
            _cell(r["found_at_one_false"]),
        )
        for r in result["usefulness"]
    ]
    return "\n".join(
        [
            "Change of the target when marked pixels are replaced, over that of random and",
            "of nearest pixels (1 is no better); likeness to maps of shuffled weights:",
            *[
                table([region, "verdict", "random", "nearest", "shuffled"], rows) + "\n"
                for region, rows in audits.items()
            ],
            "How well each map finds nodules that were erased or invented on purpose:",
            table(["failure", "map", "AUC", "low", "high", "found"], finds),
            "found: share marked at one false mark per slice",
            fill(result["limits"], 80),
        ]
    )


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def study_regions(volume: Volume) -> dict[str, Region]:
    """Three places on the slice through the sample's nodule: the nodule, the aorta, a lung."""
    z = SAMPLE_NODULE.centre[0]
    shape = (int(volume.hu.shape[1]), int(volume.hu.shape[2]))
    nodule = region_of_nodule(SAMPLE_NODULE, z, shape, spacing_mm=volume.spacing_mm)
    return {"nodule": nodule, "aorta": (320, 264, 8), "lung": (250, 130, 8)}


def study_of_sample(
    *,
    checkpoint: Path | None = None,
    out: Path | None = None,
    methods: Sequence[str] = STUDY_METHODS,
    lesions: int = 12,
    plan: AuditPlan = _STUDY_PLAN,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Every method on three regions, and every map on synthetic lesions, at a tenth of the dose.

    Parameters
    ----------
    out : JSON file for the result, optional
    lesions : failures of each kind, see :func:`ctlab.explain.audit.failure_detection`

    Returns
    -------
    dict
        ``command``, ``checkpoint`` (SHA-256 of its weights), ``dose``, ``limits``, ``methods``
        (rows of :func:`ctlab.explain.study_methods`) and ``usefulness`` (rows).
    """
    volume = load_sample()
    model = load_checkpoint(checkpoint)
    probe = DenoiserProbe(model)
    scans = [_scan(probe, volume, z) for z in STUDY_SLICES]
    regions = study_regions(volume)
    methods = [name for name in methods if is_possible(name, probe)]
    audits = (len(methods) + 1) * len(regions)
    total = audits + 2 * lesions
    step = progress or (lambda _done, _total: None)
    middle = scans[STUDY_SLICES.index(SAMPLE_NODULE.centre[0])]
    audited = study_methods(
        probe, middle, regions, methods=methods, plan=plan, progress=lambda k, _n: step(k, total)
    )
    finds = measure_failure_detection(
        probe,
        np.stack([scan[..., *_ONE_LUNG] for scan in scans]),
        rng=np.random.default_rng(STUDY_SEED),
        lesions=lesions,
        progress=lambda k, _n: step(audits + k, total),
    )
    result: dict[str, Any] = {
        "command": STUDY_COMMAND,
        "checkpoint": fingerprint(model),
        "dose": STUDY_DOSE,
        "limits": limits_in_words(plan.limits),
        "methods": json.loads(audited.to_json(orient="records")),
        "usefulness": json.loads(finds.to_json(orient="records")),
    }
    if out is not None:
        write_json(out, result)
    return result


def packaged_study() -> dict[str, Any]:
    """The study of the shipped model, as :func:`study_of_sample` wrote it."""
    stored = files("ctlab.explain") / "method_comparison.json"
    study: dict[str, Any] = json.loads(stored.read_text("utf-8"))
    return study


def _scan(probe: DenoiserProbe, volume: Volume, z: int) -> np.ndarray:
    """Slice ``z`` at the study's dose, (y, x), or with the neighbours that the model sees."""
    reach = probe.channels // 2
    near = replace(volume, hu=volume.hu[z - reach : z + reach + 1], sources=())
    low = simulate_dose(near, STUDY_DOSE, rng=np.random.default_rng(STUDY_SEED))
    return probe.of_stack(low.hu, reach)


def fingerprint(model: Any) -> str:
    """SHA-256 of the denoiser's weights, so that a table can be matched with its model."""
    digest = hashlib.sha256()
    for name, values in sorted(model.denoiser().state_dict().items()):
        digest.update(name.encode())
        digest.update(values.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def study_methods(
    model: Checkpoint | nn.Module | DenoiserProbe,
    image_hu: np.ndarray,
    regions: dict[str, Region],
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    target: str = "mean",
    plan: AuditPlan | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Audit of every method on every region of a slice, one row each.

    A last method, ``hirescam, random weights``, is the exhibit: the same map from a network that
    learnt nothing.

    Parameters
    ----------
    image_hu : ndarray, HU, shape (y, x), or (c, y, x) for a model of neighbouring slices
    regions : dict from name to region; see :func:`ctlab.explain.region_mask`
    methods : names of :data:`ctlab.explain.METHODS`
        Those of a part that the model has not, such as an attention, are left out.
    progress : called with (audits done, audits in all), optional

    Returns
    -------
    DataFrame
        ``region, method, verdict, randomised_cosine, deletion_over_random,
        deletion_over_nearest, insertion_over_random, localisation_gain, stability,
        completeness_gap`` (NaN for maps that need not add up), ``seconds``, and ``reasons`` in
        words.
    """
    for method in methods:
        check_method(method)
    probe = model if isinstance(model, DenoiserProbe) else DenoiserProbe(model)
    plan = replace(plan or AuditPlan(), progress=None)
    shuffled = probe.randomised(np.random.default_rng(plan.seed))
    runs = [(name, probe, name) for name in methods if is_possible(name, probe)]
    runs.append(("hirescam, random weights", shuffled, "hirescam"))
    rows = []
    for region, roi in regions.items():
        for name, model_of, method in runs:
            start = time.perf_counter()
            explanation = explain_region(
                model_of, image_hu, roi, method=method, target=target, plan=plan
            )
            seconds = time.perf_counter() - start
            rows.append({"region": region, "method": name} | _row(explanation.audit, seconds))
            if progress is not None:
                progress(len(rows), len(runs) * len(regions))
    return pd.DataFrame(rows)


def _row(audit: dict[str, Any], seconds: float) -> dict[str, object]:
    deletion, insertion = audit["deletion"], audit["insertion"]
    return {
        "verdict": audit["verdict"],
        "randomised_cosine": audit["randomisation"]["all"],
        "deletion_over_random": _ratio(deletion["map"], deletion["random"]),
        "deletion_over_nearest": _ratio(deletion["map"], deletion["nearest"]),
        "insertion_over_random": _ratio(insertion["map"], insertion["random"]),
        "localisation_gain": audit["localisation"]["gain"],
        "stability": audit["stability"],
        "completeness_gap": audit.get("completeness", {}).get("gap", float("nan")),
        "seconds": seconds,
        "reasons": "; ".join(audit["reasons"]),
    }


def _ratio(value: float, over: float) -> float:
    return value / over if over > 0 else float("nan")
