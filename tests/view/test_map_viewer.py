"""The viewer with a map: what travels, and what is refused."""

import numpy as np
import pytest

from ctlab.view import CompareViewer, compare_with_map


def test_the_map_is_cut_like_the_image():
    """Every second pixel of rows 2 to 8 and columns 4 to 10, from images and map alike."""
    image = np.arange(144.0).reshape(12, 12)
    colours = np.zeros((12, 12, 4), np.uint8)
    colours[..., 0] = image
    viewer = compare_with_map(
        image,
        image + 1,
        colours,
        spacing_mm=(1, 1),
        largest=3.0,
        unit="HU",
        note="weak",
        crop=(slice(2, 8), slice(4, 10)),
        step=2,
        labels=("a", "b"),
        residual=True,
    )
    sent = np.frombuffer(viewer.map_bytes, np.uint8).reshape(3, 3, 4)
    left = np.frombuffer(viewer.left_bytes, "<i2").reshape(3, 3)
    np.testing.assert_array_equal(sent[..., 0], left)
    assert (viewer.labels, viewer.residual, viewer.map_note) == (["a", "b"], True, "weak")
    assert viewer.spacing_mm == [2.0, 2.0]


def test_an_opaque_map_and_another_size_are_refused():
    image = np.zeros((4, 4))
    with pytest.raises(ValueError, match="must stay visible"):
        compare_with_map(
            image, image, np.full((4, 4, 4), 255, np.uint8), spacing_mm=(1, 1), largest=1.0
        )
    with pytest.raises(ValueError, match=r"map of \(4, 4, 4\) uint8"):
        compare_with_map(image, image, np.zeros((4, 4, 3)), spacing_mm=(1, 1), largest=1.0)


def test_readers_never_meet_the_map():
    assert "map_bytes" not in CompareViewer.class_trait_names()
    assert "MapViewer" not in str(CompareViewer._esm)
