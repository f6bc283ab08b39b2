"""The checkpoint that ships: small, honest about its data, and better than what it is given."""

import json
from dataclasses import replace
from importlib.resources import files
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ctlab.classic import METHODS
from ctlab.ct import LUNG, load_sample, simulate_dose
from ctlab.learn import (
    TrainConfig,
    applicability,
    denoise_slices,
    denoise_volume,
    load_checkpoint,
    resume_shipped,
    shipped_domains,
)
from ctlab.passport import DEFAULT_LIMITS
from experiments.method_comparison import card as comparison_card
from experiments.shipped_model import nodules, passport, risk

SHIPPED = files("ctlab.learn") / "shipped"
SAMPLE = range(70, 110)
ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
RESULTS = sorted([*EXPERIMENTS.glob("*/*.json"), *ROOT.glob("benchmarks/results/*.json")])


@pytest.fixture(scope="module")
def three_slices():
    """Slices through the nodule and the hila: at routine dose, and at a tenth of it."""
    sample = load_sample()
    some = replace(sample, hu=sample.hu[16:22:2], sources=())
    return some, simulate_dose(some, 0.1, rng=np.random.default_rng(5))


def test_it_was_never_trained_near_the_sample():
    rows = (SHIPPED / "split.csv").read_text().splitlines()[1:]
    assert rows
    for row in rows:
        _, _, first, last, _ = row.split(",")
        assert int(last) < SAMPLE.start - 10 or int(first) > SAMPLE.stop - 1 + 10


def test_card_checkpoint_and_configuration_agree():
    checkpoint = load_checkpoint()
    card = json.loads((SHIPPED / "card.json").read_text())
    assert checkpoint.config == TrainConfig.from_toml(SHIPPED / "train.toml")
    assert card["split_hash"] == checkpoint.split_hash
    assert card["range_of_use"] == checkpoint.card["range_of_use"]
    assert card["steps"] == checkpoint.step
    begun = TrainConfig.from_toml(SHIPPED / "begin.toml")
    assert card["begun"] == {"configuration": "begin.toml", "steps": begun.steps}
    assert begun.networks == checkpoint.config.networks, "the noise stays as it was measured"
    assert (SHIPPED / "checkpoint.pt").stat().st_size < 4e6
    assert (SHIPPED / "patches.npz").stat().st_size < 4e6


def test_keys_that_came_later_leave_an_older_checkpoint_as_it_was():
    """A configuration that does not speak of the ramp was trained without it."""
    checkpoint = load_checkpoint()
    text = (SHIPPED / "train.toml").read_text()
    if "noise_ramp" not in text:
        assert not checkpoint.config.networks.noise_ramp
    image = np.random.default_rng(0).normal(-300, 200, (1, 64, 64)).astype(np.float32)
    once, twice = (denoise_slices(image, load_checkpoint().denoiser()) for _ in range(2))
    assert np.array_equal(once, twice)
    assert np.abs(once - image).max() > 1


@pytest.mark.slow
def test_a_tenth_of_the_dose_comes_closer_to_the_routine_dose(three_slices):
    full, low = three_slices
    assert applicability(low).is_met
    denoised = denoise_volume(low)

    def rmse(volume):
        return np.sqrt(np.mean((volume.hu - full.hu) ** 2))

    def psnr(volume):
        return -10 * np.log10(np.mean((LUNG.scale(volume.hu) - LUNG.scale(full.hu)) ** 2))

    assert rmse(denoised) < 0.75 * rmse(low)
    assert psnr(denoised) > psnr(low) + 2.5


@pytest.mark.slow
def test_bfloat16_stays_within_one_hu(three_slices):
    low = replace(three_slices[1], hu=three_slices[1].hu[:1])
    exact = denoise_volume(low).hu
    fast = denoise_volume(low, precision="bfloat16").hu
    assert 0 < np.sqrt(np.mean((fast - exact) ** 2)) < 1.0


@pytest.mark.slow
def test_routine_dose_is_outside_its_range(three_slices):
    full, _ = three_slices
    with pytest.raises(ValueError, match="noise in soft tissue is"):
        denoise_volume(full)


def test_training_resumes_on_the_patches_that_ship():
    checkpoint = load_checkpoint()
    state = checkpoint.train_state()
    rows = list(resume_shipped(steps=2, state=state))
    assert [row["step"] for row in rows] == [checkpoint.step + 1, checkpoint.step + 2]
    assert state.step == checkpoint.step + 2
    assert all(np.isfinite(v) for row in rows for v in row.values())
    # A trained critic sees denoised and routine-dose patches nearly alike.
    again = list(islice(resume_shipped(steps=2), 2))
    assert again == rows
    assert len(list(resume_shipped(steps=50, seconds=0.0))) == 1


def test_patches_that_ship_are_of_two_domains():
    full, low = shipped_domains()
    assert full.patch_px == low.patch_px == load_checkpoint().config.patch_px
    assert len(low.noise_hu) > 1
    assert min(low.noise_hu) > 10
    # Neighbours differ by noise mostly; the median leaves edges out.
    fine = [np.median(np.abs(np.diff(np.concatenate(d.slabs), axis=2))) for d in (full, low)]
    assert fine[1] > 1.5 * fine[0]


