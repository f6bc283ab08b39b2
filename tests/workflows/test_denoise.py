"""From disk to disk: the same HU as in memory, constant memory, cut and shared at will."""

import os
import signal
import socket
import subprocess
import sys
import tracemalloc

import numpy as np
import pydicom
import pytest
import torch

from ctlab.ct import (
    Acquisition,
    Volume,
    read_series,
    write_series,
)
from ctlab.learn import (
    TrainConfig,
    adapt,
    denoise_volume,
    load_checkpoint,
    save_checkpoint,
)
from ctlab.learn.train.monitor import COLLAPSE, RaisedWarning
from ctlab.learn.train.state import TrainState
from ctlab.resumable_folder import ResumableFolder
from ctlab.workflows import slice_work
from ctlab.workflows.denoise import denoise_series

SLICES, SIDE = 9, 72


def series_of(folder, slices, side=SIDE):
    """A noisy square of water in air as a DICOM series."""
    hu = np.full((slices, side, side), -1000.0)
    hu[:, 6:-6, 6:-6] = 40.0
    hu += np.random.default_rng(3).normal(0, 40, hu.shape)
    volume = Volume(hu.astype(np.float32), (2.5, 0.7, 0.7), acquisition=Acquisition(kernel="B"))
    write_series(volume, folder, description="made up")
    return folder


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return series_of(tmp_path_factory.mktemp("scan") / "low", SLICES)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small switchable generator that does take something away."""
    torch.set_num_threads(1)
    networks = {"generator": "switchable", "width": 4, "critic_width": 4, "noise_kernels": 2}
    config = TrainConfig.from_dict({"networks": networks, "precision": "32-true"})
    state = TrainState.start(config)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        network = state.networks["denoiser_ema"]
        network.last.weight.copy_(3.0 * torch.randn(network.last.weight.shape, generator=draws))
        for gain in network.gains.values():
            gain.copy_(0.3 * torch.randn(gain.shape, generator=draws))
    path = tmp_path_factory.mktemp("model") / "checkpoint.pt"
    save_checkpoint(path, config, state, split_hash="x", card={"range_of_use": {}})
    return path


def test_streamed_slices_are_those_of_the_whole_volume(scan, checkpoint, tmp_path):
    report = denoise_series(scan, tmp_path / "out", checkpoint=checkpoint)
    streamed = read_series(tmp_path / "out")
    whole = denoise_volume(read_series(scan), load_checkpoint(checkpoint))
    assert np.array_equal(streamed.hu, np.rint(whole.hu))
    assert np.abs(streamed.hu - read_series(scan).hu).max() > 5
    assert (report.slices, report.resumed_slices, report.processes) == (SLICES, 0, 1)
    assert not ResumableFolder.folder_of(tmp_path / "out").exists()


@pytest.mark.parametrize("method", ["model", "nlm"])
@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
def test_a_strength_that_means_nothing_is_refused_first(method, strength, scan, tmp_path):
    """Not after the series was read, and not by a complaint about something else."""
    with pytest.raises(ValueError, match=f"--strength of {method} goes .* got {strength:g}"):
        denoise_series(scan, tmp_path / "x", method=method, strength=strength)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("engine", ["onnx", "openvino", "nonsense"])
def test_an_engine_given_to_a_filter_is_refused_not_ignored(scan, tmp_path, engine):
    with pytest.raises(ValueError, match=f"--engine {engine} runs the model, not the filter 'tv'"):
        denoise_series(scan, tmp_path / "out", method="tv", engine=engine)
    assert not (tmp_path / "out").exists()


def test_strength_turns_a_switchable_model_and_only_that(scan, checkpoint, tmp_path):
    before = np.maximum(read_series(scan).hu, -1024)  # below air there is nothing to keep
    taken = []
    for strength in (0.0, 0.5, 1.0):
        out = tmp_path / f"{strength}"
        denoise_series(scan, out, checkpoint=checkpoint, strength=strength)
        taken.append(np.abs(read_series(out).hu - before).mean())
    assert taken[0] == 0.0
    assert taken[0] < taken[1] < taken[2]
    with pytest.raises(ValueError, match=r"0 to 1, got 1\.5"):
        denoise_series(scan, tmp_path / "x", checkpoint=checkpoint, strength=1.5)
    with pytest.raises(ValueError, match="needs a switchable generator"):
        denoise_series(scan, tmp_path / "x", strength=0.5, force=True)
    assert not (tmp_path / "x").exists()
    assert not ResumableFolder.folder_of(tmp_path / "x").exists()


def test_a_network_close_to_the_identity_is_named_by_what_its_card_knows(
    scan, checkpoint, tmp_path
):
    kept = load_checkpoint(checkpoint)
    warning = RaisedWarning(COLLAPSE, 3000, 0.03, 0.1, "lower cycle_full or identity")
    save_checkpoint(
        tmp_path / "identity.pt",
        kept.config,
        kept.train_state(),
        split_hash="x",
        card=kept.card | {"alarms": [warning.to_dict()]},
    )
    ran = [
        denoise_series(scan, tmp_path / name, checkpoint=path).applicability["notes"]
        for name, path in (("a", tmp_path / "identity.pt"), ("b", checkpoint))
    ]
    assert "close to the identity: at the end of its training it took away 3 %" in ran[0][-1]
    assert not any("identity" in note for note in ran[1])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_series(tmp_path, monkeypatch):
    monkeypatch.setattr(slice_work, "denoise_classic", lambda hu, method, **other: hu.copy())
    side, peaks = 192, []
    for slices in (12, 36):
        folder = series_of(tmp_path / f"in{slices}", slices, side=side)
        tracemalloc.start()
        denoise_series(folder, tmp_path / f"out{slices}", method="tv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # In memory, input and output alone would take this much more for 24 more slices:
    more = 2 * 24 * side * side * 4
    assert peaks[1] - peaks[0] < 0.15 * more


KILLED = """
import os, signal, sys
from ctlab.workflows.denoise import denoise_series
def kill(done, total):
    if done >= 4:
        os.kill(os.getpid(), signal.SIGKILL)
