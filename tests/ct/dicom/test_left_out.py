"""Nothing of a folder that may be an image is left out in silence, however it is packed."""

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from ctlab.__main__ import app
from ctlab.ct import deidentify_series, inspect_folder, read_series
from ctlab.ct.dicom.discover import find_files
from ctlab.ct.dicom.media import zips
from tests.files.damage import LENGTHS, damaged


def packed(files):
    """A zip of files, as bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(data):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("slice"), io.BytesIO(data))
    return made.getvalue()


@pytest.fixture
def folder(make_series):
    return make_series(4)


@pytest.fixture
def last(folder):
    """Bytes of a slice at the end of the stack, which is taken away: no gap tells of it."""
    file = min(folder.iterdir())
    data = file.read_bytes()
    file.unlink()
    return data


def named(folder, tmp_path, words):
    """By inspect, by a refusal, with ``skip_damaged`` by a finding, and by deidentify."""
    with pytest.raises(ValueError, match=words):
        read_series(folder)
    assert any(words in p for p in inspect_folder(folder)[0].problems)
    volume = read_series(folder, skip_damaged=True)
    assert any(words in p for p in volume.problems)
    report = deidentify_series(folder, tmp_path / "clean")
    assert report.files == len(volume.hu)
    assert any(words in f"{name} {why}" for name, why in report.left_out.items())
    assert CliRunner().invoke(app, ["deidentify", str(folder), str(tmp_path / "o")]).exit_code == 1


ARCHIVES = {
    "slice.gz": gzip.compress,
    "x.dcm.gz": gzip.compress,
    "more.bz2": bz2.compress,
    "more.xz": lzma.compress,
    "more.tar": tarred,
    "more.tar.gz": lambda data: gzip.compress(tarred(data)),
    "gz_without_suffix": gzip.compress,
    "tar_without_suffix": tarred,
    "more.7z": lambda data: b"7z\xbc\xaf\x27\x1c" + data,
    "more.rar": lambda data: b"Rar!\x1a\x07\x01\0" + data,
    "cut.zip": lambda data: packed({"a": data})[:-30],
    "empty.zip": lambda data: b"",
    "noise.zip": lambda data: bytes(range(256)) * 4,
    "cut_without_suffix": lambda data: packed({"a": data})[:-30],
    "IM0007": lambda data: b"",
    "1.2.3-99.dcm": lambda data: os.urandom(400),
    "outer.zip": lambda data: packed({"in.zip": packed({"third.zip": packed({"a": data})})}),
    "broken_within.zip": lambda data: packed({"in.zip": packed({"a": data})[:-30]}),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_what_cannot_be_looked_into_is_named(folder, last, tmp_path, name):
    (folder / name).write_bytes(ARCHIVES[name](last))
    inner = {"outer.zip": "third.zip", "broken_within.zip": "in.zip is damaged"}
    named(folder, tmp_path, inner.get(name, name))


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("zip_without_suffix", lambda data: packed({"a": data})),
        ("scan.ZIP", lambda data: packed({"a": data})),
        ("scan.data", lambda data: packed({"deep/a.dcm": data})),
        ("outer.zip", lambda data: packed({"note.txt": b"x", "in.zip": packed({"a": data})})),
        ("outer", lambda data: packed({"in": packed({"b/a": data})})),
        ("absolute.zip", lambda data: packed({"/etc/hostname": data})),
        ("dotted.zip", lambda data: packed({"./b//./a": data})),
        (".hidden", lambda data: data),
    ],
)
def test_what_can_be_looked_into_is_read(folder, last, tmp_path, name, pack):
    (folder / name).write_bytes(pack(last))
    assert read_series(folder).shape[0] == 4
    assert deidentify_series(folder, tmp_path / "clean").files == 4


def test_other_files_of_a_folder_are_no_images(folder):
    (folder / "notes.txt").write_bytes(b"")
    (folder / "table.csv.gz").write_bytes(gzip.compress(b"1,2"))
    (folder / "scan.nii.gz").write_bytes(gzip.compress(bytes(400)))
    (folder / "letter.docx").write_bytes(packed({"word/document.xml": b"<x/>"}))
    (folder / "._IM1.dcm").write_bytes(b"\0\5\x16\7" + bytes(400))
    assert read_series(folder).shape[0] == 4
    assert find_files(folder)[1] == []


def test_hidden_folders_with_images_are_named_but_not_those_of_killed_runs(folder, last, tmp_path):
    for name in (".out.unfinished", ".out.part", ".Trash-1000"):
        (folder / name).mkdir()
        (folder / name / "a.dcm").write_bytes(last)
    assert read_series(folder).shape[0] == 3
    (folder / ".more").mkdir()
    (folder / ".more" / "a.dcm").write_bytes(last)
    named(folder, tmp_path, ".more is a hidden folder with DICOM files")


def test_pipes_are_not_waited_for(folder, tmp_path):
    os.mkfifo(folder / "pipe")
    named(folder, tmp_path, "pipe is no file that can be read")


def test_a_file_that_cannot_be_opened_is_named(folder, monkeypatch):
    from pathlib import Path

    closed, opened = min(folder.iterdir()), Path.open

    def refuse(self, *words, **options):
        if self == closed:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *words, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ValueError, match=rf"{closed.name} cannot be opened \(Permission denied"):
        read_series(folder)


def test_a_zip_within_a_zip_has_limits(folder, last, monkeypatch):
    (folder / "outer.zip").write_bytes(packed({"in.zip": packed({"a": last, "b": b"x"})}))
    monkeypatch.setattr(zips, "LARGEST_INNER", 100)
    assert "in.zip unpacks to" in " ".join(inspect_folder(folder)[0].problems)
    monkeypatch.setattr(zips, "LARGEST_INNER", 1 << 29)
    monkeypatch.setattr(zips, "MOST_MEMBERS", 1)
    zips._opened.cache_clear()
    assert "in.zip holds 2 files, more than 1" in " ".join(inspect_folder(folder)[0].problems)
    zips._opened.cache_clear()


def test_a_list_of_members_that_no_medium_has_is_not_read(folder, last):
    data = bytearray(packed({"a": last}))
    data[-10:-6] = (1 << 30).to_bytes(4, "little")  # size of the list, in the end record
    (folder / "x.zip").write_bytes(data)
    assert "x.zip has a list of files of 1073741824 bytes" in inspect_folder(folder)[0].problems[-1]


def test_files_of_an_unknown_series_are_shown_without_a_name(make_series):
    def change(k, dataset):
        dataset.SeriesInstanceUID, dataset.ImageType = "", ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    done = CliRunner().invoke(app, ["inspect", str(make_series(2, change))])
    assert done.exit_code == 1
    assert "unknown" in done.stdout
    assert "2 files set aside: localizer" in done.stdout


def test_a_folder_of_nothing_but_damage_is_said_in_a_sentence(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK\3\4")
    for place in (tmp_path, tmp_path / "x.zip"):
        with pytest.raises(ValueError, match=r"x\.zip is damaged"):
            inspect_folder(place)
        with pytest.raises(ValueError, match=r"x\.zip is damaged"):
            read_series(place)


def test_an_end_record_that_does_not_lie_at_the_end_hides_no_members(folder, last):
    """Zeros of a preamble that follow it would read as an empty list."""
    for comment in (b"\0\0", b"\xff\xff"):
        whole = bytearray(packed({"1": last}))
        whole[40:62] = b"PK\5\6" + bytes(16) + comment
        (folder / "more.zip").write_bytes(bytes(whole[:-30]) + b"x" * 30)
        with pytest.raises(ValueError, match=r"more\.zip is damaged"):
            read_series(folder)
    (folder / "more.zip").write_bytes(packed({"1": last}) + bytes(512))
    assert len(read_series(folder).hu) == 4, "padding is no damage"


@pytest.mark.parametrize("kind", ["flat", "nested", "stored"])
@pytest.mark.filterwarnings("ignore")
def test_no_damage_of_a_zip_loses_a_slice_in_silence(folder, last, kind, mutations):
    """Two of four slices lie in a zip: all four are read with their own HU, or it is refused."""
    file = min(folder.iterdir())
    pack = zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", pack) as archive:
        archive.writestr("a/1", last)
        archive.writestr("a/2.dcm", file.read_bytes())
    file.unlink()
    data = packed({"in.zip": made.getvalue()}) if kind == "nested" else made.getvalue()
    target = folder / "more.zip"
    target.write_bytes(data)
    whole = read_series(folder).hu
    draw, refused = random.Random(7), 0
    for _ in range(mutations):
        target.write_bytes(damaged(data, draw, marks=(*LENGTHS, b"PK\5\6")))
        try:
            hu = read_series(folder).hu
        except ValueError:
            refused += 1
            assert inspect_folder(folder)[0].problems
        else:
            assert hu.shape == whole.shape
            assert np.array_equal(hu, whole)
    assert refused > mutations / 4
