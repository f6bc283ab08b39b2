"""One map of one region with its full audit, by method: seconds on this machine, all cores."""

import os
import time
from collections.abc import Iterator
from typing import Any

import torch

from ctlab.explain import STUDY_METHODS, AuditPlan, DenoiserProbe, explain_region
from ctlab.explain.maps.methods import is_possible
from ctlab.learn import load_checkpoint
from ctlab.lessons import dose_ladder, nodule_slice


def results() -> Iterator[dict[str, Any]]:
    """Seconds of one map of one region with its full audit, by method."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = load_checkpoint()
    low = dose_ladder(nodule_slice(), [0.1], seed=7)[0]
    for method in STUDY_METHODS:
        if not is_possible(method, DenoiserProbe(model)):
            continue
        start = time.perf_counter()
        explanation = explain_region(model, low, (367, 318, 9), method=method, plan=AuditPlan())
        took = time.perf_counter() - start
        yield {
            "name": f"full audit of one region, {method}",
            "value": round(took, 1),
            "unit": "s",
            "verdict": explanation.verdict,
        }
