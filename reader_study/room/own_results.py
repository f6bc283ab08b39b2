"""What a reader learns of the own reading at the end: repeats, side and pace, and no arm."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from reader_study.record.bundle import ShownTrial
from reader_study.record.store import Answer, latest
from reader_study.room.answer_check import CANNOT_JUDGE


def own_results(
    trials: Sequence[ShownTrial], answers: list[Answer], items: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Agreement with hidden repeats, share of the first side, and seconds a trial.

    Nothing but the reader's own trials and answers is needed: a repeat shows the same two images
    again. The bundle does not say which arm made an image, so this cannot tell it either.

    Parameters
    ----------
    trials, answers : of one reader; practice does not count
    items : the questions; those that compare the right image with the left on a scale have no
        answer that is the same mirrored, and are left out of the agreement

    Returns
    -------
    dict
        ``repeats`` and ``first_image``, each ``count`` and ``of`` (answers alike; left image
        chosen), and ``seconds``, the median of a trial; None where nothing was timed.
    """
    read = [trial for trial in trials if not trial.practice]
    given = latest(answers)
    seen: dict[Any, list[ShownTrial]] = {}
    for trial in read:
        if trial.left != trial.right:  # a catch trial shows one image twice
            seen.setdefault(frozenset((trial.left, trial.right)), []).append(trial)
    alike = [
        one == other
        for first, *again in seen.values()
        for trial in again
        for item in items
        for one, other in zip(_of(first, item, given), _of(trial, item, given), strict=True)
        if one is not None and other is not None
    ]
    asked = [item["name"] for item in items if item["kind"] == "preference"]
    chosen = [
        given[trial.token, name].value
        for trial in read
        for name in asked
        if (trial.token, name) in given
    ]
    decided = [value for value in chosen if value in {"left", "right"}]
    return {
        "repeats": {"count": sum(alike), "of": len(alike)},
        "first_image": {"count": decided.count("left"), "of": len(decided)},
        "seconds": _pace(read, answers),
    }


def _of(trial: ShownTrial, item: dict[str, Any], given: dict[tuple[str, str], Answer]) -> list[Any]:
    """Answers to an item, by image where sides have one; None where there is no answer."""

    def value(name: str) -> Any:
        answer = given.get((trial.token, name))
        return None if answer is None or answer.value == CANNOT_JUDGE else answer.value

    name, images = item["name"], {"left": trial.left, "right": trial.right}
    if item["about"] == "each":
        by_image = {images[side]: value(f"{name}@{side}") for side in ("left", "right")}
        return [by_image[token] for token in sorted(by_image, key=str)]
    if item["kind"] == "preference":
        choice = value(name)
        return [images.get(choice, choice)]
    mirrored = trial.right is not None and item["kind"] == "scale"
    return [None if mirrored else value(name)]


def _pace(trials: Sequence[ShownTrial], answers: list[Answer]) -> float | None:
    tokens = {trial.token for trial in trials}
    spent: dict[str, float] = {}
    for answer in answers:
        if answer.trial in tokens and answer.seconds is not None:
            spent[answer.trial] = spent.get(answer.trial, 0.0) + answer.seconds
    return round(median(spent.values()), 1) if spent else None
