"""The comparison of all methods on the packaged sample, and the limits in words."""

import json

import numpy as np
import pytest

from ctlab.ct import load_sample
from ctlab.explain import STUDY_METHODS, AuditPlan, Limits, method_comparison
from ctlab.explain.explanation_page import limits_in_words
from ctlab.learn import load_checkpoint

QUICK = AuditPlan(draws=1, random_networks=1, fractions=(0.02,))


def test_the_limits_are_told_with_what_no_map_can_show():
    told = limits_in_words(Limits(stability_cosine=0.65))
    assert "stability at least 0.65" in told
    assert "no standard" in told
    assert "no map can tell" in told


@pytest.mark.slow
def test_the_study_writes_both_tables(tmp_path, monkeypatch):
    """The rows agree with each other and with the file."""
    told = []
    places = method_comparison.study_regions(load_sample())
    assert places["nodule"].sum() == pytest.approx(np.pi * (13 / 0.703) ** 2, rel=0.01)
    small = {name: (*places[name][:2], 2) for name in ("aorta", "lung")}
    monkeypatch.setattr(method_comparison, "study_regions", lambda volume: small)
    monkeypatch.setattr(method_comparison, "STUDY_SLICES", (20,))
    result = method_comparison.study_of_sample(
        out=tmp_path / "study.json",
        methods=("difference", "attention"),
        lesions=2,
        plan=QUICK,
        progress=lambda done, total: told.append((done, total)),
    )
    assert json.loads((tmp_path / "study.json").read_text()) == result
    methods = [(r["region"], r["method"]) for r in result["methods"]]
    assert methods == [
        (region, method)
        for region in ("aorta", "lung")
        for method in ("difference", "attention", "hirescam, random weights")
    ]
    # A difference does not look at a target, so removing what it marks is judged all the same.
    assert {r["kind"] for r in result["usefulness"]} == {"erased", "invented"}
    assert all(0 <= r["auc"] <= 1 for r in result["usefulness"])
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)
    words = method_comparison.study_in_words(result)
    assert max(map(len, words.splitlines())) <= 80
    assert "hirescam, random weights" in words


def test_the_committed_study_covers_every_method_of_the_model():
    stored = method_comparison.packaged_study()
    assert stored["checkpoint"] == method_comparison.fingerprint(load_checkpoint())
    assert stored["command"].startswith(method_comparison.STUDY_COMMAND)
    shown = {r["method"] for r in stored["methods"]}
    assert shown == {*STUDY_METHODS, "hirescam, random weights"}
    assert len(stored["methods"]) == 3 * len(shown)
    assert stored["limits"] == limits_in_words()
