"""The run folder: what it holds, what it refuses, and that a killed run goes on."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ctlab.learn import load_checkpoint
from ctlab.learn.config import TrainConfig
from ctlab.learn.data.domains import Domains
from ctlab.learn.data.split import Slab, split_hash
from ctlab.learn.models import fbp_noise
from ctlab.learn.train import run, run_log

SLABS = (Slab("s", "P", 0, 3, "low"), Slab("s", "P", 14, 17, "full"))


@pytest.fixture
def domains(tiny_domains, monkeypatch):
    full, low = tiny_domains
    made = Domains(full, low, SLABS, {"doses": [0.1]})
    monkeypatch.setattr(run, "build_domains", lambda config: made)
    return made


def rows_of(folder: Path):
    with (folder / "log.csv").open(newline="") as handle:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(handle)]


def test_a_run_folder_holds_what_was_done(tmp_path, tiny_config, domains):
    seen = []
    result = run.train_run(tiny_config, tmp_path / "run", on_row=seen.append)
    folder = tmp_path / "run"
    assert {p.name for p in folder.iterdir()} == {
        "config.toml",
        "split.csv",
        "log.csv",
        "checkpoint.pt",
        "selected.pt",
        "card.json",
        "tensorboard",
    }
    assert TrainConfig.from_toml(folder / "config.toml") == tiny_config
    rows = rows_of(folder)
    assert [int(r["step"]) for r in rows] == list(range(1, 13))
    assert len(seen) == 12
    assert [bool(r["watch_hidden"]) for r in rows] == [False, False, False, True] * 3
    assert set(rows[0]) | {"seconds"} == set(run_log.COLUMNS)
    card = json.loads((folder / "card.json").read_text())
    assert card["is_finished"]
    assert (
        card["split_hash"]
        == split_hash(SLABS)
        == load_checkpoint(folder / "checkpoint.pt").split_hash
    )
    assert result.steps == card["steps"] == 12
    events = b"".join(p.read_bytes() for p in (folder / "tensorboard").iterdir())
    assert events.count(b"samples") >= 3  # a picture at every monitored step
    assert b"generator/low" in events


def test_a_run_measures_its_noise_curve_once_and_keeps_it(
    tmp_path, tiny_config, domains, monkeypatch
):
    """The folder holds what was asked for, the checkpoint and the card what was found."""
    points = [(-700.0, 0.7), (40.0, 1.0)]
    monkeypatch.setattr(fbp_noise, "measure_noise_curve", lambda full, low: points)
    values = tiny_config.model_dump() | {"steps": 4}
    values["networks"] |= {"degrader": "reconstruction", "noise_curve": "measured"}
    asked = TrainConfig.from_dict(values)
    run.train_run(asked, tmp_path / "run")
    assert TrainConfig.from_toml(tmp_path / "run" / "config.toml") == asked
    made = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert list(made.config.networks.noise_curve) == points
    assert made.train_state().networks["degrader"].curve[1][1] == 1.0
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["noise_curve"] == [list(point) for point in points]
    assert run.train_run(asked, tmp_path / "run", resume=True).steps == 4


def test_a_run_cut_by_an_error_resumes_to_the_same_weights(tmp_path, tiny_config, domains):
    run.train_run(tiny_config, tmp_path / "whole")

    class CutError(Exception):
        pass

    def cut(row):
        if row["step"] == 7:
            raise CutError

    with pytest.raises(CutError):
        run.train_run(tiny_config, tmp_path / "cut", on_row=cut)
    assert load_checkpoint(tmp_path / "cut" / "checkpoint.pt").step == 4
    assert not json.loads((tmp_path / "cut" / "card.json").read_text())["is_finished"]
    run.train_run(tiny_config, tmp_path / "cut", resume=True)
    assert rows_of(tmp_path / "cut") == rows_of(tmp_path / "whole")
    whole, resumed = (
        load_checkpoint(tmp_path / name / "checkpoint.pt").state["players"]
        for name in ("whole", "cut")
    )
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)


def test_the_selected_checkpoint_is_best_by_a_criterion_named_on_the_card(
    tmp_path, tiny_config, domains, monkeypatch
):
    """Scores of the three saved moments: 3, 1, 2. The second is kept, cut or not."""
    scores = {4: 3.0, 8: 1.0, 12: 2.0}
    real = run.compute_metrics

    def scored(networks, validation, config):
        step = next(iter(scored.steps))
        scored.steps = scored.steps[1:]
        return real(networks, validation, config) | {
            "watch_gsure": scores[step],
            "watch_nps_distance": 0.0,
        }

    scored.steps = [4, 8, 12]
    monkeypatch.setattr(run, "compute_metrics", scored)

    def cut(row):
        if row["step"] == 9 and "whole" not in str(folder):
            raise KeyboardInterrupt

    for name in ("whole", "cut"):
        folder, scored.steps = tmp_path / name, [4, 8, 12]
        if name == "cut":
            with pytest.raises(KeyboardInterrupt):
                run.train_run(tiny_config, folder, on_row=cut)
            scored.steps = [12]
        run.train_run(tiny_config, folder, resume=name == "cut")
        selection = json.loads((folder / "card.json").read_text())["selection"]
        assert (selection["step"], selection["score"]) == (8, 1.0)
        assert "GSURE" in selection["criterion"]
        assert "no pairs" in selection["criterion"]
        kept = load_checkpoint(folder / selection["file"])
        assert kept.step == 8
        assert kept.card["selection"]["step"] == 8


def test_a_full_disk_keeps_the_last_checkpoint_and_says_so(
    tmp_path, tiny_config, domains, monkeypatch
):
    write_bytes = Path.write_bytes

    def full(self, data):
        if self.name.startswith(".checkpoint") and (tmp_path / "run" / "checkpoint.pt").exists():
            raise OSError(28, "No space left on device")
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"checkpoint.pt of step \d+ stays.*--resume") as failed:
        run.train_run(tiny_config, tmp_path / "run")
    assert failed.value.errno == 28
    kept = load_checkpoint(tmp_path / "run" / "checkpoint.pt").step
    assert f"of step {kept} stays" in str(failed.value)
    monkeypatch.undo()


def test_a_run_folder_belongs_to_one_process(tmp_path, tiny_config, domains):
    hold = "import sys, time; from ctlab.output_folder import FolderLock as L\n"
    hold += "lock = L(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    words = [sys.executable, "-c", hold, str(tmp_path / "run")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=rf"process {other.pid}\) since"):
            run.train_run(tiny_config, tmp_path / "run")
        other.kill()
    assert not (tmp_path / "run").exists()


def test_domains_that_differ_in_more_than_dose_raise_a_warning(
    tmp_path, tiny_config, tiny_domains, monkeypatch
):
    made = Domains(*tiny_domains, SLABS, {"confounds": ["kernel differs: B30 (1) against B70 (1)"]})
    monkeypatch.setattr(run, "build_domains", lambda config: made)
    result = run.train_run(tiny_config, tmp_path / "run")
    assert "domains are confounded: kernel differs: B30 (1) against B70 (1)" in [
        warning.name for warning in result.warnings
    ]


def test_folders_of_something_else_are_refused_untouched(tmp_path, tiny_config, domains):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds no run"):
        run.train_run(tiny_config, tmp_path / "notes")
    assert [p.name for p in (tmp_path / "notes").iterdir()] == ["a.txt"]
    run.train_run(tiny_config, tmp_path / "run")
    with pytest.raises(ValueError, match="--resume"):
        run.train_run(tiny_config, tmp_path / "run")
    other = TrainConfig.from_dict(tiny_config.model_dump() | {"seed": 5, "steps": 20})
    with pytest.raises(ValueError, match="differing: steps, seed"):
        run.train_run(other, tmp_path / "run", resume=True)


def test_another_split_is_refused(tmp_path, tiny_config, domains, monkeypatch):
    run.train_run(tiny_config, tmp_path / "run")
    moved = Domains(domains.full, domains.low, (SLABS[0], Slab("s", "P", 15, 18, "full")), {})
    monkeypatch.setattr(run, "build_domains", lambda config: moved)
    with pytest.raises(ValueError, match="other slices"):
        run.train_run(tiny_config, tmp_path / "run", resume=True)


def test_bad_data_leaves_no_folder(tmp_path, tiny_config):
    config = TrainConfig.from_dict({"data": {"full": [str(tmp_path / "nowhere")]}})
    with pytest.raises((ValueError, OSError), match="nowhere"):
        run.train_run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_lost_run_stops_and_keeps_its_last_checkpoint(
    tmp_path, tiny_config, domains, monkeypatch
):
    real = run.train

    def poisoned(config, full, low, **others):
        for row in real(config, full, low, **others):
            yield row | ({"generator_low": float("nan")} if row["step"] == 6 else {})

    monkeypatch.setattr(run, "train", poisoned)
    with pytest.raises(run.TrainingStoppedError, match="step 6: generator_low is not finite"):
        run.train_run(tiny_config, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt").step == 4


def test_weights_ruined_by_the_move_of_a_saved_step_do_not_replace_good_ones(
    tmp_path, tiny_config, domains, monkeypatch
):
    """Its terms were finite: they are taken before the move."""
    real = run.train

    def ruined(config, full, low, *, state, **others):
        for row in real(config, full, low, state=state, **others):
            if row["step"] == 8:
                with torch.no_grad():
                    state.networks["denoiser"].last.weight[0, 0, 0, 0] = float("nan")
            yield row

    monkeypatch.setattr(run, "train", ruined)
    with pytest.raises(run.TrainingStoppedError, match=r"step 8: weights are not finite.*halve"):
        run.train_run(tiny_config, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt").step == 4


def _killed_by(error: type[BaseException], *, before: str):
    """A ``save_checkpoint`` that ends the run in the place of writing this file of step 8."""
    real = run.save_checkpoint

    def save(path, *arguments, **others):
        if path.name == before and arguments[1].step == 8:
            raise error
        real(path, *arguments, **others)

    return save


@pytest.mark.parametrize("file", ["selected.pt", "checkpoint.pt"])
def test_a_kill_between_the_files_of_a_step_loses_neither_the_selected_one_nor_warnings(
    tmp_path, tiny_config, domains, monkeypatch, file
):
    """The better moment is step 8; its card is written, then comes the kill."""
    real_metrics, real_save = run.compute_metrics, run.save_checkpoint

    def scored(networks, validation, config):
        scored.step += 4
        score = {4: 3.0, 8: 1.0, 12: 2.0}[scored.step]
        return real_metrics(networks, validation, config) | {
            "watch_gsure": score,
            "watch_nps_distance": 0.0,
        }

    early = run.RaisedWarning("an early one", 3, 2.0, 1.0, "do this")
    monkeypatch.setattr(run, "raised_warnings", lambda row: [early] if row["step"] == 3 else [])
    monkeypatch.setattr(run, "compute_metrics", scored)
    monkeypatch.setattr(run, "save_checkpoint", _killed_by(KeyboardInterrupt, before=file))
    scored.step = 0
    with pytest.raises(KeyboardInterrupt):
        run.train_run(tiny_config, tmp_path / "run")
    monkeypatch.setattr(run, "save_checkpoint", real_save)
    scored.step = 4
    result = run.train_run(tiny_config, tmp_path / "run", resume=True)
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["selection"]["step"] == 8
    assert load_checkpoint(tmp_path / "run" / "selected.pt").step == 8
    assert [warning["name"] for warning in card["alarms"]] == ["an early one"]
    assert result.warnings == (early,)


@pytest.mark.parametrize("again", [5, 7])
def test_the_log_keeps_every_row_before_a_checkpoint_however_soon_the_kill(
    tmp_path, tiny_config, domains, again
):
    """Rows are on disk when the step is handed out, also in the first steps after a resume."""
    config = tiny_config.model_copy(update={"monitor_every": 100, "save_every": 3})
    seen = []

    def look(row):
        seen.append([int(r["step"]) for r in rows_of(tmp_path / "run")])
        if row["step"] == again and len(seen) <= again:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.train_run(config, tmp_path / "run", on_row=look)
    run.train_run(config, tmp_path / "run", resume=True, on_row=look)
    assert all(steps == list(range(1, len(steps) + 1)) for steps in seen)
    assert len(seen[again]) == again - again % 3 + 1
    assert [int(r["step"]) for r in rows_of(tmp_path / "run")] == list(range(1, 13))


KILLED = """
import os, pickle, signal, sys
import torch
torch.set_num_threads(1)
from ctlab.learn.train import run
from ctlab.learn.config import TrainConfig
folder, step = sys.argv[1], int(sys.argv[2])
with open(sys.argv[3], "rb") as handle:
    made = pickle.load(handle)
run.build_domains = lambda config: made
def kill(row):
    if row["step"] == step:
        os.kill(os.getpid(), signal.SIGKILL)
run.train_run(TrainConfig.from_toml(sys.argv[4]), folder, resume=True, on_row=kill)
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 9])
def test_kill_9_at_any_step_and_resume(tmp_path, tiny_config, domains, step):
    """Killed before the first checkpoint, and between two."""
    import pickle

    (tmp_path / "domains.pkl").write_bytes(pickle.dumps(domains))
    (tmp_path / "config.toml").write_text(tiny_config.to_toml())
    arguments = [str(tmp_path / n) for n in ("run", "domains.pkl", "config.toml")]
    arguments.insert(1, str(step))
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    run.train_run(tiny_config, tmp_path / "run", resume=True)
    run.train_run(tiny_config, tmp_path / "whole")
    assert rows_of(tmp_path / "run") == rows_of(tmp_path / "whole")
    one, two = (
        load_checkpoint(tmp_path / n / "checkpoint.pt").state["players"] for n in ("run", "whole")
    )
    assert all(torch.equal(one[k], two[k]) for k in one)
