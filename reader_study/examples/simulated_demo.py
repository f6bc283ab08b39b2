"""The demonstration read by simulated readers, from its images to its report."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reader_study.examples.demo import DEMONSTRATION, DemoPlan, build_demo

if TYPE_CHECKING:
    from reader_study.record.bundle import ShownTrial
    from reader_study.room.session import ReadingSession


def simulated_demo(
    folder: str | Path, *, say: Callable[[str], None], plan: DemoPlan = DEMONSTRATION
) -> None:
    """A whole study without a person: built, locked, read by simulated readers and reported.

    Raises
    ------
    ValueError
        The folder is not empty.
    """
    say(f"Building a demonstration study in {folder} (about half a minute) ...")
    secret = build_demo(folder, plan=plan)
    say("Simulated readers read it, then it is closed, unblinded and analysed ...")
    rng = np.random.default_rng(1)
    files = read_by_simulated_readers(folder, passphrase=secret["passphrase"], rng=rng)
    say(f"Report: {files[0]}")
    say("The answers are a simulation and no finding. Now try, on this study:")
    for command in ("status", "verify", "analyse", "export"):
        say(f"  reader-study {command} {folder}")


def read_by_simulated_readers(
    folder: str | Path, *, passphrase: str, rng: np.random.Generator
) -> list[Path]:
    """Fill every slot with a simulated reader, close, unblind and report; the report's files.

    They go through the same session as readers, see nothing but pixels, and prefer the smoother
    image of a pair, a little unsurely. What comes out shows how a study runs. It is no
    finding about images or readers, and the readers' names in the record say so.
    """
    for name in filled_slots(folder):
        read_by_one(folder, name, rng)
    return closed_and_reported(folder, passphrase)[1]


def read_by_one(folder: str | Path, name: str, rng: np.random.Generator) -> None:
    """Read as one reader who prefers the smoother image of a pair, a little unsurely."""
    from reader_study.record.bundle import open_bundle
    from reader_study.record.paths import bundle_folder

    bundle = open_bundle(bundle_folder(folder))

    def prefer(_session: object, trial: "ShownTrial", _screen: object) -> tuple[str, float]:
        shown = (trial.left, trial.right or "")
        left, right = (_roughness_hu(bundle.pixels(token)) for token in shown)
        pull = 4 * np.log(right / left)
        value = "tie" if left == right else "left" if rng.logistic() < pull else "right"
        return value, float(rng.gamma(6, 2))

    answer_all(folder, name, prefer)


def filled_slots(folder: str | Path) -> list[str]:
    """Numbers of all readers, after every empty slot was filled; the record says by what."""
    from reader_study.record.coordinator import add_reader, status_of
    from reader_study.record.study_record import read_study

    for _ in range(status_of(read_study(folder)).empty_slots):
        add_reader(folder, "simulated reader, not a person")
    return [reader.reader for reader in read_study(folder).readers]


def answer_all(
    folder: str | Path,
    name: str,
    choose: Callable[["ReadingSession", "ShownTrial", dict[str, Any]], tuple[Any, float]],
) -> None:
    """Read as one reader to the end; ``choose`` gives a question's answer and its seconds."""
    from reader_study.record.coordinator import opened
    from reader_study.room.session import ReadingSession

    with opened(folder) as (bundle, store):
        reader = next(r for r in store.readers() if r.reader == name)
        session = ReadingSession(bundle, store, reader)
        shown = {trial.token: trial for trial in bundle.trials(reader.slot)}
        steps = {"consent": "consent", "display": "display"}
        while (screen := session.screen())["kind"] not in {"thanks", "closed"}:
            if screen["kind"] != "question":
                session.act({"action": steps.get(screen["kind"], "continue")})
                continue
            value, seconds = choose(session, shown[screen["trial"]], screen)
            session.act(
                {"action": "answer", "id": screen["id"], "value": value, "seconds": seconds}
            )


def closed_and_reported(folder: str | Path, passphrase: str) -> tuple[dict[str, Any], list[Path]]:
    """Close, unblind, analyse and report: the analysis, and the report's files."""
    from reader_study.analysis.analyse import analyse
    from reader_study.analysis.export import write_tables
    from reader_study.blinding.unblind import unblind
    from reader_study.record.coordinator import close
    from reader_study.report import write_report

    close(folder)
    why = "read by simulated readers"
    unblind(folder, passphrase=passphrase, who="demonstration", reason=why)
    write_tables(Path(folder))
    return analyse(folder), write_report(folder)


def _roughness_hu(pixels: bytes) -> float:
    """Mean step between neighbouring voxels, HU."""
    return float(np.abs(np.diff(np.frombuffer(pixels, "<i2").astype(np.float32))).mean())
