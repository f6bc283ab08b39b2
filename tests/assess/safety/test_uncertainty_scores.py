"""Scores for added and removed structure, and the table that says when they are no better."""

import numpy as np
import pytest

from ctlab.assess.safety.uncertainty_scores import compare_scores, score_auc, spread_hu


@pytest.fixture
def patients(rng):
    """Twelve patients with inserted blobs; one score sees them, one is pure noise."""
    changed, good, noise, residual, twin = [], [], [], [], []
    for _ in range(12):
        where = np.zeros((24, 24), bool)
        y, x = rng.integers(2, 18, 2)
        where[y : y + 4, x : x + 4] = True
        changed.append(where)
        residual.append(np.abs(rng.normal(0, 10, where.shape)) + 4 * where)
        good.append(np.abs(rng.normal(0, 10, where.shape)) + 25 * where)
        noise.append(rng.random(where.shape))
        twin.append(np.abs(rng.normal(0, 10, where.shape)) + 4 * where)
    return changed, {"residual": residual, "ensemble": good, "dropout": noise, "twin": twin}


def test_the_table_says_who_beats_the_residual_and_who_does_not(patients):
    changed, scores = patients
    table = compare_scores(scores, changed).set_index("score")
    assert table.verdict.to_dict() == {
        "residual": "baseline",
        "ensemble": "beats",
        "dropout": "does not beat",
        "twin": "does not beat",  # as good as the baseline is not better
    }
    assert table.low["twin"] < 0 < table.high["twin"]
    assert table.auc["dropout"] == pytest.approx(0.5, abs=0.1)
    assert table.low["ensemble"] > 0 > table.high["dropout"]


def test_below_ten_patients_there_is_no_interval_and_no_verdict(patients):
    changed, scores = patients
    table = compare_scores({k: v[:9] for k, v in scores.items()}, changed[:9])
    assert table.low.isna().all()
    assert set(table.verdict) == {"baseline", "too few patients"}


def test_voxels_outside_the_mask_do_not_count():
    score = np.array([[0.0, 1.0, 2.0, 3.0], [9.0, 9.0, 9.0, 9.0]])
    changed = np.array([[False, False, True, True], [False] * 4])
    assert score_auc(score, changed) == pytest.approx(2 / 6)
    assert score_auc(score, changed, mask=score < 9) == 1


def test_spread_is_the_sample_sd_and_takes_a_generator(rng):
    outputs = rng.normal(-800, 20, (7, 3, 5, 5))
    np.testing.assert_allclose(spread_hu(o for o in outputs), outputs.std(0, ddof=1), rtol=1e-5)
    with pytest.raises(ValueError, match="at least 2 outputs"):
        spread_hu([outputs[0]])


def test_bad_input_is_named(patients):
    changed, scores = patients
    with pytest.raises(ValueError, match="must hold the baseline"):
        compare_scores({"dropout": scores["dropout"]}, changed)
    with pytest.raises(ValueError, match="has 12 patients, changed has 3"):
        compare_scores(scores, changed[:3])
    with pytest.raises(ValueError, match="at least 2 changed"):
        score_auc(np.zeros((4, 4)), np.zeros((4, 4), bool))
