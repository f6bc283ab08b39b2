"""Files are written whole or not at all."""

import pytest

from ctlab.files import fresh_folder, write_whole


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
