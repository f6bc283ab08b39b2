"""Noise of one slice at a lower dose: drawn in its projections, reconstructed, added.

The law of the noise and its sources stand in :mod:`ctlab.ct.simulation.low_dose`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from ctlab.ct.hu import HU_MIN
from ctlab.ct.simulation.parallel_beam import ParallelBeam, fbp, project
from ctlab.ct.simulation.scanner import MU_WATER_PER_MM, Scanner
from ctlab.ct.volume import Volume


@dataclass(frozen=True)
class UnitNoise:
    """Standard normal numbers of one slice, (angles, detectors) each: all that is random."""

    quantum: np.ndarray
    electronic: np.ndarray


_AXIAL_DEG = 1.0
_MOST_TILT_DEG = 31.0  # gantries tilt by 30 degrees at most


def check_gantry_planes(volume: Volume) -> None:
    """Raise ``ValueError`` where rays of a turning gantry do not lie in the slices.

    Noise is simulated slice by slice: all rays of a slice lie in its plane, and slices have noise
    of their own. That holds for planes at right angles to the table, and for those of a tilted
    gantry, whose stack the table moves along the patient's axis. A coronal, sagittal or oblique
    reformat crosses the noise of many turns. Rays are sampled in pixels, so these are square.
    """
    volume.refuse_unplaced("simulated at another dose")
    row_mm, column_mm = volume.spacing_mm[1:]
    if abs(row_mm - column_mm) > 0.01 * min(row_mm, column_mm):
        raise ValueError(
            f"expected square pixels, got {row_mm:g} x {column_mm:g} mm; simulate the scanner's "
            "own reconstruction and resample it afterwards"
        )
    row, column = np.reshape(volume.orientation, (2, 3))
    angle = _degrees_to_axis(np.cross(row, column))
    if angle <= _AXIAL_DEG:
        return
    along = volume.slice_origin_mm(len(volume.hu) - 1) - volume.slice_origin_mm(0)
    if angle <= _MOST_TILT_DEG and len(volume.hu) > 1 and _degrees_to_axis(along) <= _AXIAL_DEG:
        return
    raise ValueError(
        f"expected axial slices, or those of a tilted gantry, got planes turned by {angle:.0f} "
        "degrees from them (coronal, sagittal or oblique): the rays of a scan do not lie in them; "
        "simulate the axial series and reformat it afterwards"
    )


def _degrees_to_axis(direction: np.ndarray) -> float:
    """Angle between a direction (x, y, z) and the patient's long axis, 0 to 90 degrees."""
    length = float(np.linalg.norm(direction))
    return math.degrees(math.acos(min(abs(float(direction[2])) / max(length, 1e-9), 1.0)))


def draw_noise(beam: ParallelBeam, rng: np.random.Generator) -> UnitNoise:
    """Random numbers for one slice; they do not depend on the image, dose or scanner."""
    shape = beam.sinogram_shape
    return UnitNoise(rng.standard_normal(shape, np.float32), rng.standard_normal(shape, np.float32))


def add_noise(
    hu: np.ndarray,
    unit: UnitNoise,
    fraction: float,
    *,
    beam: ParallelBeam,
    scanner: Scanner,
    missing_only: bool = True,
) -> np.ndarray:
    """One slice (HU, y, x) at the lower dose, from numbers drawn before; float32.

    Fill outside the circular field of view is left alone. Where the patient reaches beyond it,
    rays are a little too bright; no truncation artefact arises, for only noise is reconstructed.
    """
    lines = line_integrals(hu, beam)
    added = projection_noise(
        lines, unit, fraction, beam=beam, scanner=scanner, missing_only=missing_only
    )
    noise_hu = fbp(added, beam, filter_name=scanner.filter_name)
    noise_hu *= np.float32(1000.0 / MU_WATER_PER_MM)
    noise_hu[fill_mask(hu)] = 0
    return np.asarray(hu + noise_hu, dtype=np.float32)


def line_integrals(hu: np.ndarray, beam: ParallelBeam) -> np.ndarray:
    """Line integrals of a slice, (angles, detectors); fill and air count as nothing.

    Only the variance is computed from them, so an image of half the resolution will do: it
    takes half the time and changes the noise by less than a percent.
    """
    mu = np.clip(hu * (MU_WATER_PER_MM / 1000) + MU_WATER_PER_MM, 0, None).astype(np.float32)
    height, width = mu.shape
    if height % 2 or width % 2 or min(height, width) < 128:
        return project(mu, beam)
    half = mu.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    coarse = replace(beam, shape=half.shape, pixel_mm=2 * beam.pixel_mm)
    return project(half, coarse)


def projection_noise(
    lines: np.ndarray,
    unit: UnitNoise,
    fraction: float,
    *,
    beam: ParallelBeam,
    scanner: Scanner,
    missing_only: bool = True,
) -> np.ndarray:
    """Change of each line integral at the lower dose; float32, (angles, detectors).

    The binomial (or Poisson) count is the Cornish-Fisher quantile of a standard normal number:
    its mean and variance are exact and its skewness is kept, without a random draw that depends
    on the image, so a seed means the same noise on every platform.
    """
    counts = scanner.counts(lines, beam)
    mean = fraction * counts
    kept = 1.0 - fraction if missing_only else 1.0
    sd = np.sqrt(kept * mean)
    skewness = (1.0 - 2.0 * fraction if missing_only else 1.0) / np.maximum(sd, 1e-12)
    z = unit.quantum.astype(np.float64)
    bent = (z + skewness / 6 * (z * z - 1)) / np.sqrt(1 + skewness**2 / 18)
    # A thinned count lies between none and all of what was counted at full dose.
    low = np.clip(mean + sd * bent, 0.0, counts if missing_only else np.inf)
    missing = np.sqrt(1.0 - fraction**2) if missing_only else 1.0
    low += scanner.electronic_sd * missing * unit.electronic
    change = np.log(mean / np.maximum(low, 1.0))
    return np.asarray(change * scanner.hardening_slope(lines), dtype=np.float32)


def fill_mask(hu: np.ndarray) -> np.ndarray:
    """Pixels that hold no measurement: below -1024 HU, or at it outside the inscribed circle."""
    y, x = np.ogrid[: hu.shape[0], : hu.shape[1]]
    centre_y, centre_x = (hu.shape[0] - 1) / 2, (hu.shape[1] - 1) / 2
    radius = min(hu.shape) / 2 - 1
    outside = (y - centre_y) ** 2 + (x - centre_x) ** 2 > radius**2
    return np.asarray((hu < HU_MIN) | ((hu == HU_MIN) & outside))
