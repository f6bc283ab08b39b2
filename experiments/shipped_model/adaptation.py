"""The shipped model adapted to each test series without clean images.

    python -m experiments.shipped_model.adaptation SERIES PYCERR

The cases are those of :mod:`experiments.method_comparison`, at 10 and 5 % of the scans' dose; rows
hold the same measures before (of the shipped model, from there) and after, or why adaptation was
refused. Steps are counted, not seconds, so that the weights do not depend on the speed of a
machine: 400 take half a minute of a core. Results are written case by case; what is there already,
of this checkpoint, is not made again. The low doses are of the simulation that adaptation uses as
well: noise of another scanner is not tested.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ctlab.files import write_json
from ctlab.learn import load_checkpoint
from ctlab.learn.adapt import adapt_to_series
from experiments.method_comparison import evaluate
from experiments.method_comparison.evaluate import Case

RESULTS = Path(__file__).with_name("adaptation.json")
STEPS, SECONDS = 400, 3600.0


def adapted(case: Case) -> dict[str, Any]:
    """Measures of the model adapted to a case, or why it is not."""
    try:
        checkpoint, done = adapt_to_series(
            case.low, load_checkpoint(), seconds=SECONDS, steps=STEPS
        )
    except ValueError as refusal:
        return {"patient": case.name, "dose": case.dose, "refused": str(refusal)}
    facts = {name: getattr(done, name) for name in ("level", "shape", "loss_ratio", "shift_hu")}
    method = evaluate.network(checkpoint)
    return evaluate.judge(lambda _case: method, [case])[0] | facts


def main(cases: Callable[[], list[Case]], path: Path = RESULTS) -> None:
    """Adapt to every case that has no row yet."""
    torch.set_num_threads(1)
    sha256 = load_checkpoint().sha256
    shipped = json.loads(evaluate.RESULTS.read_text(encoding="utf-8"))["methods"][evaluate.SHIPPED]
    if shipped["checkpoint_sha256"] != sha256:
        raise ValueError("the comparison is of other weights; make it first")
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows = known.get("after", []) if known.get("checkpoint_sha256") == sha256 else []
    done = {(row["patient"], row["dose"]) for row in rows}
    for case in cases():
        if (case.name, case.dose) in done:
            continue
        rows.append(adapted(case))
        results = {
            "command": "python -m experiments.shipped_model.adaptation SERIES PYCERR",
            "checkpoint_sha256": sha256,
            "steps": STEPS,
            "before": shipped["rows"],
            "after": rows,
        }
        write_json(path, evaluate.to_five_places(results))
        sys.stderr.write(f"{case.name} {case.dose:g}\n")


if __name__ == "__main__":
    series, pycerr = map(Path, sys.argv[1:])
    main(lambda: evaluate.cases_of(series, pycerr)[1])