def _named(found):
    """Hashes of the shipped checkpoint in a results file: its own, and that of the comparison."""
    yield found.get("checkpoint_sha256")
    yield found.get("methods", {}).get("shipped", {}).get("checkpoint_sha256")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_that_describe_the_shipped_model_are_of_this_checkpoint(path):
    """A number of an older checkpoint is not a number of this one: run its command again."""
    found = json.loads(path.read_text())
    sha256 = load_checkpoint().sha256
    assert {name for name in _named(found) if name} <= {sha256}, found.get("command")


def test_results_that_must_name_the_checkpoint_do():
    stems = {
        f"{path.parent.name}/{path.stem}"
        for path in RESULTS
        if any(_named(json.loads(path.read_text())))
    }
    wanted = {f"shipped_model/{name}" for name in ("image_quality", "risk", "nodules", "passport")}
    assert wanted | {"method_comparison/results"} <= stems


def test_the_model_card_shows_the_passport_and_the_risk_of_this_very_checkpoint():
    """The tables are those of the committed results, whole, and hold every check there is."""
    card = (SHIPPED / "MODEL_CARD.md").read_text()
    for module in (nodules, passport, risk):
        found = json.loads(module.RESULTS.read_text())
        assert module.table(found) in card
    assert nodules.aims(json.loads(nodules.RESULTS.read_text())) in card
    found = json.loads(passport.RESULTS.read_text())
    assert {check["name"] for check in found["checks"]} == set(DEFAULT_LIMITS)
    assert all(check["value"] is not None for check in found["checks"])
    assert {"equivalent dose", "explanation audit", "risk", "detectability"} <= set(found["tables"])
    needed = json.loads(risk.RESULTS.read_text())["patients_needed"]
    assert needed == {"crc": 9, "rcps": 22}


def test_nodules_that_keep_too_little_are_named():
    """Ground glass counts at 200 HU from 6 mm on, solid nodules always; the filter never."""

    def row(kind, contrast_hu, diameter_mm, recovery, method="model"):
        facts = {"kind": kind, "contrast_hu": contrast_hu, "diameter_mm": diameter_mm}
        return facts | {"recovery": recovery, "method": method, "dose": 0.1}

    spared = [row("ground-glass", 200.0, 4.0, 0.5), row("ground-glass", 100.0, 10.0, 0.5)]
    spared += [row("solid", 850.0, 4.0, 0.95), row("solid", 850.0, 4.0, 0.1, "bm3d")]
    assert nodules.aims({"rows": spared}).endswith("solid nodules 0.95. Reached.")
    short = [row("ground-glass", 200.0, 6.0, 0.894), row("solid", 850.0, 8.0, 0.94)]
    missed = "ground-glass of 6 mm at 10 % keeps 0.89; solid of 8 mm at 10 % keeps 0.94."
    assert nodules.aims({"rows": spared + short}).endswith(f"**Missed**: {missed}")


def test_the_model_card_shows_the_results_of_this_very_checkpoint():
    """Results, card and checkpoint cannot drift apart."""
    found = json.loads((EXPERIMENTS / "shipped_model" / "image_quality.json").read_text())
    assert found["checkpoint_sha256"] == load_checkpoint().sha256
    card = (SHIPPED / "MODEL_CARD.md").read_text()
    for dose, methods in found["doses"].items():
        row = f"| {100 * float(dose):g} % | model | {methods['model']['rmse_body_hu']:.1f} |"
        assert row in card
        assert methods["model"]["rmse_body_hu"] < methods["input"]["rmse_body_hu"]
    assert "must not be used for diagnosis" in card
    assert comparison_card.table(EXPERIMENTS / "method_comparison" / "results.json") in card
    assert comparison_card.aims(EXPERIMENTS / "method_comparison" / "results.json") in card


def test_aims_are_counted_case_by_case(tmp_path):
    """Two cases: ahead of the filters in one and level in the other, which is not ahead."""

    def row(patient, dose, psnr, rmse, bias=0.0):
        facts = {"patient": patient, "dose": dose, "psnr_db": psnr, "rmse_body_hu": rmse}
        facts |= {"ssim": psnr / 100, "residual_ratio": 1.0, "sliced_w1_hu": 1.0, "nps_shape": 0.1}
        return facts | {f"bias_{tissue}_hu": bias for tissue in ("lung", "soft", "bone")}

    def rows(psnr, *, bias=0.0):
        cases = [(p, d) for p in ("sample", "pat_1") for d in (0.1, 0.05)]
        return [row(p, d, psnr, 60.0 - psnr, bias) for p, d in cases]

    methods = {name: {"rows": rows(34.0)} for name in METHODS}
    methods |= {"input": {"rows": rows(30.0)}, "supervised": {"rows": rows(36.0)}}
    methods["shipped"] = {"rows": rows(35.5, bias=-2.5)}
    methods["shipped"]["rows"][0] |= {"psnr_db": 34.0}
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"methods": methods | {"supervised-equal": {"rows": rows(35.5)}}}))
    assert " steps: 73 to 100 % (aim 85 %: **missed**)." in comparison_card.aims(path)
    path.write_text(json.dumps({"methods": methods}))
    rmse, psnr, _ssim, share, bias = comparison_card.aims(path).splitlines()
    assert rmse == "- RMSE: ahead of every tuned filter in 4 of 4 cases."
    assert "in 3 of 4 cases; behind in sample at 10 %." in psnr
    assert share == "- Share of the supervised gain: 67 to 92 % (aim 85 %: **missed**)."
    assert bias.endswith(
        "at most 2.5 HU in lung, soft tissue and bone of any case (aim 2 HU: **missed**)."
    )
