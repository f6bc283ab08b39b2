"""Speed and memory of reading, projecting and simulating: ``python -m benchmarks.ct_speed``.

Runs ``bench_projector`` and ``bench_dicom`` and writes ``benchmarks/results/ct_speed.json``: every
comparison with its aim, and whether it was met. Ratios are of runs in turn in one process, so
other work on the machine slows both; the load at the start is recorded all the same.
"""

import json
import os
import sys
from pathlib import Path

from benchmarks import bench_dicom, bench_projector
from benchmarks.harness import report

RESULTS = Path(__file__).parent / "results" / "ct_speed.json"
AIMS = {
    "forward projection": 4.0,
    "filtered back-projection": 2.5,
    "read ": 1.5,
    "decode ": 1.0,
}
"""Least median ratio to the peer, by how the comparison's name begins."""


def main() -> int:
    """Run, print, write; exit 1 where answers differ or an aim is missed."""
    load = [round(v, 1) for v in os.getloadavg()]
    found = []
    for module in (bench_projector, bench_dicom):
        for result in module.results():
            aim = next((a for name, a in AIMS.items() if result["name"].startswith(name)), None)
            if aim is not None:
                result |= {"aim": aim, "aim_met": result["median_ratio"] >= aim}
            report(result)
            found.append(result)
    text = {"command": "python -m benchmarks.ct_speed", "load_at_start": load, "results": found}
    RESULTS.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    return 0 if all(r["equal"] and r.get("aim_met", True) for r in found) else 1


if __name__ == "__main__":
    sys.exit(main())
