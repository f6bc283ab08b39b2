"""Speed and memory of reading, projecting and simulating: ``python -m benchmarks.speed_ct``.

Runs ``bench_projector``, ``bench_dicom`` and ``bench_decoding``, or those that are named. Writes
``benchmarks/results/ct_speed.json``: every comparison with its aim, and whether it was met. Ratios
are of runs in turn in one process, so other work on the machine slows both; its load at the end of
each is recorded all the same.
"""

import importlib
import json
import os
import sys
from pathlib import Path

from benchmarks.harness import report

RESULTS = Path(__file__).parent / "results" / "ct_speed.json"
AIMS = {
    "forward projection": 4.0,
    "filtered back-projection": 2.5,
    "read ": 1.5,
    "decode ": 1.0,
}
"""Least median ratio to the peer, by how the comparison's name begins."""


def main(names: list[str]) -> int:
    """Run, print, write each result as it is there; exit 1 where answers differ or aims are missed.

    Results of comparisons that are not run this time stay as they were.
    """
    kept = json.loads(RESULTS.read_text())["results"] if RESULTS.is_file() else []
    found = {result["name"]: result for result in kept}
    good = True
    for name in names or ("projector", "dicom", "decoding"):
        for result in importlib.import_module(f"benchmarks.bench_{name}").results():
            aim = next((a for start, a in AIMS.items() if result["name"].startswith(start)), None)
            if aim is not None:
                result |= {"aim": aim, "aim_met": result["median_ratio"] >= aim}
            result["load"] = round(os.getloadavg()[0], 1)
            report(result)
            good &= result["equal"] and result.get("aim_met", True)
            found[result["name"]] = result
            text = {"command": "python -m benchmarks.speed_ct", "results": list(found.values())}
            RESULTS.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
