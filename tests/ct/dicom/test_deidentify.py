"""De-identification: identifiers planted everywhere, searched for in every byte of the output."""

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import DicomDictionary, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from pydicom.valuerep import STANDARD_VR

from ctlab.ct import deidentify_series, read_series
from ctlab.ct.dicom.kept_attributes import FREE_TEXT, KEPT, TYPE_2, TYPE_2_CLASSIC
from ctlab.ct.dicom.pixels.scrub import scrubbed_j2k, scrubbed_jpeg

pytestmark = pytest.mark.filterwarnings("ignore")  # planted values are no good dates or codes

CODECS = Path(__file__).parents[2] / "data" / "codecs"

SECRET = "Zaphodbeeblebrox"
"""A word that occurs nowhere by chance; values of every VR carry it or a form of it."""

NUMBER = 19770523
"""A date of birth as a number; its forms as text and in binary are searched for, too."""

BINARY = SECRET.encode()
"""16 bytes: as many whole values of two, four or eight bytes."""

PLANTED = {
    "AE": SECRET.upper(),
    "AS": "977Y",
    "AT": [0x70615A00, 0x19770523],
    "CS": SECRET.upper(),
    "DA": str(NUMBER),
    "DS": str(NUMBER),
    "DT": f"{NUMBER}112233",
    "FD": list(struct.unpack("<2d", BINARY)),
    "FL": list(struct.unpack("<4f", BINARY)),
    "IS": str(NUMBER),
    "LO": SECRET,
    "LT": f"Seen by {SECRET}",
    "OB": BINARY,
    "OD": BINARY,
    "OF": BINARY,
    "OL": BINARY,
    "OV": BINARY,
    "OW": BINARY,
    "PN": f"{SECRET}^Arthur",
    "SH": SECRET,
    "SL": list(struct.unpack("<4l", BINARY)),
    "SS": list(struct.unpack("<8h", BINARY)),
    "ST": SECRET,
    "SV": list(struct.unpack("<2q", BINARY)),
    "TM": "112233.777",
    "UC": SECRET,
    "UI": f"1.2.777.42.{NUMBER}",
    "UL": list(struct.unpack("<4L", BINARY)),
    "UN": BINARY,
    "UR": f"http://{SECRET}.example",
    "US": list(struct.unpack("<8H", BINARY)),
    "UT": SECRET,
    "UV": list(struct.unpack("<2Q", BINARY)),
}
TRACES = [
    SECRET.lower().encode(),
    SECRET[:8].lower().encode(),
    str(NUMBER).encode(),
    b"112233.777",
    b"977y",
    b"1.2.777.42",
    b"arthur",
    b"\x77\x19\x23\x05",  # the AT value, group before element
]
_PIXEL_GROUPS = (0x7FE0, 0x0028)


def attributes():
    """Every attribute of the data dictionary outside the file meta, with each VR it may have."""
    for tag, (vrs, _, _, _, keyword) in sorted(DicomDictionary.items()):
        if keyword and tag >> 16 not in (0, 2) and tag & 0xFFFF:
            for vr in vrs.split(" or "):
                yield tag, vr, keyword


def plant(dataset, number, of):
    """The secret in every ``of``-th attribute of the standard, beginning with ``number``.

    Left alone are pixels and their description, which the image needs, and attributes that are
    kept and already hold what an image needs. Kept ones the image can do without are planted.
    """
    count = dict.fromkeys([*PLANTED, "SQ"], 0)
    for i, (tag, vr, keyword) in enumerate(attributes()):
        private_form = keyword in dataset or tag >> 16 in _PIXEL_GROUPS or i % of != number
        if private_form or vr not in count:
            continue
        if keyword in ("BurnedInAnnotation", "NumberOfFrames", "SpecificCharacterSet"):
            continue
        if vr == "SQ":
            item = Dataset()
            item.PatientName = f"{SECRET}^Ford"
            item.add_new(0x00090010, "LO", SECRET)
            item.add_new(0x00091001, "UN", BINARY)
            item.add_new(0x00189345, "FD", list(struct.unpack("<2d", BINARY)))
            dataset.add_new(tag, "SQ", [item])
        else:
            dataset.add_new(tag, vr, PLANTED[vr])
        count[vr] += 1
    return count


