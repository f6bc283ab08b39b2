"""Maps, an audit and a denoised slice on the CPU and on a second device, compared.

``python -m tests.explain.on_second_device`` prints as JSON the largest difference of each over the
largest value; ``test_second_device.py`` runs it, in a process of its own.
"""

import copy
import json
import sys
from collections.abc import Iterator

import numpy as np
import torch

from ctlab.explain import (
    METHODS,
    CriticOfHu,
    DenoiserProbe,
    explain_region,
    make_target,
    region_mask,
)
from ctlab.explain.maps.methods import is_possible, native_map
from ctlab.learn import denoise_slices
from tests.explain.test_variants import QUICK, denoiser, image_for, untrained_critic
from tests.second_device import NAME, install

PLACE = (30, 34, 4)


def subjects(variant: str) -> list[DenoiserProbe]:
    """The same model and critic on either device."""
    model, critic = denoiser(variant), untrained_critic()
    return [
        DenoiserProbe(
            copy.deepcopy(model).to(device),
            critic=CriticOfHu(copy.deepcopy(critic.critic).to(device), critic.scale),
        )
        for device in ("cpu", NAME)
    ]


def apart(here: np.ndarray, there: np.ndarray) -> float:
    """Largest difference over the largest value."""
    return float(np.abs(there - here).max() / np.abs(here).max())


def of_variant(variant: str, slice_hu: np.ndarray) -> Iterator[tuple[str, float]]:
    here, there = subjects(variant)
    image, target = (
        image_for(here.model, slice_hu),
        make_target("mean", region_mask(PLACE, (64, 64))),
    )
    for method in METHODS:
        if is_possible(method, here):
            maps = [native_map(s, image, target, method, s.default_layer()) for s in (here, there)]
            yield f"{variant}: {method}", apart(*maps)
    stack = image if image.ndim == 3 else image[None]
    yield f"{variant}: denoised", apart(*[denoise_slices(stack, s.model) for s in (here, there)])


def audited(slice_hu: np.ndarray) -> Iterator[tuple[str, float]]:
    """The map with all numbers beside it."""
    found = [
        explain_region(s, slice_hu, PLACE, method="hirescam", plan=QUICK) for s in subjects("gate")
    ]
    yield "audit: map", apart(*[f.signed for f in found])
    yield "audit: verdict", float(found[0].verdict != found[1].verdict)


def mixed() -> str:
    """What is said where a tensor was left on the CPU."""
    try:
        torch.ones(2, device=NAME) + torch.ones(2)
    except RuntimeError as error:
        return str(error)
    return "nothing"


def main() -> None:
    install()
    from tests.explain.conftest import made_slice_hu

    slice_hu = made_slice_hu()
    found: dict[str, float | str] = {"mixed": mixed()}
    for variant in sys.argv[1:]:
        found |= of_variant(variant, slice_hu)
    found |= audited(slice_hu)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
