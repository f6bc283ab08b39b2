"""The R script of a report repeats the primary result, and notices where it differs."""

import numpy as np
import pytest

from reader_study.report.rscript import r_script
from tests.reader_study.analysed_rows import analysed, planned
from tests.reader_study.r_runner import needs_r, run_primary


def run_r(facts, rows, folder):
    (folder / "primary.R").write_text(r_script(facts), "utf-8")
    rows.to_csv(folder / "primary.csv", index=False)
    return run_primary(folder)


@needs_r
@pytest.mark.parametrize("endpoint", ["share", "difference", "auc", "odds"])
def test_r_repeats_the_primary_result(endpoint, rng, tmp_path):
    facts, rows = analysed(endpoint, rng)
    done = run_r(facts, rows, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "The published result is repeated" in done.stdout


@needs_r
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("nothing", ""),
        ("estimate", "does not repeat the published result"),
        ("threshold", "another log likelihood"),
        ("interval", "does not repeat the published result"),
    ],
)
def test_base_r_examines_the_likelihood_of_odds(change, message, rng, tmp_path):
    """Without the package ordinal: log likelihood, slope and curvature at the published fit."""
    facts, rows = analysed("odds", rng)
    row = facts["primary"][0]
    if change == "estimate":
        row["value"] *= 1.02
    if change == "threshold":
        row["extra"]["thresholds"][0] += 0.05
    if change == "interval":
        row["high"] *= 1.02
    script = r_script(facts).replace('requireNamespace("ordinal", quietly = TRUE)', "FALSE")
    (tmp_path / "primary.R").write_text(script, "utf-8")
    rows.to_csv(tmp_path / "primary.csv", index=False)
    done = run_primary(tmp_path)
    assert (done.returncode == 0) == (not message), done.stderr
    assert message in done.stderr


@needs_r
@pytest.mark.parametrize("change", ["value", "rows", "one reader", "two readers", "unanimous"])
def test_r_notices_a_difference_and_copes_with_odd_studies(change, rng, tmp_path):
    from ctlab.files import plain
    from reader_study.analysis.endpoints.estimates import estimate, judged

    facts, rows = analysed("share", rng)
    if change == "value":
        facts["primary"][0]["low"] += 0.01
    if change == "rows":
        rows = rows.iloc[1:]
    if "reader" in change or change == "unanimous":
        if "reader" in change:
            rows = rows[rows["reader"] < (1 if change == "one reader" else 2)]
        else:
            won = np.where(rows["left"] == "new", "left", "right")
            rows = rows.assign(choice=won)
        test = planned("share")
        row = judged(test, estimate(test, rows), aim="superiority", margin=None)
        facts["primary"] = [plain(row)]
    done = run_r(facts, rows, tmp_path)
    assert (done.returncode == 0) == (change not in {"value", "rows"}), done.stderr
