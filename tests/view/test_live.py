"""What the live figure makes of a slice, and how it asks a kernel for an answer."""

import numpy as np
import pytest

from ctlab.assess import LesionTask
from ctlab.view.live.scene import STATE, Scene, ask, compose, draw_weights
from ctlab.view.live.viewer import live_viewer


@pytest.fixture
def scene():
    """Lung with a vessel and white noise of 50 HU at a tenth of the dose."""
    rng = np.random.default_rng(0)
    truth = np.full((64, 64), -850.0)
    truth[30:33, 5:60] = -300
    return Scene(truth, rng.normal(0, 50, (3, 64, 64)), 0.7)


def nodule(**more):
    return {"kind": "solid", "y": 16, "x": 20, "diameter_mm": 8.0, "hu": -50.0, **more}


def test_noise_follows_the_dose_and_vanishes_at_full_dose(scene):
    sd = {}
    for dose in (1.0, 0.1, 0.05):
        given, truth = compose(scene, {"dose": dose})
        sd[dose] = (given - truth).std()
    assert sd[1.0] == 0
    assert sd[0.1] == pytest.approx(scene.noise[0].std(), rel=1e-4)
    # Variance grows as 1/d - 1: 19 instead of 9.
    assert sd[0.05] / sd[0.1] == pytest.approx(np.sqrt(19 / 9), rel=1e-4)


def test_new_draws_are_new_and_as_noisy(scene):
    fields = [compose(scene, {"draw": k})[0] - scene.truth for k in range(8)]
    for k, field in enumerate(fields):
        assert field.std() == pytest.approx(50, rel=0.06)
        for other in fields[:k]:
            assert not np.allclose(field, other, atol=1)
    assert draw_weights(5, 3) != draw_weights(6, 3)


@pytest.mark.parametrize(("kind", "task"), [("solid", "solid"), ("ground glass", "ground-glass")])
def test_a_stamped_nodule_is_the_one_of_the_detection_tasks(scene, kind, task):
    stamp = nodule(kind=kind, y=16, x=16)
    _, truth = compose(scene, {"edits": [stamp]})
    drawn = LesionTask(task, 8.0, 800.0).draw((33, 33), 0.7)  # -50 HU in lung of -850
    np.testing.assert_allclose((truth - scene.truth)[:33, :33], drawn, atol=0.05)


def test_an_erased_nodule_leaves_the_lung_beside_it(scene):
    stamp = nodule(y=16, x=32, diameter_mm=6.0)
    edits = [stamp, {**stamp, "kind": "erase", "diameter_mm": 9.0}]
    _, truth = compose(scene, {"edits": edits})
    np.testing.assert_allclose(truth[:25], scene.truth[:25], atol=0.5)
    np.testing.assert_array_equal(truth[40:], scene.truth[40:])


def test_paint_goes_half_way_to_its_hu_in_the_middle(scene):
    stroke = nodule(kind="paint", y=50, x=32, diameter_mm=20.0, hu=150.0)
    _, truth = compose(scene, {"edits": [stroke]})
    assert truth[50, 32] == pytest.approx(-850 + 0.5 * 1000, abs=10)


def test_shift_turn_and_cut(scene):
    given, truth = compose(scene, {"shift_hu": 100.0, "turns": 1, "cut_px": 4})
    assert given.shape == (56, 56)
    np.testing.assert_array_equal(truth, np.rot90(scene.truth)[4:-4, 4:-4] + 100)


def test_the_read_outs_of_known_filters(scene):
    state = {"edits": [nodule()]}
    same = ask(scene, state, lambda hu: hu).numbers
    assert same["kept"] == pytest.approx(1.0, abs=1e-5)
    assert same["removed_hu"] == 0
    assert same["noise_before_hu"] == pytest.approx(same["noise_after_hu"])
    assert same["noise_before_hu"] == pytest.approx(50, rel=0.03)
    half = ask(scene, {**state, "strength": 0.5}, lambda hu: np.full_like(hu, -850.0)).numbers
    assert half["kept"] == pytest.approx(0.5, abs=1e-5)
    assert half["noise_after_hu"] == pytest.approx(half["noise_before_hu"] / 2, rel=1e-5)
    assert ask(scene, {}, lambda hu: hu).numbers["kept"] is None


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"dose": 0.001}, "dose from 0.02"),
        ({"cut_px": 40}, "px to cut"),
        ({"edits": [nodule(kind="star")]}, "expected solid"),
    ],
)
def test_impossible_settings_are_refused(scene, state, words):
    with pytest.raises(ValueError, match=words):
        compose(scene, state)


def test_noise_of_another_slice_is_refused():
    with pytest.raises(ValueError, match="same slice"):
        Scene(np.zeros((8, 8)), np.zeros((3, 8, 9)), 0.7)


def test_the_viewer_starts_with_the_input_and_refuses_what_it_does_not_know(scene):
    viewer = live_viewer(scene, {"a": "A"}, setting={"dose": 0.5})
    assert viewer.setting == {**STATE, "network": "a", "dose": 0.5}
    given, truth = compose(scene, {"dose": 0.5})
    shown = np.frombuffer(viewer.left_bytes, "<i2").reshape(64, 64)
    np.testing.assert_array_equal(shown, np.rint(given))
    assert np.frombuffer(viewer.right_bytes, "<i2").tolist() == truth.ravel().tolist()
    with pytest.raises(ValueError, match="got colour"):
        live_viewer(scene, {"a": "A"}, setting={"colour": 1})


def test_a_kernel_answers_with_the_network_it_was_given(scene):
    viewer = live_viewer(scene, {"a": "A"}, denoise=lambda name, hu: hu + len(name))
    sent = []
    viewer.send = lambda reply, buffers=None: sent.append((reply, buffers))
    hu = np.arange(6, dtype="<f4").reshape(2, 3)
    viewer.answer({"id": 1, "kind": "open"}, [])
    question = {"id": 2, "kind": "denoise", "name": "abc", "rows": 2, "columns": 3}
    viewer.answer(question, [hu.tobytes()])
    assert sent[0] == ({"id": 1, "maps": []}, [])
    assert sent[1][0] == {"id": 2, "maps": [["denoised", 2, 3]]}
    np.testing.assert_array_equal(np.frombuffer(sent[1][1][0], "<f4"), hu.ravel() + 3)
    viewer.denoise = None
    viewer.answer({"id": 3, "kind": "open"}, [])
    assert "without a network" in sent[2][0]["error"]
