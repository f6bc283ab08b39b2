"""Stored values become the HU that the header says, and nothing but HU; nothing is lost unsaid."""

from functools import partial

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from typer.testing import CliRunner

from ctlab.__main__ import app
from ctlab.ct import deidentify_series, inspect_folder, read_series, simulate_dose, write_series

SIZE = 32
ENCODINGS = {"native": None, "rle": RLELossless, "jpeg-ls": JPEGLSLossless, "j2k": JPEG2000Lossless}


def set_stored(dataset, stored, *, bits=16, high=None, signed=True, encoding=None):
    dataset.PixelData = np.ascontiguousarray(stored).tobytes()
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    if encoding is not None:
        dataset.BitsStored, dataset.HighBit = 16, 15  # so that every bit is encoded
        dataset.compress(encoding, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = bits, bits - 1 if high is None else high


@pytest.fixture
def make_series(make_series):
    """Slices large enough for every encoder."""
    return partial(make_series, size=SIZE)


def chest(rng, low=-1000, high=2000):
    return rng.integers(low, high, (SIZE, SIZE)).astype(np.int16)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("signed", [True, False])
def test_bits_beyond_the_stored_ones_change_nothing(make_series, rng, encoding, signed):
    """An overlay in the top bits, as written before 2004; the sign bit is the twelfth."""
    hu = chest(rng)
    stored = hu if signed else (hu + 1024).astype(np.uint16)
    overlay = rng.integers(0, 16, hu.shape).astype(np.uint16) << 12
    raw = (stored.view(np.uint16) & 0x0FFF) | overlay

    def change(k, dataset):
        set_stored(dataset, raw, bits=12, signed=signed, encoding=ENCODINGS[encoding])
        dataset.RescaleIntercept = 0 if signed else -1024

    expected = np.where(hu > 2047, hu - 4096, hu) if signed else hu
    assert np.array_equal(read_series(make_series(1, change)).hu[0], expected)


@pytest.mark.parametrize("encoding", ["native", "rle"])
@pytest.mark.parametrize("signed", [True, False])
def test_high_bit_above_the_stored_ones(make_series, tmp_path, rng, encoding, signed):
    hu = chest(rng)
    stored = hu if signed else (hu + 1024).astype(np.uint16)
    raw = (stored.view(np.uint16) << 4) | rng.integers(0, 16, hu.shape).astype(np.uint16)

    def change(k, dataset):
        set_stored(dataset, raw, bits=12, high=15, signed=signed, encoding=ENCODINGS[encoding])
        dataset.RescaleIntercept = 0 if signed else -1024

    folder = make_series(1, change)
    assert np.array_equal(read_series(folder).hu[0], hu)
    deidentify_series(folder, tmp_path / "out")
    assert np.array_equal(read_series(tmp_path / "out").hu[0], hu)
    after = pydicom.dcmread(next((tmp_path / "out").iterdir()))
    if encoding == "native":
        assert not (np.frombuffer(after.PixelData, np.uint16) & 15).any()


@pytest.mark.parametrize(("high", "bits"), [(10, 12), (16, 12), (15, 17), (0, 0)])
def test_a_damaged_pixel_description_is_refused(make_series, high, bits):
    def change(k, dataset):
        dataset.BitsStored, dataset.HighBit = bits, high

    with pytest.raises(ValueError, match="expected stored bits within 16"):
        read_series(make_series(1, change))


@pytest.mark.parametrize("slope", [1, -1, 0.5, -2])
def test_padding_lies_on_its_own_side_of_the_slope(make_series, rng, slope):
    hu = chest(rng)
    hu -= hu % 2
    hu[:3] = -3000  # fill
    intercept = -1024 if slope > 0 else 3071

    def change(k, dataset):
        stored = ((hu - intercept) / slope).round().astype(np.int32)
        set_stored(dataset, stored.astype(np.int16))
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        dataset.add_new(0x00280120, "SS", int(stored[0, 0]))

    read = read_series(make_series(1, change)).hu[0]
    expected = np.round((hu - intercept) / slope) * slope + intercept
    assert (read[:3] == -1024).all()
    assert np.array_equal(read[3:], expected[3:])


@pytest.mark.parametrize("padding_hu", [0, 40, -900])
def test_a_padding_value_of_tissue_leaves_no_holes(make_series, rng, padding_hu):
    """Fill in the corners is fill; the same value in the body is tissue, and counted."""
    hu = chest(rng, -50, 60)
    hu[5:9, 5:9] = padding_hu
    hu[0, 8] = padding_hu  # at the border, but in no corner
    corners = np.zeros(hu.shape, bool)
    corners[:4, :4] = corners[-3:, -3:] = True
    hu[4, :5] = hu[:5, 4] = hu[-4, -4:] = hu[-4:, -4] = 7
    hu[corners] = padding_hu

    def change(k, dataset):
        set_stored(dataset, hu)
        dataset.RescaleIntercept = 0
        dataset.add_new(0x00280120, "SS", padding_hu)

    folder = make_series(2, change)
    volume = read_series(folder)
    assert (volume.hu[:, corners] == -1024).all()
    assert (volume.hu[:, ~corners] == hu[~corners]).all()
    kept = 2 * int((hu[~corners] == padding_hu).sum())
    said = f"{kept} pixels in 2 slices hold the padding value within the image: they are kept as HU"
    assert said in volume.problems
    assert said in inspect_folder(folder)[0].problems


def several_images(k, dataset):
    dataset.PixelData *= 3
    dataset.NumberOfFrames = 3


def longer_pixels(k, dataset):
    dataset.PixelData *= 2


@pytest.mark.parametrize("change", [several_images, longer_pixels])
def test_a_classic_object_holds_one_image(make_series, change):
    folder = make_series(2, change)
    with pytest.raises(ValueError, match=r"expected one image in a classic CT object, got [23]"):
        read_series(folder)
    with pytest.raises(ValueError, match="expected one image"):
        inspect_folder(folder)


UNITS = [
    ("RescaleType", "MGML", "MGML"),
    ("RescaleType", "Z_EFF", "Z_EFF"),
    ("RescaleType", "EDW", "EDW"),
    ("ImageType", ["DERIVED", "SECONDARY", "AXIAL", "MAT_SPECIFIC"], "MAT_SPECIFIC"),
    ("ImageType", ["DERIVED", "PRIMARY", "AXIAL", "CBF"], "CBF"),
]


@pytest.mark.parametrize(("keyword", "value", "units"), UNITS)
def test_other_quantities_are_read_when_asked_for_and_never_written_as_hu(
    make_series, tmp_path, keyword, value, units
):
    folder = make_series(3, lambda k, dataset: setattr(dataset, keyword, value))
    with pytest.raises(ValueError, match=f"expected HU, got {units}"):
        read_series(folder)
    assert not inspect_folder(folder)[0].readable
    volume = read_series(folder, allow_other_units=True)
    assert volume.units == units
    with pytest.raises(
        ValueError, match=f"expected HU, got {units}: such images cannot be written"
    ):
        write_series(volume, tmp_path / "out", description="D")
    with pytest.raises(ValueError, match=f"expected HU, got {units}: such images cannot be simul"):
        simulate_dose(volume, 0.5, rng=np.random.default_rng(0))
    for words in (["simulate", "--dose", "0.5"], ["denoise", "--method", "tv"]):
        done = CliRunner().invoke(app, [words[0], str(folder), str(tmp_path / "out"), *words[1:]])
        assert f"expected HU, got {units}" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_one_slice_of_another_quantity_is_enough(make_series):
    def change(k, dataset):
        dataset.RescaleType = "MGML" if k == 2 else "HU"

    with pytest.raises(ValueError, match="expected HU, got MGML"):
        read_series(make_series(4, change))


@pytest.mark.parametrize("where", ["first", "middle", "last"])
@pytest.mark.parametrize("encoding", ["native", "jpeg-ls"])
@pytest.mark.parametrize("part", ["header", "pixels", "end", "empty"])
def test_a_file_that_is_cut_is_named_and_stops_what_makes_a_series(
    make_series, tmp_path, where, encoding, part
):
    def change(k, dataset):
        if ENCODINGS[encoding]:
            dataset.compress(ENCODINGS[encoding], generate_instance_uid=False)

    folder = make_series(5, change)
    files = sorted(folder.iterdir())
    file = {"first": files[0], "middle": files[2], "last": files[-1]}[where]
    data = file.read_bytes()
    size = {"header": 500, "pixels": len(data) - 120, "end": len(data) - 9, "empty": 140}[part]
    file.write_bytes(data[:size])
    (report,) = inspect_folder(folder)
    assert any(file.name in p for p in report.problems)
    assert not report.readable
    with pytest.raises(ValueError, match=file.name):
        read_series(folder)
    words = ["simulate", str(folder), str(tmp_path / "out"), "--dose", "0.5"]
    assert file.name in str(CliRunner().invoke(app, words).exception)
    assert not (tmp_path / "out").exists()
    volume = read_series(folder, skip_damaged=True, allow_gaps=True)
    assert volume.shape[0] == 4
    assert any("left out" in p and file.name in p for p in volume.problems)
