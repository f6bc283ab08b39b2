"""What pixel data carries beside the image: spare bits, overlays, comments, trailing bytes."""

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from ctlab.ct import deidentify_series, read_series
from ctlab.ct.dicom.pixels.scrub import scrubbed_j2k, scrubbed_jpeg
from tests.ct.dicom.identifiers import BINARY, traces_in

pytestmark = pytest.mark.filterwarnings("ignore")  # identifiers are no good dates or codes

CODECS = Path(__file__).parents[3] / "data" / "codecs"


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
    """Put into images that OpenJPH encoded: they decode as before, and the text is gone."""
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
