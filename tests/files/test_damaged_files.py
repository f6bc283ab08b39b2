"""Damaged files of every format but DICOM: a right value or one declared sentence, nothing else.

Bytes are flipped, cut and doubled; keys are removed, renamed and given values of other kinds,
from fixed seeds.
"""

import copy
import gzip
import io
import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctlab.__main__ import main as ctlab
from ctlab.ct import read_nifti
from ctlab.input_files import read_array, read_arrays, read_json, read_toml
from ctlab.passport import read_limits, read_passport
from reader_study.__main__ import main as reader_study
from reader_study.design.protocol_file import read_protocol
from reader_study.record.bundle import open_bundle
from reader_study.report import page
from reader_study.report.page import write_report
from tests.files.damage import changed, damaged, damaged_json

DATA = Path(__file__).parents[1] / "data"
PASSPORT = Path(__file__).parents[2] / "experiments" / "shipped_model" / "passport.json"


def outcome(action):
    """What came out; None where it was refused in one short sentence."""
    try:
        return action()
    except (ValueError, OSError) as error:
        sentence = str(error)
    assert sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return None


def command(main, words, monkeypatch, capsys):
    """Exit code of a command; what it refuses is one line."""
    monkeypatch.setattr("sys.argv", ["command", *map(str, words)])
    with pytest.raises(SystemExit) as ended:  # anything else would be a traceback, and rises
        main()
    code, said = int(ended.value.code or 0), capsys.readouterr()
    assert code in (0, 1, 2)
    assert code != 2 or len(said.err.strip().splitlines()) == 1, said.err
    return code


def test_a_passport(tmp_path, monkeypatch, capsys, mutations):
    whole, bad = tmp_path / "whole", tmp_path / "bad"
    whole.mkdir(), bad.mkdir()
    shutil.copy(PASSPORT, whole / "passport.json")
    codes = []
    for raw in damaged_json(json.loads(PASSPORT.read_text()), seed=1, count=mutations):
        (bad / "passport.json").write_bytes(raw)
        outcome(lambda: read_passport(bad))
        words = ["passport", "--compare", whole, "--compare", bad, "--json"]
        codes.append(command(ctlab, words, monkeypatch, capsys))
    assert codes.count(2) > mutations / 4
    assert len(codes) > codes.count(2)


def npz(path, facts, **arrays):
    np.savez_compressed(path, facts=json.dumps(facts), **arrays)
    return path


