"""Dose from headers: the product, the factor used, and silence where the header is silent."""

import pytest

from ctlab.ct import dose_facts
from ctlab.ct.datasets.sample import SAMPLE_FOLDER
from ctlab.ct.dicom.dose_report import effective_dose_msv


def test_effective_dose_is_k_times_dlp(make_series):
    def change(k, dataset):
        dataset.CTDIvol = 2.0

    facts = dose_facts(make_series(4, change))
    assert facts.length_mm == 10
    assert facts.dlp_mgy_cm == pytest.approx(2.0)  # 2 mGy over 1 cm
    assert facts.effective_dose_msv == pytest.approx(2.0 * 0.014)
    assert facts.tube_current_ma == (100, 103)
    text = facts.sentence(0.1)
    assert text.startswith("10 % of this scan's own dose.")
    assert "k = 0.014" in text
    assert "100 to 103 mA" in text


def test_silence_is_kept():
    facts = dose_facts(SAMPLE_FOLDER)
    assert facts.ctdivol_mgy is facts.dlp_mgy_cm is facts.effective_dose_msv is None
    assert facts.tube_current_ma == (400, 400)
    assert "no CTDIvol" in facts.sentence()


def test_regions():
    assert effective_dose_msv(100, "head") == pytest.approx(0.21)
    with pytest.raises(ValueError, match="region must be one of"):
        dose_facts(SAMPLE_FOLDER, region="foot")
