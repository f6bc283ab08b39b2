"""Networks of the live figure: the shipped one, one trained with pairs, and two that are wrong."""

import base64
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from ctlab.ct import load_sample, simulate_dose
from ctlab.ct.simulation.calibration import calibrate
from ctlab.explain import DenoiserProbe, jacobian_row, region_mask
from ctlab.explain.adjoint_graph import adjoint_graph
from ctlab.explain.maps.attribution import occlusion
from ctlab.explain.maps.cam import cam_map
from ctlab.explain.probe.targets import make_target
from ctlab.learn import load_checkpoint
from ctlab.learn.data.nodule_augmentation import FREE_HU, TAKEN_HU, random_nodule
from ctlab.learn.engines import to_onnx
from ctlab.learn.inference import denoise_slices
from ctlab.learn.models.unet import ResidualUNet
from ctlab.learn.train.checkpoint import HuDenoiser
from ctlab.learn.train.state import build_denoiser
from ctlab.lessons.live import training_states
from ctlab.lessons.live.lesion_eraser import eraser_to_onnx, lesion_eraser
from ctlab.view.live.scene import noise_factor

NAMES = ("shipped", "supervised", "eraser", "random")
EXPLAINED = ("shipped", "random")
WIDTH, PATCH_PX, BATCH, STEPS, RATE = 16, 64, 4, 150, 3e-3
TRAINED_STEPS = {f"step-{step}": step for step in training_states.STEPS}
"""States of the shipped recipe while it trains, by their names."""
DOSES = (0.03, 0.05, 0.1, 0.25)
SLICES = (3, 10, 34)  # of the sample; its nodule lies between 10 and 34


@cache
def live_network(name: str) -> HuDenoiser:
    """A network of the live figure, HU to HU; the one with pairs trains at first use.

    Raises
    ------
    ValueError
        There is no such network.
    """
    if name == "shipped":
        denoiser: HuDenoiser = load_checkpoint().denoiser()
        return denoiser
    if name == "supervised":
        return _train()
    if name in TRAINED_STEPS:
        return _state(TRAINED_STEPS[name])
    if name == "eraser":
        return lesion_eraser(live_network("shipped"))
    if name == "random":
        probe = DenoiserProbe(live_network("shipped"))
        return cast("HuDenoiser", probe.randomised(np.random.default_rng(0)).model)
    raise ValueError(f"expected one of {', '.join([*NAMES, *TRAINED_STEPS])}, got {name!r}")


def denoise_live(name: str, hu: np.ndarray) -> np.ndarray:
    """A slice (y, x) in HU, denoised by a network of the live figure."""
    denoised: np.ndarray = denoise_slices(hu[None], live_network(name))[0]
    return denoised


def explain_live(name: str, hu: np.ndarray, y: int, x: int) -> dict[str, np.ndarray]:
    """Why a network gave a pixel its HU: ``row`` (Jacobian), ``cam`` (HiResCAM), ``occlusion``."""
    probe = DenoiserProbe(live_network(name))
    target = make_target("mean", region_mask((y, x, 0), hu.shape))
    return {
        "row": jacobian_row(probe, hu, (y, x, 0)).weights,
        "cam": cam_map(probe, hu, target, method="hirescam", layer=probe.default_layer()),
        "occlusion": occlusion(probe, hu, target),
    }


def write_networks(folder: Path, names: Iterable[str] = (*NAMES, *TRAINED_STEPS)) -> None:
    """Write ``NAME.js`` of each network, which a page loads when a reader asks that network.

    Each adds to ``window.ctlabNetworks`` an ONNX graph in base64; of the shipped network and the
    shuffled one the adjoint as well, and how far an input pixel can matter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        model = live_network(name)
        is_eraser = name == "eraser"
        graph = eraser_to_onnx(live_network("shipped")) if is_eraser else to_onnx(model)
        kept: dict[str, Any] = {"forward": _text(graph)}
        if name in EXPLAINED:
            reach = DenoiserProbe(model).reach_px
            kept |= {"adjoint": _text(adjoint_graph(model)), "reach_px": reach}
        script = f"(window.ctlabNetworks ??= {{}})[{json.dumps(name)}] = {json.dumps(kept)};\n"
        (folder / f"{name}.js").write_text(script, "utf-8")


def _text(graph: bytes) -> str:
    return base64.b64encode(graph).decode()


@cache
def _slices() -> tuple[np.ndarray, np.ndarray]:
    """Slices away from the nodule, and the noise that a tenth of the dose adds: (n, y, x) each."""
    volume = load_sample()
    scanner = calibrate(volume)
    full = [volume.slices(z, z + 1) for z in SLICES]
    noise = [
        simulate_dose(one, 0.1, rng=np.random.default_rng(z), scanner=scanner).hu[0] - one.hu[0]
        for z, one in zip(SLICES, full, strict=True)
    ]
    return np.concatenate([one.hu for one in full]), np.stack(noise)


def _state(step: int) -> HuDenoiser:
    shipped = load_checkpoint()
    network = build_denoiser(shipped.config)
    weights = {name: torch.from_numpy(w) for name, w in training_states.read_state(step).items()}
    network.load_state_dict(weights)
    return HuDenoiser(network, shipped.scale).eval().requires_grad_(False)


@cache
def _train() -> HuDenoiser:
    """A small U-Net, trained with pairs: nodules at low and full dose."""
    scale, volume = load_checkpoint().scale, load_sample()
    pixel_mm, slice_mm = volume.spacing_mm[1], volume.spacing_mm[0]
    rng = np.random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ResidualUNet(WIDTH)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        drawn = [_patch(rng, pixel_mm, slice_mm) for _ in range(BATCH)]
        full, noise, nodule = (np.stack(part)[:, None] for part in zip(*drawn, strict=True))
        given = scale.to_net(torch.from_numpy(full + noise + nodule))
        wanted = scale.to_net(torch.from_numpy(full + nodule))
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(nn.functional.smooth_l1_loss(network(given), wanted))
        optimiser.step()
        schedule.step()
    return HuDenoiser(network, scale).eval().requires_grad_(False)


def _patch(
    rng: np.random.Generator, pixel_mm: float, slice_mm: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A patch with lung at full dose, the noise of a lower one, and a computed nodule: HU each."""
    all_full, all_noise = _slices()
    for _ in range(20):  # patches without lung are drawn again
        y, x = (int(rng.integers(0, side - PATCH_PX)) for side in all_full.shape[1:])
        place = (rng.integers(len(all_full)), slice(y, y + PATCH_PX), slice(x, x + PATCH_PX))
        full = all_full[place].astype(np.float32)
        if np.mean((full > -950) & (full < -700)) > 0.3:
            break
    noise = noise_factor(rng.choice(DOSES), 0.1) * all_noise[place]
    middle_mm = rng.uniform(0.2, 0.8, 2) * PATCH_PX * pixel_mm
    nodule = random_nodule(rng, *middle_mm, slice_mm=slice_mm)
    free = np.clip((TAKEN_HU - full) / (TAKEN_HU - FREE_HU), 0, 1)
    drawn = free * nodule.draw(full.shape, pixel_mm, slice_mm)
    return full, noise.astype(np.float32), drawn.astype(np.float32)
