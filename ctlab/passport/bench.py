"""What a check is: what it gets, what it gives, and what it needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ctlab.ct.denoiser import DenoiseImages
from ctlab.passport.patient_scan import PatientScan


@dataclass(frozen=True)
class Finding:
    """Numbers of one family of checks.

    Attributes
    ----------
    values : dict from the name of a limit to a number, or None where it cannot be had
    notes : dict from the same names to a sentence
    tables : dict from a name to rows
    """

    values: dict[str, float | None]
    notes: dict[str, str] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """What a check gets: scans, the denoiser under test, and random numbers.

    Attributes
    ----------
    scans : one a patient
    denoise : function
        From slices (n, y, x) in HU, no neighbours of each other, to the same, denoised.
    rng : Generator
    together : function or None
        From neighbouring slices (z, y, x) in HU to the same, denoised; None: as ``denoise``.
    """

    scans: list[PatientScan]
    denoise: DenoiseImages
    rng: np.random.Generator
    together: DenoiseImages | None = None


NEEDS = {
    "answers": "a denoiser that can be run here (--model or --exec), or probes that it processed "
    "elsewhere (--export-probes)",
    "time": "a denoiser that can be run here (--model or --exec)",
    "repeats": "two noise realisations of the same slices",
    "reference": "a reference series (--reference)",
    "neighbours": "neighbouring slices",
}
"""What a check may need, in words."""


@dataclass(frozen=True)
class Check:
    """A family of checks: how it is measured, which limits it answers, and what it needs.

    ``needs`` names keys of :data:`NEEDS`.
    """

    measure: Callable[[Bench], Finding]
    names: tuple[str, ...]
    needs: frozenset[str] = frozenset()
