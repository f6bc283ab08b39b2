"""Detectability tables, contrast recovery, false lesions and the equivalent dose."""

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter, median_filter

from ctlab.assess.detection.detectability import (
    NODULE_TASKS,
    LesionTask,
    contrast_recovery,
    detectability_table,
    false_lesion_rate,
    lesion_amplitude_hu,
)
from ctlab.assess.detection.dose_equivalence import equivalent_dose
from ctlab.assess.detection.roc import d_prime_to_auc

SPACING_MM, SIZE = 0.7, 25
SOLID = LesionTask("solid", 6.0, 24.0)


def make_images(nodule, dose, n=500):
    """White noise of 20 HU at full dose; d' = |s| sqrt(dose) / 20."""
    rng = np.random.default_rng([int(1000 * dose), int(nodule.diameter_mm)])
    noise = rng.normal(0, 20 / np.sqrt(dose), (2, n, SIZE, SIZE))
    return noise[0] + nodule.draw((SIZE, SIZE), SPACING_MM), noise[1]


def theory(nodule, dose):
    return np.linalg.norm(nodule.draw((SIZE, SIZE), SPACING_MM)) * np.sqrt(dose) / 20


def test_default_nodules_are_solid_and_ground_glass_of_4_to_10_mm():
    assert {n.kind for n in NODULE_TASKS} == {"solid", "ground-glass"}
    assert {n.diameter_mm for n in NODULE_TASKS} == {4, 6, 8, 10}


def test_ground_glass_holds_half_the_contrast_volume_of_solid():
    """The mean of 1 - (r/R)^2 over a disc is one half."""
    solid, glass = (
        LesionTask(k, 8.0, 50.0).draw((33, 33), 0.7).sum() for k in ("solid", "ground-glass")
    )
    assert glass / solid == pytest.approx(0.5, rel=0.01)


def test_the_input_arm_follows_theory_over_size_and_dose():
    nodules = [SOLID, LesionTask("ground-glass", 10.0, 24.0)]
    table = detectability_table(make_images, None, nodules=nodules, doses=[0.1, 0.4])
    assert len(table) == 4
    for _, row in table.iterrows():
        nodule = next(n for n in nodules if n.kind == row.kind)
        expected = d_prime_to_auc(theory(nodule, row.dose))
        assert abs(row.auc - expected) < 4 * row.se + 0.01
    assert table.auc_change.isna().all()


def test_an_invertible_denoiser_changes_nothing_and_a_destroyer_costs():
    same = detectability_table(make_images, lambda hu: 0.5 * hu - 3, nodules=[SOLID])
    assert same.auc_change.iloc[1] == pytest.approx(0, abs=1e-9)
    lost = detectability_table(
        make_images, lambda hu: median_filter(hu, 9) * (np.abs(hu) > 30), nodules=[SOLID]
    )
    assert lost.change_high.iloc[1] < 0
    assert lost.arm.tolist() == ["input", "denoised"]


def test_equivalent_dose_of_the_input_itself_covers_its_dose():
    nodules = [SOLID]
    raw = detectability_table(make_images, None, nodules=nodules, doses=[0.05, 0.1, 0.2, 0.4])
    denoised = detectability_table(make_images, lambda hu: hu, nodules=nodules, doses=[0.1])
    table = pd.concat([raw, denoised[denoised.arm == "denoised"]])
    found = equivalent_dose(table).iloc[0]
    assert found.low < 0.1 < found.high
    assert found.equivalent_dose == pytest.approx(0.1, rel=0.5)


def test_contrast_recovery_of_a_blur_is_that_of_the_blurred_disc(rng):
    signal = SOLID.draw((SIZE, SIZE), SPACING_MM)
    blurred = gaussian_filter(signal, 2)
    core = signal >= signal.max() / 2
    found = contrast_recovery(
        lambda hu: gaussian_filter(hu, 2),
        -800 + rng.normal(0, 40, (6, SIZE, SIZE)),
        signal,
        rng.normal(0, 60, (6, SIZE, SIZE)),
    )
    assert found["recovery"] == pytest.approx(blurred[core].mean() / signal[core].mean(), rel=1e-6)
    assert found["high"] - found["low"] < 1e-6  # linear: the same in every noise
    erased = contrast_recovery(
        lambda hu: np.zeros_like(hu), *[np.zeros((2, SIZE, SIZE)), signal, np.ones((2, SIZE, SIZE))]
    )
    assert erased["recovery"] == 0


def test_false_lesions_are_counted_on_lesion_free_patches_only(rng):
    signal = SOLID.draw((13, 13), SPACING_MM)
    clean = rng.normal(0, 0.5, (40, 41, 41))
    denoised = clean + rng.normal(0, 1, clean.shape)
    for i in range(10):
        denoised[i, 5:18, 7:20] += signal  # invented
    clean[30:, 5:18, 7:20] += signal  # a vessel that is really there
    denoised[30:, 5:18, 7:20] += signal
    found = false_lesion_rate(denoised, clean, signal, least_contrast_hu=15.0)
    assert (found["n"], found["n_false"], found["rate"]) == (30, 10, pytest.approx(1 / 3))
    assert found["low"] < 1 / 3 < found["high"]
    with pytest.raises(ValueError, match="no patch is free"):
        false_lesion_rate(denoised[30:], clean[30:], signal, least_contrast_hu=15.0)


def test_amplitude_ignores_the_level_of_the_background(rng):
    signal = SOLID.draw((13, 13), SPACING_MM)
    patch = np.full((1, 41, 41), -850.0)
    patch[0, 20:33, 3:16] += 1.5 * signal
    assert lesion_amplitude_hu(patch, signal)[0] == pytest.approx(1.5 * signal.max(), rel=1e-6)


def test_bad_input_is_named():
    signal = SOLID.draw((13, 13), SPACING_MM)
    with pytest.raises(ValueError, match="solid or ground-glass"):
        LesionTask("cyst", 5.0, 20.0)
    with pytest.raises(ValueError, match="larger than the patches"):
        lesion_amplitude_hu(np.zeros((1, 9, 9)), signal)
    with pytest.raises(ValueError, match="signal is empty"):
        contrast_recovery(np.copy, np.zeros((2, 13, 13)), 0 * signal, np.zeros((2, 13, 13)))
    with pytest.raises(ValueError, match="same shape"):
        contrast_recovery(np.copy, np.zeros((2, 13, 13)), signal, np.zeros((3, 13, 13)))