def plant_outside(dataset):
    """In private elements of every VR, overlays, curves, preamble, and behind the pixels."""
    dataset.add_new(0x00090010, "LO", SECRET)
    for k, vr in enumerate(PLANTED):
        dataset.add_new(0x00091000 + k, vr, PLANTED[vr])
    deep = Dataset()
    deep.add_new(0x00090010, "LO", SECRET)
    deep.add_new(0x00091002, "PN", f"{SECRET}^Trillian")
    dataset.add_new(0x000910F0, "SQ", [deep])
    for group in (0x6000, 0x6002, 0x601E):
        dataset.add_new(group << 16 | 0x3000, "OW", BINARY)
        dataset.add_new(group << 16 | 0x0022, "LO", SECRET)
    for group in (0x5000, 0x501E):
        dataset.add_new(group << 16 | 0x3000, "OW", BINARY)
        dataset.add_new(group << 16 | 0x2500, "LO", SECRET)
    dataset.add_new(0xFFFCFFFC, "OB", BINARY)  # Data Set Trailing Padding
    dataset.PatientName, dataset.PatientID = f"{SECRET}^Arthur", SECRET
    dataset.PatientSex, dataset.PatientAge = "O", "977Y"
    dataset.ConvolutionKernel = SECRET  # a kept attribute that a site filled with a name
    dataset.StudyDate, dataset.AcquisitionDate = str(NUMBER), str(NUMBER + 1)
    dataset.preamble = SECRET.ljust(128).encode()
    meta = dataset.file_meta
    meta.SourceApplicationEntityTitle = SECRET
    meta.ImplementationVersionName = SECRET
    meta.PrivateInformationCreatorUID = f"1.2.777.42.{NUMBER}"
    meta.PrivateInformation = BINARY


def traces_in(folder):
    """What of the planted is found in any byte of any file."""
    return {
        (file.name, trace)
        for file in folder.iterdir()
        for trace in TRACES
        if trace in file.read_bytes().lower() or trace in file.name.lower().encode()
    }


FILES = 6
"""Files over which the attributes are spread: implicit values of 64 kB and more are no aim."""


@pytest.fixture(scope="module")
def counts():
    return dict.fromkeys([*PLANTED, "SQ"], 0)


@pytest.fixture
def everywhere(make_series, counts):
    def change(k, dataset):
        plant_outside(dataset)
        for vr, n in plant(dataset, k, FILES).items():
            counts[vr] += n

    return make_series(FILES, change)


@pytest.fixture
def planted(make_series):
    return make_series(3, lambda _, dataset: plant_outside(dataset))


def test_nothing_that_was_planted_is_found_again(everywhere, counts, tmp_path):
    """Some 5,000 attributes of every VR of the standard, nested, private, before and behind."""
    standard = {str(vr) for vr in STANDARD_VR}
    assert set(PLANTED) | {"SQ"} == standard
    never = {vr for vr in standard if not counts[vr]}
    assert never <= {"OV", "SV", "UN"}  # the dictionary has none; private elements have them
    assert sum(counts.values()) > 4500
    before = traces_in(everywhere)
    assert {trace for _, trace in before} == set(TRACES)
    report = deidentify_series(everywhere, tmp_path / "out", secret="s")
    assert report.left_out == {}
    assert report.files == FILES
    assert traces_in(tmp_path / "out") == set()
    for file in (tmp_path / "out").iterdir():
        assert file.read_bytes()[:128] == b"\0" * 128
        dataset = pydicom.dcmread(file)
        assert dataset.PatientSex == ""
        kept = {e.keyword for e in dataset.iterall()}
        assert kept - KEPT <= {
            *(
                "PatientIdentityRemoved",
                "DeidentificationMethod",
                "CodeValue",
                "Laterality",
                "CodeMeaning",
            ),
            *("DeidentificationMethodCodeSequence", "CodingSchemeDesignator"),
            "LongitudinalTemporalInformationModified",
        }
    assert "RequestAttributesSequence" in report.removed
    assert "(0009,1010)" in report.removed
    assert "PatientAge" in report.removed
    assert "PatientID" in report.replaced
    assert any("ConvolutionKernel" in w for w in report.warnings)


