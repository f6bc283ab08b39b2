"""Files are found wherever they lie, and what systems leave behind is passed over."""

import zipfile

import pytest

from ctlab.ct.dicom.discover import list_files, open_source


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    for name in ("b/2.dcm", "a/1.dcm", ".git/x", "a/.DS_Store", "__MACOSX/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert [p.relative_to(tmp_path).as_posix() for p in list_files(tmp_path)] == [
        "a/1.dcm",
        "b/2.dcm",
    ]


def test_members_of_a_zip_are_opened_by_path(tmp_path):
    archive = tmp_path / "s.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("p/1.dcm", "one")
        opened.writestr("__MACOSX/p/._1.dcm", "no")
    (member,) = list_files(archive)
    assert member == archive / "p" / "1.dcm"
    with open_source(member) as stream:
        assert stream.read() == b"one"


def test_nothing_is_said_to_be_nothing(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        list_files(tmp_path / "none")
    with pytest.raises(ValueError, match="holds no files"):
        list_files(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "none")
