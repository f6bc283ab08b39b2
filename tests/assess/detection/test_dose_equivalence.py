"""Equivalent dose: the curve of visibility over dose, inverted."""

import numpy as np
import pandas as pd
import pytest

from ctlab.assess.detection.dose_equivalence import equivalent_dose
from ctlab.assess.detection.roc import d_prime_to_auc


def curve(doses, denoised_d, c=4.0, se=0.01, dose=0.1):
    rows = [("solid", 6.0, 24.0, "input", d, d_prime_to_auc(c * d**0.5), se, 300) for d in doses]
    rows.append(("solid", 6.0, 24.0, "denoised", dose, d_prime_to_auc(denoised_d), se, 300))
    columns = ["kind", "diameter_mm", "contrast_hu", "arm", "dose", "auc", "se", "n_test"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("dose", [0.04, 0.1, 0.25, 0.5])
def test_equivalent_dose_inverts_the_curve_exactly(dose):
    """Also below the dose that was denoised."""
    found = equivalent_dose(curve([0.05, 0.1, 0.2, 0.4], 4 * dose**0.5)).iloc[0]
    assert found.equivalent_dose == pytest.approx(dose, rel=1e-6)
    assert found.low < dose < found.high
    assert ("extrapolated" in found.note) == (dose in (0.04, 0.5))


@pytest.mark.slow
def test_interval_of_the_equivalent_dose_covers_the_truth():
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(60):
        table = curve([0.05, 0.1, 0.2, 0.4], 4 * 0.15**0.5, se=0.02)
        table["auc"] += rng.normal(0, table.se)
        found = equivalent_dose(table, draws=300).iloc[0]
        covered += found.low <= 0.15 <= found.high
    assert covered / 60 > 0.85


def test_a_miracle_has_no_equivalent_dose_and_an_erased_lesion_has_dose_zero():
    above = equivalent_dose(curve([0.05, 0.1, 0.2], 4 * 2**0.5)).iloc[0]
    assert np.isinf(above.equivalent_dose)
    assert "more visible than raw" in above.note
    assert equivalent_dose(curve([0.05, 0.1, 0.2], -0.1)).iloc[0].equivalent_dose == 0


def test_a_saturated_curve_is_refused():
    with pytest.raises(ValueError, match=r"solid.*3 or more doses, got 2"):
        equivalent_dose(curve([0.05, 0.1], 1.0))
    with pytest.raises(ValueError, match="3 or more doses, got 0"):
        equivalent_dose(curve([0.05, 0.1, 0.2, 0.4], 1.0, c=60))