def test_a_name_nested_or_private_is_searched_for_in_what_is_kept(make_series, tmp_path):
    """The patient's short name stands in a sequence alone, and a site typed it into the kernel."""

    def change(k, dataset):
        item = Dataset()
        item.PatientName = "Fox^Dana"
        dataset.RequestAttributesSequence = [item]
        dataset.PatientName = ""
        dataset.ConvolutionKernel = "B30 FOX"

    deidentify_series(make_series(2, change), tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        assert b"FOX" not in file.read_bytes()


PROFILE = {
    "Z": "AccessionNumber PatientBirthDate PatientName PatientSex ReferringPhysicianName StudyDate "
    "StudyID StudyTime",
    "U": "FrameOfReferenceUID SOPInstanceUID SeriesInstanceUID StudyInstanceUID",
    "Z/D": "ContentDate ContentTime PatientID",
    "X/Z": "AcquisitionDate AcquisitionTime",
    "X/D": "SeriesDate SeriesTime",
    "X/Z/D": "AcquisitionDateTime",
}
"""Kept attributes for which table E.1-1 of PS3.15 has an action, after the table as packaged in
dicom-anonymizer 2.1.0 (edition 2026c) and in idiscore 1.2.0, which agree."""


def test_free_text_that_stays_is_what_the_profile_leaves_alone(make_series, tmp_path):
    acted = set(" ".join(PROFILE.values()).split())
    text = {k for k in KEPT if dictionary_VR(k) in {"LO", "SH", "ST", "LT", "UT", "UC"}}
    assert text - acted == set(FREE_TEXT)

    def change(k, dataset):
        dataset.SeriesDescription = dataset.ProtocolName = dataset.ImageComments = "Marvin chest"
        dataset.StudyDescription = dataset.RequestedProcedureDescription = "Marvin"
        dataset.ConvolutionKernel = ["B30f", "B30f MARVIN"][k % 2]
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20200101", "101010", "S 42"
        dataset.AccessionNumber, dataset.ReferringPhysicianName = "4711", "Dent"

    # Times move by whole hours: one secret in 24 would leave the time of day as it was.
    report = deidentify_series(make_series(4, change), tmp_path / "out", secret="one of the 23")
    assert report.kept_text == {"ConvolutionKernel": ["B30f MARVIN", "B30f"]}
    sources = [pydicom.dcmread(f) for f in sorted((tmp_path / "series").iterdir())]
    for source, file in zip(sources, sorted((tmp_path / "out").iterdir()), strict=True):
        made = pydicom.dcmread(file)
        for keyword in acted:
            assert not source.get(keyword) or made.get(keyword) != source[keyword].value, keyword
        assert not {"SeriesDescription", "ProtocolName", "StudyDescription"} & {*made.dir()}
        assert "B30f" in made.ConvolutionKernel


def test_an_earlier_output_below_the_folder_is_not_read(make_series):
    folder = make_series(3)
    first = deidentify_series(folder, folder / "out")
    again = deidentify_series(folder, folder / "out", overwrite=True)
    assert first.files == again.files == 3
    assert len(list((folder / "out").iterdir())) == 3
    assert first.removed == again.removed
    assert again.left_out == {}


def test_bytes_behind_the_image_and_spare_bits_go(make_series, tmp_path):
    """Behind native pixels, behind the data set, and in the bits above the stored ones."""

    def change(k, dataset):
        stored = np.frombuffer(dataset.PixelData, "<u2").copy() & 0x0FFF
        letters = np.frombuffer(BINARY * 2, np.uint8)
        stored[:64:2] |= (letters.astype(np.uint16) >> 4) << 12
        stored[1:64:2] |= (letters.astype(np.uint16) & 15) << 12
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
        dataset.PixelData = stored.tobytes() + BINARY

    folder = make_series(2, change)
    before = read_series(folder)
    deidentify_series(folder, tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        dataset = pydicom.dcmread(file)
        assert len(dataset.PixelData) == 512
        assert not (np.frombuffer(dataset.PixelData, "<u2") >> 12).any()
        assert BINARY not in file.read_bytes()
    assert np.array_equal(read_series(tmp_path / "out").hu, before.hu)
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes() + BINARY * 3)
    report = deidentify_series(folder, tmp_path / "again")
    assert report.files + len(report.left_out) == 2
    assert traces_in(tmp_path / "again") == set()


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, "jpeg-lossless-57"])
@pytest.mark.parametrize("signed", [0, 1])
def test_overlays_in_the_spare_bits_of_compressed_pixels_go(syntax, signed, make_series, tmp_path):
    """Encoded with all 16 bits, of which 12 are the image; HU are the same before and after."""
    if syntax == "jpeg-lossless-57":  # 16 bits written by another program
        folder, stored = tmp_path / "series", 10
        folder.mkdir()
        dataset = pydicom.dcmread(CODECS / f"{syntax}.dcm")
        dataset.BitsStored, dataset.HighBit = stored, stored - 1
        dataset.PixelRepresentation = signed
        dataset.save_as(folder / "a.dcm")
    else:
        stored = 12

        def change(k, dataset):
            values = np.frombuffer(dataset.PixelData, "<u2") & 0x0FFF
            letters = np.frombuffer(BINARY * 99, np.uint8)[: values.size].astype(np.uint16)
            dataset.PixelData = (values | letters << 12).tobytes()
            dataset.PixelRepresentation = signed
            dataset.compress(syntax, generate_instance_uid=False)
            dataset.BitsStored, dataset.HighBit = 12, 11

        folder = make_series(2, change, size=32)
    before = read_series(folder)
    report = deidentify_series(folder, tmp_path / "out")
    assert report.left_out == {}
    assert any("written uncompressed" in warning for warning in report.warnings)
    assert np.array_equal(read_series(tmp_path / "out").hu, before.hu)
    for file in (tmp_path / "out").iterdir():
        dataset = pydicom.dcmread(file)
        kept = np.frombuffer(dataset.PixelData, "<i2" if signed else "<u2").astype(int)
        low, high = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
        assert low <= kept.min() <= kept.max() < high


