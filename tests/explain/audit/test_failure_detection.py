"""Synthetic lesions, and how well maps find them."""

import numpy as np
import pytest
from torch import nn

from ctlab.assess import score_auc
from ctlab.explain import (
    AuditPlan,
    DenoiserProbe,
    insert_lesion,
    measure_failure_detection,
    nodule_profile,
    study_methods,
)
from ctlab.explain.audit.failure_detection import (
    _marks,
    _places,
    _summary,
    detectors,
)
from reader_study.stats.free_response.maps import map_at_marks


@pytest.fixture
def lungs(rng) -> np.ndarray:
    """Two slices of one lung in soft tissue, 64 px, noise of 40 HU."""
    y, x = np.mgrid[:64, :64]
    clean = np.where((y - 32) ** 2 + (x - 32) ** 2 < 26**2, -850.0, 40.0)
    return (clean + rng.normal(0, 40, (2, 64, 64))).astype(np.float32)


def test_an_erased_nodule_is_in_the_input_and_not_in_the_output(unet, lungs):
    probe = DenoiserProbe(unet)
    made = insert_lesion(probe, lungs[0], (30, 34), kind="erased", diameter_px=8, contrast_hu=200.0)
    before = probe.run(lungs[0])
    np.testing.assert_allclose(made.probe.run(made.image_hu), before, atol=1e-2)
    assert (made.image_hu - lungs[0])[made.mask].mean() > 150
    assert made.mask.sum() == pytest.approx(np.pi * 16, rel=0.2)


def test_an_invented_nodule_is_in_the_output_and_not_in_the_input(unet, lungs):
    probe = DenoiserProbe(unet)
    made = insert_lesion(
        probe, lungs[0], (30, 34), kind="invented", diameter_px=8, contrast_hu=200.0
    )
    np.testing.assert_array_equal(made.image_hu, lungs[0])
    added = made.probe.run(made.image_hu) - probe.run(lungs[0])
    np.testing.assert_allclose(added, 200 * nodule_profile((64, 64), (30, 34), 8), atol=1e-2)
    with pytest.raises(ValueError, match="erased, invented"):
        insert_lesion(probe, lungs[0], (30, 34), kind="moved", diameter_px=8, contrast_hu=200.0)


def test_scores_worked_by_hand():
    # Two slices; one nodule above all false marks but one, one below.
    row = _summary([0.9, 0.7], [(np.array([5.0, 1.0]), 4.0), (np.array([3.0]), 0.5)])
    assert row["auc"] == pytest.approx(0.8)
    assert row["found_at_one_false"] == 0.5
    peak = np.zeros((31, 31))
    peak[15, 15], peak[5, 5] = 9.0, 4.0
    false, true = _marks(peak, nodule_profile((31, 31), (15, 15), 6) > 0.5, peak >= 0, 6)
    assert true == pytest.approx(9 / 4 * false.max(), rel=1e-3)


def test_a_perfect_difference_finds_everything(lungs):
    """A denoiser that changes nothing but the lesion: the difference is the lesion itself."""

    class Nothing(nn.Module):
        size_multiple = 1

        def __init__(self):
            super().__init__()
            self.features = nn.Conv2d(1, 2, 1, bias=False)
            self.features.weight.data.fill_(1.0)

        def forward(self, x):
            return self.features(x)[:, :1]

    table = measure_failure_detection(
        DenoiserProbe(Nothing()), lungs, rng=np.random.default_rng(0), lesions=4, contrast_hu=200.0
    ).set_index(["kind", "map"])
    for kind in ("erased", "invented"):
        assert table.loc[(kind, "|input - output|"), "auc"] > 0.99
        assert table.loc[(kind, "|input - output|"), "found_at_one_false"] == 1.0
    assert table.loc[("erased", "edges of the output"), "auc"] == pytest.approx(0.5, abs=0.2)


def test_same_seed_same_table_and_progress(unet, lungs):
    seen = []

    def run():
        return measure_failure_detection(
            DenoiserProbe(unet),
            lungs,
            rng=np.random.default_rng(3),
            lesions=2,
            progress=lambda done, total: seen.append((done, total)),
        )

    assert run().equals(run())
    assert seen[-1] == (4, 4)


def test_without_lung_there_is_nothing_to_plant_in(unet):
    flat = np.full((1, 64, 64), 40.0, dtype=np.float32)
    with pytest.raises(ValueError, match="no slice holds lung"):
        measure_failure_detection(
            DenoiserProbe(unet), flat, rng=np.random.default_rng(0), lesions=2
        )
    with pytest.raises(ValueError, match="2 lesions"):
        measure_failure_detection(
            DenoiserProbe(unet), flat, rng=np.random.default_rng(0), lesions=1
        )


def test_the_study_has_a_row_for_each_method_and_the_exhibit(unet, slice_hu):
    plan = AuditPlan(draws=2, random_networks=1, fractions=(0.02,))
    methods = ("hirescam", "gradient", "ig", "lam", "occlusion")
    table = study_methods(unet, slice_hu, {"disc": (30, 34, 5)}, methods=methods, plan=plan)
    assert list(table["method"]) == [*methods, "hirescam, random weights"]
    assert set(table["verdict"]) <= {"believe", "weak", "no better than chance"}
    assert (table["seconds"] > 0).all()
    with pytest.raises(ValueError, match="choose one of hirescam"):
        study_methods(unet, slice_hu, {"disc": (30, 34, 5)}, methods=("attentive",))
    known = study_methods(unet, slice_hu, {"disc": (30, 34, 5)}, methods=("attention",), plan=plan)
    assert list(known["method"]) == ["hirescam, random weights"]  # the model has no attention


@pytest.mark.parametrize("kind", ["erased", "invented"])
def test_marks_of_readers_score_the_maps_as_the_plants_do(unet, lungs, kind):
    """Readers' maps with a mark on the lesion give the same areas, map by map."""
    probe = DenoiserProbe(unet)
    inner, lung = _places(probe.run(lungs[0]), 8.0)
    centre = tuple(int(v) for v in inner[len(inner) // 3])
    made = insert_lesion(probe, lungs[0], centre, kind=kind, diameter_px=8.0, contrast_hu=100.0)
    areas = {}
    for name, detect in detectors(probe.default_layer()).items():
        found = detect(made)
        areas[name], _ = map_at_marks(
            found[None],
            [(0, *centre)],
            spacing_mm=(1, 1, 1),
            radius_mm=4.0,
            inside=(lung | made.mask)[None],
        )
        assert areas[name] == pytest.approx(score_auc(found, made.mask, mask=lung | made.mask)), (
            name
        )
    assert len({round(a, 6) for a in areas.values()}) > 4  # they do differ
