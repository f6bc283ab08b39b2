"""Damaged files: a right volume or one declared exception, never a hang, a crash or wrong HU.

Bytes of small valid files of nine encodings are flipped, cut, doubled and overwritten,
more than 5,000 times in all, from a fixed seed; hundreds go through the command line. Mutations
that leave a valid file behind may change values; then the HU must follow the stored values of
that very file, as pydicom decodes them.
"""

import io
import json
import random
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctlab.__main__ import main
from ctlab.ct import read_series, write_series
from ctlab.ct.dicom.frames import frames_of
from ctlab.ct.dicom.header import read_header
from ctlab.ct.dicom.pixels.decode import DECODERS
from ctlab.ct.dicom.pixels.jpeg import JPEG
from ctlab.ct.dicom.pixels.parallel_decode import stream_hu
from ctlab.ct.dicom.slice_order import find_series, reason_aside
from ctlab.ct.simulation.test_objects import water_cylinder
from tests.files.damage import LENGTHS, damaged

CORPUS = Path(__file__).parents[1] / "data" / "fuzz"
CODECS = Path(__file__).parents[1] / "data" / "codecs"
MUTATIONS = 5200
CLI_RUNS = {"inspect": 240, "deidentify": 120, "simulate": 24}
LONGEST_S = 5


def seeds():
    """Small valid files of nine encodings; made once and kept with the tests."""
    jpeg = [CODECS / f"{name}.dcm" for name in ("jpeg-extended", "jpeg-lossless-57")]
    return sorted([*CORPUS.glob("*.dcm"), *jpeg])


def mutate(data, draw):
    """Damage after the preamble, with bytes that mean something to DICOM (an item begins)."""
    return damaged(data, draw, start=128, marks=(*LENGTHS, b"\xfe\xff\x00\xe0"))


def outcome(path):
    """HU of a file's frames, or the declared exception."""
    try:
        header = read_header(path)
        if reason_aside(header):
            return None
        frames = frames_of(header)
        return frames, list(stream_hu(frames[:2]))
    except ValueError:
        return None


