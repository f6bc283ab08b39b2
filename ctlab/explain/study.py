"""All methods on the same regions: the table of the chapter on explanations."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from torch import nn

from ctlab.explain.audit import AuditPlan
from ctlab.explain.explanation import explain_region
from ctlab.explain.methods import METHODS, check_method, is_possible
from ctlab.explain.regions import Region
from ctlab.explain.subject import Subject
from ctlab.learn import Checkpoint

DEFAULT_METHODS = ("hirescam", "layercam", "gradcam", "gradient", "ig", "lam", "occlusion")
STUDY_METHODS = tuple(METHODS)
"""Every method; those a model has no part for (attention, critic) are left out of the table."""


def study_methods(
    model: Checkpoint | nn.Module | Subject,
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
    subject = model if isinstance(model, Subject) else Subject(model)
    plan = replace(plan or AuditPlan(), progress=None)
    shuffled = subject.randomised(np.random.default_rng(plan.seed))
    runs = [(name, subject, name) for name in methods if is_possible(name, subject)]
    runs.append(("hirescam, random weights", shuffled, "hirescam"))
    rows = []
    for region, roi in regions.items():
        for name, model_of, method in runs:
            start = time.perf_counter()
            found = explain_region(model_of, image_hu, roi, method=method, target=target, plan=plan)
            seconds = time.perf_counter() - start
            rows.append({"region": region, "method": name} | _row(found.audit, seconds))
            if progress is not None:
                progress(len(rows), len(runs) * len(regions))
    return pd.DataFrame(rows)


def _row(audit: dict, seconds: float) -> dict[str, object]:
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
