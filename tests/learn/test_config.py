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
    assert (ot2.networks.degrader, ot2.losses.adversarial) == ("noise", "wasserstein")
    assert (lsgan.networks.degrader, lsgan.losses.adversarial) == ("unet", "least_squares")
    assert invertible.networks.generator == "invertible"
    # Cycle 10 on a mean absolute error, in our units at 64 px.
    assert lsgan.losses.cycle_full * 64 == 10
    with pytest.raises(ValueError, match="choose one of invertible, lsgan, ot2"):
        TrainConfig.recipe("cyclegan")