def with_comment(frame, syntax):
    """The frame with the secret in a comment, an application segment, and behind its end."""
    text = struct.pack(">H", len(BINARY) + 2) + BINARY
    if syntax == JPEGLSLossless:
        return frame[:2] + b"\xff\xfe" + text + b"\xff\xe8" + text + frame[2:] + BINARY
    main = frame.index(b"\xff\x52")  # COD; comments may stand before it
    comment = b"\xff\x64" + struct.pack(">HH", len(BINARY) + 4, 1) + BINARY
    tile = frame.index(b"\xff\x90")
    size = struct.unpack_from(">I", frame, tile + 6)[0]
    longer = struct.pack(">I", size + len(comment) if size else 0)
    part = frame[tile : tile + 6] + longer + frame[tile + 10 : tile + 12] + comment
    return frame[:main] + comment + frame[main:tile] + part + frame[tile + 12 :] + BINARY


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_what_codecs_carry_beside_the_image_goes(syntax, make_series, tmp_path):
    def change(k, dataset):
        dataset.compress(syntax, generate_instance_uid=False)
        (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
        frame = frame + BINARY if syntax == RLELossless else with_comment(frame, syntax)
        dataset.PixelData = encapsulate([frame])

    folder = make_series(2, change, size=64)
    assert all(BINARY in file.read_bytes() for file in folder.iterdir())
    before = read_series(folder)
    report = deidentify_series(folder, tmp_path / "out")
    assert report.files == 2
    assert all(BINARY not in file.read_bytes() for file in (tmp_path / "out").iterdir())
    assert np.array_equal(read_series(tmp_path / "out").hu, before.hu)
    header = pydicom.dcmread(tmp_path / "out" / "IM00001.dcm")
    assert header.file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize("name", ["htj2k", "htj2k-rpcl", "htj2k-lossy"])
def test_comments_in_high_throughput_jpeg_2000_go(name, tmp_path):
    """Planted into images that OpenJPH encoded: they decode as before, and the text is gone."""
    (tmp_path / "in").mkdir()
    dataset = pydicom.dcmread(CODECS / f"{name}.dcm")
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = encapsulate([with_comment(frame, dataset.file_meta.TransferSyntaxUID)])
    dataset.save_as(tmp_path / "in" / "a.dcm")
    assert (tmp_path / "in" / "a.dcm").read_bytes().count(BINARY) >= 3
    before = read_series(tmp_path / "in")
    assert np.array_equal(before.hu, read_series(CODECS / f"{name}.dcm").hu)
    report = deidentify_series(tmp_path / "in", tmp_path / "out")
    assert report.files == 1
    assert BINARY not in (tmp_path / "out" / "IM00001.dcm").read_bytes()
    assert np.array_equal(read_series(tmp_path / "out").hu, before.hu)


def test_boxes_of_a_jp2_file_go():
    box = struct.pack(">I4s", 8 + len(BINARY), b"xml ") + BINARY
    start = b"\xff\x4f\xff\x51\x00\x04\x00\x00"
    tile = b"\xff\x90\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x01\xff\x93data"
    stream = start + tile + b"\xff\xd9"
    jp2 = b"\0\0\0\x0cjP  \r\n\x87\n" + box + b"\0\0\0\0jp2c" + stream
    assert scrubbed_j2k(jp2) == stream
    for damaged in (b"", start, stream[:-2], start + b"\x00\x00\x00\x04\x00\x00", jp2[:40]):
        with pytest.raises(ValueError, match="JP"):
            scrubbed_j2k(damaged)


def test_restarts_and_stuffing_do_not_end_a_scan():
    scan = b"\xff\xda\x00\x02" + b"\x01\xff\x00\xff\xd3\x02\xff\x7f\xff\xff"
    image = b"\xff\xd8" + scan + b"\xff\xfe\x00\x05Bob" + scan + b"\xff\xd9"
    assert scrubbed_jpeg(image + b"Bob") == image.replace(b"Bob", b"\0\0\0")
    for damaged in (b"", image[:-2], b"\xff\xd8ab", b"\xff\xd8\xff"):
        with pytest.raises(ValueError, match="JPEG"):
            scrubbed_jpeg(damaged)


def test_values_that_do_not_fit_their_kind_go(make_series, tmp_path):
    """Numbers in place of numbers, and no more of them than the standard allows."""

    def change(k, dataset):
        with pydicom.config.disable_value_validation():
            dataset.add_new(0x00189345, "FD", list(struct.unpack("<2d", BINARY)))  # CTDIvol
            dataset.add_new(0x00181152, "LO", "Marvin")  # Exposure is a number
            dataset.AcquisitionTime = "112233"  # without its date it would not be shifted
            dataset.StudyDate, dataset.StudyTime = "Marvin", "Marvin"

    report = deidentify_series(make_series(2, change), tmp_path / "out")
    assert {"CTDIvol", "Exposure", "AcquisitionTime", "StudyDate", "StudyTime"} <= {*report.removed}
    for file in (tmp_path / "out").iterdir():
        assert not {b"Marvin", b"112233", BINARY[:8]} & {
            t for t in (b"Marvin", b"112233", BINARY[:8]) if t in file.read_bytes()
        }


def test_a_full_disk_is_no_damage_of_the_source(make_series, tmp_path, monkeypatch):
    write_bytes = Path.write_bytes

    def full(self, data):
        if self.name == "IM00002.dcm":
            raise OSError(28, "No space left on device")
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as failed:
        deidentify_series(make_series(4), tmp_path / "out")
    assert failed.value.filename == str(tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {"series"}


def test_every_file_left_out_is_named_also_where_names_occur_twice(make_series, tmp_path):
    folder = make_series(2)
    for below in ("a", "b"):
        (folder / below).mkdir()
        file = next(folder.glob("*.dcm"))
        (folder / below / "same.dcm").write_bytes(file.read_bytes()[:400])
    report = deidentify_series(folder, tmp_path / "out")
    assert set(report.left_out) == {"a/same.dcm", "b/same.dcm"}


def test_what_is_read_is_never_replaced(make_series):
    folder = make_series(2)
    before = sorted(folder.iterdir())
    for out in (folder, folder.parent):
        with pytest.raises(ValueError, match="holds what is read"):
            deidentify_series(folder, out, overwrite=True)
    assert sorted(folder.iterdir()) == before


def test_pixels_and_geometry_stay(planted, tmp_path):
    before = read_series(planted)
    deidentify_series(planted, tmp_path / "out")
    after = read_series(tmp_path / "out")
    assert np.array_equal(after.hu, before.hu)
    assert after.spacing_mm == before.spacing_mm
    assert after.acquisition.series_uid != before.acquisition.series_uid
    assert after.acquisition.kvp == before.acquisition.kvp


def test_slices_stay_one_series_and_dates_keep_their_distance(planted, tmp_path):
    deidentify_series(planted, tmp_path / "out")
    headers = [pydicom.dcmread(f) for f in (tmp_path / "out").iterdir()]
    assert len({h.SeriesInstanceUID for h in headers}) == 1
    assert len({h.PatientID for h in headers}) == 1
    study, acquired = (
        np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}")
        for d in (headers[0].StudyDate, headers[0].AcquisitionDate)
    )
    assert acquired - study == np.timedelta64(1, "D")
    assert headers[0].StudyDate != "19770523"
    assert headers[0].PatientIdentityRemoved == "YES"
    codes = [c.CodeValue for c in headers[0].DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107"]


def test_the_same_secret_gives_the_same_patient_and_another_does_not(planted, tmp_path):
    ids = []
    for name, secret in (("a", "one"), ("b", "one"), ("c", "two")):
        deidentify_series(planted, tmp_path / name, secret=secret)
        ids.append(pydicom.dcmread(tmp_path / name / "IM00001.dcm").PatientID)
    assert ids[0] == ids[1] != ids[2]


def test_images_that_may_show_a_name_are_left_out(make_series, tmp_path):
    def change(k, dataset):
        if k == 0:
            dataset.BurnedInAnnotation = "YES"
        if k == 1:
            dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        dataset.BodyPartExamined = "HEAD"

    folder = make_series(4, change)
    (folder / "letter.txt").write_text("Dear Dr. Prefect")
    report = deidentify_series(folder, tmp_path / "out")
    assert report.files == 2
    assert sorted(report.left_out.values()) == [
        "not DICOM",
        "not a CT image (Secondary Capture Image Storage)",
        "text is burned into the pixels",
    ]
    assert any("face" in w for w in report.warnings)


def test_a_folder_without_ct_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("x")
    with pytest.raises(ValueError, match="holds no CT image"):
        deidentify_series(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def cleaned(folder, tmp_path):
    report = deidentify_series(folder, tmp_path / "clean")
    return report, [pydicom.dcmread(f) for f in sorted((tmp_path / "clean").iterdir())]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ConvolutionKernel", "B30fDOEJANE"),
        ("ConvolutionKernel", ["B30f", "xKURZMANNx"]),
        ("PositionReferenceIndicator", "SN of Kurz-Mann"),
        ("ManufacturerModelName", "unit4711815b"),
        ("FilterType", "F_doe_jane"),
        ("ScanOptions", "KURZMANN"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL", "KURZMANN1"]),
        ("DataCollectionDiameter", "4711815"),
        ("DistanceSourceToDetector", "47118.15"),
        ("ExposureTime", "471181500"),
        ("FocalSpots", ["0.7", "4711815"]),
        ("CTDIvol", 4711.815),
        ("RevolutionTime", 4711815.0),
    ],
)
def test_identifiers_within_longer_words_and_numbers_are_found(
    make_series, tmp_path, keyword, value
):
    """Words known from the header, glued to others, in text and numbers of every kind."""

    def change(k, dataset):
        dataset.PatientName, dataset.PatientID = "Doe-Jane^Anna", "0-4711815"
        dataset.ReferringPhysicianName = "Kurzmann^A"
        setattr(dataset, keyword, value)

    report, files = cleaned(make_series(2, change), tmp_path)
    for dataset, file in zip(files, sorted((tmp_path / "clean").iterdir()), strict=True):
        data = file.read_bytes().lower()
        assert not [w for w in (b"doe", b"kurzmann", b"kurz-mann", b"4711815") if w in data]
        if keyword in ("CTDIvol", "RevolutionTime"):
            assert struct.pack("<d", value) not in file.read_bytes()
        assert len(dataset.ImageType) >= 3
    assert report.files == 2


def test_technical_words_survive_short_names(make_series, tmp_path):
    def change(k, dataset):
        dataset.PatientName = "Tan^Lun"
        dataset.ConvolutionKernel, dataset.Manufacturer = "STANDARD", "GE MEDICAL SYSTEMS"

    _, files = cleaned(make_series(1, change), tmp_path)
    assert files[0].ConvolutionKernel == "STANDARD"
    assert files[0].Manufacturer == "GE MEDICAL SYSTEMS"


def test_what_the_standard_requires_is_there(make_series, tmp_path):
    def change(k, dataset):
        dataset.PatientID = "1024-DOE-77"  # digits that a rescale holds by chance
        dataset.StudyDate = "not a date"
        del dataset.KVP

    with pytest.warns(UserWarning, match="Invalid value for VR DA"):
        folder = make_series(2, change)
    before = read_series(folder)
    _, files = cleaned(folder, tmp_path)
    for dataset in files:
        for keyword in (*TYPE_2, *TYPE_2_CLASSIC):
            assert keyword in dataset
        assert dataset.RescaleIntercept == -1024
    assert np.array_equal(read_series(tmp_path / "clean").hu, before.hu)


def test_enhanced_ct_keeps_its_exposure_and_kernel(make_enhanced, tmp_path):
    def change(dataset):
        dataset.DeviceSerialNumber = "SN-4711815"

    path = make_enhanced([0, 1, 2], change)
    before = read_series(path).acquisition
    assert (before.kvp, before.tube_current_ma, before.kernel) == (100, 101, "B45f")
    _, (dataset,) = cleaned(path, tmp_path)
    after = read_series(tmp_path / "clean").acquisition
    assert (after.kvp, after.tube_current_ma, after.kernel) == (100, 101, "B45f")
    assert dataset.DeviceSerialNumber == "REMOVED"
