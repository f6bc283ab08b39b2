"""Runs that start from a checkpoint, and finished runs that go on."""

import json

import pytest
import torch

from ctlab.learn import load_checkpoint
from ctlab.learn.config import TrainConfig
from ctlab.learn.train import run
from ctlab.learn.train.fine_tune import take_over
from ctlab.learn.train.state import TrainState


def changed(config, **values):
    return TrainConfig.from_dict(config.model_dump() | values)


@pytest.fixture
def domains(tiny_domains, monkeypatch):
    from ctlab.learn.data.domains import Domains
    from ctlab.learn.data.split import Slab

    slabs = (Slab("s", "P", 0, 3, "low"), Slab("s", "P", 14, 17, "full"))
    made = Domains(*tiny_domains, slabs, {"doses": [0.1]})
    monkeypatch.setattr(run, "build_domains", lambda config: made)
    return made


@pytest.fixture
def first(tmp_path, tiny_config, domains):
    """Checkpoint of a finished run."""
    run.train_run(changed(tiny_config, steps=4), tmp_path / "first")
    return load_checkpoint(tmp_path / "first" / "checkpoint.pt")


def test_a_run_starts_from_the_weights_of_a_checkpoint_and_says_so(tmp_path, tiny_config, first):
    config = changed(tiny_config, steps=4, learning_rate=1e-9)
    run.train_run(config, tmp_path / "tuned", start=first)
    tuned = load_checkpoint(tmp_path / "tuned" / "checkpoint.pt")
    for name, weights in first.state["players"].items():
        network, _, rest = name.partition(".")
        if network.startswith("critic") or network.endswith("_ema"):
            assert torch.allclose(tuned.state["players"][name], weights, atol=1e-4), name
            network = network.removesuffix("_ema")
            other = tuned.state["players"][f"{network}.{rest}"]
            assert torch.allclose(other, weights, atol=1e-4), name  # from the average
    card = json.loads((tmp_path / "tuned" / "card.json").read_text())
    started = card["started_from"]
    assert (started["sha256"], started["steps"]) == (first.sha256, 4)
    assert "critic_low" in started["networks"]
    assert tuned.card["started_from"] == started
    assert tuned.step == 4  # steps count from the start of this run


def test_a_kill_before_the_first_checkpoint_does_not_lose_the_start(tmp_path, tiny_config, first):
    config = changed(tiny_config, learning_rate=1e-9)

    def kill(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.train_run(config, tmp_path / "cut", start=first, on_row=kill)
    run.train_run(config, tmp_path / "cut", resume=True)
    resumed = load_checkpoint(tmp_path / "cut" / "checkpoint.pt")
    name = "denoiser_ema.last.weight"
    assert torch.allclose(resumed.state["players"][name], first.state["players"][name], atol=1e-4)
    assert resumed.card["started_from"]["sha256"] == first.sha256


def test_networks_that_fit_are_taken_over_and_a_denoiser_that_does_not_is_refused(
    tiny_config, first
):
    shape = tiny_config.networks.model_dump()
    other_noise = changed(tiny_config, networks=shape | {"degrader": "unet", "critic_width": 8})
    state = TrainState.start(other_noise)
    assert take_over(state, first, other_noise)["networks"] == ["denoiser", "denoiser_ema"]
    wide = changed(tiny_config, networks=shape | {"width": 8})
    with pytest.raises(ValueError, match=r"width 8, .* got unet, width 4"):
        take_over(TrainState.start(wide), first, wide)
    units = changed(tiny_config, unit_hu=25.0)
    with pytest.raises(ValueError, match="expected a checkpoint in units of 25 HU"):
        take_over(TrainState.start(units), first, units)


def test_a_finished_run_goes_on_with_more_steps(tmp_path, tiny_config, first):
    folder = tmp_path / "first"
    with pytest.raises(ValueError, match="differing: steps"):
        run.train_run(changed(tiny_config, steps=2), folder, resume=True)
    result = run.train_run(changed(tiny_config, steps=8), folder, resume=True)
    assert result.steps == 8
    card = json.loads((folder / "card.json").read_text())
    assert card["finished_before_at"] == [4]
    assert card["is_finished"]
    assert len((folder / "log.csv").read_text().splitlines()) == 9
    assert TrainConfig.from_toml(folder / "config.toml").steps == 8


def test_an_unfinished_run_keeps_its_steps(tmp_path, tiny_config, domains):
    def cut(row):
        if row["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.train_run(tiny_config, tmp_path / "cut", on_row=cut)
    with pytest.raises(ValueError, match="at step 4 of 12; finish it"):
        run.train_run(changed(tiny_config, steps=20), tmp_path / "cut", resume=True)
    checkpoint = load_checkpoint(tmp_path / "cut" / "checkpoint.pt")
    with pytest.raises(ValueError, match="--resume or --from, got both"):
        run.train_run(tiny_config, tmp_path / "cut", resume=True, start=checkpoint)
