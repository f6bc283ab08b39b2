"""Files are written whole or not at all."""

import json

import numpy as np
import pandas as pd
import pytest

from ctlab.files import fresh_folder, plain, write_json, write_whole
from ctlab.resumable_folder import ResumableFolder


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.csv"
    target.write_text("old")
    with pytest.raises(TypeError), write_whole(target) as part:
        part.write_bytes("text where bytes belong")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
    with write_whole(target) as part:
        assert part.suffix == ".csv"
        part.write_text("new")
    assert target.read_text() == "new"


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(TypeError), fresh_folder(tmp_path / "out") as part:
        (part / "x").write_bytes("text where bytes belong")
    assert list(tmp_path.iterdir()) == []


def test_folders_are_replaced_on_request_only(tmp_path):
    out = tmp_path / "out"
    for text in ("one", "two"):
        with fresh_folder(out, overwrite=text == "two") as part:
            (part / text).touch()
    assert [p.name for p in out.iterdir()] == ["two"]
    with pytest.raises(ValueError, match="not empty"), fresh_folder(out):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"), fresh_folder(tmp_path / "file"):
        pass


def test_json_holds_numbers_that_json_has(tmp_path):
    table = pd.DataFrame({"case": ["p1", "p2"], "auc": [0.5, np.nan]})
    values = {1: np.float32(0.5), "a": np.array([1.0, np.inf]), "n": np.int64(3), "t": table}
    write_json(tmp_path / "a.json", values)
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "1": 0.5,
        "a": [1.0, None],
        "n": 3,
        "t": [{"case": "p1", "auc": 0.5}, {"case": "p2", "auc": None}],
    }
    assert plain(np.bool_(True)) is True
    assert plain((tmp_path, float("nan"))) == [str(tmp_path), None]


def test_a_killed_run_goes_on_and_another_process_joins(tmp_path):
    out = tmp_path / "out"
    begun = ResumableFolder.begin(out, {"slices": 2}, {"uid": "1.2"})
    (begun.folder / "a").touch()
    with pytest.raises(ValueError, match="pass --resume"):
        ResumableFolder.begin(out, {"slices": 2}, {"uid": "3.4"})
    with pytest.raises(ValueError, match="begun with slices 2, now it is 3"):
        ResumableFolder.begin(out, {"slices": 3}, {}, resume=True)
    again = ResumableFolder.begin(out, {"slices": 2}, {"uid": "3.4"}, resume=True)
    assert again.given == {"uid": "1.2"} == ResumableFolder.join(out).given
    again.finish()
    assert [p.name for p in out.iterdir()] == ["a"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_work_begun_anew_forgets_the_old(tmp_path):
    begun = ResumableFolder.begin(tmp_path / "out", {}, {})
    (begun.folder / "a").touch()
    anew = ResumableFolder.begin(tmp_path / "out", {}, {}, overwrite=True)
    assert not (anew.folder / "a").exists()
    anew.abandon()
    assert list(tmp_path.iterdir()) == []
