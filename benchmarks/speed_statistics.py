"""Speed of the statistics, kept: ``python -m benchmarks.speed_statistics [PART ...]``.

Writes ``results/reader_statistics.json``: the comparisons of ``bench_stats``, and how long the
whole report of a study with ten readers and two hundred cases takes, from the command to the page.
"""

import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import bench_stats
from ctlab.ct.volume import Volume
from reader_study.blinding.lock import lock_study
from reader_study.blinding.sealed_key import unseal
from reader_study.blinding.unblind import unblind
from reader_study.record.coordinator import add_reader, close, opened
from reader_study.record.paths import sealed_key

RESULTS = Path(__file__).parent / "results" / "reader_statistics.json"
COMMAND = "python -m benchmarks.speed_statistics"
ABOUT = {
    "command": COMMAND,
    "about": "Ratios are those of one run; above 1 ours is faster. The report's seconds are "
    "those of the clock (with whatever else ran: load) and of the processor, one core.",
    "aims": {
        "OR jackknife 2 x 5 x 200": "ratio of 100 or more, equal values",
        "VGC bootstrap 10,000 x 10 x 200": "ratio of 5 or more, equal values",
        "CLMM 10 x 200 x 3, crossed": "ratio of 1 or more, equal log-likelihood",
        "report 10 x 200": "under 60 s by the clock",
    },
}
LEAST_RATIO = {"jackknife": 100.0, "bootstrap": 5.0, "mixed_model": 1.0}
READERS, CASES, AIM_S = 10, 200, 60.0
PASSPHRASE = "correct horse battery staple"
PROTOCOL = """
title = "Ten readers, two hundred cases"
[design]
readers = 10
display_check = false
[[arms]]
name = "new"
[[arms]]
name = "full"
[[items]]
name = "noise"
kind = "scale"
about = "each"
question = "How good?"
answers = ["1", "2", "3", "4", "5"]
[[items]]
name = "preference"
kind = "preference"
question = "Which?"
[analysis]
primary_item = "noise"
"""


def main(wanted: list[str]) -> int:
    """Run all, or the parts named, and keep each result; exit 1 where one misses its aim."""
    parts = {
        "jackknife": bench_stats.jackknife, "bootstrap": bench_stats.bootstrap,
        "mixed_model": bench_stats.mixed_model, "report": whole_report,
    }  # fmt: skip
    if unknown := sorted(set(wanted) - set(parts)):
        sys.stderr.write(f"unknown part {', '.join(unknown)}; there are {', '.join(parts)}\n")
        return 2
    missed = 0
    for name in wanted or parts:
        row = parts[name]()
        keep(row)
        sys.stdout.write(f"{json.dumps(row)}\n")
        if name == "report":
            missed += row["wall_s"] >= AIM_S
        else:
            missed += not (row["equal"] and row["median_ratio"] >= LEAST_RATIO[name])
    return 1 if missed else 0


def keep(row: dict[str, Any]) -> None:
    """Put one result into the file, in place of an older one of the same name."""
    rows = json.loads(RESULTS.read_text("utf-8"))["comparisons"] if RESULTS.exists() else []
    rows = sorted([*(r for r in rows if r["name"] != row["name"]), row], key=lambda r: r["name"])
    RESULTS.write_text(json.dumps({**ABOUT, "comparisons": rows}, indent=1) + "\n", "utf-8")


def whole_report() -> dict[str, Any]:
    """Seconds of ``reader-study report`` on a study read by robots, start of Python included."""
    with TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        trials = read_by_robots(study)
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "reader_study", "report", str(study)]
        subprocess.run(command, check=True, capture_output=True)
        wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        page = (study / "report" / "report.html").stat().st_size
    return {
        "name": "report 10 x 200", "trials": trials,
        "wall_s": round(wall_s, 1), "cpu_s": round(cpu_s, 1),
        "load": os.getloadavg()[0], "aim_s": AIM_S,
        "page_bytes": page,
    }  # fmt: skip


def read_by_robots(study: Path) -> int:
    """A study locked, read, closed and unblinded; how many trials its readers saw."""
    study.mkdir()
    cases = [f'[[cases]]\nname = "c{k}"\npatient = "p{k}"\n' for k in range(CASES)]
    (study / "protocol.toml").write_text(PROTOCOL + "\n".join(cases), "utf-8")
    for arm in ("new", "full"):
        for k in range(CASES):
            (study / "arms" / arm / f"c{k}").mkdir(parents=True)
    lock_study(study, passphrase=PASSPHRASE, read=_small_series)
    with opened(study) as (bundle, _):
        key = unseal(sealed_key(study).read_bytes(), PASSPHRASE, commitment=bundle.commitment)
    rng, seen = random.Random(1), 0
    for number in range(READERS):
        reader, _ = add_reader(study, f"Dr {number + 1}")
        with opened(study) as (bundle, store):
            with store.engine.connect().execution_options(reading=True) as connection:
                connection.exec_driver_sql("PRAGMA synchronous=OFF")  # robots are in a hurry
            visit = store.open_session(reader.reader, 0)
            for trial in bundle.trials(reader.slot):
                seen += 1
                for item, value in _answers(key["trials"][trial.token], rng):
                    store.save_answer(
                        reader.reader, visit=visit, session=0, trial=trial.token, item=item,
                        value=value, seconds=rng.uniform(4, 9),
                    )  # fmt: skip
    close(study)
    unblind(study, passphrase=PASSPHRASE, who="benchmark")
    return seen


def _small_series(folder: Path) -> Volume:
    rng = np.random.default_rng(sum(str(folder.name).encode()) + len(folder.parent.name))
    return Volume(rng.normal(-600, 200, (3, 12, 10)).astype(np.float32), (2.0, 0.7, 0.7))


def _answers(trial: dict[str, Any], rng: random.Random):
    easy = (trial["case"] % 7 - 3) / 3
    felt = {}
    for side in ("left", "right"):
        felt[side] = 3 + 0.5 * (trial[f"{side}_arm"] == 0) + easy + rng.gauss(0, 0.8)
        yield f"noise@{side}", min(max(round(felt[side]), 1), 5)
    yield "preference", max(felt, key=lambda side: felt[side])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
