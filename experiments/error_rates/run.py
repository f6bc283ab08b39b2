"""Does each procedure keep its error rate? Null simulations, a slow command.

    python -m experiments.error_rates.run --sims 10000 --resume

Results are added to the file procedure by procedure, so a run may be stopped and resumed: an
interrupt (Ctrl-C) ends the procedure at hand with the studies it has, which ``n`` counts.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ctlab.files import write_json
from experiments.error_rates import null_agreement, null_designs, null_reliance, null_studies
from experiments.error_rates.null_studies import Procedure

PROCEDURES = (
    *null_studies.PROCEDURES,
    *null_designs.PROCEDURES,
    *null_agreement.PROCEDURES,
    *null_reliance.PROCEDURES,
)
RESULTS = Path(__file__).parent / "results.json"
SEED = 20261124
COMMAND = "python -m experiments.error_rates.run --sims 10000 --resume"
_LIMIT = "a large-sample limit over clusters, few of which are here"
# Why a rate departs from its level, by procedure and direction.
REASONS = {
    ("exact signed rank (Pratt)", "conservative"): (
        "exact given the ranks; the statistic is discrete, so it stays below 5 %"
    ),
    ("pooled preference share", "conservative"): (
        "Korn-Graubard limits are exact binomial ones at a smaller sample size, and the reader "
        "term always stays in the degrees of freedom: conservative by design"
    ),
    ("randomisation test of sides", "conservative"): (
        "exact; wins are whole numbers, so it stays below 5 %"
    ),
    ("VGC permutation test", "liberal"): (
        "its null is that arms are exchangeable for these readers; where readers differ in their "
        "response to an arm it rejects too often as a statement on new readers: use the t interval"
    ),
    ("CLMM, Wald test of the arm", "liberal"): (
        "a normal limit on a small sample, with the Laplace approximation"
    ),
    ("OR random readers and cases", "liberal"): (
        "with two readers MS(TR) has one degree of freedom; when it comes out small by chance "
        "Hillis' degrees of freedom become large: with fewer than four readers results are "
        "reported for these readers only"
    ),
    ("OR random readers and cases", "conservative"): (
        "Cov2 - Cov3 below zero counts as zero, which adds to the error"
    ),
    ("mean difference, crossed", "conservative"): (
        "the reader term always stays in the degrees of freedom, also where readers hardly differ"
    ),
    ("VGC bootstrap interval", "conservative"): (
        "resampling readers and cases counts what is left beside them twice; with few readers it "
        "also misses part of how they differ, and which of the two is larger depends on the study"
    ),
    ("VGC t interval", "conservative"): "a negative covariance between readers counts as zero",
    ("U-statistics, unbalanced", "conservative"): (
        "the variance is guarded from below where readings are missing"
    ),
    ("wAFROC", "conservative"): "Cov2 - Cov3 below zero counts as zero, which adds to the error",
    ("wAFROC", "liberal"): "Hillis' degrees of freedom with four readers",
    ("OR non-inferiority at the margin", "liberal"): (
        "areas near 0.85 are skewed, so one tail of the t interval is a little too short"
    ),
    ("OR equivalence at the margin", "conservative"): (
        "both one-sided tests have to reject, and the interval of five readers is nearly as wide "
        "as the two margins"
    ),
    ("own and shuffled maps, crossed", "conservative"): (
        "the reader term always stays in the degrees of freedom; with three readers it is guarded "
        "from below"
    ),
    ("forced choice, two arms", "conservative"): (
        "the reader term always stays in the degrees of freedom, also where readers hardly differ"
    ),
    ("Gwet's AC2, quadratic, interval", "liberal"): (
        "its error is a limit for many subjects; forty, with ratings missing, are few"
    ),
    ("Krippendorff's alpha, interval", "liberal"): "a percentile bootstrap of forty subjects",
    ("Bang's index, interval", "liberal"): "a normal limit of forty guesses",
    ("ICC(2,1), interval", "liberal"): "its F limits are approximate with four raters",
    ("weighted kappa, interval", "liberal"): "a normal limit of sixty subjects",
    ("Conger's kappa, quadratic, interval", "liberal"): (
        "its error is a limit for many subjects; forty, with ratings missing, are few"
    ),
    ("clustered McNemar (Eliasziw)", "conservative"): (
        "its correction for correlation within patients never goes below none"
    ),
    ("map areas, patient bootstrap", "liberal"): "a percentile bootstrap of thirty patients",
    ("clustered signed rank (DS)", "conservative"): "a normal limit over eight clusters",
    ("Bradley-Terry, CR2 over readers", "liberal"): (
        "six readers; choices on one case are shared by readers, which errors over readers leave "
        "out"
    ),
}


def simulate(
    procedure: Procedure, *, sims: int, seed: int, progress: bool = False
) -> dict[str, Any]:
    """Rejection rate and coverage of one procedure over ``sims`` null studies.

    Parameters
    ----------
    procedure : Procedure
    sims : int
        Studies; the Monte-Carlo error is 1.96 sqrt(rate (1 - rate) / sims).
    seed : int
        One PCG64 stream per procedure and design.

    Returns
    -------
    dict
        ``rejection`` at ``level``, ``coverage`` of the 95 % interval, ``undefined`` studies (a
        fit that did not converge or an interval of no width, left out of both), ``verdict`` on
        the rejection, or, where there is an interval only, on how often it misses the truth.
    """
    key = sum(ord(c) * (k + 1) for k, c in enumerate(procedure.name + procedure.design))
    rng = np.random.Generator(np.random.PCG64([seed, key]))
    p, held = np.full(sims, np.nan), np.full(sims, np.nan)
    start = time.perf_counter()
    for k in range(sims):
        try:
            value, inside = procedure.draw(rng)
        except KeyboardInterrupt:
            p, held = p[:k], held[:k]
            break
        p[k] = value
        held[k] = np.nan if inside is None else float(inside)
        if progress and (k + 1) % max(sims // 20, 1) == 0:
            sys.stderr.write(f"\r{procedure.name}, {procedure.design}: {k + 1}/{sims} ")
    defined, covered = p[~np.isnan(p)], held[~np.isnan(held)]
    rate = float(np.mean(defined <= procedure.level)) if defined.size else None
    coverage = float(covered.mean()) if covered.size else None
    judged = rate if coverage is None or rate is not None else 1 - coverage
    error, verdict, reason = judgement(procedure, judged, max(defined.size, covered.size))
    return {
        "name": procedure.name,
        "design": procedure.design,
        "claim": procedure.claim,
        "n": p.size,
        "level": procedure.level,
        "rejection": rate,
        "monte_carlo_error": error,
        "coverage": coverage,
        "undefined": int(np.sum(np.isnan(p) & np.isnan(held))),
        "verdict": verdict,
        "reason": reason,
        "seconds": round(time.perf_counter() - start, 1),
        "seed": seed,
    }


def judgement(procedure: Procedure, rate: float | None, n: int) -> tuple[float | None, str, str]:
    """Monte-Carlo error of ``n`` studies, verdict on the rate, and the reason for a departure."""
    level = procedure.level
    if rate is None:
        return None, "not defined", ""
    error = float(1.96 * np.sqrt(level * (1 - level) / n))
    if abs(rate - level) <= error:
        return error, "keeps its level", ""
    verdict = "liberal" if rate > level else "conservative"
    usual = _LIMIT if "clustered" in procedure.name else "a limit for large studies"
    return error, verdict, REASONS.get((procedure.name, verdict), usual)


def load_results(path: Path = RESULTS) -> dict[str, Any]:
    """Results in ``path``; an empty set where there is no file yet."""
    if not path.exists():
        return {"procedures": []}
    return json.loads(path.read_text(encoding="utf-8"))


def _save(path: Path, results: dict[str, Any], row: dict[str, Any]) -> None:
    same = (row["name"], row["design"])
    rows = [r for r in results["procedures"] if (r["name"], r["design"]) != same]
    results["procedures"] = sorted([*rows, row], key=lambda r: (r["name"], r["design"]))
    results["about"] = (
        "Studies simulated without a difference between arms. A rate outside level +- "
        "monte_carlo_error departs from its level; reason says why."
    )
    results["command"] = COMMAND
    results["versions"] = {name: version(name) for name in ("numpy", "scipy", "pandas")}
    write_json(path, results)


def main(
    sims: Annotated[int, typer.Option(min=10, help="studies per cheap procedure")] = 10_000,
    out: Annotated[Path, typer.Option(help="JSON file, added to")] = RESULTS,
    only: Annotated[str, typer.Option(help="procedures whose name holds this")] = "",
    thrift: Annotated[
        int, typer.Option(min=1, help="divide studies of procedures that cost this or more")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0)] = SEED,
    resume: Annotated[bool, typer.Option(help="skip what the file holds already")] = False,
) -> None:
    """Simulate null studies for each main procedure and add the rates to a JSON file."""
    results = load_results(out)
    chosen = [p for p in PROCEDURES if only.lower() in p.name.lower()]
    if not chosen:
        names = ", ".join(sorted({p.name for p in PROCEDURES}))
        raise ValueError(f"expected part of a procedure's name, got {only!r}; name one of {names}")
    done = {(r["name"], r["design"]) for r in results["procedures"] if r["n"] >= sims}
    for procedure in sorted(chosen, key=lambda p: p.cost):
        if resume and (procedure.name, procedure.design) in done:
            continue
        size = sims if procedure.cost < thrift else max(sims // procedure.cost, 10)
        row = simulate(procedure, sims=size, seed=seed, progress=True)
        if row["n"]:
            _save(out, load_results(out), row)
        sys.stderr.write(f"{row['rejection']} {row['verdict']}, {row['seconds']} s\n")


if __name__ == "__main__":
    typer.run(main)
