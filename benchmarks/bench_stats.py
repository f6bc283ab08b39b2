"""Statistics beside what one would write or use without them: jackknife, bootstrap, R's clmm.

And how long the whole report of a study takes, from the command to the page.
"""

import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.driver import compare
from ctlab.ct.volume import Volume
from reader_study.blinding.lock import lock_study
from reader_study.blinding.sealed_key import unseal
from reader_study.blinding.unblind import unblind
from reader_study.record.coordinator import add_reader, close, opened
from reader_study.record.paths import sealed_key
from reader_study.stats.ordinal.clm import clmm
from reader_study.stats.ordinal.vgc import BLOCK, bootstrap_areas, read_grades
from reader_study.stats.roc.auc_covariance import auc_covariance

DRAWS = 10_000
READERS, CASES = 10, 200
PASSPHRASE = "correct horse battery staple"
PROTOCOL = """
title = "Ten readers, two hundred cases"
[design]
readers = 10
display_check = false
texture = "as-made"
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


def results() -> Iterator[dict[str, Any]]:
    """Jackknife covariance, VGC bootstrap, a mixed ordinal model (where R is), and a report."""
    yield jackknife()
    yield bootstrap()
    if shutil.which("Rscript") and _has_ordinal():
        yield mixed_model()
    else:
        sys.stderr.write("clmm: no Rscript with the package ordinal here; left out\n")
    yield whole_report()


def jackknife() -> dict[str, Any]:
    """Covariances of 10 areas (5 readers, 2 arms) over 200 cases."""
    rng = np.random.default_rng(0)
    truth = np.repeat([1, 0], 100)
    scores = rng.normal(size=(10, 200)) + truth + rng.normal(size=200)

    def naive() -> np.ndarray:
        left_out = np.empty_like(scores)
        for cell in range(10):
            for case in range(200):
                keep = np.arange(200) != case
                left_out[cell, case] = roc_auc_score(truth[keep], scores[cell, keep])
        centred = left_out - left_out.mean(axis=1, keepdims=True)
        return 199 / 200 * centred @ centred.T

    return compare(
        "OR jackknife 2 x 5 x 200",
        lambda: auc_covariance(scores[:, :100], scores[:, 100:], method="jackknife")[1],
        naive,
        peer_name="sklearn.metrics.roc_auc_score with each case left out",
        difference=lambda ours, peer: float(np.abs(ours - peer).max()),
        tolerance=1e-12,
        packages=("numpy", "scipy", "scikit-learn"),
        rounds=5,
    )


def bootstrap() -> dict[str, Any]:
    """10,000 reader-and-case resamples of the mean VGC area, 10 readers, 200 cases."""
    rng = np.random.default_rng(1)
    reader, case, arm = np.indices((10, 200, 2)).reshape(3, -1)
    level = rng.normal(size=10)[reader] + rng.normal(size=200)[case] + 0.4 * arm
    rating = 1 + (level[:, None] + rng.normal(size=(4000, 1)) > [-1.5, -0.5, 0.5, 1.5]).sum(axis=1)
    table = pd.DataFrame({"reader": reader, "case": case, "arm": np.array(["a", "b"])[arm]})
    grades = read_grades(table.assign(rating=rating), "b", "a")

    def loop() -> np.ndarray:
        own = np.random.default_rng(2)
        areas = []
        for start in range(0, DRAWS, BLOCK):
            size = min(BLOCK, DRAWS - start)
            cases = own.multinomial(200, np.full(200, 1 / 200), size=size)
            readers = own.multinomial(10, np.full(10, 1 / 10), size=size)
            for weight, times in zip(cases, readers, strict=True):
                each = [
                    _area(a, b, weight) for a, b in zip(grades.test, grades.reference, strict=True)
                ]
                areas.append(np.average(each, weights=times))
        return np.array(areas)

    return compare(
        "VGC bootstrap 10,000 x 10 x 200",
        lambda: bootstrap_areas(grades, DRAWS, np.random.default_rng(2), True, None),
        loop,
        peer_name="numpy loop over replicates and readers, same resamples",
        difference=lambda ours, peer: float(np.abs(ours - peer).max()),
        tolerance=1e-5,
        packages=("numpy",),
        rounds=5,
    )


def _area(test: np.ndarray, reference: np.ndarray, weight: np.ndarray) -> float:
    """Area of one reader's weighted grades."""
    a = np.bincount(test, weight, minlength=5)
    b = np.bincount(reference, weight, minlength=5)
    return float(a @ (np.cumsum(b) - b / 2) / (a.sum() * b.sum()))


