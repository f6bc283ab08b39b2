"""A demonstration study from the packaged chest CT: two classic filters, no torch."""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ctlab.ct.files import fresh_folder
from ctlab.ct.volume import Volume

from .paths import bundle_folder, refuse_used_folder

DOSE = 0.1
ARMS = {"total-variation": "tv", "bilateral": "bilateral"}
_SLAB = 3  # slices per case
_SLABS = 7  # the first is for practice
_FIRST = 10  # slice of the sample where the slabs begin; the nodule is in the middle

_PROTOCOL = """\
format_version = 1
title = "Demonstration: two filters of a simulated ultra-low-dose chest CT"

[ethics]
consent = '''
This is a demonstration on a public CT scan (LIDC-IDRI-0001, CC BY 3.0). The dose is simulated.
Answers stay on this computer.'''

[population]
description = "Slabs of one public patient; not a population, and no result is a finding"

[design]
readers = 2
repeats = 0.2
catch_trials = 1
patient_gap_trials = 0          # all slabs are of one patient
display_check = {display_check}
undo = "last"

[view]
window = "lung"
modes = ["pair", "flicker"]

[[items]]
name = "preference"
kind = "preference"
question = "Which image would you rather report from?"

[analysis]
primary_item = "preference"
plan = "Exact preference share per reader; pooled share with a reader-and-case interval."
"""


def build_demo(
    folder: str | Path, *, display_check: bool = True, passphrase: str | None = None
) -> dict[str, str]:
    """Make, lock and staff the demonstration study; passphrase and code of its first reader.

    Parameters
    ----------
    folder : a folder that does not exist or is empty
    display_check : ask readers to check their screen first
    passphrase : for the sealed key; a random one if not given

    Raises
    ------
    ValueError
        The folder is not empty.
    """
    from .coordinator import add_reader
    from .lock import lock_study

    refuse_used_folder(folder)
    passphrase = passphrase or "-".join(secrets.token_hex(3) for _ in range(5))
    with fresh_folder(folder) as part:
        (part / "protocol.toml").write_text(_protocol(display_check), "utf-8")
        write_example_arms(part / "arms", list(ARMS), _SLAB * _SLABS)
    lock_study(folder, passphrase=passphrase)
    _, code = add_reader(folder, "demonstration reader")
    return {"passphrase": passphrase, "code": code}


def _protocol(display_check: bool) -> str:
    """The protocol with one table per arm and slab."""
    tables = [f'[[arms]]\nname = "{arm}"\n' for arm in ARMS]
    for slab in range(_SLABS):
        lines = [
            "[[cases]]",
            f'name = "slab-{slab}"',
            'patient = "LIDC-IDRI-0001"',
            'series = "chest"',
            f"slices = [{slab * _SLAB}, {(slab + 1) * _SLAB}]",
        ]
        if slab == 0:
            lines += ["practice = true", 'feedback = "Scroll, and change the window with L, M, B."']
        tables.append("\n".join(lines) + "\n")
    head = _PROTOCOL.replace("{display_check}", str(display_check).lower())
    return head + "\n" + "\n".join(tables)


def write_example_arms(arms: Path, names: Sequence[str], slices: int) -> None:
    """DICOM series ``arms/<name>/chest``: the packaged CT at a tenth of its dose, one filter each.

    Parameters
    ----------
    names : of two arms
    slices : how many, from slice 10 of the sample; the nodule is in the middle of 21
    """
    from ctlab.classic import denoise_classic
    from ctlab.ct import load_sample, measure_noise_hu, simulate_dose, write_series

    sample = load_sample().slices(_FIRST, _FIRST + slices)
    low: Volume = simulate_dose(sample, DOSE, rng=np.random.default_rng(1))
    noise_hu = measure_noise_hu(low)
    for name, method in zip(names, ARMS.values(), strict=True):
        filtered = low.with_hu(denoise_classic(low.hu, method, noise_sd_hu=noise_hu))
        write_series(filtered, arms / name / "chest", description=f"simulated dose, {method}")