def test_an_explanation_map(tmp_path, mutations):
    pytest.importorskip("torch")
    from ctlab.explain import load_explanation

    ramp = np.linspace(-1, 1, 256, dtype=np.float32).reshape(16, 16)
    images = {"signed": ramp, "native": ramp, "image_hu": ramp, "output_hu": ramp}
    arrays = {**images, "mask": ramp > 0}
    facts = {"format_version": 1, "method": "hirescam", "target": "mean", "layer": "bridge"}
    facts |= {"value": 1.0, "field_box": [0, 0, 16, 16]}
    facts |= {"audit": {"verdict": "weak", "reasons": ["a reason"]}}
    path = npz(tmp_path / "map.npz", facts, **arrays)
    raw, draw, refused = path.read_bytes(), random.Random(2), 0
    assert load_explanation(path).in_words()
    for _ in range(mutations):
        path.write_bytes(damaged(raw, draw))
        found = outcome(lambda: load_explanation(path))
        refused += found is None
        assert found is None or np.array_equal(found.signed, ramp)
    assert refused > mutations / 2
    for _ in range(mutations):
        npz(path, changed(facts, draw), **arrays)
        if found := outcome(lambda: load_explanation(path)):
            assert found.in_words()
    for name in arrays:
        for wrong in (ramp[:3], ramp * np.nan, ramp.astype(object), np.zeros((2, 3, 4, 5)), "text"):
            npz(path, facts, **{**arrays, name: wrong})
            if (name, np.shape(wrong)) != ("native", (3, 16)):
                assert outcome(lambda: load_explanation(path)) is None, name


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti(ending, tmp_path, mutations):
    import nibabel

    path = tmp_path / f"v{ending}"
    image = nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(4, 5, 6), np.eye(4))
    nibabel.save(image, path)
    raw, draw, refused = path.read_bytes(), random.Random(3), 0
    for _ in range(mutations):
        path.write_bytes(damaged(raw, draw))
        found = outcome(lambda: read_nifti(path))
        refused += found is None
        if found is not None:
            assert np.isfinite(found.hu).all()
            assert all(0 < size < 1000 for size in found.spacing_mm)
    assert refused > mutations / 4


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_nifti_without_a_number_in_every_voxel_is_refused(wrong, tmp_path):
    import nibabel

    hu = np.zeros((4, 5, 6), np.float32)
    hu[1, 2, 3] = wrong
    nibabel.save(nibabel.Nifti1Image(hu, np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(ValueError, match="no number"):
        read_nifti(tmp_path / "v.nii")


def test_a_checkpoint(tmp_path, mutations):
    torch = pytest.importorskip("torch")
    from importlib.resources import files

    from ctlab.learn import load_checkpoint

    shipped = Path(str(files("ctlab.learn") / "shipped" / "checkpoint.pt"))
    raw, path, draw = shipped.read_bytes(), tmp_path / "c.pt", random.Random(4)
    for _ in range(mutations):
        path.write_bytes(damaged(raw, draw))
        outcome(lambda: load_checkpoint(path).denoiser())
    whole = torch.load(shipped, weights_only=True)
    weights = whole["state"]["players"]
    name = next(name for name in weights if name.startswith("denoiser_ema."))
    values = [weights[name].reshape(-1), weights[name] * float("nan"), "x", None]
    values += [torch.zeros(1).expand(10**10), weights[name].to_sparse()]
    states = [{**whole["state"], "players": {**weights, name: value}} for value in values]
    states += [{"step": 1, "players": {}}, {"players": weights}, {"step": "x", "players": weights}]
    wide = copy.deepcopy({key: value for key, value in whole.items() if key != "state"})
    for content in (
        *({**whole, "state": state} for state in [*states, None, []]),
        *({**whole, key: value} for key in ("config", "hu_scale", "card") for value in (None, [])),
        {**whole, "hu_scale": {"centre_hu": float("nan"), "unit_hu": 50.0}},
        {**whole, "card": {"range_of_use": {"noise_hu": 3}}},
        {**whole, "config": {**wide["config"], "networks": {"width": 10**9}}},
        {**whole, "config": {**wide["config"], "networks": {"width": 1000}}},
    ):
        torch.save(content, path)
        assert outcome(lambda: load_checkpoint(path)) is None
    for _ in range(mutations):  # the model card, as it lies in the checkpoint
        torch.save({**whole, "card": changed(whole["card"], draw)}, path)
        if (found := outcome(lambda: load_checkpoint(path))) is not None:
            assert found.denoiser().network is not None


def test_a_checkpoint_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    pytest.importorskip("torch")
    from ctlab.learn import load_checkpoint

    with zipfile.ZipFile(tmp_path / "c.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 27))
    with pytest.raises(ValueError, match="damaged"):
        load_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize("name", ["limits", "protocol"])
def test_toml(name, tmp_path, study_folder, mutations):
    read, text = {
        "limits": (read_limits, b'"bias in lung" = 3.0\n"noise SD ratio in lung" = 0.9\n'),
        "protocol": (read_protocol, (study_folder / "protocol.toml").read_bytes()),
    }[name]
    path, draw = tmp_path / f"{name}.toml", random.Random(5)
    deep = b"a = " + b"[" * 3000 + b"]" * 3000, b"a" + b".a" * 3000 + b" = 1"
    for raw in (
        *deep,
        b"\xff",
        b"format_version = []",
        *(damaged(text, draw) for _ in range(mutations)),
    ):
        path.write_bytes(raw)
        outcome(lambda: read(path))
    path.write_bytes(deep[0])
    assert outcome(lambda: read(path)) is None


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    """A closed study of the present format."""
    folder = tmp_path_factory.mktemp("study")
    with zipfile.ZipFile(DATA / "studies" / "format-3.zip") as packed:
        packed.extractall(folder)
    return folder


def test_a_bundle(study_folder, tmp_path, monkeypatch, capsys, mutations):
    study = shutil.copytree(study_folder, tmp_path / "study")
    place = study / "bundle" / "study.json"
    whole, codes = json.loads(place.read_text()), []
    for number, raw in enumerate(damaged_json(whole, seed=7, count=mutations)):
        place.write_bytes(raw)
        outcome(lambda: open_bundle(study / "bundle"))
        if number < 24:
            codes.append(command(reader_study, ["verify", study], monkeypatch, capsys))
            command(reader_study, ["status", study], monkeypatch, capsys)
    assert 0 not in codes, "the hash of what was locked differs"


def test_an_image_token_leads_nowhere_else(study_folder, tmp_path):
    study = shutil.copytree(study_folder, tmp_path / "study")
    place = study / "bundle" / "study.json"
    facts = json.loads(place.read_text())
    facts["images"]["../../sealed/key.sealed"] = next(iter(facts["images"].values()))
    place.write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="damaged"):
        open_bundle(study / "bundle")


@pytest.mark.slow
def test_an_analysis(tmp_path, monkeypatch, capsys):
    study = shutil.copytree(DATA / "analysed-study", tmp_path / "study")
    place = study / "report" / "analysis.json"
    for raw in damaged_json(json.loads(place.read_text()), seed=6, count=14):
        place.write_bytes(raw)
        command(reader_study, ["report", study], monkeypatch, capsys)


def test_the_texts_of_a_damaged_analysis(tmp_path, monkeypatch, mutations):
    """Many times what the test above does, without the figures, which take most of its time."""
    monkeypatch.setattr(page, "pictures", lambda facts: {})
    study = shutil.copytree(DATA / "analysed-study", tmp_path / "study")
    place, refused = study / "report" / "analysis.json", 0
    for raw in damaged_json(json.loads(place.read_text()), seed=8, count=mutations):
        place.write_bytes(raw)
        refused += outcome(lambda: write_report(study)) is None
    assert mutations / 4 < refused < mutations


def test_an_analysis_without_what_a_report_shows(tmp_path):
    study = shutil.copytree(DATA / "analysed-study", tmp_path / "study")
    place = study / "report" / "analysis.json"
    facts = json.loads(place.read_text())
    for name in ("design", "flow", "estimand"):
        place.write_text(json.dumps({**facts, name: 3}))
        with pytest.raises(ValueError, match=r"analysis\.json is damaged"):
            write_report(study)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)


@given(content=values, raw=st.binary(max_size=40))
def test_json_and_toml_are_read_or_refused(made_once, content, raw):
    path = made_once("any_json", lambda _: None) / "any"
    path.write_text(json.dumps(content))
    found = outcome(lambda: read_json(path, "is none"))
    assert (found is None) == (not isinstance(content, dict))
    path.write_bytes(raw)
    outcome(lambda: read_json(path, "is none"))
    outcome(lambda: read_toml(path, "is none"))


@given(shape=st.lists(st.integers(0, 2**40), max_size=4), keep=st.integers(0, 200))
def test_an_array_holds_what_its_shape_says_or_is_refused(made_once, shape, keep):
    path = made_once("any_npy", lambda _: None) / "a.npy"
    written = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        written, {"descr": "<i2", "fortran_order": False, "shape": tuple(shape)}
    )
    path.write_bytes(written.getvalue() + bytes(keep))
    fits = 2 * int(np.prod([float(n) for n in shape])) == keep
    found = outcome(lambda: read_array(path, "is none"))
    assert (found is not None) == fits or 0 in shape  # NumPy knows no empty array that large


