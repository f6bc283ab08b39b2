"""Maps of denoisers that only answer: against known filters, and the exact Jacobian."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctlab.ct import Volume, write_series
from ctlab.explain import (
    AuditPlan,
    DenoiserProbe,
    explain_black_box,
    finite_row,
    jacobian_row,
    rise_map,
    write_explanation,
)
from ctlab.explain.explanation_page import in_words
from ctlab.workflows.explain import explain_series

QUICK = AuditPlan()
BOX = (8, 8, 40, 40)


def blur(images):
    return gaussian_filter(images, (0, 1.5, 1.5))


def test_finite_differences_give_the_exact_row(unet, slice_hu):
    """The kit's network, asked only for answers, against its own Jacobian."""
    probe = DenoiserProbe(unet)
    exact = jacobian_row(probe, slice_hu, (24, 24, 1)).weights
    where = np.s_[8:40, 8:40]
    mask = np.hypot(*np.ogrid[-24 : slice_hu.shape[0] - 24, -24 : slice_hu.shape[1] - 24]) <= 1

    def score(images):
        return np.array([probe.run(i.astype(np.float32))[mask].mean() for i in images])

    row = finite_row(score, slice_hu, (20, 20, 28, 28), block_px=1, step_hu=2.0)
    inner = np.s_[20:28, 20:28]
    assert np.abs(row.weights[inner] - exact[inner]).max() <= max(2 * row.error, 1e-3)
    assert row.error < 0.1 * np.abs(exact[where]).max()
    assert not row.weights[:20].any()


@pytest.mark.parametrize("method", ["gradient", "occlusion"])
def test_a_blur_looks_at_the_region_and_is_weak_at_best(slice_hu, method):
    found = explain_black_box(
        blur, slice_hu, (24, 24, 2), method=method, block_px=2, plan=QUICK, target="mean"
    )
    assert found.audit["passed"]["beats random pixels"]
    assert found.verdict == "weak"
    assert "not shown: learnt" in found.audit["reasons"]
    near = np.abs(found.signed)[18:31, 18:31].sum() / np.abs(found.signed).sum()
    assert near > 0.95
    if method == "gradient":
        assert found.signed.sum() == pytest.approx(1.0, abs=1e-3)  # a blur keeps a constant
        assert found.audit["finite_difference_error"] < 1e-5
    assert "needs the network's weights" in in_words(found)


def test_one_that_looks_elsewhere_is_found_out(slice_hu):
    """The region's value comes from a corner that the field does not reach: chance."""

    def elsewhere(images):
        return np.broadcast_to(images[:, -8:, -8:].mean(axis=(1, 2), keepdims=True), images.shape)

    found = explain_black_box(elsewhere, slice_hu, (8, 8, 2), block_px=8, plan=QUICK)
    assert found.verdict == "no better than chance"
    assert not found.signed.any()


def test_a_series_explained_with_a_filter(tmp_path, slice_hu):
    hu = np.stack([slice_hu] * 3).round()
    write_series(Volume(hu, (2.5, 0.7, 0.7)), tmp_path / "scan", description="disc")
    found = explain_series(
        tmp_path / "scan", 1, disc=(24, 24, 2), model="bilateral", out=tmp_path / "map.npz"
    )
    assert found.method == "occlusion"
    assert (tmp_path / "map.html").exists()
    write_explanation(found, tmp_path / "again.npz")
    with pytest.raises(ValueError, match=r"one of occlusion, gradient, rise .* got 'hirescam'"):
        explain_series(tmp_path / "scan", 1, disc=(24, 24, 2), model="tv", method="hirescam")
    with pytest.raises(ValueError, match="--layer belongs to networks"):
        explain_series(tmp_path / "scan", 1, disc=(24, 24, 2), model="tv", layer="down")


def test_rise_finds_where_the_number_comes_from(slice_hu):
    """A linear number of one pixel's detail: the slope peaks there, and its size is known."""
    from ctlab.explain.maps.attribution import local_mean

    detail = slice_hu - local_mean(slice_hu)

    def score(images):
        return images[:, 30, 28].astype(float)

    found = rise_map(score, slice_hu, BOX, masks=300)
    y, x = np.unravel_index(np.abs(found).argmax(), found.shape)
    assert np.hypot(y - 30, x - 28) <= 3  # cells of 8 px: neighbours share a mask's value
    assert found[30, 28] == pytest.approx(detail[30, 28], rel=0.01)
    assert not found[:8].any()
    assert not found[:, 40:].any()


def test_rise_of_a_blur_lies_in_the_region(slice_hu, monkeypatch):
    monkeypatch.setattr("ctlab.explain.black_box.RISE_MASKS", 150)
    found = explain_black_box(blur, slice_hu, (30, 34, 4), method="rise", plan=QUICK, target="edge")
    assert found.method == "rise"
    size = np.abs(found.signed)
    assert size[22:39, 26:43].mean() > 2 * size[size > 0].mean()


def test_the_tests_of_a_true_row_and_of_no_networks(slice_hu):
    plan = AuditPlan(more_tests=True)
    found = explain_black_box(blur, slice_hu, (24, 24, 2), method="gradient", block_px=2, plan=plan)
    tests = found.audit["tests"]
    assert tests["infidelity"] < 0.1  # blocks of 2 px
    assert tests["sensitivity-n"] > 0.95
    assert "smooth randomisation" not in tests  # there are no weights to shuffle
    assert "infidelity: error of the change" in in_words(found)
