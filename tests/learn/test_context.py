"""2.5-D: a network that sees the slices above and below."""

import numpy as np
import pytest
import torch

from ctlab.learn import denoise_volume, load_checkpoint, save_checkpoint
from ctlab.learn.config import TrainConfig
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.models.unet import ResidualUNet, centre
from ctlab.learn.train import loop, step
from ctlab.learn.train.state import TrainState


@pytest.fixture
def stacked(tiny_config):
    networks = tiny_config.networks.model_dump() | {"slices": 3}
    return TrainConfig.from_dict(tiny_config.model_dump() | {"networks": networks})


def awake(network, std=0.3):
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        network.last.weight.copy_(std * torch.randn(network.last.weight.shape, generator=draws))
    return network


def test_patches_come_with_the_slices_above_and_below(rng):
    """Slice z holds 10 z HU; at the ends of the slab a slice is its own neighbour."""
    slab = np.broadcast_to(10.0 * np.arange(4.0)[:, None, None], (4, 32, 32))
    patches, _ = PatchDomain([slab], [0.0], patch_px=16).draw(100, rng, slices=3)
    assert patches.shape == (100, 3, 16, 16)
    seen = {tuple(stack) for stack in patches[:, :, 0, 0].tolist()}
    assert seen == {(0, 0, 10), (0, 10, 20), (10, 20, 30), (20, 30, 30)}


def test_the_middle_slice_is_denoised_with_the_help_of_its_neighbours():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = awake(ResidualUNet(8, slices=3)).requires_grad_(False)
    stack = torch.randn((2, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    other = stack.clone()
    other[:, 0] += 3.0
    assert not torch.allclose(network(stack), network(other))
    alone = stack[:, 1:2]
    assert torch.equal(network(alone), network(alone.expand(-1, 3, -1, -1)))
    torch.nn.init.zeros_(network.last.weight)
    torch.nn.init.zeros_(network.last.bias)
    assert torch.equal(network(stack), alone)
    assert torch.equal(centre(alone), alone)


def test_neighbours_are_degraded_with_noise_of_their_own(stacked, tiny_domains):
    fabric = loop.make_fabric(stacked, accelerator="cpu")
    state = TrainState.start(stacked)
    batch = next(loop.draw_batches(stacked, *tiny_domains, state=state, fabric=fabric))
    assert batch.full.shape[1] == 3
    made = step.degraded(
        state.networks["degrader"], torch.zeros_like(batch.full), batch.noise, batch.strength
    )
    for a, b in ((0, 1), (1, 2), (0, 2)):
        pair = torch.stack([made[:, a].flatten(), made[:, b].flatten()])
        assert abs(torch.corrcoef(pair)[0, 1]) < 0.15


def test_the_game_is_played_and_can_be_cut(stacked, tiny_domains):
    rows = list(loop.train(stacked, *tiny_domains))
    assert rows[-1]["step"] == stacked.steps
    assert rows == list(loop.train(stacked, *tiny_domains))


def test_a_volume_is_denoised_among_its_neighbours_in_any_batch(stacked, tiny_volume, tmp_path):
    state = TrainState.start(stacked)
    awake(state.networks["denoiser_ema"], std=3.0)
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, stacked, state, split_hash="x", card={"range_of_use": {}})
    checkpoint = load_checkpoint(path)
    one, two, three = (denoise_volume(tiny_volume, checkpoint, batch=b).hu for b in (1, 2, 3))
    assert np.allclose(one, three, atol=1e-2)
    assert np.allclose(two, three, atol=1e-2)
    changed = tiny_volume.hu.copy()
    changed[0] = np.roll(changed[0], 5, 0)
    moved = denoise_volume(tiny_volume.with_hu(changed), checkpoint).hu
    assert np.abs(moved[1] - one[1]).max() > 0.5
    assert np.allclose(moved[2], one[2], atol=1e-2)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"networks": {"generator": "redcnn", "slices": 3}}, "sees one slice"),
        ({"networks": {"slices": 3}, "losses": {"neighbour": 1}}, "teaches a slice the network"),
        ({"networks": {"slices": 2}}, "networks.slices"),
    ],
)
def test_what_does_not_go_with_it_is_refused(changes, named):
    with pytest.raises(ValueError, match=named):
        TrainConfig.from_dict(changes)
