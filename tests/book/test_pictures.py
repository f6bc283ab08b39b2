"""A picture shows what the sentence beside it says: chapters' cells are run and measured."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctlab import figures

BOOK = Path(__file__).resolve().parents[2] / "book"
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(chapter: str, *marks: str) -> dict:
    """Names after the cells of a chapter that hold the marks, in the order of the page."""
    names = {"np": np, "pd": pd, "figures": figures}
    cells = CELL.findall((BOOK / f"{chapter}.md").read_text("utf-8"))
    chosen = [cell for cell in cells if any(mark in cell for mark in marks)]
    assert len(chosen) >= len(marks)
    for cell in chosen:
        code = "\n".join(line for line in cell.splitlines() if line[:1] != ":")
        exec(compile(code, f"{chapter}.md", "exec"), names)
    return names


def prose(chapter: str) -> str:
    return " ".join(CELL.sub(" ", (BOOK / f"{chapter}.md").read_text("utf-8")).split())


@pytest.mark.slow
def test_the_staircase_of_total_variation_has_treads():
    names = run("classic", "import numpy as np", "stairs = ")
    flat = {key: int((abs(np.diff(names[key])) < 0.1).sum()) for key in ("stairs", "smooth")}
    assert flat["stairs"] > 60
    assert flat["smooth"] < 10
    assert (abs(np.diff(names["stairs"])) > 3).sum() >= 8, "steps between the treads"
    assert "charges for the height" in prose("classic")


def test_each_curve_of_power_flattens_within_the_picture():
    power = run("designing-a-study", "pilot = simulate_roc")["power"]
    assert "Each curve flattens." in prose("designing-a-study")
    last = {name: abs(ys[-1] - ys[-2]) for name, (_, ys) in power.items()}
    assert max(last.values()) < 0.015, "three times the cases bring hardly anything"
    few = power["3 readers"][1]
    assert few[-1] < 0.3, "more cases do not help three readers"


def test_the_lost_and_the_invented_nodule_can_be_seen_at_the_size_of_a_page():
    names = run("hallucination", "vanished_nodule(seed=3)")
    grey = {
        key: names["Window"](-750, 500).render(image).astype(float)
        for key, image in names["crops"].items()
    }
    spot, around = np.s_[36:41, 54:59], np.s_[29:48, 47:66]
    stands_out = {key: im[spot].mean() - np.median(im[around]) for key, im in grey.items()}
    assert stands_out["truth"] > 30
    assert stands_out["program two"] > 30
    assert abs(stands_out["truth, no nodule"]) < 3
    assert stands_out["program one"] < 0.6 * stands_out["truth"]
    assert next(iter(grey.values())).shape == (72, 72), "enlarged: a fifth of the slice"


def test_the_lone_arc_of_the_sinogram_is_the_couch():
    from scipy import ndimage

    names = run("physics", "shadows = project(mu_per_mm, beam)\nfigures")
    mu, beam, project = names["mu_per_mm"], names["beam"], names["project"]
    tissue, _ = ndimage.label(mu > 0.5 * mu.max() * 0.1)
    largest = 1 + int(np.argmax(np.bincount(tissue.ravel())[1:]))
    body = ndimage.binary_fill_holes(tissue == largest)
    body = ndimage.binary_dilation(ndimage.binary_opening(body, iterations=3), iterations=3)
    patient = project(np.where(body, mu, 0.0), beam)
    outside = names["shadows"][patient == 0]
    assert outside.max() > 0.2, "something stands outside the patient's shadow"
    rows = np.argwhere(~body & (mu > 0.3 * np.quantile(mu[body], 0.5)))[:, 0]
    assert np.median(rows) > np.argwhere(body)[:, 0].mean(), "below the patient: the couch"
    assert "it is the *couch*" in prose("physics")


def test_in_the_worst_crop_the_filter_lost_small_vessels():
    from scipy import ndimage

    names = run("reporting", "corners = [")
    detail = {k: names[k] - ndimage.gaussian_filter(names[k], 3.0) for k in ("full", "filtered")}
    vessels, left = {}, {}
    for crop in ("best", "worst"):
        box = names[crop]
        full = detail["full"][box]
        small = (full > 40) & (full < 120) & (names["full"][box] < -600)
        vessels[crop] = int(small.sum())
        left[crop] = detail["filtered"][box][small].mean() / full[small].mean()
    assert left["worst"] < 0.5, "less than half of a small vessel's contrast"
    assert vessels["worst"] > 1.5 * vessels["best"]
    assert names["gains"].min() < 0.4 * names["gains"].max()


def test_least_squares_with_its_best_judge_flattens_first():
    names = _gan_curves()
    at = int(np.argmin(abs(names["shifts"] - 3)))
    assert names["squared"][at] == pytest.approx(0.80, abs=0.01)
    assert names["divergence"][at] == pytest.approx(0.76, abs=0.01)
    assert "flattens even *earlier*" in prose("gans")


def _gan_curves() -> dict:
    code = next(c for c in CELL.findall((BOOK / "gans.md").read_text("utf-8")) if "squared" in c)
    names = {"np": np}
    exec(compile(code, "gans.md", "exec"), names)
    return names


def test_readers_stay_the_same_while_kappa_falls():
    pages = run("ratings", "calls = pd.DataFrame", "right = {}, 0.95")["pages"]
    notes = [picture.caption for picture in pages.values()]
    kappa = [float(re.search(r"Kappa (-?[\d.]+),", note)[1]) for note in notes]
    lesions = [float(re.search(r"on lesions ([\d.]+)\.", note)[1]) for note in notes]
    both, rest = zip(
        *[map(int, re.search(r"lesion in (\d+) .* normal in (\d+)", n).groups()) for n in notes],
        strict=True,
    )
    assert np.ptp(np.add(both, rest)) <= 2, "plain agreement stays"
    assert kappa == sorted(kappa, reverse=True)
    assert lesions == sorted(lesions, reverse=True)
    assert kappa[0] > 0.75 > 0.35 > kappa[-1]


def test_the_intervals_of_the_side_pull_are_as_many_as_the_sentence_says():
    names = run("running-a-study", "answers = simulated_choices", "pulled = simulated_choices")
    sides = names["sides"]
    holds = (sides["low"] <= 0.5) & (sides["high"] >= 0.5)
    assert bool(holds.iloc[-1]), "so does the pooled one"
    assert int(holds.iloc[:-1].sum()) == 3


def test_decibels_and_the_distance_of_texture_rise_from_ot2_to_the_bound():
    from ctlab.lessons import method_table

    for patients in (["sample"], None):
        table = method_table(0.1, patients).loc[["ot2", "shipped", "supervised"]]
        gain = (table["PSNR (dB)"] - table["input PSNR (dB)"]).astype(float).tolist()
        texture = table["texture (HU)"].astype(float).tolist()
        assert gain == sorted(gain)
        assert texture == sorted(texture)
        assert texture[2] > 2 * texture[0]
