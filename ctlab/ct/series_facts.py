"""Facts of a series that decide whether a denoiser fits it, measured from its HU and header."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ctlab.ct.noise_level import measure_noise_hu
from ctlab.ct.spectra import peak_frequency_per_mm, roi_spectra
from ctlab.ct.tissue import METAL_HU, SOFT_ROI_HU, body_mask, find_rois
from ctlab.ct.volume import Volume

CLIPS_SHARE = 0.001
"""Share of the body that clips and dense contrast medium may always take."""

_SLICES = 24
_SQUARE_PX = 24

WORDS = {
    "noise_hu": "noise in soft tissue, HU",
    "nps_peak_per_mm": "frequency at which the noise is strongest, per mm",
    "kernel": "reconstruction kernel",
    "pixel_mm": "pixel size, mm",
    "slice_mm": "slice distance, mm",
    "field_of_view_mm": "field of view, mm",
    "metal_share": "share of the body that is metal",
    "water_diameter_mm": "patient size (water-equivalent diameter), mm",
}
"""The facts that are told, and how they are spoken of."""


def describe_series(volume: Volume) -> dict[str, Any]:
    """The facts of a series that decide whether a denoiser fits it; None where not measurable.

    Noise and NPS are measured on at most 24 slices, spread evenly, one at a time. The noise is
    that of one scan, without a repeat: fine texture of organs counts a little, too.

    Returns
    -------
    dict
        One value per name in :data:`WORDS`.
    """
    _, rows, columns = volume.shape
    slice_mm, row_mm, column_mm = volume.spacing_mm
    picked = np.unique(np.linspace(0, len(volume.hu) - 1, _SLICES).astype(int))
    bodies = [(volume.hu[z], body_mask(volume.hu[z])) for z in picked]
    sizes = [
        water_equivalent_diameter_mm(hu, mask, volume.spacing_mm)
        for hu, mask in bodies
        if mask.any()
    ]
    voxels = sum(int(mask.sum()) for _, mask in bodies)
    metal = sum(int((hu[mask] > METAL_HU).sum()) for hu, mask in bodies)
    return {
        "noise_hu": _noise_hu(volume, picked),
        "nps_peak_per_mm": _nps_peak_per_mm(volume, picked),
        "kernel": volume.acquisition.kernel or None,
        "pixel_mm": float(max(row_mm, column_mm)),
        "slice_mm": float(slice_mm),
        "field_of_view_mm": float(max(rows * row_mm, columns * column_mm)),
        "metal_share": metal / voxels if voxels else None,
        "water_diameter_mm": float(np.median(sizes)) if sizes else None,
    }


def range_of_use(facts: list[Mapping[str, Any]], *, margin: float = 0.1) -> dict[str, list[Any]]:
    """Ranges for a card from the facts of the series a denoiser was trained or validated on.

    Lowest and highest value of each fact, widened by ``margin`` of the value; for kernels, the
    names seen; for metal, from none to the highest share seen or a thousandth.
    Facts that no series could tell are left out.

    Examples
    --------
    >>> range_of_use([{"noise_hu": 40.0, "kernel": "B30f"}, {"noise_hu": 60.0}], margin=0.1)
    {'noise_hu': [36.0, 66.0], 'kernel': ['B30f']}
    """
    if not facts:
        raise ValueError("a range of use needs the facts of at least one series")
    ranges: dict[str, list[Any]] = {}
    for name in WORDS:
        seen = [f[name] for f in facts if f.get(name) is not None]
        if not seen:
            continue
        if isinstance(seen[0], str):
            ranges[name] = sorted(set(seen))
            continue
        low, high = min(seen) * (1 - margin), max(seen) * (1 + margin)
        if name == "metal_share":
            low, high = 0.0, max(high, CLIPS_SHARE)
        ranges[name] = [round(low, 6), round(high, 6)]
    return ranges


def water_equivalent_diameter_mm(
    hu: np.ndarray, mask: np.ndarray, spacing_mm: tuple[float, ...]
) -> float:
    """Diameter of the water cylinder that absorbs as much as the patient does in this slice.

    ``2 sqrt((mean(HU) / 1000 + 1) A / pi)`` over the body (AAPM Report 220, 2014, eq. 3a).

    Examples
    --------
    >>> y, x = np.mgrid[-50:50, -50:50]
    >>> water = np.where(np.hypot(y, x) < 40, 0.0, -1000.0)
    >>> round(water_equivalent_diameter_mm(water, water > -500, (1.0, 1.0)))
    80
    """
    area = float(mask.sum()) * spacing_mm[-2] * spacing_mm[-1]
    return float(2 * np.sqrt(max(float(np.mean(hu[mask])) / 1000 + 1, 0.0) * area / np.pi))


def _noise_hu(volume: Volume, picked: np.ndarray) -> float | None:
    try:
        return float(measure_noise_hu(volume.hu[picked], spacing_mm=volume.spacing_mm[1]))
    except ValueError:  # too little soft tissue: "not known" is an answer of this table
        return None


def _nps_peak_per_mm(volume: Volume, picked: np.ndarray) -> float | None:
    """Peak of the NPS of neighbouring slices' difference, in the quieter half of the regions.

    The difference cancels most anatomy, which is stronger than noise at low frequencies; where
    slices overlap and their noise correlates, its amount falls but its texture stays.
    """
    rois = []
    for z in picked[picked + 1 < len(volume.hu)]:
        pair = volume.hu[z : z + 2].astype(np.float64)
        corners = find_rois(pair.mean(axis=0), SOFT_ROI_HU, size_px=_SQUARE_PX)
        difference = pair[1] - pair[0]
        rois += [difference[y : y + _SQUARE_PX, x : x + _SQUARE_PX] for y, x in corners]
    if len(rois) < 8:
        return None
    quiet = sorted(rois, key=np.std)[: len(rois) // 2]
    return noise_peak_per_mm(np.stack(quiet), volume.spacing_mm[1:])


def noise_peak_per_mm(rois: np.ndarray, spacing_mm: tuple[float, ...]) -> float | None:
    """Frequency per mm at which the noise of regions (n, y, x) is strongest; None if flat."""
    spectra = roi_spectra(rois, spacing_mm, detrend="plane", window="hann")
    peak = peak_frequency_per_mm(np.mean(np.abs(spectra) ** 2, axis=0), spacing_mm)
    return None if np.isnan(peak) else peak
