from dataclasses import replace

import numpy as np
import pytest
import torch

from ctlab.learn import (
    applicability,
    denoise_volume,
    load_checkpoint,
    save_checkpoint,
)
from ctlab.learn.train.state import TrainState

RANGE = {
    "noise_hu": [10.0, 90.0],
    "pixel_mm": [0.5, 0.9],
    "slice_mm": [2.0, 3.0],
    "field_of_view_mm": [40.0, 400.0],
    "kernel": ["STANDARD"],
}


@pytest.fixture
def checkpoint(tmp_path, tiny_config):
    state = TrainState.start(tiny_config)
    network = state.networks["denoiser_ema"]
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        network.last.weight.copy_(0.2 * torch.randn(network.last.weight.shape, generator=generator))
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, tiny_config, state, split_hash="x", card={"range_of_use": RANGE})
    return load_checkpoint(path)


def test_slices_do_not_depend_on_their_batch(tiny_volume, checkpoint):
    one, all_at_once = (denoise_volume(tiny_volume, checkpoint, batch=b).hu for b in (1, 3))
    assert one.dtype == np.float32
    assert np.allclose(one, all_at_once, atol=1e-2)
    assert np.abs(one - tiny_volume.hu).max() > 1


def test_odd_sizes_are_padded_by_their_edge(tiny_volume, checkpoint):
    """(65, 70) is no multiple of 4: the result equals that of the edge-padded slice, cropped."""
    hu = np.clip(tiny_volume.hu, -1024, 3071)
    padded = np.pad(hu, ((0, 0), (0, 3), (0, 2)), mode="edge")
    by_hand = checkpoint.denoiser()(torch.from_numpy(padded[:, None]))[:, 0, :65, :70].numpy()
    ours = denoise_volume(tiny_volume, checkpoint).hu
    inside = tiny_volume.hu >= -1024
    assert np.allclose(ours[inside], by_hand[inside], atol=1e-2)


def test_outside_the_field_of_view_nothing_changes(tiny_volume, checkpoint):
    outside = tiny_volume.hu < -1500
    assert outside.any()
    assert np.array_equal(
        denoise_volume(tiny_volume, checkpoint).hu[outside], tiny_volume.hu[outside]
    )


def test_noise_below_air_is_denoised_like_that_above(tiny_volume, checkpoint):
    """Noise does not stop at -1024 HU. What passed unchanged was seen as isolated dark pixels."""
    below = tiny_volume.hu.copy()
    below[1, 20:40, 20:40] = -1000.0
    below[1, 30, 30] = -1300.0
    lowest = below.copy()
    lowest[1, 30, 30] = -1024.0
    one, other = (denoise_volume(tiny_volume.with_hu(hu), checkpoint).hu for hu in (below, lowest))
    assert np.array_equal(one, other)
    assert one[1, 30, 30] > -1200.0


def test_metal_above_the_range_keeps_its_excess(tiny_volume, checkpoint):
    bright = tiny_volume.hu.copy()
    bright[1, 30, 30] = 3071.0
    brighter = bright.copy()
    brighter[1, 30, 30] = 9000.0
    low, high = (
        denoise_volume(tiny_volume.with_hu(hu), checkpoint, force=True).hu
        for hu in (bright, brighter)
    )
    difference = high - low
    assert difference[1, 30, 30] == pytest.approx(9000 - 3071, abs=1e-2)
    difference[1, 30, 30] = 0
    assert np.abs(difference).max() == 0


def test_input_stays_and_geometry_comes_along(tiny_volume, checkpoint):
    before = tiny_volume.hu.copy()
    denoised = denoise_volume(tiny_volume, checkpoint)
    assert np.array_equal(tiny_volume.hu, before)
    assert replace(denoised, hu=before) == replace(tiny_volume, hu=before) or (
        denoised.spacing_mm == tiny_volume.spacing_mm
        and denoised.acquisition == tiny_volume.acquisition
    )


def test_progress_counts_slices(tiny_volume, checkpoint):
    seen = []
    denoise_volume(tiny_volume, checkpoint, batch=2, progress=lambda *done: seen.append(done))
    assert seen == [(2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"spacing_mm": (2.5, 0.3, 0.3)},
            "pixel size is 0.3 mm, the denoiser was made for 0.5 to 0.9",
        ),
        ({"spacing_mm": (5.0, 0.7, 0.7)}, "slice distance is 5 mm"),
        ({"kernel": "BONEPLUS"}, "kernel is BONEPLUS"),
        ({"noise": 3.0}, "noise in soft tissue is"),
    ],
)
def test_what_lies_outside_the_card_is_refused_unless_forced(
    tiny_volume, checkpoint, change, reason
):
    volume = tiny_volume
    if "spacing_mm" in change:
        volume = replace(volume, spacing_mm=change["spacing_mm"])
    if "kernel" in change:
        volume = replace(volume, acquisition=replace(volume.acquisition, kernel=change["kernel"]))
    if "noise" in change:
        volume = volume.with_hu(
            40 + change["noise"] * np.random.default_rng(0).normal(size=volume.shape)
        )
    assert not applicability(volume, checkpoint).is_met
    with pytest.raises(ValueError, match="range of use") as refusal:
        denoise_volume(volume, checkpoint)
    assert reason in str(refusal.value)
    assert denoise_volume(volume, checkpoint, force=True).shape == volume.shape


def test_metal_and_patient_size_outside_the_card_are_refused(tiny_volume, checkpoint):
    """The body is 70 px of 0.7 mm at most, so its water diameter lies below 50 mm."""
    card = {"range_of_use": RANGE | {"metal_share": [0, 0.001], "water_diameter_mm": [10, 60]}}
    stated = replace(checkpoint, card=card)
    assert applicability(tiny_volume, stated).is_met
    implant = tiny_volume.hu.copy()
    implant[:, 20:30, 20:30] = 3000.0
    reasons = applicability(tiny_volume.with_hu(implant), stated).reasons
    assert any(reason.startswith("share of the body that is metal is") for reason in reasons)
    large = replace(checkpoint, card={"range_of_use": RANGE | {"water_diameter_mm": [200, 300]}})
    with pytest.raises(ValueError, match="patient size"):
        denoise_volume(tiny_volume, large)
    soft = 40 + 20 * np.random.default_rng(0).normal(size=(8, 64, 64))
    tissue = replace(tiny_volume, hu=soft.astype(np.float32))
    coarse = replace(checkpoint, card={"range_of_use": {"nps_peak_per_mm": [0.0, 0.001]}})
    said = r"noise is strongest is 0\.\d+ per mm, the denoiser was made for 0 to 0\.001"
    with pytest.raises(ValueError, match=said):
        denoise_volume(tissue, coarse)
    checks = applicability(tiny_volume, checkpoint).to_dict()["checks"]
    assert checks["water_diameter_mm"]["is_met"] is None, "the card does not say: noted"


def test_a_silent_header_is_noted_not_refused(tiny_volume, checkpoint):
    silent = replace(tiny_volume, acquisition=replace(tiny_volume.acquisition, kernel=""))
    found = applicability(silent, checkpoint)
    assert found.is_met
    assert found.to_dict()["checks"]["kernel"]["is_met"] is None
    assert applicability(tiny_volume, checkpoint).to_dict()["checks"]["kernel"]["is_met"] is True
