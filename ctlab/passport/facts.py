"""What a passport states beside its checks: who, on what data, with which code."""

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ctlab import __version__
from ctlab.ct import Volume, check_applicability
from ctlab.ct.denoiser import MEASURED, OWN, Denoiser, behaviour
from ctlab.passport.page import claim_items
from ctlab.passport.patient_scan import PatientScan


def gather_facts(
    denoiser: Denoiser, volumes: Sequence[Volume], scan: PatientScan, **settings: Any
) -> dict[str, Any]:
    """Denoiser, card, range of use, data and code hashes, machine, and the settings."""
    data = []
    for volume in volumes:
        head = asdict(volume.acquisition) | {"shape": volume.shape, "spacing_mm": volume.spacing_mm}
        data.append(head | {"sha256": hashlib.sha256(volume.hu.tobytes()).hexdigest()})
    checkpoint, card = denoiser.checkpoint, dict(denoiser.card)
    steps = 0 if checkpoint is None else checkpoint.step
    about, sentences = _about(denoiser, scan)
    return {
        "denoiser": denoiser.name,
        "kind": denoiser.kind,
        "about": about,
        "behaviour": sentences,
        "checkpoint_sha256": denoiser.sha256,
        "split_hash": None if checkpoint is None else checkpoint.split_hash,
        "card": card,
        "range_of_use": _range_of_use(card, scan),
        "steps": steps,
        "code_version": __version__,
        "code_sha256": code_hash(),
        "data": data,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "low_dose": "simulated from the series given; no measured low-dose scan",
        "claim": claim_items(
            card, steps=steps, n_patients=len(volumes), is_stranger=checkpoint is None
        ),
    } | settings


def _range_of_use(card: dict[str, Any], scan: PatientScan) -> list[str]:
    """What of the first low-dose series lies outside the range, or is not known, in words."""
    near = scan.run or scan  # neighbouring slices, where there are any: their noise is compared
    low = replace(near.full, hu=near.low)
    return check_applicability(low, card).sentences() or ["every fact lies inside the range"]


def _about(denoiser: Denoiser, scan: PatientScan) -> tuple[dict[str, str], list[str]]:
    """What is stated and measured of a denoiser, and what it did on images of known answer."""
    elsewhere = denoiser.kind in ("pair", "probes")
    about = {"name": denoiser.name, "kind": denoiser.kind} if elsewhere else denoiser.stated()
    if elsewhere:
        return about | dict.fromkeys(MEASURED, "not measured: it runs elsewhere"), []
    about["speed"] = f"{scan.seconds_per_slice:.3g} s a slice of {_size(scan)} on this machine"
    try:
        found = behaviour(denoiser)
    except ValueError as error:  # it may refuse small images: said, and the checks go on
        why = f"its behaviour on images of 96 px could not be measured: {error}"
        return about | dict.fromkeys(MEASURED, "could not be measured"), [why]
    # The kit's own are known: what they do is on their card and in the checks.
    return about | found.measured(), [] if denoiser.kind in OWN else found.sentences()


def _size(scan: PatientScan) -> str:
    return " x ".join(map(str, scan.low.shape[1:]))


def code_hash() -> str:
    """SHA-256 over the package's Python and JavaScript sources, in path order."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".js")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