LARGE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
import ctlab.ct, ctlab.input_files as inputs
reads = {"npy": lambda p: inputs.read_array(p, "is none"),
         "npz": lambda p: inputs.read_arrays(p, None, "is none"),
         "gz": ctlab.ct.read_nifti, "json": lambda p: inputs.read_json(p, "is none")}
for path in sys.argv[1:]:
    try:
        reads[path.rpartition(".")[2]](path)
    except ValueError as error:
        status = open("/proc/self/status").read()  # getrusage would count the parent, too
        peak = int(status.split("VmHWM:")[1].split()[0]) >> 10
        print("refused", peak < 1000, error)
"""


def test_sizes_that_files_do_not_hold_are_refused_before_memory_is_spent(tmp_path):
    """Within 4 GiB: headers that speak of far more, and what unpacks to far more."""
    import nibabel

    header = io.BytesIO()
    facts = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**5)}
    np.lib.format.write_array_header_1_0(header, facts)
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue())
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4))
    image.header.set_data_shape((30000, 30000, 30000))
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(image.header.binaryblock + bytes(20)))
    with (tmp_path / "a.json").open("wb") as sparse:
        sparse.truncate(3 << 30)
    names = ["a.npy", "a.npz", "a.nii.gz", "a.json"]
    said = subprocess.run(
        [sys.executable, "-c", LARGE, *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [line.startswith("refused True") for line in said] == [True] * 4, said


def test_members_that_unpack_to_more_than_the_limit_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros(1 << 20, np.uint8))
    with pytest.raises(ValueError, match="unpacks to"):
        read_arrays(tmp_path / "a.npz", None, "is none", most_bytes=1 << 19)


def test_files_of_the_first_version_still_open():
    """The passport, card and weights that were committed first, each of format 1."""
    passport = read_passport(DATA / "earlier" / "passport-1.json")
    assert len(passport.checks) == 15
    assert read_json(DATA / "earlier" / "card-1.json", "is no card")
    pytest.importorskip("torch")
    from ctlab.learn import load_checkpoint

    checkpoint = load_checkpoint(DATA / "earlier" / "checkpoint-1.pt")
    assert (checkpoint.step, checkpoint.config.networks.degrader) == (500, "noise")
    assert checkpoint.denoiser().network is not None