denoise_series(sys.argv[1], sys.argv[2], checkpoint=sys.argv[3], progress=kill)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_and_keeps_what_was_done(scan, checkpoint, tmp_path):
    out = tmp_path / "out"
    words = [sys.executable, "-c", KILLED, str(scan), str(out), str(checkpoint)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert not out.exists()
    made = {p.name: p.stat().st_mtime_ns for p in ResumableFolder.folder_of(out).glob("IM*.dcm")}
    assert len(made) == 4
    with pytest.raises(ValueError, match="pass --resume"):
        denoise_series(scan, out, checkpoint=checkpoint)
    with pytest.raises(ValueError, match="begun with method 'model', now it is 'tv'"):
        denoise_series(scan, out, method="tv", resume=True)
    report = denoise_series(scan, out, checkpoint=checkpoint, resume=True)
    assert report.resumed_slices == 4
    assert {n: (out / n).stat().st_mtime_ns for n in made} == made
    denoise_series(scan, tmp_path / "whole", checkpoint=checkpoint)
    assert np.array_equal(read_series(out).hu, read_series(tmp_path / "whole").hu)
    assert len(list(out.iterdir())) == SLICES


SHARED = """
import sys
import torch
torch.set_num_threads(1)
from ctlab.workflows.denoise import denoise_series
report = denoise_series(sys.argv[1], sys.argv[2], checkpoint=sys.argv[3])
print("REPORT", report)
"""


@pytest.mark.slow
def test_two_processes_share_the_slices_and_give_what_one_gives(scan, checkpoint, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def start(rank):
        env = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
        env |= {"NODE_RANK": str(rank), "LOCAL_RANK": "0", "RANK": str(rank)}
        words = [sys.executable, "-c", SHARED, str(scan), str(tmp_path / "two"), str(checkpoint)]
        return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True)

    first, second = [p.communicate(timeout=180)[0] for p in [start(0), start(1)]]
    assert "processes=2" in first
    assert "REPORT None" in second
    denoise_series(scan, tmp_path / "one", checkpoint=checkpoint)
    assert np.array_equal(read_series(tmp_path / "two").hu, read_series(tmp_path / "one").hu)


def test_a_damaged_slice_leaves_nothing_behind(scan, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    for path in scan.glob("*.dcm"):
        raw = path.read_bytes()
        (bad / path.name).write_bytes(raw[: len(raw) // 2] if path.name == "IM0006.dcm" else raw)
    with pytest.raises(ValueError, match="IM0006"):
        denoise_series(bad, tmp_path / "out", method="bilateral")
    assert {p.name for p in tmp_path.iterdir()} == {"bad"}


def test_bfloat16_is_told_and_moves_little(tmp_path, checkpoint, scan):
    denoise_series(scan, tmp_path / "exact", checkpoint=checkpoint)
    denoise_series(scan, tmp_path / "fast", checkpoint=checkpoint, precision="bfloat16")
    exact, fast = read_series(tmp_path / "exact"), read_series(tmp_path / "fast")
    apart = np.sqrt(np.mean((exact.hu - fast.hu) ** 2))
    assert 0 < apart < 0.1 * (exact.hu - read_series(scan).hu).std()
    assert "in bfloat16" in pydicom.dcmread(fast.sources[0]).DerivationDescription


@pytest.mark.parametrize(
    "asked",
    [
        {"precision": "float16"},
        {"precision": "bfloat16", "method": "nlm"},
        {"precision": "bfloat16", "engine": "onnx"},
    ],
)
def test_a_precision_that_cannot_be_is_refused_first(asked, scan, tmp_path):
    with pytest.raises(ValueError, match="--precision"):
        denoise_series(scan, tmp_path / "x", **asked)
    assert not (tmp_path / "x").exists()


def test_adapted_weights_are_told_in_header_and_report(tmp_path, checkpoint, monkeypatch):
    """The gate and what it asks are tested with :mod:`ctlab.learn.adapt`."""
    plain = load_checkpoint(checkpoint)
    done = adapt.Adaptation(12, 3.0, 1.02, 0.03, 0.9, 0.4, "ab" * 32)
    asked = []

    def adapted(volume, given, *, seconds):
        asked.append((len(volume.hu), given.sha256, seconds))
        return load_checkpoint(), done  # other weights than those it was given

    monkeypatch.setattr(adapt, "adapt_to_series", adapted)
    scan = series_of(tmp_path / "scan", 3)
    report = denoise_series(scan, tmp_path / "out", checkpoint=checkpoint, adapt_s=3.0)
    assert asked == [(3, plain.sha256, 3.0)]
    assert report.adaptation["weights_sha256"] == "ab" * 32
    written = read_series(tmp_path / "out")
    whole = denoise_volume(read_series(scan), load_checkpoint(), force=True)
    assert np.array_equal(written.hu, np.rint(whole.hu))
    told = pydicom.dcmread(written.sources[0]).DerivationDescription
    assert f"sha256 {plain.sha256[:12]}, step 0, adapted to this series in 12 steps" in told
    assert "weights sha256 abababababab" in told


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ({"method": "nlm"}, "--adapt trains the model, not 'nlm'"),
        ({"resume": True}, "leave --resume out"),
    ],
)
def test_what_cannot_be_adapted_is_refused_first(asked, refusal, scan, tmp_path):
    with pytest.raises(ValueError, match=refusal):
        denoise_series(scan, tmp_path / "x", adapt_s=5.0, **asked)
    assert not (tmp_path / "x").exists()
