"""Tissue classes: one definition, and masks that the image's own noise does not bias."""

import itertools

import numpy as np

from ctlab.ct.tissue import TISSUES_HU, find_rois, tissue_masks


def test_classes_do_not_touch_so_that_mixed_voxels_belong_to_none():
    for (_, low_end), (high_start, _) in itertools.pairwise(TISSUES_HU.values()):
        assert low_end < high_start


def test_a_voxel_counts_only_where_its_whole_neighbourhood_is_of_the_class():
    hu = np.full((1, 60, 60), -850.0)
    hu[:, :, 30:] = 50.0
    masks = tissue_masks(hu)
    assert masks["lung"][0, :, :20].all()
    assert masks["soft"][0, :, 40:].all()
    assert not masks["soft"][0, :, :34].any()
    assert not masks["fat"].any()  # no voxel of the edge passes for what lies between its sides


def test_every_slice_is_classed_by_itself():
    hu = np.stack([np.full((32, 32), -850.0), np.full((32, 32), 50.0)])
    masks = tissue_masks(hu)
    assert masks["lung"].all(axis=(1, 2)).tolist() == [True, False]
    assert masks["soft"].all(axis=(1, 2)).tolist() == [False, True]


def test_noise_does_not_choose_the_voxels(rng):
    noise = rng.normal(0, 60, (96, 96))
    inside = tissue_masks(60.0 + noise)["soft"]
    assert inside.mean() > 0.3
    assert abs(noise[inside].mean()) < 3


def test_another_range_makes_its_mask_in_the_same_way():
    hu = np.full((32, 32), 10.0)
    assert tissue_masks(hu, {"water": (-20.0, 20.0)})["water"].all()


def test_squares_of_one_tissue_are_disjoint():
    corners = find_rois(np.full((40, 70), 40.0), (0.0, 80.0), size_px=20)
    squares = np.zeros((40, 70), int)
    for y, x in corners:
        squares[y : y + 20, x : x + 20] += 1
    assert len(corners) == 6
    assert squares.max() == 1
