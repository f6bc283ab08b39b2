"""Folders as they come: a medium with its DICOMDIR, links, zips, character sets, bare files."""

import json
import zipfile

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet
from typer.testing import CliRunner

from ctlab.__main__ import app
from ctlab.ct import deidentify_series, inspect_folder, read_series


@pytest.fixture
def medium(make_series, tmp_path):
    """A patient's CD: two series, a DICOMDIR, a hidden file, a viewer."""

    def change(k, dataset):
        dataset.StudyID, dataset.StudyDate, dataset.StudyTime = "1", "20200101", "101010"
        dataset.SeriesNumber, dataset.AccessionNumber = 1, ""

    files = FileSet()
    for uid in ("1.2.31", "1.2.32"):
        for file in make_series(3, change, uid=uid, name=f"source/{uid}").iterdir():
            files.add(pydicom.dcmread(file))
    files.write(tmp_path / "cd")
    files._stage["t"].cleanup()  # pydicom leaves it to the garbage collector, which warns
    (tmp_path / "cd" / "viewer.exe").write_bytes(b"MZ" + bytes(200))
    return tmp_path / "cd"


@pytest.mark.parametrize("named", ["", "DICOMDIR"])
def test_a_medium_is_its_images_and_the_index_is_none(medium, named):
    reports = inspect_folder(medium / named)
    assert [(r.shape, r.readable) for r in reports] == [((3, 16, 16), True)] * 2
    assert not any("DICOMDIR" in p for r in reports for p in r.problems)
    assert read_series(medium / named, series_uid="31").shape[0] == 3


@pytest.mark.parametrize("named", ["", "DICOMDIR"])
def test_files_that_a_medium_lists_and_lost_are_named(medium, named):
    lost = next(f for f in sorted(medium.rglob("*")) if f.is_file() and is_of(f, "1.2.31"))
    lost.unlink()
    reports = {r.uid: r for r in inspect_folder(medium / named)}
    assert any(f"{lost.name} is listed" in p for p in reports["1.2.31"].problems)
    assert not reports["1.2.31"].readable
    assert reports["1.2.32"].readable
    with pytest.raises(ValueError, match="listed in DICOMDIR and missing"):
        read_series(medium / named, series_uid="31", allow_gaps=True)
    assert read_series(medium / named, series_uid="32").shape[0] == 3


def is_of(file, uid):
    try:
        return pydicom.dcmread(file).get("SeriesInstanceUID") == uid
    except pydicom.errors.InvalidDicomError:
        return False


def test_an_index_cut_anywhere_is_named_and_does_not_hide_the_images(medium):
    index = medium / "DICOMDIR"
    whole = index.read_bytes()
    for end in (0, 100, 300, len(whole) // 2, len(whole) - 1):
        index.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"DICOMDIR is damaged.*name the folder"):
            read_series(index)
    reports = inspect_folder(medium)
    assert [r.shape for r in reports] == [(3, 16, 16)] * 2
    assert all("DICOMDIR is damaged" in r.problems[-1] for r in reports)
    with pytest.raises(ValueError, match=r"DICOMDIR is damaged.*skip_damaged"):
        read_series(medium, series_uid="31")
    volume = read_series(medium, series_uid="31", skip_damaged=True)
    assert volume.shape[0] == 3
    assert "DICOMDIR is damaged" in volume.problems[-1]


def test_an_index_in_small_letters_and_iso_names(medium):
    index = (medium / "DICOMDIR").rename(medium / "dicomdir;1")
    for file in [f for f in medium.rglob("*") if f.is_file() and f != index]:
        file.rename(file.with_name(f"{file.name.lower()}.;1"))
    assert read_series(index, series_uid="31").shape[0] == 3
    assert not read_series(medium, series_uid="31").problems
    next(f for f in medium.rglob("*;1") if is_of(f, "1.2.31")).unlink()
    with pytest.raises(ValueError, match="listed in dicomdir;1 and missing"):
        read_series(medium, series_uid="31", allow_gaps=True)


def test_an_index_within_a_zip_tells_what_is_missing(medium, tmp_path):
    lost = next(f for f in sorted(medium.rglob("*")) if f.is_file() and is_of(f, "1.2.31"))
    with zipfile.ZipFile(tmp_path / "cd.zip", "w") as archive:
        for file in sorted(medium.rglob("*")):
            if file.is_file() and file != lost:
                archive.write(file, f"cd/{file.relative_to(medium)}")
    reports = {r.uid: r for r in inspect_folder(tmp_path / "cd.zip")}
    assert any(f"{lost.name} is listed" in p for p in reports["1.2.31"].problems)
    assert reports["1.2.32"].readable


