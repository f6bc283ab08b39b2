from importlib.resources import files

import pytest

from ctlab.ct import HuScale
from ctlab.learn.config import TrainConfig


def test_toml_round_trip_keeps_every_value(tiny_config):
    assert TrainConfig.from_toml_text(tiny_config.to_toml()) == tiny_config
    changed = TrainConfig.from_dict({"data": {"leave_out": [[3, 9]], "doses": [0.2]}, "seed": 7})
    assert TrainConfig.from_toml_text(changed.to_toml()) == changed


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("stepz = 3", "stepz"),
        ("[losses]\nadverserial = 'wasserstein'", "losses.adverserial"),
        ("steps = 0", "steps"),
        ("[data]\ndoses = [7.0]", "data.doses.0"),
        ("[data]\ngap_slices = 9", "data.gap_slices"),
        ("batch = 8\ncycle_batch = 4", "cycle_batch 4"),
        ("patch_px = 24\n[networks]\nnoise_kernel_px = 25", "noise_kernel_px 25"),
        ("steps =", "not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(text, named):
    with pytest.raises(ValueError, match="training configuration") as refusal:
        TrainConfig.from_toml_text(text)
    assert named in str(refusal.value)


def test_scale_follows_the_units():
    config = TrainConfig.from_dict({"centre_hu": -100, "unit_hu": 25})
    assert config.scale == HuScale(-100.0, 25.0)


def test_a_configuration_cannot_be_changed(tiny_config):
    with pytest.raises(ValueError, match="frozen"):
        tiny_config.steps = 3


def test_recipes_differ_in_what_they_are_named_for():
    ot2, lsgan, invertible = map(TrainConfig.recipe, ("ot2", "lsgan", "invertible"))
    assert (ot2.networks.degrader, ot2.losses.adversarial) == ("spectrum", "wasserstein")
    assert (lsgan.networks.degrader, lsgan.losses.adversarial) == ("unet", "least_squares")
    assert invertible.networks.generator == "invertible"
    # Cycle 10 on a mean absolute error, in our units at 64 px.
    assert lsgan.losses.cycle_full * 64 == 10
    assert TrainConfig.recipe("adain").networks.generator == "switchable"
    assert TrainConfig.recipe("redcnn").networks.generator == "redcnn"
    assert TrainConfig.recipe("noise2sim").losses.neighbour > 0
    assert TrainConfig.recipe("otmap").losses.transport > 0
    with pytest.raises(ValueError, match="choose one of adain, invertible, lsgan, noise2sim, ot1"):
        TrainConfig.recipe("cyclegan")


@pytest.mark.parametrize(
    ("recipe", "supervision"),
    [
        ("ot2", "unpaired"),
        ("adain", "unpaired"),
        ("invertible", "unpaired"),
        ("lsgan", "unpaired"),
        ("otmap", "unpaired"),
        ("ot1", "simulation-supervised"),
        ("supervised", "supervised"),
        ("redcnn", "supervised"),
        ("noise2sim", "self-supervised"),
    ],
)
def test_what_a_recipe_was_told_is_said_by_its_name(recipe, supervision):
    config = TrainConfig.recipe(recipe)
    assert config.supervision == supervision
    assert (config.data.paired == "none") == (supervision in ("unpaired", "self-supervised"))
    assert config.steps == TrainConfig.recipe("ot2").steps  # baselines get the same time


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"networks": {"generator": "redcnn", "attention": "gate"}}, "no attention"),
        ({"networks": {"generator": "switchable", "degrader": "unet"}}, "degrades itself"),
        ({"networks": {"degrader": "simulator"}}, "go together, got 'simulator' and 'none'"),
        ({"data": {"paired": "full"}}, "go together, got 'noise' and 'full'"),
        (
            {"networks": {"degrader": "none"}},
            "losses low, cycle_full need a degrader that learns; set them to 0 with "
            "degrader = 'none'",
        ),
        (
            {
                "networks": {"degrader": "simulator"},
                "data": {"paired": "full"},
                "losses": {"low": 0, "cycle_low": 1},
            },
            "losses cycle_low need a degrader that learns",
        ),
        ({"data": {"phantoms": 3}}, "multiple of 2"),
    ],
)
def test_what_does_not_go_together_is_named(changes, named):
    with pytest.raises(ValueError, match="training configuration") as refusal:
        TrainConfig.from_dict(changes)
    assert named in str(refusal.value)


def test_a_configuration_from_before_the_ramp_means_no_ramp():
    """A checkpoint trained before this key must go on as it was."""
    assert TrainConfig.from_dict({"networks": {"degrader": "noise"}}).networks.noise_ramp is False
    frozen = files("ctlab.learn") / "frozen" / "mayo-chest.toml"
    assert TrainConfig.from_toml_text(frozen.read_text()).networks.noise_ramp is True