@pytest.fixture
def deadline():
    """A hang becomes a failure; counted in processor time, so a busy machine is no hang."""

    class Hang(BaseException):
        """Not an Exception, so that nothing takes it for a damaged file."""

    def ring(*_):
        raise Hang("a damaged file took too long")

    before = signal.signal(signal.SIGPROF, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # read_series silences pydicom; the parts alone do not
@pytest.mark.parametrize("seed_file", seeds(), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_damaged_bytes(seed_file, tmp_path, deadline):
    draw = random.Random(seed_file.name)
    original = seed_file.read_bytes()
    path = tmp_path / "damaged.dcm"
    survived = 0
    outcome(seed_file)  # loops are compiled on first use
    for number in range(-(-MUTATIONS // len(seeds()))):
        data = mutate(original, draw)
        path.write_bytes(data)
        deadline(LONGEST_S)
        found = outcome(path)
        if found is not None:
            survived += 1
            for frame, hu in zip(*found, strict=False):
                assert hu.dtype == np.float32
                assert hu.shape == frame.shape
                check_against_pydicom(data, frame, hu, number)
    assert survived > 0


COMMANDS = {
    "inspect": lambda out: ["--json"],
    "deidentify": lambda out: [str(out), "--json"],
    "simulate": lambda out: [str(out), "--dose", "1", "--json"],
}


@pytest.fixture(scope="module")
def slab(tmp_path_factory):
    """Two slices of noisy water in air, large enough for their noise to be measured."""
    rng = np.random.default_rng(0)
    water = water_cylinder(size=48, pixel_mm=2.0, radius_mm=40.0, slices=2)
    noisy = water.with_hu(water.hu + rng.normal(0, 20, water.shape))
    return write_series(noisy, tmp_path_factory.mktemp("slab") / "s", description="Water")


def run_here(words, monkeypatch, capsys):
    """Exit code, stdout and stderr of the command line, in this process."""
    monkeypatch.setattr("sys.argv", ["ctlab", *words])
    try:
        main()
        code = 0
    except SystemExit as ended:  # anything else would be a traceback, and rises
        code = int(ended.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("command", list(COMMANDS))
def test_the_command_line_gives_right_hu_or_one_sentence(
    command, slab, tmp_path, deadline, monkeypatch, capsys
):
    """One damaged file among whole ones: JSON and exit code 0 or 1, or one line and 2."""
    draw = random.Random(command)
    corpus = [[file] for file in seeds()]
    if command == "simulate":  # of small files the noise cannot be measured
        corpus = [slab]
    codes = []
    for number in range(CLI_RUNS[command]):
        folder, out = tmp_path / f"in{number}", tmp_path / f"out{number}"
        folder.mkdir()
        first, *whole = corpus[number % len(corpus)]
        (folder / "a.dcm").write_bytes(mutate(first.read_bytes(), draw))
        for file in whole:
            (folder / file.name).write_bytes(file.read_bytes())
        deadline(4 * LONGEST_S)
        words = [command, str(folder), *COMMANDS[command](out)]
        code, said, complained = run_here(words, monkeypatch, capsys)
        check_outcome(code, said, complained, out, words)
        if code == 0:
            check_written(command, json.loads(said), folder, out)
        codes.append(code)
    assert {0, 2} <= set(codes)


def check_outcome(code, said, complained, out, words):
    """What every command promises, whatever it was given."""
    assert code in (0, 1, 2), (words, complained)
    assert "Traceback" not in said + complained
    if code == 2:
        assert said == ""
        assert complained.startswith("ctlab: ")
        assert complained.count("\n") == 1
        assert not out.exists()  # nothing half written
    else:
        json.loads(said)
    assert not [p for p in out.parent.iterdir() if p.name.endswith(".part")]


def check_written(command, told, folder, out):
    """HU told or written are those of the library, which is held against pydicom above."""
    if command == "inspect":
        for series in told["series"]:
            if series["readable"]:
                hu = read_series(
                    folder, series_uid=series["uid"], allow_gaps=True, allow_tilt=True
                ).hu
                assert (series["hu_min"], series["hu_max"]) == (float(hu.min()), float(hu.max()))
        return
    if command == "simulate":
        before = read_series(folder, allow_tilt=True).hu
        after = read_series(out, allow_tilt=True).hu
        assert np.abs(after - before).max() <= 0.5 + 1e-3
        return
    assert told["files"] == len(list(out.iterdir())) > 0
    found, wanted = find_series(out), find_series(folder)
    kept = [f for frames in found.series.values() for f in frames]
    source = [f for frames in wanted.series.values() for f in frames]
    if len(kept) == len(source):
        try:
            before = list(stream_hu(source))
        except ValueError:
            return
        for one, other in zip(before, stream_hu(kept), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_damaged_file_through_a_real_process(command, tmp_path):
    """As a user sees it: no traceback, no warning of a library, and an exit code that tells."""
    data = (CORPUS / "explicit.dcm").read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(data[: len(data) // 2])
    out = tmp_path / "out"
    words = [command, str(tmp_path / "in"), *COMMANDS[command](out)]
    done = subprocess.run(
        [sys.executable, "-m", "ctlab", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (1, 2)
    check_outcome(done.returncode, done.stdout, done.stderr, out, words)


def check_against_pydicom(data, frame, hu, number):
    """HU equal slope x stored + intercept as pydicom reads the same bytes, fill apart.

    Not for JPEG: pydicom's decoder for it ends the whole program on damaged data.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        if dataset.file_meta.TransferSyntaxUID in JPEG:
            return
        plugin = DECODERS.get(dataset.file_meta.TransferSyntaxUID, "")
        stored = pydicom.pixels.pixel_array(
            dataset, index=frame.index, raw=True, decoding_plugin=plugin
        )
    except Exception:  # pydicom is stricter here; then there is nothing to compare with
        return
    if stored.shape != hu.shape:
        return
    wanted = stored.astype(np.float64) * frame.slope + frame.intercept
    inside = hu != -1024
    assert np.allclose(hu[inside], wanted[inside], rtol=1e-5, atol=1e-2), f"mutation {number}"


def test_the_corpus_is_whole():
    names = {p.stem for p in seeds()}
    assert names >= {"explicit", "implicit", "deflated", "rle", "jpeg-ls", "jpeg-2000", "enhanced"}
    for path in seeds():
        assert read_series(path, allow_gaps=True).hu.size > 0


HEADER_FACTS = st.fixed_dictionaries(
    {},
    optional={
        "RescaleSlope": st.sampled_from(["1", "0.5", "-1", "0", "1e3", ""]),
        "RescaleIntercept": st.sampled_from(["-1024", "0", "-8192", ""]),
        "PixelSpacing": st.sampled_from([[0.5, 0.5], [0.7, 0.3], [0, 0], None]),
        "SliceThickness": st.sampled_from(["2.5", "0", "", "-1"]),
        "KVP": st.sampled_from(["120", "", "80"]),
        "PixelRepresentation": st.sampled_from([0, 1]),
        "BitsStored": st.sampled_from([8, 12, 16]),
        "HighBit": st.sampled_from([7, 11, 13, 15]),
        "PixelPaddingValue": st.sampled_from([24, 1024, 63536, 0]),
        "RescaleType": st.sampled_from(["HU", "US", "MGML", "Z_EFF"]),
        "NumberOfFrames": st.sampled_from(["1", "2"]),
        "PatientID": st.sampled_from(["P1", "P2"]),  # of the second slice
        "ImageOrientationPatient": st.sampled_from([[1, 0, 0, 0, 1, 0], [1, 0, 0, 1, 0, 0], None]),
        "ImageType": st.sampled_from(["ORIGINAL\\PRIMARY\\AXIAL", "", "LOCALIZER"]),
    },
)


@settings(derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=HEADER_FACTS, step_mm=st.sampled_from([0.0, 1.25, 2.5]))
def test_odd_headers(facts, step_mm, make_series):
    """Any mixture of odd header values: HU by the file's own rescale, or a refusal in one line."""

    def change(k, dataset):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for keyword, value in facts.items():
                if keyword == "PixelPaddingValue":
                    dataset.add_new(0x00280120, "US", value)
                elif keyword != "PatientID" or k:
                    setattr(dataset, keyword, value)
            if "BitsStored" in facts and "HighBit" not in facts:
                dataset.HighBit = dataset.BitsStored - 1
            dataset.ImagePositionPatient[2] = step_mm * k

    folder = make_series(2, change)
    try:
        volume = read_series(folder)
    except ValueError:
        return
    assert facts.get("RescaleSlope", "1") not in ("0", "")
    assert facts.get("RescaleIntercept", "-1024") != ""
    assert facts.get("RescaleType", "HU") in ("HU", "US")
    assert facts.get("NumberOfFrames", "1") == "1"
    assert facts.get("PatientID", "P1") == "P1"
    assert step_mm > 0
    slope = float(facts.get("RescaleSlope", 1))
    intercept = float(facts.get("RescaleIntercept", -1024))
    bits = facts.get("BitsStored", 16)
    mask = (1 << bits) - 1
    high = facts.get("HighBit", bits - 1)
    assert high >= bits - 1
    stored = 1024 >> (high - bits + 1) & mask
    if facts.get("PixelRepresentation", 1) and stored >> (bits - 1):
        stored -= 1 << bits
    if "PixelPaddingValue" not in facts or stored * slope + intercept >= -1024:
        assert volume.hu[0, 8, 8] == pytest.approx(stored * slope + intercept)
    else:  # below air, so it may be fill
        assert volume.hu[0, 8, 8] in (-1024, pytest.approx(stored * slope + intercept))
    assert all(s > 0 for s in volume.spacing_mm)
