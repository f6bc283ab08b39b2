"""Studies made by earlier versions stay readable: one of each format is kept."""

import zipfile
from pathlib import Path

import pytest

from reader_study.coordinator import add_reader, status
from reader_study.summary import preference_results
from reader_study.unblinding import unblind, verify

STUDIES = Path(__file__).parents[1] / "data" / "studies"


@pytest.mark.parametrize("number", [1])
def test_a_study_of_an_earlier_format_is_verified_unblinded_and_counted(
    number, tmp_path, passphrase
):
    """Three cases, one reader who always took the right image, closed and sealed."""
    with zipfile.ZipFile(STUDIES / f"format-{number}.zip") as packed:
        packed.extractall(tmp_path)
    assert verify(tmp_path).ok
    facts = status(tmp_path)
    assert (facts["closed"], facts["readers"][0]["done"]) == (True, 5)
    with pytest.raises(ValueError, match="closed"):
        add_reader(tmp_path, "late")
    unblind(tmp_path, passphrase=passphrase, who="c", reason="a slot stayed empty")
    results = preference_results(tmp_path)
    assert results["position"][0]["share"] == 0.0
    assert results["comparisons"][0]["pooled"]["n"] == 3
