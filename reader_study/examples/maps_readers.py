"""Simulated readers of a study of maps, whose use of maps is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from reader_study.blinding.sealed_key import unseal
from reader_study.design.overlay import FIRST
from reader_study.record.bundle import open_bundle
from reader_study.record.coordinator import add_reader, opened, status_of
from reader_study.record.paths import bundle_folder, sealed_key
from reader_study.record.study_record import Key, key_from, read_study
from reader_study.room.session import ReadingSession
from reader_study.stats.reliance.simulated import OverlayReaders


def read_maps_by_simulated_readers(
    folder: str | Path, *, passphrase: str, truth: OverlayReaders, rng: np.random.Generator
) -> None:
    """Fill every slot with a simulated reader of known habits, through the reader's own session.

    The simulation opens the sealed key: these readers are told by chance whether they see a
    nodule, and a map moves them towards where it points. Their names in the record say so.
    """
    for _ in range(status_of(read_study(folder)).empty_slots):
        add_reader(folder, "simulated reader, not a person")
    bundle = open_bundle(bundle_folder(folder))
    key = key_from(
        unseal(sealed_key(folder).read_bytes(), passphrase, commitment=bundle.commitment)
    )
    ease = truth.sd_case * rng.standard_normal(len(key.protocol.cases))
    for reader in read_study(folder).readers:
        habits = Habits(
            truth,
            skill=truth.skill + truth.sd_reader * float(rng.standard_normal()),
            trust=float(np.exp(truth.sd_trust * rng.standard_normal())),
        )
        _read(folder, reader.reader, key, habits, ease, rng)


@dataclass(frozen=True)
class Habits:
    """One simulated reader: chance of a right answer before and after the map."""

    truth: OverlayReaders
    skill: float
    trust: float

    def answers(
        self, ease: float, points_right: bool | None, rng: np.random.Generator
    ) -> dict[str, tuple[bool, int]]:
        """Right or wrong and the stated confidence in per cent, first and after the map."""
        logit = self.skill + ease
        first = bool(rng.random() < special.expit(logit))
        moved = logit
        if points_right is not None:
            habits = self.truth
            push = habits.right_helps if points_right else -habits.wrong_harms
            moved += self.trust * push
        again = bool(rng.random() < special.expit(moved))
        final = first if rng.random() < self.truth.anchored else again
        return {"first": (first, _sure(logit)), "final": (final, _sure(moved))}


def _sure(logit: float) -> int:
    """Per cent, in steps of ten from 50: the larger chance."""
    chance = float(special.expit(abs(logit)))
    return round(10 * chance) * 10


def _read(
    folder: str | Path,
    name: str,
    key: Key,
    habits: Habits,
    ease: np.ndarray,
    rng: np.random.Generator,
) -> None:
    with opened(folder) as (bundle, store):
        reader = next(r for r in store.readers() if r.reader == name)
        session = ReadingSession(bundle, store, reader)
        shown = {t.token: t for t in bundle.trials(reader.slot)}
        known: dict[str, dict[str, tuple[bool, int]]] = {}
        steps = {"consent": "consent", "display": "display"}
        while (screen := session.screen())["kind"] not in {"thanks", "closed"}:
            if screen["kind"] != "question":
                session.act({"action": steps.get(screen["kind"], "continue")})
                continue
            token, _, item = screen["id"].partition(":")
            origin = key.trials[token]
            case, arm = key.protocol.cases[origin.case], key.protocol.arms[origin.left_arm]
            if token not in known:
                right = None if arm.overlay is None else arm.overlay == "own" and case.overlay_right
                known[token] = habits.answers(float(ease[origin.case]), right, rng)
            correct, sure = known[token]["first" if item.endswith(FIRST) else "final"]
            if session.shows_overlay(shown[token]):
                session.overlay_sent(shown[token])
            value: Any = sure
            if item.startswith("nodule"):
                value = 4 if correct == bool(case.lesions) else 1
            elif screen["item"]["kind"] == "scale":
                value = int(np.clip(round(3 + 2 * np.log(habits.trust) + rng.normal(0, 1)), 1, 7))
            act = {"action": "answer", "id": screen["id"], "value": value}
            session.act({**act, "seconds": float(rng.gamma(6, 1.5))})
