"""The computed chest: truth is where it says, and every seed is another patient."""

import numpy as np
import pytest

from ctlab.ct import chest_phantom
from ctlab.ct.simulation.chest_phantom import GROUND_GLASS, SOLID


@pytest.fixture(scope="module")
def chest():
    return chest_phantom(rng=np.random.default_rng(3), size=128, slices=10, nodules=2)


def test_nodules_have_their_hu_at_their_centre(chest):
    assert [n.hu for n in chest.nodules] == [SOLID, GROUND_GLASS]
    for nodule in chest.nodules:
        z, y, x = (round(c) for c in nodule.centre)
        assert chest.volume.hu[z, y, x] == pytest.approx(nodule.hu, abs=1)
        assert 5 <= nodule.diameter_mm <= 14


def test_a_nodule_adds_the_volume_of_its_sphere():
    """Against the same patient without nodules (drawn last, so all else is equal)."""
    with_one = chest_phantom(rng=np.random.default_rng(9), size=128, slices=12, nodules=1)
    without = chest_phantom(rng=np.random.default_rng(9), size=128, slices=12, nodules=0)
    changed = with_one.volume.hu != without.volume.hu
    nodule = with_one.nodules[0]
    before = np.median(without.volume.hu[changed])
    share = (with_one.volume.hu - without.volume.hu)[changed].sum() / (nodule.hu - before)
    voxel = np.prod(with_one.volume.spacing_mm)
    sphere = np.pi / 6 * nodule.diameter_mm**3
    assert share * voxel == pytest.approx(sphere, rel=0.35)  # vessels may lie below


def test_tissues_are_there(chest):
    hu = chest.volume.hu
    for low, high, least in [
        (-950, -780, 0.08),
        (20, 80, 0.05),
        (-110, -90, 0.01),
        (140, 520, 0.004),
    ]:
        assert ((hu > low) & (hu < high)).mean() > least
    assert hu[:, 0, 0].max() == -1000
    assert np.isfinite(hu).all()


def test_seeds_are_patients(chest):
    same = chest_phantom(rng=np.random.default_rng(3), size=128, slices=10, nodules=2)
    other = chest_phantom(rng=np.random.default_rng(4), size=128, slices=10, nodules=2)
    assert np.array_equal(same.volume.hu, chest.volume.hu)
    assert same.nodules == chest.nodules
    assert (other.volume.hu != chest.volume.hu).mean() > 0.05


def sphere(volume, nodule, grow_mm=0.0):
    """Voxels whose centre lies within the nodule."""
    squared = sum(
        ((np.arange(n) - c) * mm).reshape([-1 if a == axis else 1 for a in range(3)]) ** 2
        for axis, (n, c, mm) in enumerate(
            zip(volume.shape, nodule.centre, volume.spacing_mm, strict=True)
        )
    )
    return squared <= (nodule.diameter_mm / 2 + grow_mm) ** 2


@pytest.mark.parametrize("seed", [2, 10])
def test_nodules_lie_in_lung_and_not_in_the_heart_or_a_vessel(seed):
    """Against the same patient without nodules: lung below each, at most a quarter vessel.

    The heart, the mediastinum and the chest wall are wider than any vessel, so a sphere that is
    lung up to its rim but for a quarter of vessels touches none of them.
    """
    facts = {"size": 96, "slices": 8}
    chest = chest_phantom(rng=np.random.default_rng(seed), nodules=3, **facts)
    bare = chest_phantom(rng=np.random.default_rng(seed), nodules=0, **facts).volume
    taken = np.zeros(bare.shape, int)
    for nodule in chest.nodules:
        inside = sphere(bare, nodule)
        taken += inside
        assert (bare.hu[inside] > -750).mean() <= 0.25
        contrast = chest.volume.hu[inside] - bare.hu[inside]
        assert np.median(contrast) > 100
    assert taken.max() == 1


def test_more_nodules_than_lung_are_refused(monkeypatch):
    """A lung without a free place, as if the heart filled it."""
    monkeypatch.setattr("ctlab.ct.simulation.chest_phantom._AIRY_HU", -1001.0)
    with pytest.raises(ValueError, match="no place in the lungs"):
        chest_phantom(rng=np.random.default_rng(0), size=64, slices=4, nodules=1)
