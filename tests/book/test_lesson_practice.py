"""The faulty folder, and training with pairs."""

import numpy as np
import pytest

from ctlab.ct import inspect_folder, read_series
from ctlab.lessons.material.faulty_series import PATIENT, SHIFTED, write_faulty


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    return write_faulty(tmp_path_factory.mktemp("lesson") / "faulty")


@pytest.fixture(scope="module")
def pairs():
    return pytest.importorskip("ctlab.lessons.material.tiny_supervised")


def test_the_report_names_each_fault(faulty):
    (report,) = inspect_folder(faulty)
    said = " | ".join(report.problems)
    for words in ("1 slices missing", "rescale differs", "burned into", "1 files are copies"):
        assert words in said
    assert report.shape[0] == 11


def test_one_slice_is_a_thousand_hu_off_and_the_names_are_in_disorder(faulty):
    import pydicom

    volume = read_series(faulty, allow_gaps=True)
    median = np.median(volume.hu, axis=(1, 2))
    wrong = np.argmax(median)
    assert wrong == SHIFTED - 1  # one slice before it is missing
    assert median[wrong] - np.median(median) == pytest.approx(1000, abs=40)
    read = [pydicom.dcmread(file) for file in sorted(faulty.glob("*.dcm"))]
    positions = [float(dataset.ImagePositionPatient[2]) for dataset in read]
    assert positions != sorted(positions)
    assert {str(dataset.PatientName) for dataset in read} == {PATIENT}


def test_the_best_answers_are_mean_and_median_of_the_posterior(pairs):
    values, noise = (-850.0, -400.0), 150.0
    # Bayes by counting: draw truths, add noise, and look at those seen near one value.
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(400_000) < 0.3, values[1], values[0])
    seen = truth + noise * rng.standard_normal(truth.size)
    near = truth[np.abs(seen + 600) < 5]
    best = pairs.best_answers(np.array(-600.0), values_hu=values, share=0.3, noise_hu=noise)
    assert best["l2"] == pytest.approx(near.mean(), abs=8)
    assert best["l1"] == np.median(near)
    assert best["chance"] == pytest.approx((near == values[1]).mean(), abs=0.02)


@pytest.mark.slow
def test_noisy_targets_teach_what_clean_ones_teach(pairs):
    rng = np.random.default_rng(2)
    clean = np.full((2, 64, 64), -700.0)
    one, two, new = (clean + 50 * rng.standard_normal(clean.shape) for _ in range(3))
    error = {}
    for name, target in (("clean", clean), ("noisy", two)):
        start, end = pairs.train_pairs(one, target, steps=40, keep_at=(0,))
        assert np.abs(start(new[0]) - new[0]).max() < 1e-2  # it starts as the identity
        error[name] = np.sqrt(np.mean((end(new[0]) - clean[0]) ** 2))
    assert error["clean"] < 30
    assert error["noisy"] < 30


def test_pairs_and_losses_that_do_not_fit_are_refused(pairs):
    stack = np.zeros((1, 48, 48))
    with pytest.raises(ValueError, match="loss must be l2 or l1, got 'psnr'"):
        pairs.train_pairs(stack, stack, loss="psnr")
    with pytest.raises(ValueError, match="one shape"):
        pairs.train_pairs(stack, stack[:, :40])
