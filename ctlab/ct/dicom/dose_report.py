"""How much dose a scan gave: CTDIvol, DLP, effective dose, tube current over slices."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from ctlab.ct.dicom.read import choose_series, mean_of
from ctlab.ct.dicom.slice_order import find_series

K_MSV_PER_MGY_CM = {"head": 0.0021, "neck": 0.0059, "chest": 0.014, "abdomen": 0.015}
"""Effective dose per dose-length product for adults (AAPM Report 96, 2008, table 3)."""


@dataclass(frozen=True)
class DoseFacts:
    """Dose of one series; ``None`` where the header is silent.

    ``length_mm`` is what the slices cover. Scans reach a little further than their images, so
    ``dlp_mgy_cm`` and ``effective_dose_msv`` are low by a few percent.
    """

    ctdivol_mgy: float | None
    length_mm: float
    dlp_mgy_cm: float | None
    region: str
    k_msv_per_mgy_cm: float
    effective_dose_msv: float | None
    kvp: float | None
    tube_current_ma: tuple[float, float] | None  # lowest and highest over slices
    exposure_mas: float | None

    def sentence(self, fraction: float | None = None) -> str:
        """In words; a fraction is always said to be one of this scan's own dose."""
        if self.ctdivol_mgy is None:
            text = "The header gives no CTDIvol, so the dose is unknown"
        else:
            text = (
                f"CTDIvol {self.ctdivol_mgy:.3g} mGy over {self.length_mm / 10:.1f} cm: DLP "
                f"{self.dlp_mgy_cm:.3g} mGy cm, effective dose about {self.effective_dose_msv:.2g}"
                f" mSv (k = {self.k_msv_per_mgy_cm:g} mSv/mGy/cm, adult {self.region})"
            )
        if self.tube_current_ma:
            low, high = self.tube_current_ma
            span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            text += f"; tube current {span} mA"
        if fraction is None:
            return text + "."
        return f"{100 * fraction:g} % of this scan's own dose. {text}."


def effective_dose_msv(dlp_mgy_cm: float, region: str = "chest") -> float:
    """Effective dose ``E = k DLP`` of an adult in mSv.

    Examples
    --------
    >>> round(effective_dose_msv(100.0, "chest"), 6)
    1.4
    """
    if region not in K_MSV_PER_MGY_CM:
        raise ValueError(f"region must be one of {', '.join(K_MSV_PER_MGY_CM)}, got {region!r}")
    return K_MSV_PER_MGY_CM[region] * dlp_mgy_cm


def dose_facts(
    path: str | Path, *, region: str = "chest", series_uid: str | None = None
) -> DoseFacts:
    """Dose of the series at ``path`` from its headers; pixels are not read.

    Raises
    ------
    ValueError
        As :func:`~ctlab.ct.read_series`, or the region is unknown.
    """
    effective_dose_msv(0.0, region)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = choose_series(find_series(path), path, series_uid, allow_gaps=True, allow_tilt=True)
    headers = [f.header for f in plan.frames]
    ctdi = mean_of(headers, "ctdivol_mgy")
    length = plan.spacing_mm[0] * len(headers)
    dlp = None if ctdi is None else ctdi * length / 10
    currents = [v for v in (h.number("tube_current_ma") for h in headers) if v is not None]
    return DoseFacts(
        ctdivol_mgy=ctdi,
        length_mm=length,
        dlp_mgy_cm=dlp,
        region=region,
        k_msv_per_mgy_cm=K_MSV_PER_MGY_CM[region],
        effective_dose_msv=None if dlp is None else effective_dose_msv(dlp, region),
        kvp=headers[0].number("kvp"),
        tube_current_ma=(min(currents), max(currents)) if currents else None,
        exposure_mas=mean_of(headers, "exposure_mas"),
    )
