"""From a training configuration to the two unpaired domains, with their split."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct import (
    Volume,
    confounds,
    describe_series,
    load_sample,
    measure_noise_hu,
    read_series,
    simulate_dose,
)
from ctlab.ct.dicom.read import refuse_unused
from ctlab.ct.series_facts import CLIPS_SHARE
from ctlab.learn.config import Data, TrainConfig
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.data.phantom_patients import PHANTOM, phantom_volumes
from ctlab.learn.data.split import (
    Role,
    Slab,
    check_split,
    split_hash,
    split_series,
)


@dataclass(frozen=True)
class Domains:
    """Both domains of a run, and what the card says about them."""

    full: PatchDomain
    low: PatchDomain
    slabs: tuple[Slab, ...]
    card: dict[str, Any]
    pairs: PatchDomain | None = None
    """Low-dose patches whose partners are at routine dose; only where the configuration pairs."""

    @property
    def split_hash(self) -> str:
        """SHA-256 of the slabs of both domains."""
        return split_hash(self.slabs)


@dataclass(frozen=True)
class _Part:
    """Slices of one slab, at one dose."""

    volume: Volume
    noise_hu: float  # measured in the slab, own noise of the routine dose included


def load_source(name: str, data: Data | None = None) -> Volume:
    """Series named in a configuration: ``sample``, or a folder of DICOM files.

    Raises
    ------
    ValueError
        As :func:`ctlab.ct.read_series`; the keys of ``[data]`` have the names of its arguments,
        but for ``series``.
    """
    if name == "sample":
        return load_sample()
    data = data or Data()
    return read_series(
        name,
        series_uid=data.series,
        allow_gaps=data.allow_gaps,
        allow_tilt=data.allow_tilt,
        straighten=data.straighten,
    )


def build_domains(config: TrainConfig) -> Domains:
    """Read the series, split them, simulate the low dose, and index the patches.

    The same configuration gives the same domains. Low-dose images are simulated from slabs of
    their own: no slice is ever in both domains.
    """
    data = config.data
    volumes = {name: load_source(name, data) for name in (*data.full, *data.low)}
    refuse_unused(data.series, [v.acquisition.series_uid for v in volumes.values()])
    slabs = _split(data, volumes)
    volumes |= phantom_volumes(data, next(iter(volumes.values())))
    slabs += _phantom_slabs(data)  # of patients of their own, so still disjoint
    full: list[_Part] = []
    low: list[_Part] = []
    pairs: list[tuple[_Part, Volume]] = []
    for k, slab in enumerate(slabs):
        volume = _cut(volumes[slab.series], slab)
        is_paired = data.paired == "all" or (data.paired == slab.role == "full")
        if slab.role == "full" or data.low:
            part = _Part(volume, float(measure_noise_hu(volume)))
            (full if slab.role == "full" else low).append(part)
            if not is_paired:
                continue
        lowered = [_lowered(volume, data, k, n) for n in range(len(data.doses))]
        if slab.role == "low" and not data.low:
            low += lowered
        if is_paired:
            pairs += [(part, volume) for part in lowered]
    own_hu = float(np.median([part.noise_hu for part in full]))
    return Domains(
        full=_domain([(p, None) for p in full], math.inf, config),
        low=_domain([(p, None) for p in low], own_hu, config),
        slabs=tuple(_renamed(slabs)),
        card=_card(config, full, low, own_hu),
        pairs=_domain(pairs, own_hu, config) if pairs else None,
    )


def _lowered(volume: Volume, data: Data, slab: int, dose: int) -> _Part:
    """A slab at the dose of that number, with noise of its own."""
    rng = np.random.default_rng([data.seed, slab, dose])
    noisy = simulate_dose(volume, data.doses[dose], rng=rng)
    return _Part(noisy, float(measure_noise_hu(noisy)))


def _domain(
    parts: Sequence[tuple[_Part, Volume | None]], own_hu: float, config: TrainConfig
) -> PatchDomain:
    """Patches that carry the SD of what was added to the noise of the routine dose."""
    partners = [partner.hu for _, partner in parts if partner is not None]
    return PatchDomain(
        [part.volume.hu for part, _ in parts],
        [max(part.noise_hu**2 - own_hu**2, 0.0) ** 0.5 for part, _ in parts],
        patch_px=config.patch_px,
        partners=partners or None,
        voxel_mm=[part.volume.spacing_mm[:2] for part, _ in parts],
        nodule_share=config.data.nodule_share,
    )


def _phantom_slabs(data: Data) -> list[Slab]:
    """Phantom patients as wholes, in turn at low and at routine dose."""
    roles: list[Role] = ["low", "full"] if data.first == "low" else ["full", "low"]
    names = [f"{PHANTOM}{k}" for k in range(data.phantoms)]
    last = data.phantom_slices - 1
    return [Slab(name, name, 0, last, roles[k % 2]) for k, name in enumerate(names)]


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
    roles: tuple[tuple[Role, Sequence[str]], ...] = (("full", data.full), ("low", data.low))
    slabs = [
        Slab(name, patient, 0, slices - 1, role)
        for role, names in roles
        for name, patient, slices in map(row, names)
    ]
    check_split(slabs, gap_slices=data.gap_slices, leave_out=data.leave_out)
    return slabs


def _cut(volume: Volume, slab: Slab) -> Volume:
    return volume.slices(slab.first, slab.last + 1)


def _renamed(slabs: Sequence[Slab]) -> list[Slab]:
    """Series by the last part of their path: a split says nothing about the machine."""
    return [replace(slab, series=Path(slab.series).name) for slab in slabs]


def _card(
    config: TrainConfig, full: list[_Part], low: list[_Part], own_hu: float
) -> dict[str, Any]:
    """Facts about the training data, and the range of use that follows from them."""
    data = config.data
    return {
        "supervision": config.supervision,
        "phantom_patients": data.phantoms,
        "nodule_share": data.nodule_share,
        "series": sorted({Path(name).name for name in (*data.full, *data.low)}),
        "slices": {
            "full": sum(p.volume.shape[0] for p in full),
            "low": sum(p.volume.shape[0] for p in low),
        },
        "doses": [] if data.low else list(data.doses),
        "low_dose_is_simulated": not data.low,
        "full_noise_hu": own_hu,
        "confounds": confounds([p.volume for p in full], [p.volume for p in low]),
        "range_of_use": _range_of_use(full, low),
    }


def _beyond(fact: str, seen: list[float]) -> list[float]:
    less, more = (0.4, 2.0) if fact == "nps_peak_per_mm" else (0.8, 1.25)
    return [less * min(seen), more * max(seen)]


def _range_of_use(full: list[_Part], low: list[_Part]) -> dict[str, Any]:
    """A fifth beyond the noise levels seen, a quarter beyond the other facts.

    The frequency at which noise is strongest is the top of a broad curve, and anatomy shifts it
    where there is little noise: it is allowed to be 0.4 to 2 times those seen, which still tells a
    sharp kernel from a soft one.
    """
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
        "noise_hu": [0.8 * min(noise_hu), 1.2 * max(noise_hu)],
        **{name: _beyond(name, v) for name, v in seen.items() if v},
        "metal_share": [0.0, max(1.25 * max(metal), CLIPS_SHARE)],
        "kernel": sorted({part.volume.acquisition.kernel for part in full} - {""}),
    }