_R = """
suppressMessages(library(ordinal)); d <- read.csv(commandArgs(TRUE)[1])
d$reader <- factor(d$reader); d$case <- factor(d$case); cat("ready\\n"); flush(stdout())
input <- file("stdin", "r")
while (length(line <- readLines(input, 1)) > 0) {
  m <- clmm(factor(rating) ~ arm + (1 | reader) + (1 | case), data = d)
  cat(format(as.numeric(logLik(m)), digits = 12), "\\n"); flush(stdout()) }
"""


def _has_ordinal() -> bool:
    check = "quit(status = !requireNamespace('ordinal', quietly = TRUE))"
    return (
        subprocess.run(["Rscript", "-e", check], check=False, capture_output=True).returncode == 0
    )


def _ordinal_version() -> str:
    said = "cat(R.version$major, '.', R.version$minor, ', ordinal ', sep = ''); "
    said += "cat(format(packageVersion('ordinal')))"
    done = subprocess.run(["Rscript", "-e", said], check=True, capture_output=True, text=True)
    return f"R {done.stdout.strip()}"


def mixed_model() -> dict[str, Any]:
    """A cumulative link mixed model of 10 readers, 200 cases and 3 arms; R stays loaded."""
    rng = np.random.default_rng(3)
    reader, case, arm = np.indices((10, 200, 3)).reshape(3, -1)
    level = 0.8 * rng.normal(size=10)[reader] + 0.7 * rng.normal(size=200)[case]
    level = level + np.array([-0.8, 0.3, 0.6])[arm] + rng.logistic(size=reader.size)
    rating = 1 + (level[:, None] > [-2, -0.7, 0.7, 2]).sum(axis=1)
    names = np.array(["denoised", "full", "ultra_low"])
    table = pd.DataFrame({"reader": reader, "case": case, "arm": names[arm], "rating": rating})
    with TemporaryDirectory() as folder:
        path, script = Path(folder) / "table.csv", Path(folder) / "fit.R"
        table.to_csv(path, index=False)
        script.write_text(_R, encoding="utf-8")
        pipe = subprocess.PIPE
        command = ["Rscript", str(script), str(path)]
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) as r:
            assert r.stdin is not None
            assert r.stdout is not None
            send, receive = r.stdin, r.stdout
            receive.readline()

            def in_r() -> float:
                send.write("fit\n")
                send.flush()
                return float(receive.readline())

            row = compare(
                "CLMM 10 x 200 x 3, crossed",
                lambda: clmm(table, "rating ~ arm + (1|reader) + (1|case)").loglik,
                in_r,
                peer_name="ordinal::clmm in R, loaded, without its start",
                difference=lambda ours, peer: abs(ours - peer),
                tolerance=1e-3,
                packages=("numpy", "scipy"),
                rounds=5,
            )
            send.close()
        row["versions"] |= {"r_ordinal": _ordinal_version()}
        return row


def whole_report() -> dict[str, Any]:
    """Seconds of ``reader-study report`` on a read study, start of Python included."""
    with TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        trials = read_by_simulated_readers(study)
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "reader_study", "report", str(study)]
        subprocess.run(command, check=True, capture_output=True)
        wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        page = (study / "report" / "report.html").stat().st_size
    return {
        "name": "report 10 x 200",
        "value": round(wall_s, 1),
        "unit": "s",
        "cpu_s": round(cpu_s, 1),
        "trials": trials,
        "page_bytes": page,
    }


def read_by_simulated_readers(study: Path) -> int:
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
                connection.exec_driver_sql(
                    "PRAGMA synchronous=OFF"
                )  # nothing here must survive a power cut
            visit = store.open_session(reader.reader, 0)
            for trial in bundle.trials(reader.slot):
                seen += 1
                for item, value in _answers(key["trials"][trial.token], rng):
                    store.save_answer(
                        reader.reader,
                        visit=visit,
                        session=0,
                        trial=trial.token,
                        item=item,
                        value=value,
                        seconds=rng.uniform(4, 9),
                    )
    close(study)
    unblind(study, passphrase=PASSPHRASE, who="benchmark")
    return seen


def _small_series(folder: Path) -> Volume:
    rng = np.random.default_rng(sum(str(folder.name).encode()) + len(folder.parent.name))
    return Volume(rng.normal(-600, 200, (3, 12, 10)).astype(np.float32), (2.0, 0.7, 0.7))


def _answers(trial: dict[str, Any], rng: random.Random) -> Iterator[tuple[str, str | int]]:
    easy = (trial["case"] % 7 - 3) / 3
    felt = {}
    for side in ("left", "right"):
        felt[side] = 3 + 0.5 * (trial[f"{side}_arm"] == 0) + easy + rng.gauss(0, 0.8)
        yield f"noise@{side}", min(max(round(felt[side]), 1), 5)
    yield "preference", max(felt, key=lambda side: felt[side])
