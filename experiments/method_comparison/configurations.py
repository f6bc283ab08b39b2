"""Configurations that are compared: recipes of the kit on common data, and variants of them."""

from typing import Any

from ctlab.learn import TrainConfig

DATA = {
    "low": [],
    "doses": [0.045, 0.1, 0.25],
    "leave_out": [[70, 132]],
    "first": "full",
    "slab_slices": 13,
    "gap_slices": 10,
    "seed": 0,
}
"""Three slabs of one patient: routine dose from the first and last, low dose from the middle.
The 40 packaged slices and what lies above them are left out, with 10 slices on either side."""

VALIDATION = [(18, 19), (41, 42)]
"""Slices in the middle of the two gaps: filters are tuned and variants compared there."""

DOSES = (0.1, 0.05)
"""Dose fractions of every comparison."""

COMMON = {"batch": 8, "cycle_batch": 32, "precision": "32-true", "save_every": 10**9}
ONE_KERNEL = {"cycle_level": (1.0, 1.0), "cycle_width": (1.0, 1.0)}
"""Noise of the cycle as it was when these networks were trained: of one kernel, not disturbed."""

Overrides = dict[str, Any]


def physical(losses: Overrides | None = None, **networks: Any) -> Overrides:
    """Noise that obeys the reconstruction, and critics that look at finer texture."""
    shape = {
        "degrader": "reconstruction",
        "noise_kernel_px": 11,
        "noise_curve": (),
        "noise_ramp": True,
        "critic_highpass_px": 2.0,
    }
    return {"networks": shape | networks, "losses": {"cycle_rounding": 2.0} | (losses or {})}


FREE: Overrides = {
    "degrader": "noise",
    "noise_ramp": True,
    "noise_kernel_px": 25,
    "critic_highpass_px": 6.0,
}
"""Noise of free level and texture, as the recipes had it when these networks were trained."""


AS_SHIPPED: Overrides = {
    "precision": "auto",
    "seed": 1,
    "learning_rate": 1.5e-3,
    "betas": (0.9, 0.99),
    "final_rate": 0.01,
}
"""Optimiser and schedule of the shipped model, for the bound that is trained as long as it:
``train WORK --only supervised-equal --steps 26000``."""


CONFIGURATIONS: dict[str, tuple[str, Overrides]] = {
    "ot2": ("ot2", physical({"cycle_rounding": 0.0})),
    "ot2-quadratic": ("ot2", physical()),
    "ot2-soft": ("ot2", physical({"full": 0.02})),
    "ot2-coarse": ("ot2", physical(critic_highpass_px=3.0)),
    "ot2-fine": ("ot2", physical(critic_highpass_px=1.5)),
    "ot2-phantoms": ("ot2", physical() | {"data": {"phantoms": 4, "phantom_slices": 4}}),
    "ot2-free": ("ot2", {"networks": FREE}),
    "adain": ("adain", {"networks": FREE, "losses": {"cycle_rounding": 2.0}}),
    "invertible": ("invertible", {"networks": FREE, "losses": {"cycle_rounding": 2.0}}),
    "lsgan": ("lsgan", {}),
    "ot1": ("ot1", {"losses": {"cycle_rounding": 2.0}}),
    "supervised": ("supervised", {}),
    "supervised-equal": ("supervised", {"batch": 2, "cycle_batch": 16, **AS_SHIPPED}),
    "redcnn": ("redcnn", {}),
    "noise2sim": ("noise2sim", {}),
    "otmap": ("otmap", {}),
    "otmap-near": ("otmap", {"losses": {"transport": 0.5}}),
}
"""Name, recipe it starts from, and what differs."""


def config_of(name: str, series: str, *, steps: int = 3000) -> TrainConfig:
    """A configuration by name on the common slabs of a series."""
    recipe, overrides = CONFIGURATIONS[name]
    values = TrainConfig.recipe(recipe).model_dump()
    paired = values["data"]["paired"]
    _merge(values, {"data": DATA | {"full": [series], "paired": paired}} | COMMON | ONE_KERNEL)
    _merge(values, overrides)
    return TrainConfig.from_dict(values | {"steps": steps})


def _merge(values: dict[str, Any], others: dict[str, Any]) -> None:
    for key, other in others.items():
        if isinstance(other, dict):
            _merge(values[key], other)
        else:
            values[key] = other
