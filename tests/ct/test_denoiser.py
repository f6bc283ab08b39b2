"""Denoisers of strangers: every way of failing is one sentence, and behaviour is measured."""

import time

import numpy as np
import pytest

from ctlab.ct.denoiser import Denoiser, behaviour

SPACING_MM = (2.5, 0.7, 0.7)


def stranger(function, **facts) -> Denoiser:
    return Denoiser("stranger", function, "function", **facts)


def crash(hu, spacing_mm):
    raise KeyError("weights")


FAULTS = {
    "crash": (crash, r"failed on slices of shape \(1, 32, 32\): KeyError: 'weights'; call it"),
    "hang": (lambda hu, mm: time.sleep(3), r"an answer for \(1, 32, 32\) within 0\.2 s, got none"),
    "shape": (lambda hu, mm: hu[0], r"slices of shape \(1, 32, 32\), got \(32, 32\)"),
    "nan": (lambda hu, mm: np.where(hu > 0, np.nan, hu), r"got 2 NaN or infinite of 1024"),
    "dtype": (lambda hu, mm: hu.astype(np.uint8), r"float or int16 and wider, got uint8"),
    "nothing": (lambda hu, mm: None, r"got object"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_sentence(fault):
    function, message = FAULTS[fault]
    image = np.full((1, 32, 32), -1.0)
    image[0, 0, :2] = 1.0
    with pytest.raises(ValueError, match=message) as said:
        stranger(function, time_limit_s=0.2)(image, SPACING_MM)
    assert str(said.value).startswith("stranger")
    assert "\n" not in str(said.value)


def test_what_comes_in_is_not_written_into():
    def greedy(hu, spacing_mm):
        hu += 5
        return hu

    image = np.zeros((1, 32, 32), np.float32)
    assert stranger(greedy)(image, SPACING_MM).max() == 5
    assert image.max() == 0


def test_slices_that_are_no_neighbours_are_handed_over_alone():
    seen = []

    def watch(hu, spacing_mm):
        seen.append(len(hu))
        return hu

    images = np.zeros((3, 32, 32))
    stranger(watch, slices=1).alone(images, SPACING_MM)
    stranger(watch, slices=None).alone(images, SPACING_MM)
    assert seen == [3, 1, 1, 1]


def test_behaviour_of_one_that_is_well_needs_no_word():
    well = behaviour(stranger(lambda hu, mm: hu))
    assert well.is_deterministic
    assert well.sentences() == []


def random_noise(hu, spacing_mm):
    return hu + np.random.normal(0, 1, hu.shape)  # noqa: NPY002  # the fault that is looked for


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (random_noise, ["two runs on one image differ", "moves NumPy's global random state"]),
        (lambda hu, mm: hu / 1000, ["other units? check its scale", "10 HU added to an image"]),
        (lambda hu, mm: hu - hu.mean(), ["other units", "came out as", "field of view"]),
        (lambda hu, mm: np.clip(hu, -850, 50), ["10 HU added"]),
    ],
)
def test_misbehaviour_is_named(function, words):
    told = behaviour(stranger(function)).sentences()
    for word in words:
        assert any(word in sentence for sentence in told), (word, told)
