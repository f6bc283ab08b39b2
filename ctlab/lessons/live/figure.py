"""The live figure of the chapters: the sample's lung, and networks that answer the reader."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from types import ModuleType
from typing import Any

import numpy as np

from ctlab.ct import simulate_dose
from ctlab.ct.series_facts import WORDS
from ctlab.ct.simulation.calibration import calibrate
from ctlab.lessons.live.training_states import STEPS
from ctlab.lessons.material.images import nodule_slice
from ctlab.view.live.scene import Answer, Scene, ask
from ctlab.view.live.viewer import LiveViewer, live_viewer

LIVE_CROP = (slice(272, 432), slice(232, 392))
"""Rows and columns of a 160-pixel square of left lung around the sample's nodule."""
NETWORKS = {
    "shipped": "shipped network",
    "supervised": "trained with pairs",
    "eraser": "lesion eraser",
    "random": "shuffled weights",
}
"""Networks of the live figure, each with its label; made in ``networks.py``."""
LIVE_TRAINING = {f"step-{step}": f"after {step:,} steps" for step in STEPS}
LIVE_TRAINING["step-1"] = "after 1 step"
"""The shipped recipe, while it trains."""
_DRAWS = 2


@cache
def live_scene() -> Scene:
    """The crop at full dose, with draws of the noise that a tenth of the dose adds."""
    volume = nodule_slice()
    scanner = calibrate(volume)
    draws = [
        simulate_dose(volume, 0.1, rng=np.random.default_rng(seed), scanner=scanner).hu[0]
        for seed in range(_DRAWS)
    ]
    truth = volume.hu[0][LIVE_CROP]
    return Scene(truth, np.stack([low[LIVE_CROP] - truth for low in draws]), volume.spacing_mm[1])


def live_slice(
    networks: Sequence[str] | Mapping[str, str] = tuple(NETWORKS), **traits: Any
) -> LiveViewer:
    """Live figure of the sample's lung; see :func:`ctlab.view.live_viewer`.

    Parameters
    ----------
    networks : names from :data:`NETWORKS`, the first one first, or labels by name
    **traits : ``setting``, ``fallback``, ``goals``, ``offer``, ``alt`` and others
    """
    if not isinstance(networks, Mapping):
        networks = {name: NETWORKS[name] for name in networks}
    card = json.loads((files("ctlab.learn") / "shipped" / "card.json").read_text("utf-8"))
    traits = {"applicability": {"range": card["range_of_use"], "words": dict(WORDS)}, **traits}
    return live_viewer(live_scene(), networks, denoise=_denoise, explain=_explain, **traits)


def live_answer(setting: Mapping[str, Any]) -> Answer:
    """What the kit answers to the settings of the live figure, with its read-outs.

    Examples
    --------
    >>> nodule = {"kind": "solid", "y": 40, "x": 40, "diameter_mm": 8.0, "hu": 0.0}
    >>> live_answer({"dose": 0.1, "edits": [nodule]}).numbers["kept"] > 0.8
    True
    """
    name = setting.get("network", "shipped")
    return ask(live_scene(), setting, lambda hu: _denoise(name, hu))


def _denoise(name: str, hu: np.ndarray) -> np.ndarray:
    denoised: np.ndarray = networks_module().denoise_live(name, hu)
    return denoised


def _explain(name: str, hu: np.ndarray, y: int, x: int) -> dict[str, np.ndarray]:
    maps: dict[str, np.ndarray] = networks_module().explain_live(name, hu, y, x)
    return maps


def networks_module() -> ModuleType:
    """``networks``, which needs torch, where a network is asked for.

    Raises
    ------
    ValueError
        Torch or what explains networks is not installed.
    """
    try:
        from ctlab.lessons.live import networks
    except ModuleNotFoundError as error:
        raise ValueError(
            f"expected PyTorch and what explains networks, got no {error.name}; "
            'install "ctlab[explain]"'
        ) from None
    return networks
