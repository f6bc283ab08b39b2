"""Does a series lie within what a denoiser was made for? Measured facts against its card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from ctlab.assess.noise import nps
from ctlab.assess.series_noise import REGIONS_HU, find_rois
from ctlab.ct import Volume
from ctlab.ct.noise_level import measure_noise_hu

METAL_HU = 2500.0
"""Denser than any bone: implants, contrast medium at full strength, electrodes."""

CLIPS_SHARE = 0.001
"""Share of the body that clips and dense contrast medium may always take."""

_SLICES = 24

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
"""The facts that are checked, and how they are spoken of."""


@dataclass(frozen=True)
class Applicability:
    """Each fact of a series beside the range on the card.

    Attributes
    ----------
    table : DataFrame
        ``fact, value, low, high, allowed, inside``; ``inside`` is None where the series or the
        card does not say.
    """

    table: pd.DataFrame

    @property
    def applicable(self) -> bool:
        """No fact is known to lie outside the card."""
        return not any(inside is False for inside in self.table.inside)

    @property
    def complete(self) -> bool:
        """Every fact is known on both sides."""
        return all(inside is not None for inside in self.table.inside)

    def sentences(self) -> list[str]:
        """One sentence for each fact outside the card, then one for each that is not known."""
        outside, unknown = [], []
        for row in self.table.itertuples():
            words = WORDS[row.fact]
            if row.inside is False:
                wanted = row.allowed or f"{row.low:g} to {row.high:g}"
                value = row.value if isinstance(row.value, str) else f"{row.value:.3g}"
                outside.append(f"{words} is {value}; the denoiser was made for {wanted}")
            elif row.inside is None:
                source = "the series" if row.value is None else "the card"
                unknown.append(f"{words}: {source} does not say")
        return outside + unknown


def check_applicability(
    series: Volume | Mapping[str, Any], card: Mapping[str, Any]
) -> Applicability:
    """Compare a series with the range of use on a denoiser's card.

    Parameters
    ----------
    series : Volume, or the facts of one as :func:`describe_series` measures them
    card : mapping
        Holds ``range_of_use``: per fact of :data:`WORDS` a pair ``[low, high]``, or a list of
        names for ``kernel``. An absent or empty entry is "the card does not say", never a pass.

    Raises
    ------
    ValueError
        The card has no range of use, an unknown fact, or a range that is not a pair.

    Examples
    --------
    >>> card = {"range_of_use": {"noise_hu": [30, 90], "kernel": ["STANDARD"]}}
    >>> found = check_applicability({"noise_hu": 12.0, "kernel": "STANDARD"}, card)
    >>> found.applicable, found.sentences()[0]
    (False, 'noise in soft tissue, HU is 12; the denoiser was made for 30 to 90')
    """
    wanted = card.get("range_of_use")
    if not isinstance(wanted, Mapping):
        raise ValueError("the card has no range_of_use; measure one with range_of_use(facts)")
    unknown = set(wanted) - set(WORDS)
    if unknown:
        raise ValueError(
            f"the card names unknown facts: {', '.join(sorted(unknown))}; known are "
            f"{', '.join(WORDS)}"
        )
    facts = describe_series(series) if isinstance(series, Volume) else series
    rows = [_compare(name, facts.get(name), wanted.get(name)) for name in WORDS]
    return Applicability(pd.DataFrame(rows, dtype=object).astype({"low": float, "high": float}))


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


def body_mask(hu: np.ndarray) -> np.ndarray:
    """The patient in one slice, lungs included: the largest object above -500 HU, filled.

    Thin things (table, clothes) are opened away first.
    """
    dense = ndimage.binary_opening(hu > -500, iterations=2)
    labels, count = ndimage.label(dense)
    if count == 0:
        return np.zeros(hu.shape, bool)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return ndimage.binary_fill_holes(labels == largest)


def water_equivalent_diameter_mm(hu: np.ndarray, mask: np.ndarray, spacing_mm) -> float:
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


def _compare(name: str, value: Any, wanted: Any) -> dict[str, Any]:
    row = {
        "fact": name,
        "value": value,
        "low": np.nan,
        "high": np.nan,
        "allowed": "",
        "inside": None,
    }
    if not wanted:
        return row
    if name == "kernel":
        row["allowed"] = ", ".join(wanted)
        return row | {"inside": None if value is None else value in wanted}
    if len(wanted) != 2 or not wanted[0] <= wanted[1]:
        raise ValueError(f"range_of_use: {name} must be [low, high], got {wanted}")
    row |= {"low": float(wanted[0]), "high": float(wanted[1])}
    if value is None or not np.isfinite(value):
        return row | {"value": None}
    return row | {"inside": bool(wanted[0] <= value <= wanted[1])}


def _noise_hu(volume: Volume, picked: np.ndarray) -> float | None:
    try:
        return float(measure_noise_hu(volume.hu[picked], spacing_mm=volume.spacing_mm[1]))
    except ValueError:  # too little soft tissue: "not known" is an answer of this table
        return None


def _nps_peak_per_mm(volume: Volume, picked: np.ndarray, size_px: int = 24) -> float | None:
    """Peak of the NPS of neighbouring slices' difference, in the quieter half of the regions.

    The difference cancels most anatomy, which is stronger than noise at low frequencies; where
    slices overlap and their noise correlates, its amount falls but its texture stays.
    """
    rois = []
    for z in picked[picked + 1 < len(volume.hu)]:
        pair = volume.hu[z : z + 2].astype(np.float64)
        corners = find_rois(pair.mean(axis=0), REGIONS_HU["mediastinum"], size_px=size_px)
        difference = pair[1] - pair[0]
        rois += [difference[y : y + size_px, x : x + size_px] for y, x in corners]
    if len(rois) < 8:
        return None
    quiet = sorted(rois, key=np.std)[: len(rois) // 2]
    spectrum = nps(np.stack(quiet), volume.spacing_mm, detrend="plane", window="hann")
    peak = spectrum.peak_frequency_per_mm
    return peak if np.isfinite(peak) else None
