"""Files as a hostile or careless sender makes them: limits hold, and nothing is silently wrong."""

import struct
import tracemalloc
import zipfile

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ctlab.ct import deidentify_series, inspect_folder, read_series
from ctlab.ct.dicom import discover, header
from ctlab.ct.dicom.discover import list_files
from ctlab.ct.dicom.header import read_header


def zipped(folder, *, name=lambda file: file.name, packed=zipfile.ZIP_DEFLATED):
    archive = folder.parent / "scan.zip"
    with zipfile.ZipFile(archive, "w", packed) as opened:
        for file in sorted(folder.iterdir()):
            opened.write(file, name(file))
    return archive


def refused(path, match):
    """By the reader, and named by ``inspect`` and ``deidentify``."""
    with pytest.raises(ValueError, match=match):
        read_series(path)


def test_a_member_that_unpacks_to_far_more_is_refused_before_memory_is_spent(make_series, tmp_path):
    archive = zipped(make_series(2))
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("z.dcm", b"\0" * 128 + b"DICM" + b"\0" * (discover.LARGEST_UNPACKED + 1))
    tracemalloc.start()
    refused(archive, r"scan.zip/z.dcm is \d+ bytes that unpack to \d+, which no image does")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert read_series(archive, skip_damaged=True).shape[0] == 2


def test_a_deflated_data_set_has_a_limit(make_series, monkeypatch):
    def change(k, dataset):
        dataset.add_new(0x00204000, "LT", "x")
        dataset.add_new(0x00091010, "OB", b"\0" * 3_000_000)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    folder = make_series(1, change)
    assert read_series(folder).shape[0] == 1
    monkeypatch.setattr(header, "LARGEST_UNPACKED", 2 << 20)
    refused(folder, "is deflated and unpacks to more than 2 MB")


def test_headers_in_a_zip_are_read_without_the_rest(make_series, monkeypatch):
    archive = zipped(make_series(2, size=256))
    most = []
    whole = discover.unpacked

    def counted(*words):
        data = whole(*words)
        most.append(len(data))
        return data

    monkeypatch.setattr(discover, "unpacked", counted)
    for file in list_files(archive):
        assert read_header(file).integer("rows") == 256
    assert most == [1 << 14] * 2


def test_members_of_one_name_are_not_lost_unsaid(make_series):
    folder = make_series(3)
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = zipped(folder, name=lambda file: "same.dcm")
    refused(archive, "holds 3 files called same.dcm, of which one can be read")
    inspected = inspect_folder(archive)[0].problems
    assert any("3 files called same.dcm" in problem for problem in inspected)


def test_members_with_paths_upwards_are_read_and_nothing_is_written(make_series, tmp_path):
    folder = make_series(3)
    archive = zipped(folder, name=lambda file: f"../../{file.name}")
    before = sorted(tmp_path.rglob("*"))
    assert read_series(archive).shape[0] == 3
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_member_is_named(make_series):
    archive = zipped(make_series(3), packed=zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    data[600] ^= 0xFF
    archive.write_bytes(data)
    refused(archive, r"scan.zip/.*dcm is damaged \(Bad CRC-32")
    archive.write_bytes(data[:-40])  # the list of members is cut
    refused(archive, "none of the 1 files|damaged")


def nested(depth):
    """A sequence within a sequence, and so on; explicit VR, undefined length."""
    opening = struct.pack("<HH2sHI", 0x20, 0x9221, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closing = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return (opening + item) * depth + closing * depth


def test_sequences_a_thousand_deep_are_refused_in_a_sentence(make_series, tmp_path):
    folder = make_series(2)
    file = min(folder.iterdir())
    data = file.read_bytes()
    at = data.index(struct.pack("<HH", 0x28, 0x02))
    file.write_bytes(data[:at] + nested(3000) + data[at:])
    refused(folder, "its header cannot be read")
    assert any("cannot be read" in p for p in inspect_folder(folder)[0].problems)
    report = deidentify_series(folder, tmp_path / "out")
    assert list(report.left_out) == [file.name]


def test_links_in_a_circle_end_and_links_to_nothing_are_named(make_series):
    folder = make_series(2)
    (folder / "again").symlink_to(folder)
    assert read_series(folder).shape[0] == 2
    (folder / "self").symlink_to("self")
    (folder / "gone").symlink_to("nowhere")
    refused(folder, r"got 2 damaged .*: gone is a link that leads nowhere")
    assert any("self is a link" in p for p in inspect_folder(folder)[0].problems)
    assert read_series(folder, skip_damaged=True).shape[0] == 2


def test_rows_and_columns_beyond_the_pixels_are_refused_before_memory_is_spent(make_series):
    def change(k, dataset):
        dataset.Rows = dataset.Columns = 8000

    folder = make_series(2, change)
    with pytest.raises(ValueError, match="cut short: 128000000 bytes of pixels are needed"):
        read_series(folder)


def modality_table(k, dataset):
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 16], b"\0\0\1\0\2\0\3\0"
    table.ModalityLUTType = "HU"
    dataset.ModalityLUTSequence = [table]


def palette(k, dataset):
    dataset.PhotometricInterpretation = "PALETTE COLOR"


@pytest.mark.parametrize(
    ("change", "match"),
    [(modality_table, "got a Modality LUT in 2 of 2 slices"), (palette, "colour image")],
)
def test_values_that_only_a_table_turns_into_hu_are_refused(make_series, change, match):
    refused(make_series(2, change), match)


def test_one_instance_uid_for_many_slices_is_a_finding(make_series):
    def change(k, dataset):
        dataset.SOPInstanceUID = "1.2.3.4"

    problems = read_series(make_series(3, change)).problems
    assert "3 slices share their instance UID with another one" in problems
    assert "share their instance UID" not in " ".join(
        read_series(make_series(3, name="b")).problems
    )
