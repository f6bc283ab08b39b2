"""What a checkpoint remembers, and what is refused instead of being applied wrongly."""

import pickle

import numpy as np
import pytest
import torch

from ctlab.ct import HuScale
from ctlab.learn import load_checkpoint, save_checkpoint
from ctlab.learn.config import TrainConfig
from ctlab.learn.train.state import TrainState


@pytest.fixture
def saved(tmp_path, tiny_config):
    state = TrainState.start(tiny_config)
    with torch.no_grad():
        state.networks["denoiser_ema"].last.bias.fill_(0.25)
    state.step = 7
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, tiny_config, state, split_hash="abc", card={"doses": [0.1]})
    return path


def rewritten(path, **values):
    content = torch.load(path, weights_only=True) | values
    torch.save(content, path)


def test_round_trip(saved, tiny_config):
    checkpoint = load_checkpoint(saved, scale=tiny_config.scale)
    assert checkpoint.config == tiny_config
    assert (checkpoint.step, checkpoint.split_hash) == (7, "abc")
    assert checkpoint.card == {"doses": [0.1]}
    assert len(checkpoint.sha256) == 64
    restored = checkpoint.train_state()
    for name, weights in restored.networks.state_dict().items():
        assert torch.equal(weights, checkpoint.state["players"][name])


def test_the_averaged_denoiser_is_used_and_works_in_hu(saved):
    """A last bias of 0.25 net takes 0.25 * 50 = 12.5 HU away, everywhere."""
    model = load_checkpoint(saved).denoiser()
    image = torch.full((1, 1, 16, 16), 100.0)
    assert torch.allclose(model(image), torch.tensor(87.5))
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


def test_the_file_opens_without_running_code(saved):
    content = torch.load(saved, weights_only=True)
    assert content["format_version"] == 1
    assert content["hu_scale"] == {"centre_hu": -300.0, "unit_hu": 50.0}


def test_numbers_of_numpy_on_the_card_do_not_shut_the_file(tmp_path, tiny_config):
    card = {"range_of_use": {"noise_hu": [np.float64(3.0), np.float32(9.0)]}, "n": np.int64(4)}
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, tiny_config, TrainState.start(tiny_config), split_hash="x", card=card)
    found = load_checkpoint(path).card
    assert found == {"range_of_use": {"noise_hu": [3.0, 9.0]}, "n": 4}
    assert all(type(v) is float for v in found["range_of_use"]["noise_hu"])


def test_another_scale_is_refused(saved):
    with pytest.raises(ValueError, match="units of 50 HU around -300 HU, but the scale asked for"):
        load_checkpoint(saved, scale=HuScale(-300.0, 25.0))
    rewritten(saved, hu_scale={"centre_hu": 0.0, "unit_hu": 50.0})
    with pytest.raises(ValueError, match="its own configuration"):
        load_checkpoint(saved)


@pytest.mark.parametrize("keep", [0, 10, 1000, -1])
def test_a_truncated_file_is_refused(saved, keep):
    raw = saved.read_bytes()
    saved.write_bytes(raw[:keep])
    with pytest.raises(ValueError, match="cut short"):
        load_checkpoint(saved)


def test_files_from_elsewhere_are_refused(tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"state_dict": {"weight": torch.zeros(3)}}, path)
    with pytest.raises(ValueError, match="not a checkpoint of this package"):
        load_checkpoint(path)
    path.write_text("These are words.")
    with pytest.raises(ValueError, match="cannot be read"):
        load_checkpoint(path)


def test_a_file_with_code_in_it_is_not_run(tmp_path):
    marker = tmp_path / "ran"

    class Malicious:
        def __reduce__(self):
            return (marker.write_text, ("x",))

    path = tmp_path / "bad.pt"
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(ValueError, match="cannot be read"):
        load_checkpoint(path)
    assert not marker.exists()


def test_a_newer_format_and_missing_parts_are_refused(saved):
    rewritten(saved, format_version=2)
    with pytest.raises(ValueError, match="update ctlab"):
        load_checkpoint(saved)
    content = torch.load(saved, weights_only=True) | {"format_version": 1}
    del content["split_hash"]
    torch.save(content, saved)
    with pytest.raises(ValueError, match="lacks split_hash"):
        load_checkpoint(saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt"):
        load_checkpoint(tmp_path / "nowhere.pt")


def test_a_run_folder_in_the_place_of_its_checkpoint_is_refused_with_the_way_on(tmp_path):
    with pytest.raises(
        ValueError, match=r"is a folder; name a checkpoint file, as .*checkpoint.pt"
    ):
        load_checkpoint(tmp_path)


def test_a_checkpoint_from_before_noise_had_random_directions_opens(tmp_path, tiny_config):
    """Its configuration has turn_noise, free textures, and none of the keys that came later."""
    values = tiny_config.model_dump(mode="json")
    values["networks"] |= {"degrader": "reconstruction", "noise_curve": [[-800.0, 0.7], [40, 1.0]]}
    config = TrainConfig.from_dict(values)
    state = TrainState.start(config)
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, config, state, split_hash="abc", card={})
    content = torch.load(path, weights_only=True)
    for later in ("cycle_level", "cycle_width", "cycle_soft_px"):
        del content["config"][later]
    del content["config"]["networks"]["noise_spectrum"]
    content["config"]["turn_noise"] = True
    torch.save(content, path)
    checkpoint = load_checkpoint(path)
    assert checkpoint.config == config
    textures = checkpoint.train_state().networks["degrader"].textures
    assert torch.equal(textures, state.networks["degrader"].textures)
    with pytest.raises(ValueError, match="turn_noise"):
        TrainConfig.from_dict(values | {"turn_noise": "sometimes"})
