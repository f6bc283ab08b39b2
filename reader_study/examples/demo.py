"""A demonstration study from the packaged chest CT: two classic filters, no torch."""

import secrets
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctlab.ct.volume import Volume
from ctlab.files import fresh_folder
from reader_study.record.paths import bundle_folder, refuse_used_folder

if TYPE_CHECKING:
    import pandas as pd

    from reader_study.record.store import Store

DOSE = 0.1
ARMS = {"total-variation": "tv", "bilateral": "bilateral"}


NOTE = "demo-code.txt"
"""Where a demonstration keeps its reader code and its passphrase."""


@dataclass(frozen=True)
class DemoPlan:
    """What a demonstration shows: slabs of the sample around the nodule, the first for practice."""

    title: str = "Demonstration: two filters of a simulated ultra-low-dose chest CT"
    readers: int = 2
    slabs: int = 7
    slices: int = 3
    catch_trials: int = 1
    repeats: float = 0.2

    @property
    def first(self) -> int:
        """Slice of the sample where the slabs begin."""
        return 20 - self.slabs * self.slices // 2


DEMONSTRATION = DemoPlan()
PAIRS = (5, 47)
"""Fewest and most pairs of a lesson: with a repeat at least, and as many as the sample holds."""


def lesson_plan(pairs: int) -> DemoPlan:
    """A demonstration for one reader with so many pairs: cases, one in five again, catch trials.

    Raises
    ------
    ValueError
        Fewer or more pairs than the sample gives.

    Examples
    --------
    >>> lesson_plan(20).slabs, lesson_plan(20).catch_trials, lesson_plan(10).slabs
    (16, 2, 8)
    """
    if not PAIRS[0] <= pairs <= PAIRS[1]:
        raise ValueError(
            f"expected {PAIRS[0]} to {PAIRS[1]} pairs, got {pairs}; choose fewer or more"
        )
    share, catches = DemoPlan.repeats, max(1, pairs // 10)
    cases = next(n for n in range(pairs, 0, -1) if n + round(share * n) + catches <= pairs)
    catches = pairs - cases - round(share * cases)
    slabs = cases + 1  # one for practice
    return DemoPlan(
        title=f"{pairs} pairs: two filters of a simulated ultra-low-dose chest CT",
        readers=1,
        slabs=slabs,
        slices=2 if 2 * slabs <= 40 else 1,
        catch_trials=catches,
    )


_PROTOCOL = """\
format_version = 1
title = "{title}"

[ethics]
consent = '''
This is a demonstration on a public CT scan (LIDC-IDRI-0001, CC BY 3.0). The dose is simulated.
Answers stay on this computer.'''

[population]
description = "Slabs of one public patient; not a population, and no result is a finding"

[design]
readers = {readers}
repeats = {repeats}
catch_trials = {catch_trials}
patient_gap_trials = 0          # all slabs are of one patient
display_check = {display_check}
undo = "last"
texture = "as-made"             # the two filters differ in texture, and that is what is compared

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
    folder: str | Path,
    *,
    plan: DemoPlan = DEMONSTRATION,
    display_check: bool = True,
    passphrase: str | None = None,
) -> dict[str, str]:
    """Make, lock and staff the demonstration study; passphrase and code of its first reader.

    Parameters
    ----------
    folder : a folder that does not exist or is empty
    plan : how many readers and pairs; :func:`lesson_plan` for a lesson
    display_check : ask readers to check their screen first
    passphrase : for the sealed key; a random one if not given

    Raises
    ------
    ValueError
        The folder is not empty.
    """
    from reader_study.blinding.lock import lock_study
    from reader_study.record.coordinator import add_reader

    refuse_used_folder(folder)
    passphrase = passphrase or "-".join(secrets.token_hex(3) for _ in range(5))
    with fresh_folder(folder) as part:
        (part / "protocol.toml").write_text(_protocol(plan, display_check), "utf-8")
        write_example_arms(part / "arms", list(ARMS), plan.slabs * plan.slices, first=plan.first)
    lock_study(folder, passphrase=passphrase)
    _, code = add_reader(folder, "demonstration reader")
    return {"passphrase": passphrase, "code": code}


def _protocol(plan: DemoPlan, display_check: bool) -> str:
    """The protocol with one table per arm and slab."""
    tables = [f'[[arms]]\nname = "{arm}"\n' for arm in ARMS]
    for slab in range(plan.slabs):
        lines = [
            "[[cases]]",
            f'name = "slab-{slab}"',
            'patient = "LIDC-IDRI-0001"',
            'series = "chest"',
            f"slices = [{slab * plan.slices}, {(slab + 1) * plan.slices}]",
        ]
        if slab == 0:
            lines += ["practice = true", 'feedback = "Scroll, and change the window with L, M, B."']
        tables.append("\n".join(lines) + "\n")
    facts = asdict(plan) | {"display_check": str(display_check).lower()}
    head = _PROTOCOL.format(**facts)
    return head + "\n" + "\n".join(tables)


def write_example_arms(
    arms: Path, names: Sequence[str], slices: int, *, first: int = DEMONSTRATION.first
) -> None:
    """DICOM series ``arms/<name>/chest``: the packaged CT at a tenth of its dose, one filter each.

    Parameters
    ----------
    names : of two arms
    slices : how many
    first : slice of the sample where they begin; the nodule is in the middle of 21 from slice 10
    """
    from ctlab.classic import denoise_classic
    from ctlab.ct import (
        load_sample,
        measure_noise_hu,
        simulate_dose,
        write_series,
    )

    sample = load_sample().slices(first, first + slices)
    low: Volume = simulate_dose(sample, DOSE, rng=np.random.default_rng(1))
    noise_hu = measure_noise_hu(low)
    for name, method in zip(names, ARMS.values(), strict=True):
        filtered = low.with_hu(denoise_classic(low.hu, method, noise_sd_hu=noise_hu))
        write_series(filtered, arms / name / "chest", description=f"simulated dose, {method}")


def own_reading(folder: str | Path) -> "pd.DataFrame":
    """What the one reader of a demonstration answered; closes and unblinds it with its own key.

    Parameters
    ----------
    folder : of ``reader-study demo FOLDER --pairs 20``, read to its end

    Returns
    -------
    DataFrame
        ``reader, case, kind, left, right, choice``, a row an answer: the arms that stood on either
        side, and ``left``, ``right`` or ``tie``. ``kind`` is ``main``, ``repeat`` or ``catch``.

    Raises
    ------
    ValueError
        The folder is no demonstration, or pairs are still to be read.
    """
    from reader_study.analysis.tables import final_ratings, ratings_table
    from reader_study.blinding.unblind import unblind
    from reader_study.record.coordinator import close, status_of
    from reader_study.record.study_record import read_study, read_unblinded

    note = Path(folder) / NOTE
    if not note.is_file():
        raise ValueError(f"{folder} is no demonstration study ({NOTE} is not in it)")
    progress = status_of(read_study(folder))
    done, pairs = sum(r.done for r in progress.readers), sum(r.of for r in progress.readers)
    if done < pairs:
        raise ValueError(
            f"{done} of {pairs} pairs are answered; start the reading room again with the same "
            "command and go on where you stopped"
        )
    if not progress.closed:
        close(folder)
    if not progress.unblinded:
        passphrase = note.read_text("utf-8").splitlines()[1]
        unblind(
            folder, passphrase=passphrase, who="demonstration", reason="the reader's own lesson"
        )
    answers = final_ratings(ratings_table(read_unblinded(folder)))
    answers = answers[(answers["item"] == "preference") & (answers["kind"] != "practice")]
    names = {"arm_left": "left", "arm_right": "right", "value": "choice"}
    return answers.rename(columns=names)[["reader", "case", "kind", "left", "right", "choice"]]


def open_demo(
    folder: str | Path,
    *,
    port: int,
    browser: bool,
    say: Callable[[str], None],
    plan: DemoPlan = DEMONSTRATION,
) -> None:
    """Build the demonstration where it is not there yet, and open its reading room.

    After the pairs the room offers a network (:mod:`reader_study.examples.living_network`); that
    of a lesson closes.
    """
    from reader_study.examples.living_network import serve_with_network
    from reader_study.room.server import serve

    folder = Path(folder)
    note = folder / NOTE
    if not bundle_folder(folder).exists():
        say(f"Building a demonstration study in {folder} (about half a minute) ...")
        secret = build_demo(folder, plan=plan)
        # Only the demonstration writes these down: losing them should not spoil it.
        note.write_text(f"{secret['code']}\n{secret['passphrase']}\n", "utf-8")
    code = note.read_text("utf-8").splitlines()[0] if note.exists() else "(as you noted it)"

    def ready(url: str) -> None:
        say(f"The reading room is open at {url}")
        say(f"Reader code: {code}")
        if is_lesson:
            say("When you have handed in, it closes, and your own answers are opened.")
        else:
            say(f"After the pairs, or once you are logged in: try a network at {url}network")
        say("Stop it with Ctrl-C; the same command goes on where reading stopped.")

    is_lesson = plan.readers == 1
    if not is_lesson:
        serve_with_network(folder, port=port, open_browser=browser, ready=ready)
        return
    if not is_read(folder):
        serve(folder, port=port, open_browser=browser, ready=ready, until=is_handed_in)
    if is_read(folder):
        page = write_own_answers(folder)
        say(f"Your own answers: {page}")
        if browser:
            webbrowser.open(page.resolve().as_uri())


def is_handed_in(store: "Store") -> bool:
    """A session is finished."""
    return bool(store.events("session-finished"))


def is_read(folder: Path) -> bool:
    """Every reader has answered everything."""
    from reader_study.record.coordinator import status_of
    from reader_study.record.study_record import read_study

    readers = status_of(read_study(folder)).readers
    return bool(readers) and all(reader.done == reader.of for reader in readers)


def write_own_answers(folder: str | Path) -> Path:
    """Page of what the one reader of a lesson answered, in ``FOLDER/own-answers.html``; its path.

    Raises
    ------
    ValueError
        As :func:`own_reading`.
    """
    from ctlab.files import write_whole
    from reader_study.report.page import environment
    from reader_study.stats import position_effect, share_per_reader

    mine = own_reading(folder)
    new, old = ARMS
    main = mine[mine["kind"] == "main"]
    chosen = mine["left"].where(mine["choice"] == "left", mine["right"])
    mine = mine.assign(chosen=chosen.where(mine["choice"] != "tie", "tie"))
    once = mine[mine["kind"] == "main"].set_index("case")["chosen"]
    again = mine[mine["kind"] == "repeat"].set_index("case")["chosen"]
    facts = {
        "arm": new,
        "over": old,
        "share": share_per_reader(main, arm=new, over=old).iloc[0].to_dict(),
        "side": position_effect(main).iloc[0].to_dict(),
        "again": len(again),
        "alike": int((again == once[again.index]).sum()),
        "catches": int((mine["kind"] == "catch").sum()),
        "ties": int((mine.loc[mine["kind"] == "catch", "choice"] == "tie").sum()),
        "rows": mine.to_dict("records"),
    }
    template = environment(autoescape=True).get_template("own_answers.html.jinja")
    path = Path(folder) / "own-answers.html"
    with write_whole(path) as part:
        part.write_text(template.render(**facts), "utf-8")
    return path
