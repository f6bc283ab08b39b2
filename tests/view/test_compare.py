"""The viewer's Python side: what reaches the browser, and what is refused."""

import numpy as np
import pytest

from ctlab.ct.hu import BONE, Window
from ctlab.view import CompareViewer, compare


def pixels(data: bytes, shape) -> np.ndarray:
    return np.frombuffer(data, "<i2").reshape(shape)


def test_pixels_travel_as_rounded_little_endian_int16(rng):
    left = rng.uniform(-1024, 3071, (3, 8, 6))
    viewer = compare(left, left + 40.0, spacing_mm=(2.5, 0.7, 0.6))
    np.testing.assert_array_equal(pixels(viewer.left_bytes, (3, 8, 6)), np.rint(left))
    np.testing.assert_array_equal(pixels(viewer.right_bytes, (3, 8, 6)), np.rint(left + 40.0))
    assert viewer.shape == [3, 8, 6]
    assert viewer.spacing_mm == [0.7, 0.6]


def test_values_beyond_int16_are_clipped_not_wrapped():
    viewer = compare(np.array([[40000.0, -40000.0]]), spacing_mm=(1, 1))
    np.testing.assert_array_equal(pixels(viewer.left_bytes, (1, 2)), [[32767, -32768]])


def test_crop_and_step_keep_geometry_and_record_where_pixels_came_from():
    image = np.arange(100.0).reshape(10, 10)
    viewer = compare(image, spacing_mm=(0.5, 0.5), crop=(slice(2, 8), slice(4, 10)), step=2)
    np.testing.assert_array_equal(pixels(viewer.left_bytes, (3, 3)), image[2:8:2, 4:10:2])
    assert viewer.spacing_mm == [1.0, 1.0]
    assert viewer.grid == [2, 4, 2]


def test_one_slice_stays_beside_a_stack():
    viewer = compare(np.zeros((4, 4)), np.zeros((5, 4, 4)), spacing_mm=(1, 1))
    assert viewer.shape == [5, 4, 4]
    assert len(viewer.left_bytes) == 32


def test_the_input_is_not_modified(rng):
    image = rng.normal(size=(4, 4))
    before = image.copy()
    compare(image, image, spacing_mm=(1, 1))
    np.testing.assert_array_equal(image, before)


def test_labels_are_empty_unless_given_so_that_blinded_use_is_the_default():
    viewer = compare(np.zeros((2, 2)), np.zeros((2, 2)), spacing_mm=(1, 1))
    assert viewer.labels == ["", ""]


def test_a_window_of_ones_own_becomes_a_preset():
    viewer = compare(np.zeros((2, 2)), spacing_mm=(1, 1), window=Window(50, 350, "liver"))
    assert viewer.presets[-1] == {"key": "", "name": "liver", "level": 50.0, "width": 350.0}
    assert (viewer.level_hu, viewer.width_hu) == (50.0, 350.0)
    assert len(compare(np.zeros((2, 2)), spacing_mm=(1, 1), window=BONE).presets) == 3


def test_show_replaces_images_and_clears_marks_but_keeps_the_window():
    viewer = compare(np.zeros((3, 4, 4)), spacing_mm=(1, 1), marking=True)
    viewer.level_hu, viewer.frame = 40.0, 2
    viewer.marks = [{"side": "left", "z": 0, "y": 1, "x": 1, "kind": ""}]
    viewer.show(np.ones((2, 2)), np.ones((2, 2)), spacing_mm=(1, 1))
    assert (viewer.marks, viewer.frame, viewer.shape) == ([], 0, [1, 2, 2])
    assert viewer.level_hu == 40.0
    assert pixels(viewer.right_bytes, (2, 2)).all()


@pytest.mark.parametrize(
    ("left", "right", "spacing", "words"),
    [
        (np.zeros((4, 4)), np.zeros((4, 5)), (1, 1), "same rows and columns"),
        (np.zeros((2, 4, 4)), np.zeros((3, 4, 4)), (1, 1), "one depth"),
        (np.zeros(4), None, (1, 1), "shape"),
        (np.full((2, 2), np.nan), None, (1, 1), "finite"),
        (np.zeros((2, 2)), None, (0, 1), "above 0"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(left, right, spacing, words):
    with pytest.raises(ValueError, match=words):
        compare(left, right, spacing_mm=spacing)


def test_the_script_is_one_text_without_imports():
    script = CompareViewer._esm
    assert "import" not in [line.split(" ")[0] for line in str(script).splitlines()]
    assert "http" not in str(script)
