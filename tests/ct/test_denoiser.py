"""Denoisers of strangers: every way of failing is one sentence, and behaviour is measured."""

import os
import random
import sys
import time

import numpy as np
import pytest

from ctlab.ct.denoiser import MEASURED, Denoiser, behaviour, tell_behaviour

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
    "huge": (lambda hu, mm: hu.astype(float) * 1e300, r"1024 NaN or infinite of 1024"),
    "ragged": (lambda hu, mm: [[1.0], [2.0, 3.0]], r"failed on slices of shape .* ValueError"),
    "exit": (lambda hu, mm: sys.exit("no licence"), r"SystemExit: no licence"),
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
        (random_noise, ["two runs on one image differ", "changes NumPy's global random state"]),
        (lambda hu, mm: hu / 1000, ["other units? check its scale", "10 HU added to an image"]),
        (lambda hu, mm: hu - hu.mean(), ["other units", "came out as", "field of view"]),
        (lambda hu, mm: np.clip(hu, -850, 50), ["10 HU added"]),
    ],
)
def test_misbehaviour_is_named(function, words):
    told = behaviour(stranger(function)).sentences()
    for word in words:
        assert any(word in sentence for sentence in told), (word, told)


def test_an_answer_with_a_gradient_is_one_sentence():
    torch = pytest.importorskip("torch")
    ask = stranger(lambda hu, mm: torch.from_numpy(hu).requires_grad_() * 2)
    with pytest.raises(ValueError, match=r"stranger failed .* requires grad"):
        ask(np.zeros((1, 32, 32)), SPACING_MM)


def meddle(hu, spacing_mm):
    random.random()
    os.environ["CTLAB_TEST_MEDDLE"] = str(hu.mean())
    os.chdir("/")
    return hu


def test_global_state_is_named_and_given_back(monkeypatch):
    monkeypatch.setenv("CTLAB_TEST_MEDDLE", "before")
    folder, state = os.getcwd(), random.getstate()  # noqa: PTH109
    found = behaviour(stranger(meddle))
    assert found.changed_state == (
        "Python's global random state",
        "environment variables",
        "the working folder",
    )
    assert os.getcwd() == folder  # noqa: PTH109
    assert random.getstate() == state
    assert behaviour(stranger(lambda hu, mm: hu)).changed_state == ()


def test_what_a_stranger_prints_stays_out_of_the_output(capsys):
    stranger(lambda hu, mm: print("epoch 1") or hu)(np.zeros((1, 32, 32)), SPACING_MM)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "epoch 1\n")


@pytest.mark.parametrize(("count", "seen"), [(1, 3), (2, 3), (3, 3), (4, 4)])
def test_one_that_needs_three_slices_never_gets_fewer(count, seen):
    shapes = []

    def mean_of_three(hu, spacing_mm):
        shapes.append(len(hu))
        return np.stack([hu[[k - 1, k, (k + 1) % len(hu)]].mean(0) for k in range(len(hu))])

    images = np.arange(count, dtype=float)[:, None, None] * np.ones((1, 8, 8))
    out = stranger(mean_of_three, slices=3)(images, SPACING_MM)
    assert shapes == [seen]
    assert out.shape == images.shape
    if count == 1:
        np.testing.assert_array_equal(out, images)  # its own neighbour


def test_neighbours_are_seen_where_they_count():
    assert behaviour(stranger(lambda hu, mm: hu - hu.mean(), slices=None)).sees_neighbours
    assert not behaviour(stranger(lambda hu, mm: hu * 0.9, slices=None)).sees_neighbours
    noise = np.random.default_rng(0)
    random_one = stranger(lambda hu, mm: hu + noise.normal(0, 1, hu.shape), slices=None)
    assert not behaviour(random_one).is_deterministic


def test_what_is_stated_and_measured_in_words():
    known = stranger(lambda hu, mm: hu, slices=3, version="1.2", scale=(-1024.0, 4096.0)).stated()
    assert known["input"] == "(HU - (-1024)) / 4096"
    assert (known["version"], known["slices it sees"], known["range of use"]) == (
        "1.2",
        "3",
        "not stated",
    )
    measured = behaviour(stranger(lambda hu, mm: hu - hu[:, :8].mean(), slices=1)).measured()
    assert list(measured) == list(MEASURED)
    assert [words.partition(",")[0] for words in measured.values()] == ["yes", "yes", "no"]


def test_a_workflow_tells_what_a_stranger_did_and_leaves_a_command_alone():
    told: list[str] = []
    grey = stranger(lambda hu, mm: hu / 1000)
    tell_behaviour([grey, Denoiser("product", grey.function, "command")], told.append)
    assert [t.split(":")[0] for t in told] == ["stranger", "stranger"]
    assert "check its scale" in told[0]
