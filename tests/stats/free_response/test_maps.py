"""Maps against marks, metrics against ratings: hand-made maps, theorems, bootstrap by patient."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reader_study.stats.free_response.froc import froc_figures
from reader_study.stats.free_response.map_froc import adjudicated_marks, froc_score, map_froc
from reader_study.stats.free_response.maps import (
    map_at_marks,
    map_peaks,
    over_patients,
    rank_agreement,
    score_maps,
)
from reader_study.stats.free_response.match_marks import match_marks

SPACING = (2.0, 1.0, 1.0)


def test_auc_is_the_mann_whitney_probability(rng):
    noise = rng.standard_normal((4, 12, 12))
    noise[1, 4:8, 4:8] += 1.0
    auc, ranks = map_at_marks(noise, [(1, 6, 6)], spacing_mm=SPACING, radius_mm=2.0)
    z, y, x = np.indices(noise.shape)
    near = (2 * (z - 1)) ** 2 + (y - 6) ** 2 + (x - 6) ** 2 <= 4
    wanted = stats.mannwhitneyu(noise[near], noise[~near]).statistic / near.sum() / (~near).sum()
    assert auc == pytest.approx(wanted)
    assert ranks[0] == pytest.approx((noise[~near] < noise[near].max()).mean())


def test_a_flat_map_knows_nothing_and_a_turned_map_knows_the_opposite(rng):
    flat = np.ones((2, 6, 6))
    assert map_at_marks(flat, [(0, 2, 2)], spacing_mm=SPACING, radius_mm=1)[0] == 0.5
    noise = rng.standard_normal((2, 6, 6))
    up = map_at_marks(noise, [(0, 2, 2)], spacing_mm=SPACING, radius_mm=1)[0]
    down = map_at_marks(-noise, [(0, 2, 2)], spacing_mm=SPACING, radius_mm=1)[0]
    assert up + down == pytest.approx(1.0)


def test_only_voxels_inside_the_mask_count():
    bright = np.zeros((1, 5, 5))
    bright[0, 0, :] = 9.0  # a bright rim outside the lung
    bright[0, 2, 2] = 1.0
    inside = np.ones(bright.shape, bool)
    inside[0, 0] = False
    all_voxels = map_at_marks(bright, [(0, 2, 2)], spacing_mm=SPACING, radius_mm=0.4)[0]
    lung = map_at_marks(bright, [(0, 2, 2)], spacing_mm=SPACING, radius_mm=0.4, inside=inside)[0]
    assert all_voxels < 1.0 == lung


def test_no_marks_or_all_marked_is_undefined():
    flat = np.zeros((1, 3, 3))
    assert np.isnan(map_at_marks(flat, [], spacing_mm=SPACING, radius_mm=1)[0])
    assert np.isnan(map_at_marks(flat, [(0, 1, 1)], spacing_mm=SPACING, radius_mm=99)[0])


def test_peaks_keep_their_distance_and_hits_make_the_froc_curve():
    bright = np.zeros((1, 30, 30))
    bright[0, 5, 5], bright[0, 5, 7], bright[0, 20, 20], bright[0, 25, 4] = 9.0, 8.0, 7.0, 5.0
    peaks = map_peaks(bright, spacing_mm=SPACING, apart_mm=4)
    assert peaks["rating"].tolist() == [9.0, 7.0, 5.0]  # 8.0 is 2 mm from 9.0
    quiet = map_peaks(np.zeros((1, 30, 30)), spacing_mm=SPACING, apart_mm=4)
    assert quiet.empty
    places = pd.DataFrame({"case": ["c", "c"], "z": 0.0, "y": [5.0, 25.0], "x": [6.0, 4.0]})
    curve = map_froc(peaks.assign(case="c"), places, cases=["c", "empty"], radius_mm=2)
    assert curve[["nlf", "llf"]].to_numpy().tolist() == [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1]]


def test_score_over_false_rates_is_that_of_the_free_response_analysis(rng):
    """The map as a reader: the figure "froc" of its marks, and patients drawn whole."""
    patients = {f"c{k}": f"p{k // 2}" for k in range(24)}
    places = pd.DataFrame({"case": list(patients)[::2], "z": 0.0, "y": 5.0, "x": 5.0})
    rows = [(case, 0.0, 5.0, 5.0, rng.normal(1.5)) for case in places["case"][:9]]
    rows += [(case, 0.0, 40.0, 40.0, rng.normal()) for case in patients for _ in range(2)]
    peaks = pd.DataFrame(rows, columns=["case", "z", "y", "x", "rating"])
    shared = {"patients": patients, "radius_mm": 3, "replicates": 200}
    found = froc_score(peaks, places, rng=np.random.default_rng(1), **shared)
    known = places.assign(lesion=1)
    marks = match_marks(peaks.assign(reader="map", arm="map"), known, radius_mm=3)
    truth = [int(case in set(places["case"])) for case in patients]
    cases = pd.DataFrame({"case": list(patients), "truth": truth, "n_lesions": truth})
    assert found.value == pytest.approx(froc_figures(marks, cases, fom="froc")["figure"][0])
    assert (found.n_patients, found.n) == (12, 24)
    assert found.low < found.value < found.high
    perfect = froc_score(peaks.iloc[:9], places, rng=rng, **shared)
    assert perfect.value == pytest.approx(9 / 12)
    nothing = froc_score(peaks.iloc[:0], places, rng=rng, **shared)
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)
    with pytest.raises(ValueError, match=r"a peak in a case not listed in row 2 "):
        froc_score(peaks.assign(case=["x", *peaks["case"][1:]]), places, rng=rng, **shared)


def test_marks_count_as_what_all_adjudicators_call_them():
    table = pd.DataFrame(
        [
            ("A1", 1, "artefact"),
            ("A2", 1, "artefact"),
            ("A1", 2, "artefact"),
            ("A2", 2, "unsure"),
            ("A1", 3, "true-added"),
            ("A2", 3, "true-lost"),
        ],
        columns=["adjudicator", "x", "class"],
    ).assign(reader="R1", trial="t", case="c", arm="new", y=4, z=5)
    people = {"c": "p"}
    made = adjudicated_marks(table, people, classes=("artefact",))
    assert made.values.tolist() == [["c", "p", 5.0, 4.0, 1.0]]
    real = adjudicated_marks(table, people, classes=("true-added", "true-lost"))
    assert real["x"].tolist() == [3.0]
    flat = {"c": np.zeros((6, 8, 8))}
    per_case, _ = score_maps(
        flat, made, spacing_mm={"c": (1, 1, 1)}, radius_mm=1, rng=np.random.default_rng(1)
    )
    assert per_case["auc"].tolist() == [0.5]
    with pytest.raises(ValueError, match=r"'maybe' in row 2 .*expected classes true-added"):
        adjudicated_marks(table.assign(**{"class": "maybe"}).head(1), people, classes=("unsure",))
    with pytest.raises(ValueError, match=r"without a patient in rows 2, 3"):
        adjudicated_marks(table, {}, classes=("unsure",))
    with pytest.raises(ValueError, match="got real"):
        adjudicated_marks(table, people, classes=("real",))


def test_rank_agreement_is_spearman_with_intervals_from_ten_patients(rng):
    patients = np.repeat([f"P{i:02d}" for i in range(20)], 3)
    metric = rng.standard_normal(60)
    rating = np.clip(np.rint(3 + metric + rng.standard_normal(60)), 1, 5)
    scores = pd.DataFrame({"patient": patients, "ssim": metric, "rating": rating})
    found = rank_agreement(scores, metric="ssim", rng=rng, replicates=200)
    assert found.value == pytest.approx(stats.spearmanr(metric, rating).statistic)
    assert found.low < found.value < found.high
    assert found.n_patients == 20
    constant = rank_agreement(scores.assign(ssim=1.0), metric="ssim", rng=rng)
    assert np.isnan(constant.value)
    assert constant.note == "not defined: nothing varies"


def test_bootstrap_draws_patients_not_rows(rng):
    """Ten copies of every row say nothing new: the interval must not shrink."""
    table = pd.DataFrame({"patient": np.arange(30), "y": rng.standard_normal(30)})

    def width(rows):
        found = over_patients(
            rows, lambda t: float(t["y"].mean()), rng=np.random.default_rng(5), replicates=400
        )
        return found.high - found.low

    assert width(pd.concat([table] * 10)) == pytest.approx(width(table))


def test_score_maps_averages_patients_and_names_lost_cases(rng):
    maps, rows = {}, []
    for number in range(12):
        values = rng.random((1, 16, 16))
        values[0, 8, 8] = 2.0
        maps[f"c{number}"] = values
        rows.append((f"c{number}", f"p{number // 2}", 0, 8, 8))
    marks = pd.DataFrame(rows, columns=["case", "patient", "z", "y", "x"])
    spacing = dict.fromkeys(maps, (1.0, 1.0, 1.0))
    per_case, mean = score_maps(
        maps, marks, spacing_mm=spacing, radius_mm=0.5, rng=rng, replicates=50
    )
    assert (per_case["auc"] == 1.0).all()
    assert (mean.value, mean.n_patients, mean.low) == (1.0, 6, None)
    with pytest.raises(ValueError, match="none for c11"):
        score_maps(
            {n: m for n, m in maps.items() if n != "c11"},
            marks,
            spacing_mm=spacing,
            radius_mm=1,
            rng=rng,
        )


def test_scores_that_cannot_vary_have_no_interval_or_a_reason(rng):
    table = pd.DataFrame({"patient": range(12), "ssim": rng.standard_normal(12)})
    almost = rank_agreement(
        table.assign(rating=[1] * 11 + [2]), metric="ssim", rng=rng, replicates=200
    )  # a third of the draws leave the only 2 out: those that keep it say too much
    assert np.isfinite(almost.value)
    assert (almost.low, almost.high) == (None, None)
    assert "bootstrap draws were not defined" in almost.note
    perfect = rank_agreement(
        table.assign(rating=table["ssim"]), metric="ssim", rng=rng, replicates=50
    )
    assert (perfect.value, perfect.low) == pytest.approx((1.0, 1.0))
    assert "an interval without width says nothing" in perfect.note
    assert (
        rank_agreement(table.head(1).assign(rating=1), metric="ssim", rng=rng).note
        == "not defined: nothing varies"
    )


def test_cases_whose_map_cannot_be_scored_are_left_out_and_counted(rng):
    maps = {f"c{n}": rng.random((1, 5, 5)) for n in range(12)}
    marks = pd.DataFrame({"case": list(maps), "patient": list(maps), "z": 0, "y": 2, "x": 2})
    spacing = dict.fromkeys(maps, (1.0, 1.0, 1.0)) | {"c0": (0.01, 0.01, 0.01)}
    per_case, mean = score_maps(
        maps, marks, spacing_mm=spacing, radius_mm=1, rng=rng, replicates=50
    )
    assert per_case.set_index("case")["auc"].isna().to_dict()["c0"]
    assert (mean.n_patients, mean.note) == (
        11,
        "1 of 12 cases left out: nothing or everything is marked",
    )
    assert mean.value == pytest.approx(per_case["auc"].mean())
    _, none = score_maps(maps, marks, spacing_mm=spacing, radius_mm=99, rng=rng, replicates=50)
    assert np.isnan(none.value)
    assert "in every case nothing or everything is marked" in none.note


def test_curves_of_maps_without_peaks_places_or_voxels():
    none = pd.DataFrame(columns=["case", "z", "y", "x", "rating"])
    peak = pd.DataFrame({"case": ["a"], "z": 0.0, "y": 0.0, "x": 0.0, "rating": 1.0})
    blind = map_froc(none, peak, cases=["a", "b"], radius_mm=2)
    assert blind[["nlf", "llf"]].to_numpy().tolist() == [[0.0, 0.0]]
    with pytest.raises(ValueError, match="expected at least one place"):
        map_froc(peak, none, cases=["a"], radius_mm=2)
    with pytest.raises(ValueError, match="in a case not listed in row 2 "):
        map_froc(peak, peak.assign(case="q"), cases=["a"], radius_mm=2)
    empty = np.zeros((1, 3, 3), bool)
    with pytest.raises(ValueError, match="at least one voxel inside"):
        map_peaks(np.ones((1, 3, 3)), spacing_mm=SPACING, apart_mm=1, inside=empty)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"marks_zyx": [(0, 9, 1)]}, "inside the image"),
        ({"radius_mm": 0}, "radius above 0 mm"),
        ({"value_map": np.zeros((4, 4))}, "a single slice has shape"),
        ({"value_map": np.full((1, 4, 4), np.nan)}, "finite values"),
    ],
)
def test_bad_maps_are_refused(change, message):
    good = {"value_map": np.zeros((1, 4, 4)), "marks_zyx": [(0, 1, 1)], "radius_mm": 1.0}
    arguments = {**good, **change}
    with pytest.raises(ValueError, match=message):
        map_at_marks(
            arguments["value_map"],
            arguments["marks_zyx"],
            spacing_mm=SPACING,
            radius_mm=arguments["radius_mm"],
        )
