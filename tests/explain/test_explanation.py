"""The one call: regions, targets, audit, verdict, files and pictures."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ctlab.ct import LUNG
from ctlab.explain import (
    AuditPlan,
    DenoiserProbe,
    Limits,
    explain_region,
    load_explanation,
    make_target,
    picture,
    region_mask,
    write_explanation,
)
from ctlab.explain.audit.audit_map import (
    BELIEVE,
    CHANCE,
    WEAK,
    audit_map,
    input_gradient,
    judge,
)
from ctlab.explain.overlay import overlay_rgb, signed_colours
from ctlab.explain.probe.targets import BranchTarget

QUICK = AuditPlan(draws=4, random_networks=2, fractions=(0.005, 0.02, 0.08))


def test_regions():
    assert region_mask((5, 5, 2), (12, 12)).sum() == 13
    mask = region_mask((1, 2, 3, 5), (12, 12))
    assert mask.sum() == 6
    np.testing.assert_array_equal(region_mask(mask, (12, 12)), mask)
    for region, wanted in [
        ((1, 5, 2), "reaches out"),
        ((0, 0, 13, 2), "must lie in the image"),
        ((3, 3, 3, 5), "hold a pixel"),
        ((1, 2), "is \\(y, x, radius\\)"),
        (np.zeros((12, 12), bool), "hold a pixel"),
        ((5.5, 5.5, 0.1), "no pixel centre"),
    ]:
        with pytest.raises(ValueError, match=wanted):
            region_mask(region, (12, 12))


def test_targets_worked_by_hand():
    low = torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]]])
    out = torch.tensor([[[[1.0, 4.0], [5.0, 0.0]]]])
    corner = np.array([[True, False], [False, False]])
    assert make_target("mean", corner)(low, out).item() == 1.0
    assert make_target("edge", corner)(low, out).item() == pytest.approx(5.0)  # 3 and 4
    assert make_target("noise", corner)(low, out).item() == 9.0
    assert make_target("removed", corner)(low, out).item() == 3.0
    weights = np.array([[2.0, 7.0], [7.0, 7.0]])
    assert make_target("template", corner, template=weights)(low, out).item() == 2.0
    with pytest.raises(ValueError, match="choose one of mean, edge"):
        make_target("median", corner)
    with pytest.raises(ValueError, match="template="):
        make_target("template", corner)


def test_the_gradient_of_a_linear_filter_is_its_flipped_kernel(smoother, slice_hu):
    """J of a convolution is its kernel, turned: the binomial 1 4 6 4 1 in both directions."""
    mask = region_mask((20, 25, 0), slice_hu.shape)
    row = input_gradient(DenoiserProbe(smoother), slice_hu, make_target("mean", mask))
    line = np.array([1, 4, 6, 4, 1]) / 16
    np.testing.assert_allclose(row[18:23, 23:28], np.outer(line, line), atol=1e-7)
    assert row.sum() == pytest.approx(1.0, abs=1e-6)  # a filter that keeps HU


def test_a_true_map_is_better_than_chance_and_a_false_one_is_not(smoother, slice_hu):
    """The Jacobian of a linear filter is the truth; the same map elsewhere is chance."""
    probe, mask = DenoiserProbe(smoother), region_mask((30, 34, 2), slice_hu.shape)
    target = make_target("mean", mask)

    def true(s, image, read):
        return input_gradient(s, image, read)

    def elsewhere(s, image, read):
        return np.roll(input_gradient(s, image, read), 20, axis=1)

    plan = AuditPlan(draws=8, random_networks=2, limits=Limits(randomised_cosine=1.0))
    good = audit_map(probe, slice_hu, mask, target, true, plan=plan)
    bad = audit_map(probe, slice_hu, mask, target, elsewhere, plan=plan)
    assert good["deletion"]["wins_over_random"] == 1.0
    assert good["verdict"] in (BELIEVE, WEAK)
    assert bad["verdict"] == CHANCE
    assert bad["deletion"]["map"] < good["deletion"]["map"] / 5
    assert good["stability"] == pytest.approx(1.0)  # a linear filter's Jacobian is constant


def test_a_map_that_ignores_the_weights_is_chance(unet, slice_hu):
    """An edge detector looks convincing on any network, also on one that learnt nothing."""
    mask = region_mask((30, 34, 4), slice_hu.shape)
    edges = np.hypot(*np.gradient(slice_hu))
    audit = audit_map(
        DenoiserProbe(unet),
        slice_hu,
        mask,
        make_target("mean", mask),
        lambda s, i, read: edges,
        plan=QUICK,
    )
    assert audit["randomisation"]["all"] == pytest.approx(1.0)
    assert audit["verdict"] == CHANCE
    assert "not shown: learnt" in audit["reasons"]


def test_the_words_follow_the_numbers():
    good = {
        "randomisation": {"all": 0.1},
        "deletion": {"wins_over_random": 1.0, "wins_over_nearest": 1.0},
        "insertion": {"wins_over_random": 1.0},
        "localisation": {"gain": 2.0},
        "stability": 0.9,
    }
    assert judge(good, Limits())["verdict"] == BELIEVE
    assert judge(good, Limits())["reasons"] == []
    assert judge(good | {"stability": 0.5}, Limits())["verdict"] == WEAK
    assert judge(good | {"randomisation": {"all": -0.9}}, Limits())["verdict"] == CHANCE
    losing = {"wins_over_random": 0.5, "wins_over_nearest": 1.0}
    assert judge(good | {"deletion": losing}, Limits())["verdict"] == CHANCE


@pytest.mark.parametrize("method", ["hirescam", "gradient"])
def test_a_crop_gives_the_map_of_the_whole_slice(unet, rng, method):
    image = rng.normal(-300, 50, (256, 256)).astype(np.float32)
    plan = AuditPlan(draws=1, random_networks=1, fractions=(0.01,))
    cropped = explain_region(unet, image, (60, 70, 3), method=method, plan=plan)
    assert cropped.field_box == (0, 0, 128, 140)
    unet.network.size_multiple = 4
    whole = DenoiserProbe(unet)
    whole.__dict__["reach_px"] = None  # as if a pixel could matter anywhere
    full = explain_region(whole, image, (60, 70, 3), method=method, plan=plan)
    np.testing.assert_allclose(cropped.signed, full.signed, atol=1e-4 * np.abs(full.signed).max())


def test_odd_sizes_are_padded_and_cut(unet, rng):
    image = rng.normal(-300, 50, (62, 75)).astype(np.float32)
    found = explain_region(unet, image, (30, 35, 3), plan=QUICK)
    assert found.signed.shape == found.output_hu.shape == image.shape
    assert found.value == pytest.approx(found.output_hu[found.mask].mean(), rel=1e-4)


def test_same_seed_same_audit(unet, slice_hu):
    once, again = (explain_region(unet, slice_hu, (30, 34, 4), plan=QUICK) for _ in range(2))
    assert once.audit == again.audit
    assert set(once.audit) >= {
        "randomisation",
        "deletion",
        "insertion",
        "localisation",
        "stability",
    }


@pytest.mark.parametrize("method", ["gradient", "difference"])
def test_more_tests_tell_weights_from_what_ignores_its_region(smoother, slice_hu, method):
    """The network is linear: its gradient foretells every change; a difference asks no region."""
    plan = replace(QUICK, more_tests=True)
    audit = explain_region(smoother, slice_hu, (30, 34, 3), method=method, plan=plan).audit
    tests = audit["tests"]
    if method == "gradient":
        assert tests["infidelity"] == pytest.approx(0, abs=1e-6)
        assert tests["sensitivity-n"] == pytest.approx(1, abs=1e-3)
        assert tests["maximum sensitivity"] == pytest.approx(0, abs=1e-5)
        assert tests["other regions"] < 0.2
        assert tests["relevance mass"] > 0.5
    else:
        assert "infidelity" not in tests
        assert tests["other regions"] == pytest.approx(1)
        assert tests["relevance mass"] < 0.5
    assert audit["verdict"] in (BELIEVE, WEAK, CHANCE)


def test_progress_ends_at_its_end(unet, slice_hu):
    seen = []
    plan = AuditPlan(
        draws=1, random_networks=1, fractions=(0.01,), progress=lambda *a: seen.append(a)
    )
    explain_region(unet, slice_hu, (30, 34, 4), plan=plan)
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_written_and_read_back(unet, slice_hu, tmp_path):
    found = explain_region(unet, slice_hu, (30, 34, 4), plan=QUICK)
    write_explanation(found, tmp_path / "m.npz", tmp_path / "m.png")
    again = load_explanation(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.signed, found.signed)
    assert again.audit == json.loads(json.dumps(found.audit))
    assert again.verdict == found.verdict
    assert (tmp_path / "m.png").read_bytes()[:4] == b"\x89PNG"
    shown = picture(found, zoom=1)
    assert shown.shape[0] > 64
    assert shown.shape[1] >= 192
    assert np.abs(found.scaled).max() == pytest.approx(1.0)


def test_the_image_underneath_is_never_hidden():
    rng = np.random.default_rng(0)
    grey = rng.normal(-600, 300, (32, 32))
    signed = rng.normal(size=(32, 32))
    shown = overlay_rgb(grey, signed).astype(float)
    assert signed_colours(signed)[..., 3].max() <= 166  # 65 per cent
    flat = overlay_rgb(np.full_like(grey, -600.0), signed).astype(float)
    contrast = np.abs(shown - flat).mean()
    assert contrast > 0.3 * np.abs(LUNG.render(grey).astype(float) - 128).mean()
    above, below = signed_colours(np.array([[1.0, -1.0]]))[0, :, :3]
    assert above[0] > above[2]  # orange
    assert below[2] > below[0]  # blue
    np.testing.assert_array_equal(overlay_rgb(grey, np.zeros_like(grey))[..., 1], LUNG.render(grey))


def test_bad_requests_are_one_sentence(unet, slice_hu):
    with pytest.raises(ValueError, match="choose one of hirescam"):
        explain_region(unet, slice_hu, (30, 34, 4), method="rise")
    with pytest.raises(ValueError, match="no attention; train one with attention = 'gate'"):
        explain_region(unet, slice_hu, (30, 34, 4), method="attention")
    with pytest.raises(ValueError, match="without a critic; pass a checkpoint"):
        explain_region(unet, slice_hu, (30, 34, 4), target="realism")
    with pytest.raises(ValueError, match="reaches out"):
        explain_region(unet, slice_hu, (300, 34, 4))
    with pytest.raises(ValueError, match="no layer"):
        explain_region(unet, slice_hu, (30, 34, 4), layer="x")
    with pytest.raises(ValueError, match="one slice"):
        explain_region(unet, slice_hu[None].repeat(2, axis=0), (30, 34, 4))
    with pytest.raises(ValueError, match="checkpoint or a torch module"):
        explain_region("model.pt", slice_hu, (30, 34, 4))


def test_a_checkpoint_without_an_attention_or_with_one_works(slice_hu):
    from ctlab.ct import HuScale
    from ctlab.learn import HuDenoiser
    from ctlab.learn.models.unet import ResidualUNet

    for attention in ("gate", "cbam"):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            network = ResidualUNet(8, attention)
            nn.init.normal_(network.last.weight, 0, 0.1)
        found = explain_region(
            HuDenoiser(network, HuScale(-300.0, 50.0)), slice_hu, (30, 34, 4), plan=QUICK
        )
        assert np.abs(found.signed).max() > 0


@pytest.mark.parametrize("name", ["mean", "edge", "noise", "removed"])
def test_the_branch_of_a_target_leaves_out_what_is_handed_through(name, rng):
    """Worked from its definition, and still a region's target that can be cropped."""
    mask = region_mask((12, 14, 3), (32, 32))
    target = make_target(name, mask)
    low, out = (torch.from_numpy(rng.normal(0, 30, (2, 1, 32, 32))) for _ in range(2))
    branch = BranchTarget.of(target)
    wanted = target(low, out) - target(low, low)
    torch.testing.assert_close(branch(low, out), wanted)
    box = (4, 4, 24, 28)
    near = np.s_[:, :, 4:24, 4:28]
    torch.testing.assert_close(branch.crop(box)(low[near], out[near]), wanted)
