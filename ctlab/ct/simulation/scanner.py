"""The scanner of the dose simulation: photons per ray, filter, tube current, spectrum, detector."""

import math
from dataclasses import dataclass, replace

import numpy as np

from ctlab.ct.simulation.parallel_beam import FILTERS, ParallelBeam

MU_WATER_PER_MM = 0.0193
"""Attenuation of water at 70 keV, the mean energy of a filtered 120 kVp beam (NIST XCOM)."""

SPECTRUM_120_KVP = (
    (0.16, 0.02683),  # 40 keV
    (0.20, 0.02269),  # 50 keV
    (0.24, 0.02059),  # 60 keV
    (0.25, 0.01837),  # 80 keV
    (0.15, 0.01707),  # 100 keV
)
"""Five lines in place of a 120 kVp spectrum: share of photons, water per mm (NIST XCOM).

Coarse on purpose: it makes thick rays less noisy than one energy would, as hardening does.
"""


@dataclass(frozen=True)
class Scanner:
    """What decides the noise of a simulated scan.

    Attributes
    ----------
    photons : unattenuated photons per ray at the scan's own dose
    electronic_sd : detector noise in photons; sqrt(10) after Zeng et al., 2015
    filter_name : reconstruction window, one of ``parallel_beam.FILTERS``
    views : projections over the half turn; 480 leave 1.2 mm between them 180 mm off the axis,
        less than the resolution of the Hann filter with detectors of 0.7 mm
    bowtie_mm : distance from the axis at which the bowtie filter has halved the flux; 0 = none
    modulation : 0 = constant tube current, 1 = current follows the attenuation of each view
        fully, 0.5 = its square root, which minimises noise (Gies et al., Med Phys 26:2235, 1999)
    spectrum : photon share and attenuation of water per mm, one pair an energy
    """

    photons: float = 1e5
    electronic_sd: float = math.sqrt(10.0)
    filter_name: str = "hann"
    views: int = 480
    bowtie_mm: float = 0.0
    modulation: float = 0.0
    spectrum: tuple[tuple[float, float], ...] = ((1.0, MU_WATER_PER_MM),)

    def __post_init__(self) -> None:
        if not (self.photons > 0 and math.isfinite(self.photons)):
            raise ValueError(f"photons per ray must be above 0 and finite, got {self.photons}")
        if self.electronic_sd < 0 or self.bowtie_mm < 0 or not 0 <= self.modulation <= 1:
            raise ValueError(
                "electronic_sd and bowtie_mm must not be negative and modulation must lie in "
                f"0..1; got {self.electronic_sd}, {self.bowtie_mm}, {self.modulation}"
            )
        if self.filter_name not in FILTERS:
            raise ValueError(f"filter must be one of {', '.join(FILTERS)}, got {self.filter_name}")

    def with_photons(self, photons: float) -> "Scanner":
        """The same scanner with other photons per ray."""
        return replace(self, photons=float(photons))

    def beam(self, shape: tuple[int, int], pixel_mm: float) -> ParallelBeam:
        """Half turn of :attr:`views` projections that covers an image of ``shape`` (y, x)."""
        return ParallelBeam.covering(shape, pixel_mm, views=self.views)

    def counts(self, line_integrals: np.ndarray, beam: ParallelBeam) -> np.ndarray:
        """Expected photons at the detector at the scan's own dose, at least 1; (angles, detectors).

        One photon is where logarithms of counts are cut off in practice.
        """
        incident = self.photons * self._current(line_integrals)[:, None] * self._bowtie(beam)
        return np.asarray(np.maximum(incident * self.transmission(line_integrals), 1.0))

    def transmission(self, line_integrals: np.ndarray) -> np.ndarray:
        """Share of photons that pass water of the same line integral at 70 keV.

        Examples
        --------
        >>> bool(np.isclose(Scanner().transmission(np.array([2.0]))[0], np.exp(-2.0)))
        True
        """
        shares = np.array([w for w, _ in self.spectrum])
        shares = shares / shares.sum()
        total = np.zeros_like(line_integrals, dtype=np.float64)
        for share, (_, mu) in zip(shares, self.spectrum, strict=True):
            total += share * np.exp(-line_integrals * (mu / MU_WATER_PER_MM))
        return total

    def hardening_slope(self, line_integrals: np.ndarray) -> np.ndarray | float:
        """Change of the water-corrected line integral per change of the measured one.

        1 for one energy at 70 keV; with a spectrum below 1 for thin rays and above for thick ones.
        """
        if len(self.spectrum) == 1:
            return MU_WATER_PER_MM / self.spectrum[0][1]
        step = 1e-3
        log_here = np.log(self.transmission(line_integrals))
        log_there = np.log(self.transmission(line_integrals + step))
        return np.asarray(step / (log_here - log_there))

    def _bowtie(self, beam: ParallelBeam) -> np.ndarray | float:
        if not self.bowtie_mm:
            return 1.0
        return np.asarray(0.5 ** ((beam.detector_positions_mm / self.bowtie_mm) ** 2))

    def _current(self, line_integrals: np.ndarray) -> np.ndarray:
        """Tube current of each view relative to its mean over views."""
        if not self.modulation:
            return np.ones(len(line_integrals))
        thickest = line_integrals.max(axis=1).astype(np.float64)
        current = np.exp(self.modulation * (thickest - thickest.mean()))
        return np.asarray(current / current.mean())
