"""Speed of maps, audits and SSIM: ``python -m benchmarks.speed_explain [cam|audit|ssim]``.

Writes ``benchmarks/results/explain_speed.json``: maps and SSIM as ratios to their peers, with the
aim and whether it was met; and the seconds of one full audit of one region by each method, on this
machine and under the load that is written beside them.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import bench_cam, bench_ssim
from benchmarks.harness import report
from ctlab.explain import (
    STUDY_METHODS,
    AuditPlan,
    Subject,
    explain_region,
)
from ctlab.explain.maps.methods import is_possible
from ctlab.files import write_whole
from ctlab.learn import load_checkpoint
from ctlab.lessons import dose_ladder, nodule_slice

RESULTS = Path(__file__).parent / "results" / "explain_speed.json"
AIMS = {"hirescam": 2.0, "gradcam": 2.0, "ssim": 8.0}
"""Least median ratio to the peer, by how the comparison's name begins."""
AUDIT_AIM_S = 60.0


def ratios(module: Any) -> Iterator[dict[str, Any]]:
    """Comparisons of a benchmark with their aims."""
    for result in module.results():
        aim = next(a for start, a in AIMS.items() if result["name"].startswith(start))
        yield result | {"aim": aim, "aim_met": result["median_ratio"] >= aim}


def audits() -> Iterator[dict[str, Any]]:
    """Seconds of one map of one region with its full audit, by method."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = load_checkpoint()
    low = dose_ladder(nodule_slice(), [0.1], seed=7)[0]
    for method in STUDY_METHODS:
        if not is_possible(method, Subject(model)):
            continue
        start = time.perf_counter()
        found = explain_region(model, low, (367, 318, 9), method=method, plan=AuditPlan())
        took = time.perf_counter() - start
        yield {
            "name": f"full audit of one region, {method}",
            "seconds": round(took, 1),
            "aim_s": AUDIT_AIM_S,
            "aim_met": took < AUDIT_AIM_S,
            "verdict": found.verdict,
            "equal": True,
        }


PARTS = {
    "cam": lambda: ratios(bench_cam),
    "ssim": lambda: ratios(bench_ssim),
    "audit": audits,
}


def main(names: list[str]) -> int:
    """Run, print, write each result as it comes; exit 1 where two answers differ."""
    if unknown := sorted(set(names) - set(PARTS)):
        sys.stderr.write(f"unknown part {', '.join(unknown)}; there are {', '.join(PARTS)}\n")
        return 2
    kept = json.loads(RESULTS.read_text("utf-8"))["results"] if RESULTS.is_file() else []
    found = {result["name"]: result for result in kept}
    equal = True
    for name in names or PARTS:
        for result in PARTS[name]():
            result["load"] = round(os.getloadavg()[0], 1)
            report(result)
            equal &= result["equal"]
            found[result["name"]] = result
            text = {"command": "python -m benchmarks.speed_explain", "results": [*found.values()]}
            with write_whole(RESULTS) as part:
                part.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
