"""HU of a tiny CT in every transfer syntax, written by other programs (``codecs_corpus.py``)."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame

from ctlab.ct import read_series
from ctlab.ct.dicom.pixels.jpeg import decode_jpeg

DATA = Path(__file__).parents[1] / "data"
FOLDER = DATA / "codecs"

SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "big-endian": "1.2.840.10008.1.2.2",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-baseline": "1.2.840.10008.1.2.4.50",
    "jpeg-extended": "1.2.840.10008.1.2.4.51",
    "jpeg-lossless-57": "1.2.840.10008.1.2.4.57",
    "jpeg-lossless-70": "1.2.840.10008.1.2.4.70",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg-ls-near": "1.2.840.10008.1.2.4.81",
    "jpeg-2000": "1.2.840.10008.1.2.4.90",
    "jpeg-2000-lossy": "1.2.840.10008.1.2.4.91",
    "htj2k": "1.2.840.10008.1.2.4.201",
    "htj2k-rpcl": "1.2.840.10008.1.2.4.202",
    "htj2k-lossy": "1.2.840.10008.1.2.4.203",
}
LOSSY_RMS_HU = {
    "jpeg-baseline": 30.0,  # steps of 16 HU
    "jpeg-extended": 4.0,
    "jpeg-ls-near": 3.0,  # at most 3 by its own promise
    "jpeg-2000-lossy": 12.0,
    "htj2k-lossy": 6.0,
}


@pytest.fixture(scope="module")
def corpus():
    """The maker of the files, for what they must hold."""
    sys.path.insert(0, str(DATA))
    try:
        import codecs_corpus
    finally:
        sys.path.remove(str(DATA))
    return codecs_corpus


def wanted_hu(corpus, name):
    slope = 16 if name == "jpeg-baseline" else 1
    return corpus.stored_values(name).astype(float) * slope - 1024


@pytest.mark.parametrize("name", sorted(SYNTAXES.keys() - LOSSY_RMS_HU.keys()))
def test_lossless_files_hold_the_hu_that_were_written(corpus, name):
    assert pydicom.dcmread(FOLDER / f"{name}.dcm").file_meta.TransferSyntaxUID == SYNTAXES[name]
    hu = read_series(FOLDER / f"{name}.dcm").hu[0]
    assert np.array_equal(hu, wanted_hu(corpus, name))
    assert (hu[0, 0], hu[16, 16], hu[13, 20], hu[31, 31]) == (-3024, 8, 1276, -1000)


@pytest.mark.parametrize("name", sorted(LOSSY_RMS_HU))
def test_lossy_files_decode_as_another_decoder_says(corpus, name):
    dataset = pydicom.dcmread(FOLDER / f"{name}.dcm")
    assert dataset.file_meta.TransferSyntaxUID == SYNTAXES[name]
    volume = read_series(FOLDER / f"{name}.dcm")
    with np.load(FOLDER / "lossy.npz") as decoded:
        stored = decoded[name].astype(float)
    slope = float(dataset.RescaleSlope)
    other = stored * slope + float(dataset.RescaleIntercept)
    assert np.abs(volume.hu[0] - other).max() <= slope + 1e-3  # decoders round for themselves
    error = volume.hu[0] - wanted_hu(corpus, name)
    assert 0 < np.sqrt(np.mean(error**2)) < LOSSY_RMS_HU[name]
    assert "pixels were compressed with loss" in volume.problems


def test_a_zip_of_mixed_encodings_reads_each(tmp_path):
    archive = tmp_path / "all.zip"
    names = ("rle", "deflated", "htj2k")
    with zipfile.ZipFile(archive, "w") as opened:
        for k, name in enumerate(names):
            dataset = pydicom.dcmread(FOLDER / f"{name}.dcm")
            dataset.SOPInstanceUID = f"1.2.3.{k + 1}"
            dataset.ImagePositionPatient = [0, 0, 2.5 * k]
            dataset.save_as(tmp_path / "one.dcm")
            opened.write(tmp_path / "one.dcm", f"{name}.dcm")
    volume = read_series(archive)
    assert volume.shape == (3, 32, 32)
    assert np.array_equal(volume.hu[0], volume.hu[2])


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_real_jpeg_of_twelve_bits(name):
    """pydicom's own files; values and sum as DCMTK's dcmdjpeg decodes the first of them.

    The scan header of the second breaks the standard (spectral selection up to 0), which
    DCMTK refuses; the pixels are the same.
    """
    data = pydicom.dcmread(get_testdata_file(name, download=False)).PixelData
    image = decode_jpeg(get_frame(data, 0, number_of_frames=1))
    assert image.shape == (1024, 256)
    assert image[420:423, 140].tolist() == [244, 234, 230]
    assert int(image.sum()) == pytest.approx(3766786, rel=1e-4)


def jpeg_of(name="jpeg-extended"):
    data = pydicom.dcmread(FOLDER / f"{name}.dcm").PixelData
    return get_frame(data, 0, number_of_frames=1)


def test_damaged_jpeg_is_refused():
    data = jpeg_of()
    for cut in (1, 30, len(data) // 2):
        with pytest.raises(ValueError, match="JPEG"):
            decode_jpeg(data[:cut])
    with pytest.raises(ValueError, match="progressive"):
        decode_jpeg(data.replace(b"\xff\xc1", b"\xff\xc2"))
    with pytest.raises(ValueError, match="no JPEG"):
        decode_jpeg(b"\0" * 100)


def test_restart_intervals_are_kept_apart():
    """Four blocks, a restart after every second: levels begin anew, so both halves are alike."""
    quantisation = b"\xff\xdb\x00\x43\x00" + b"\x01" * 64
    frame = b"\xff\xc1\x00\x0b\x0c\x00\x10\x00\x10\x01\x01\x11\x00"
    # One code each: DC symbol 4 is the bit 0 (size 4), AC symbol 0 (end of block) is the bit 0.
    huffman = b"".join(
        b"\xff\xc4\x00\x14" + bytes([kind]) + b"\x01" + b"\0" * 15 + bytes([symbol])
        for kind, symbol in ((0x00, 4), (0x10, 0))
    )
    restart = b"\xff\xdd\x00\x04\x00\x02"
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    block = "0" + "1000" + "0"  # size 4, change 8, end
    half = int((block * 2).ljust(16, "1"), 2).to_bytes(2, "big")
    head = b"\xff\xd8" + quantisation + frame + huffman + restart + scan
    image = decode_jpeg(head + half + b"\xff\xd0" + half + b"\xff\xd9")
    # A level of 8 is a mean of 8 / 8 above 2048; the second block of each half has 16.
    assert image[[0, 0, 8, 8], [0, 8, 0, 8]].tolist() == [2049, 2050, 2049, 2050]
    with pytest.raises(ValueError, match="cut short"):
        decode_jpeg(head + half + b"\xff\xd9")