def read_by_robots(folder: str | Path, *, passphrase: str, rng: np.random.Generator) -> list[Path]:
    """Fill every slot with a simulated reader, close, unblind and report; the report's files.

    The robots go through the same session as readers, see nothing but pixels, and prefer the
    smoother image of a pair, a little unsurely. What comes out shows how a study runs. It is no
    finding about images or readers, and the readers' names in the record say so.
    """
    from .analysis import analyse
    from .coordinator import add_reader, close, status
    from .export import write_tables
    from .report import write_report
    from .unblinding import unblind

    progress = status(folder)
    for _ in range(progress["slots"] - sum(row["active"] for row in progress["readers"])):
        add_reader(folder, "robot, not a person")
    for row in status(folder)["readers"]:
        _read(folder, row["reader"], rng)
    close(folder)
    unblind(folder, passphrase=passphrase, who="demonstration", reason="read by robots")
    write_tables(Path(folder))
    analyse(folder)
    return write_report(folder)


def _read(folder: str | Path, name: str, rng: np.random.Generator) -> None:
    from .coordinator import opened
    from .session import ReadingSession

    with opened(folder) as (bundle, store):
        reader = next(r for r in store.readers() if r.reader == name)
        session = ReadingSession(bundle, store, reader)
        steps = {"consent": "consent", "display": "display"}
        while (screen := session.screen())["kind"] not in {"thanks", "closed"}:
            if screen["kind"] != "question":
                session.act({"action": steps.get(screen["kind"], "continue")})
                continue
            trial = next(t for t in bundle.trials(reader.slot) if t.token == screen["trial"])
            grain = [_grain(bundle.pixels(token)) for token in (trial.left, trial.right or "")]
            pull = 4 * np.log(grain[1] / grain[0])
            value = "tie" if grain[0] == grain[1] else "left" if rng.logistic() < pull else "right"
            seconds = float(rng.gamma(6, 2))
            session.act(
                {"action": "answer", "id": screen["id"], "value": value, "seconds": seconds}
            )


def _grain(pixels: bytes) -> float:
    """Mean step between neighbouring voxels, HU."""
    return float(np.abs(np.diff(np.frombuffer(pixels, "<i2").astype(np.float32))).mean())


def open_demo(folder: str | Path, *, port: int, browser: bool, say: Callable[[str], None]) -> None:
    """Build the demonstration where it is not there yet, and open its reading room."""
    from .serve import serve

    folder = Path(folder)
    note = folder / "demo-code.txt"
    if not bundle_folder(folder).exists():
        say(f"Building a demonstration study in {folder} (about half a minute) ...")
        secret = build_demo(folder)
        # Only the demonstration writes these down: losing them should not spoil it.
        note.write_text(f"{secret['code']}\n{secret['passphrase']}\n", "utf-8")
    code = note.read_text("utf-8").splitlines()[0] if note.exists() else "(as you noted it)"

    def ready(url: str) -> None:
        say(f"The reading room is open at {url}")
        say(f"Reader code: {code}")
        say("Stop it with Ctrl-C; the same command goes on where reading stopped.")

    serve(folder, port=port, open_browser=browser, ready=ready)


def robot_demo(folder: str | Path, *, say: Callable[[str], None]) -> None:
    """A whole study without a person: built, locked, read by robots, unblinded and reported.

    Raises
    ------
    ValueError
        The folder is not empty.
    """
    say(f"Building a demonstration study in {folder} (about half a minute) ...")
    secret = build_demo(folder)
    say("Simulated readers read it, then it is closed, unblinded and analysed ...")
    files = read_by_robots(folder, passphrase=secret["passphrase"], rng=np.random.default_rng(1))
    say(f"Report: {files[0]}")
    say("The answers are a simulation and no finding. Now try, on this study:")
    for command in ("status", "verify", "analyse", "export"):
        say(f"  reader-study {command} {folder}")
