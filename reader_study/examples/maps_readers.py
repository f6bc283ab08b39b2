"""Simulated readers of a study of maps, whose use of maps is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from reader_study.blinding.sealed_key import unseal
from reader_study.design.overlay import FIRST
from reader_study.examples.simulated_demo import answer_all, filled_slots
from reader_study.record.bundle import ShownTrial, open_bundle
from reader_study.record.paths import bundle_folder, sealed_key
from reader_study.record.study_record import Key, key_from
from reader_study.room.session import ReadingSession
from reader_study.stats.reliance.simulated import OverlayReaders


def read_maps_by_simulated_readers(
    folder: str | Path, *, passphrase: str, truth: OverlayReaders, rng: np.random.Generator
) -> None:
    """Fill every slot with a simulated reader of known habits, through the reader's own session.

    The simulation opens the sealed key: these readers are told by chance whether they see a
    nodule, and a map moves them towards where it points. Their names in the record say so.
    """
    names = filled_slots(folder)
    bundle = open_bundle(bundle_folder(folder))
    key = key_from(
        unseal(sealed_key(folder).read_bytes(), passphrase, commitment=bundle.commitment)
    )
    ease = truth.sd_case * rng.standard_normal(len(key.protocol.cases))
    for name in names:
        habits = Habits(
            truth,
            skill=truth.skill + truth.sd_reader * float(rng.standard_normal()),
            trust=float(np.exp(truth.sd_trust * rng.standard_normal())),
        )
        answer_all(folder, name, _Reading(key, habits, ease, rng).choose)


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


class _Reading:
    """One reader's way: both answers to a trial are drawn when it first comes."""

    def __init__(
        self, key: Key, habits: Habits, ease: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.key, self.habits, self.ease, self.rng = key, habits, ease, rng
        self.known: dict[str, dict[str, tuple[bool, int]]] = {}

    def choose(
        self, session: ReadingSession, shown: ShownTrial, screen: dict[str, Any]
    ) -> tuple[int, float]:
        token, _, item = screen["id"].partition(":")
        origin, protocol = self.key.trials[token], self.key.protocol
        case, arm = protocol.cases[origin.case], protocol.arms[origin.left_arm]
        if token not in self.known:
            right = None if arm.overlay is None else arm.overlay == "own" and case.overlay_right
            drawn = self.habits.answers(float(self.ease[origin.case]), right, self.rng)
            self.known[token] = drawn
        correct, sure = self.known[token]["first" if item.endswith(FIRST) else "final"]
        if session.shows_overlay(shown):
            session.overlay_sent(shown)
        value = sure
        if item.startswith("nodule"):
            value = 4 if correct == bool(case.lesions) else 1
        elif screen["item"]["kind"] == "scale":
            agrees = 3 + 2 * np.log(self.habits.trust) + self.rng.normal(0, 1)
            value = int(np.clip(round(agrees), 1, 7))
        return value, float(self.rng.gamma(6, 1.5))
