"""From a training configuration to the two unpaired domains, with their split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct import (
    Volume,
    describe_series,
    load_sample,
    measure_noise_hu,
    read_series,
    simulate_dose,
)
from ctlab.ct.facts import CLIPS_SHARE
from ctlab.learn.config import Data, TrainConfig
from ctlab.learn.patches import PatchDomain
from ctlab.learn.split import Slab, check_split, split_hash, split_series


@dataclass(frozen=True)
class Domains:
    """Both domains of a run, and what the card says about them."""

    full: PatchDomain
    low: PatchDomain
    slabs: tuple[Slab, ...]
    card: dict[str, Any]

    @property
    def split_hash(self) -> str:
        return split_hash(self.slabs)


@dataclass(frozen=True)
class _Part:
    """Slices of one slab, at one dose."""

    volume: Volume
    noise_hu: float  # measured in the slab, own noise of the routine dose included


def load_source(name: str) -> Volume:
    """Series named in a configuration: ``sample``, or a folder of DICOM files."""
    return load_sample() if name == "sample" else read_series(name)


def build_domains(config: TrainConfig) -> Domains:
    """Read the series, split them, simulate the low dose, and index the patches.

    The same configuration gives the same domains. Low-dose images are simulated from slabs of
    their own: no slice is ever in both domains.
    """
    data = config.data
    volumes = {name: load_source(name) for name in (*data.full, *data.low)}
    slabs = _split(data, volumes)
    full: list[_Part] = []
    low: list[_Part] = []
    for k, slab in enumerate(slabs):
        volume = _cut(volumes[slab.series], slab)
        if slab.role == "full" or data.low:
            (full if slab.role == "full" else low).append(_Part(volume, measure_noise_hu(volume)))
            continue
        for n, dose in enumerate(data.doses):
            rng = np.random.default_rng([data.seed, k, n])
            noisy = simulate_dose(volume, dose, rng=rng)
            low.append(_Part(noisy, measure_noise_hu(noisy)))
    own_hu = float(np.median([part.noise_hu for part in full]))
    added_hu = [max(part.noise_hu**2 - own_hu**2, 0.0) ** 0.5 for part in low]
    return Domains(
        full=PatchDomain([p.volume.hu for p in full], [0.0] * len(full), patch_px=config.patch_px),
        low=PatchDomain([p.volume.hu for p in low], added_hu, patch_px=config.patch_px),
        slabs=tuple(_renamed(slabs)),
        card=_card(data, full, low, own_hu),
    )


def _split(data: Data, volumes: dict[str, Volume]) -> list[Slab]:
    def row(name: str) -> tuple[str, str, int]:
        volume = volumes[name]
        return name, volume.acquisition.patient_id or name, volume.shape[0]

    if not data.low:
        return split_series(
            [row(name) for name in data.full],
            slab_slices=data.slab_slices,
            gap_slices=data.gap_slices,
            leave_out=data.leave_out,
            first=data.first,
        )
    roles = (("full", data.full), ("low", data.low))
    slabs = [
        Slab(name, patient, 0, slices - 1, role)  # type: ignore[arg-type]
        for role, names in roles
        for name, patient, slices in map(row, names)
    ]
    check_split(slabs, gap_slices=data.gap_slices, leave_out=data.leave_out)
    return slabs


def _cut(volume: Volume, slab: Slab) -> Volume:
    part = slice(slab.first, slab.last + 1)
    return replace(volume, hu=volume.hu[part], sources=volume.sources[part])


def _renamed(slabs: Sequence[Slab]) -> list[Slab]:
    """Series by the last part of their path: a split says nothing about the machine."""
    return [replace(slab, series=Path(slab.series).name) for slab in slabs]


def _card(data: Data, full: list[_Part], low: list[_Part], own_hu: float) -> dict[str, Any]:
    """Facts about the training data, and the range of use that follows from them."""
    return {
        "series": sorted({Path(name).name for name in (*data.full, *data.low)}),
        "slices": {
            "full": sum(p.volume.shape[0] for p in full),
            "low": sum(p.volume.shape[0] for p in low),
        },
        "doses": [] if data.low else list(data.doses),
        "low_dose_is_simulated": not data.low,
        "full_noise_hu": own_hu,
        "range_of_use": _range_of_use(full, low),
    }


def _range_of_use(full: list[_Part], low: list[_Part]) -> dict[str, Any]:
    """Ten per cent beyond the noise levels seen; a quarter beyond the other facts."""
    noise_hu = [part.noise_hu for part in low]
    volumes = [part.volume for part in (*full, *low)]
    seen = {
        "pixel_mm": [v.spacing_mm[1] for v in volumes],
        "slice_mm": [v.spacing_mm[0] for v in volumes],
        "field_of_view_mm": [v.spacing_mm[1] * v.shape[1] for v in volumes],
    }
    facts = [describe_series(part.volume) for part in low]
    for name in ("nps_peak_per_mm", "water_diameter_mm"):  # too little of a body tells neither
        seen[name] = [f[name] for f in facts if f[name] is not None]
    metal = [f["metal_share"] or 0.0 for f in facts]
    return {
        "noise_hu": [0.9 * min(noise_hu), 1.1 * max(noise_hu)],
        **{name: [0.8 * min(v), 1.25 * max(v)] for name, v in seen.items() if v},
        "metal_share": [0.0, max(1.25 * max(metal), CLIPS_SHARE)],
        "kernel": sorted({part.volume.acquisition.kernel for part in full} - {""}),
    }
