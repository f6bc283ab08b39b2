"""Studies made by earlier versions stay readable: one of each format is kept."""

import json
import zipfile
from pathlib import Path

import pytest

from reader_study.analysis.preference_summary import preference_results
from reader_study.blinding.unblind import unblind, verify
from reader_study.record.bundle import open_bundle
from reader_study.record.coordinator import add_reader, status
from reader_study.record.migrations import FORMAT_VERSION

STUDIES = Path(__file__).parents[1] / "data" / "studies"


@pytest.mark.parametrize(
    ("number", "first"), [(1, "pair"), (2, "flicker"), (3, "pair"), (4, "pair")]
)
def test_a_study_of_each_format_is_migrated_verified_unblinded_and_counted(
    number, first, tmp_path, passphrase
):
    """Three cases, one reader who always took the right image, closed and sealed.

    Format 1 did not say how images are first shown: they were shown side by side.
    """
    with zipfile.ZipFile(STUDIES / f"format-{number}.zip") as packed:
        packed.extractall(tmp_path)
    written = json.loads((tmp_path / "bundle" / "study.json").read_text("utf-8"))
    facts = open_bundle(tmp_path / "bundle").facts
    assert written["format_version"] == number
    assert (facts["format_version"], facts["view"]["first"]) == (FORMAT_VERSION, first)
    # Studies before format 3 go on as their readers know them.
    assert (facts["view"]["scroll"] == "stored") == (number < 3)
    assert (facts["view"]["image_names"], facts["view"]["hu_values"]) == (
        ("sides", False) if number < 3 else ("letters", True)
    )
    assert (facts["view"]["display_filter"] == "mitchell") == (number < 3)
    assert {**facts, "view": 0, "format_version": 0} == {**written, "view": 0, "format_version": 0}
    assert verify(tmp_path).ok
    facts = status(tmp_path)
    assert (facts["closed"], facts["readers"][0]["done"]) == (True, 5)
    with pytest.raises(ValueError, match="closed"):
        add_reader(tmp_path, "late")
    unblind(tmp_path, passphrase=passphrase, who="c", reason="a slot stayed empty")
    results = preference_results(tmp_path)
    assert results["position"][0]["share"] == 0.0
    assert results["comparisons"][0]["pooled"]["n"] == 3


def test_one_study_of_every_format_is_kept():
    """Whoever raises the format keeps a study of the one before, and writes its step."""
    kept = sorted(path.stem for path in STUDIES.glob("format-*.zip"))
    assert kept == [f"format-{number}" for number in range(1, FORMAT_VERSION + 1)]
