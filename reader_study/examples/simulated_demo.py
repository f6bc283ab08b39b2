"""The demonstration read by simulated readers, from its images to its report."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from reader_study.examples.demo import DEMONSTRATION, DemoPlan, build_demo


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
    from reader_study.analysis.analyse import analyse
    from reader_study.analysis.export import write_tables
    from reader_study.blinding.unblind import unblind
    from reader_study.record.coordinator import add_reader, close, status_of
    from reader_study.record.study_record import read_study
    from reader_study.report import write_report

    for _ in range(status_of(read_study(folder)).empty_slots):
        add_reader(folder, "simulated reader, not a person")
    for reader in read_study(folder).readers:
        _read(folder, reader.reader, rng)
    close(folder)
    why = "read by simulated readers"
    unblind(folder, passphrase=passphrase, who="demonstration", reason=why)
    write_tables(Path(folder))
    analyse(folder)
    files: list[Path] = write_report(folder)
    return files


def _read(folder: str | Path, name: str, rng: np.random.Generator) -> None:
    from reader_study.record.coordinator import opened
    from reader_study.room.session import ReadingSession

    with opened(folder) as (bundle, store):
        reader = next(r for r in store.readers() if r.reader == name)
        session = ReadingSession(bundle, store, reader)
        steps = {"consent": "consent", "display": "display"}
        while (screen := session.screen())["kind"] not in {"thanks", "closed"}:
            if screen["kind"] != "question":
                session.act({"action": steps.get(screen["kind"], "continue")})
                continue
            trial = next(t for t in bundle.trials(reader.slot) if t.token == screen["trial"])
            left, right = (_roughness_hu(bundle.pixels(t)) for t in (trial.left, trial.right or ""))
            pull = 4 * np.log(right / left)
            value = "tie" if left == right else "left" if rng.logistic() < pull else "right"
            seconds = float(rng.gamma(6, 2))
            session.act(
                {"action": "answer", "id": screen["id"], "value": value, "seconds": seconds}
            )


def _roughness_hu(pixels: bytes) -> float:
    """Mean step between neighbouring voxels, HU."""
    return float(np.abs(np.diff(np.frombuffer(pixels, "<i2").astype(np.float32))).mean())
