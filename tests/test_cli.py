"""The command line as a user meets it: a whole path on real slices, and clear refusals."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from ctlab.__main__ import main
from ctlab.ct import read_series, write_sample

SLICES = 6


def ctlab(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ctlab", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answer(*words: object) -> dict:
    """The command's one JSON object."""
    done = ctlab(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def here(monkeypatch, capsys):
    """The command in this process, for refusals: to start Python anew takes most of their time."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["ctlab", *map(str, words)])
        with pytest.raises(SystemExit) as ended:  # anything else would be a traceback, and rises
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Six real slices; files in no helpful order, as they come from a disk."""
    whole = tmp_path_factory.mktemp("sample") / "all"
    write_sample(whole)
    few = whole.parent / "few"
    few.mkdir()
    for path in sorted(whole.glob("*.dcm"))[17 : 17 + SLICES]:
        shutil.copy(path, few)
    return few


@pytest.fixture(scope="module")
def low(scan):
    out = scan.parent / "low"
    report = answer("simulate", scan, out, "--dose", "0.1", "--seed", "1")
    assert report["dose"] == 0.1
    assert report["noise_sd_hu"] > 2 * report["reference_noise_hu"]
    return out


def test_inspect_reports_the_series_of_the_folder(scan):
    (series,) = answer("inspect", scan)["series"]
    assert series["shape"] == [SLICES, 512, 512]
    assert series["modality"] == "CT"
    assert series["kvp"] == 120.0
    assert {"uid", "spacing_mm", "hu_min", "hu_max", "ctdivol_mgy", "problems"} <= set(series)


def test_the_shipped_model_brings_a_tenth_of_the_dose_nearer_to_the_full_one(scan, low):
    pytest.importorskip("torch", reason="the model needs torch")
    out = scan.parent / "clean"
    report = answer("denoise", low, out)
    assert report["slices"] == SLICES
    assert report["noise_after_hu"] < 0.7 * report["noise_before_hu"]
    table = answer("evaluate", scan, low, out)
    before, after = (image["rmse_hu"]["mean"] for image in table["images"])
    assert after < 0.8 * before
    assert table["images"][1]["psnr_db"]["low"] is None, "one patient gives no interval"
    assert "patients" in table["images"][1]["note"]


def test_a_denoised_series_is_a_derived_one_and_holds_what_was_computed(scan, low):
    out = scan.parent / "filtered"
    answer("denoise", low, out, "--method", "bilateral")
    sources = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, sorted(low.glob("*.dcm")))}
    for path in out.glob("*.dcm"):
        image = pydicom.dcmread(path)
        assert list(image.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert image.SOPInstanceUID not in sources
        source = sources[image.SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert image.SeriesInstanceUID != source.SeriesInstanceUID
        assert image.StudyInstanceUID == source.StudyInstanceUID
    assert read_series(out).shape == (SLICES, 512, 512)
    assert not np.array_equal(read_series(out).hu, read_series(low).hu)


def test_explain_writes_the_map_with_its_audit(low):
    pytest.importorskip("torch", reason="a map needs torch")
    target = low.parent / "map.npz"
    told = answer("explain", low, "--slice", 2, "--roi", 250, 300, 8, "--out", target)
    assert told["verdict"] in {"believe", "weak", "no better than chance"}
    with np.load(target) as stored:
        assert stored["signed"].shape == (512, 512)
    assert target.with_suffix(".png").stat().st_size > 10_000


def broken_inputs(scan, tmp_path):
    empty, texts, cut = (tmp_path / name for name in ("empty", "texts", "cut"))
    for folder in (empty, texts, cut):
        folder.mkdir()
    (texts / "notes.txt").write_text("not an image")
    first = min(scan.glob("*.dcm"))
    (cut / "cut.dcm").write_bytes(first.read_bytes()[: first.stat().st_size // 2])
    return {"empty": empty, "texts": texts, "cut": cut, "absent": tmp_path / "absent"}


@pytest.mark.parametrize("kind", ["empty", "texts", "cut", "absent"])
@pytest.mark.parametrize(
    "command",
    [["simulate", "--dose", "0.5"], ["denoise", "--method", "tv"], ["deidentify"]],
    ids=lambda words: words[0],
)
def test_bad_folders_are_refused_in_one_sentence_and_leave_nothing(
    scan, tmp_path, kind, command, here
):
    folder = broken_inputs(scan, tmp_path)[kind]
    before = sorted(tmp_path.rglob("*"))
    code, said = here(command[0], folder, tmp_path / "out", *command[1:])
    if command[0] == "deidentify" and kind == "cut":
        return  # a cut file still has a header to clean; its pixels are copied as they are
    assert code == 2
    assert len(said.strip().splitlines()) == 1, said
    assert folder.name in said
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["simulate", "{scan}", "{out}", "--dose", "7"], "dose"),
        (["denoise", "{scan}", "{out}", "--method", "magic"], "bm3d"),
        (["denoise", "{scan}", "{out}", "--method", "tv", "--checkpoint", "x"], "--checkpoint"),
        (["denoise", "{scan}", "{scan}", "--method", "tv"], "{scan} holds what is read"),
        (["evaluate", "{scan}", "{scan}", "--window", "toe"], "chest"),
        (["explain", "{scan}", "--slice", "60", "--roi", "9", "9", "3"], "0 to 5"),
        (["explain", "{scan}", "--slice", "1", "--roi", "600", "9", "3"], "512"),
        (["fetch", "moon", "{out}"], "mayo-chest"),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, list) else None,
)
def test_bad_values_are_refused_in_one_sentence_and_leave_nothing(
    scan, tmp_path, words, said, here
):
    if words[0] == "explain":
        pytest.importorskip("torch", reason="explain needs torch")
    fill = {"scan": scan, "out": tmp_path / "out"}
    files = sorted(scan.iterdir())
    code, heard = here(*(w.format(**fill) for w in words))
    assert code == 2, heard
    assert len(heard.strip().splitlines()) == 1, heard
    assert said.format(**fill) in heard
    assert not (tmp_path / "out").exists()
    assert sorted(scan.iterdir()) == files


def test_training_without_data_is_refused_in_one_sentence_and_leaves_nothing(tmp_path):
    pytest.importorskip("torch", reason="train needs torch")
    done = ctlab("train", tmp_path / "out")  # a process of its own: what is imported draws numbers
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert str(tmp_path / "out") in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_unreadable_series_gives_exit_code_1_and_is_named(scan, tmp_path):
    doubled = tmp_path / "doubled"
    shutil.copytree(scan, doubled)
    one = min(doubled.glob("*.dcm"))
    copy = pydicom.dcmread(one)
    copy.SOPInstanceUID = generate_uid()
    copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
    copy.RescaleIntercept = -500
    copy.save_as(doubled / "again.dcm")
    done = ctlab("inspect", doubled)
    assert done.returncode == 1
    assert "two different images" in done.stdout
    assert "again.dcm" in done.stdout