def test_a_series_that_a_medium_lost_as_a_whole_is_named(medium, tmp_path):
    for file in [f for f in medium.rglob("*") if f.is_file() and is_of(f, "1.2.31")]:
        file.unlink()
    reports = {r.uid: r for r in inspect_folder(medium)}
    assert reports["1.2.32"].readable
    assert not reports["1.2.31"].readable
    assert len(reports["1.2.31"].problems) == 3
    with pytest.raises(ValueError, match=r"got 3 damaged .* is listed in DICOMDIR and missing"):
        read_series(medium)  # which of the two is meant, nobody said
    assert read_series(medium, series_uid="32").shape[0] == 3
    report = deidentify_series(medium, tmp_path / "out")
    assert report.files == 3
    assert [why for name, why in report.left_out.items() if "listed" in why] == [
        "is listed in DICOMDIR and missing; copy it again"
    ] * 3
    assert ctlab("deidentify", medium, tmp_path / "again").exit_code == 1


def ctlab(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_links_are_followed_once(make_series, tmp_path):
    folder = make_series(4)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "a").symlink_to(folder)
    (linked / "b").symlink_to(folder)
    (folder / "loop").symlink_to(linked)
    assert read_series(linked).shape[0] == 4


def test_zips_within_a_folder_are_opened(make_series, tmp_path):
    folder = make_series(4)
    first, second, *_ = sorted(folder.iterdir())
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for file in (first, second):
            archive.write(file, f"deep/{file.name}")
            file.unlink()
    (folder / "report.docx").write_bytes((folder / "more.zip").read_bytes())  # not looked into
    assert read_series(folder).shape[0] == 4


def test_a_zip_that_cannot_be_opened_is_named(make_series):
    folder = make_series(3)
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("a", "b" * 100)
    data = bytearray((folder / "x.zip").read_bytes())
    data[6] |= 1  # encrypted, in the local header and the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (folder / "x.zip").write_bytes(data)
    with pytest.raises(ValueError, match="protected by a password"):
        read_series(folder)
    assert any("password" in p for p in inspect_folder(folder)[0].problems)


NAMES = {
    "ISO 2022 IR 87": ["", "ISO 2022 IR 87"],
    "ISO 2022 IR 149": ["", "ISO 2022 IR 149"],
    "ISO_IR 127": "ISO_IR 127",
    "ISO_IR 144": "ISO_IR 144",
    "ISO_IR 192": "ISO_IR 192",
    "GB18030": "GB18030",
}
TEXTS = {
    "ISO 2022 IR 87": "胸部 単純",
    "ISO 2022 IR 149": "흉부 영상",
    "ISO_IR 127": "الصدر",
    "ISO_IR 144": "Грудная клетка",
    "ISO_IR 192": "Brustkörper 胸",
    "GB18030": "胸部扫描",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("implicit", [False, True])
def test_text_of_every_character_set_is_text(make_series, name, implicit):
    def change(k, dataset):
        dataset.SpecificCharacterSet = NAMES[name]
        dataset.SeriesDescription = TEXTS[name]
        if implicit:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian

    folder = make_series(2, change)
    assert inspect_folder(folder)[0].description == TEXTS[name]
    for words in (["inspect", str(folder)], ["inspect", str(folder), "--json"]):
        said = CliRunner().invoke(app, words).stdout
        assert "\x1b" not in said
        if "--json" in words:
            said = json.loads(said)["series"][0]["description"]
        assert TEXTS[name] in said


def test_no_escape_bytes_reach_a_terminal(make_series):
    """Text that would colour or clear a terminal, in a value and in a name of a file."""

    def change(k, dataset):
        dataset.SeriesDescription = "red \x1b[31m \x07 \x9b2J"

    folder = make_series(2, change)
    (folder / "evil\x1b[31m.dcm").write_bytes(next(folder.iterdir()).read_bytes()[:400])
    said = CliRunner().invoke(app, ["inspect", str(folder)]).stdout
    assert "evil" in said
    assert "red" in said
    assert not any(c in said for c in "\x1b\x07\x9b")


@pytest.mark.parametrize("preamble", [True, False])
def test_files_without_a_transfer_syntax(make_series, tmp_path, preamble):
    """Implicit little endian, which nothing says: the way the elements are written does."""
    folder = make_series(3)
    expected = read_series(folder).hu
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        plain = pydicom.Dataset({e.tag: e for e in dataset})
        raw = pydicom.filebase.DicomBytesIO()
        raw.is_little_endian, raw.is_implicit_VR = True, True
        pydicom.filewriter.write_dataset(raw, plain)
        body = raw.getvalue()
        meta = b"\x02\x00\x02\x00UI\x1a\x00" + b"1.2.840.10008.5.1.4.1.1.2\x00"
        (bare / file.name).write_bytes((bytes(128) + b"DICM" + meta if preamble else b"") + body)
    assert np.array_equal(read_series(bare).hu, expected)
