"""What a class has answered: shares, agreement, and ROC curves with bands."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.lecture.lesson import SMALLEST, Lesson
from reader_study.lecture.slides import Slide
from reader_study.stats.agreement.coefficients import agreement_coefficient
from reader_study.stats.proportions import clopper_pearson
from reader_study.stats.roc.curve import empirical_auc, roc_curve

GRID = np.linspace(0, 1, 21)
_BINS = 5  # of a slider


def shares(slide: Slide, values: Sequence[Any]) -> list[dict[str, Any]] | None:
    """Share of each answer with an exact 95 % interval over people; None for fewer than five.

    A slider is shown in five parts of its range. All have seen the same images: the interval is
    about further people, not about further cases.
    """
    if len(values) < SMALLEST:
        return None
    names: list[tuple[str, int]]
    if slide.ends:
        width = 100 // _BINS
        parts = [min(int(value) // width, _BINS - 1) for value in values]
        names = [(f"{i * width} - {(i + 1) * width}", parts.count(i)) for i in range(_BINS)]
    else:
        names = [(o["text"], list(values).count(o["value"])) for o in slide.options]
    rows = []
    for text, count in names:
        low, high = clopper_pearson(count, len(values))
        rows.append({"text": text, "share": count / len(values), "low": low, "high": high})
    return rows


def kappa(lesson: Lesson) -> dict[str, Any] | None:
    """Fleiss' kappa over the slides closed so far that ask what the present one asks.

    None before two of them hold five answers each, and for a slider. Missing answers as in
    :func:`~reader_study.stats.agreement.coefficients.agreement_coefficient`.
    """
    slide = lesson.slide
    if slide.ends:
        return None
    order = {o["value"]: float(i) for i, o in enumerate(slide.options)}
    rows = [
        {device: order[value] for device, value in lesson.shown(i).items()}
        for i, other in enumerate(lesson.slides)
        if (other.question, other.options) == (slide.question, slide.options)
        and (i != lesson.index or lesson.phase in {"closed", "key"})
        and len(lesson.shown(i)) >= SMALLEST
    ]
    if len(rows) < 2:
        return None
    found = agreement_coefficient(pd.DataFrame(rows), "fleiss", categories=list(order.values()))
    if not math.isfinite(found.value):
        return None
    low, high = (None if math.isnan(v) else v for v in (found.low, found.high))
    return {"value": found.value, "low": low, "high": high, "slides": len(rows)}


def class_roc(
    truth: Mapping[int, bool], answers: Mapping[int, Mapping[str, float]]
) -> dict[str, Any] | None:
    """Mean ROC curve and area of a class, each with a 95 % t interval over people.

    Everybody's own empirical curve is averaged at fixed false-positive fractions; a curve of all
    answers thrown together would lie too low where criteria differ. None before five people have
    answered to images with and without the finding.

    Parameters
    ----------
    truth : whether the finding is there, by slide
    answers : rating of each device, by slide

    Returns
    -------
    dict
        ``people``, ``auc, low, high`` and ``curve``, rows of ``x, y, low, high``.

    Examples
    --------
    Everybody is right:

    >>> answers = {0: dict.fromkeys("abcde", 5), 1: dict.fromkeys("abcde", 1)}
    >>> found = class_roc({0: True, 1: False}, answers)
    >>> found["people"], found["auc"]
    (5, 1.0)
    """
    curves, areas = [], []
    for device in sorted({device for given in answers.values() for device in given}):
        seen = [i for i in truth if device in answers.get(i, {})]
        y = [int(truth[i]) for i in seen]
        if len(set(y)) < 2:
            continue
        scores = [float(answers[i][device]) for i in seen]
        areas.append(empirical_auc(y, scores))
        points = roc_curve(y, scores)
        across, up = 1 - points["specificity"].to_numpy(), points["sensitivity"].to_numpy()
        curves.append(_at(across, up))
    if len(areas) < SMALLEST:
        return None
    low, auc, high = _interval(np.asarray(areas)[:, None])
    below, mean, above = _interval(np.stack(curves))
    rows = zip(GRID, mean, below, above, strict=True)
    return {
        "people": len(areas),
        "auc": float(auc[0]),
        "low": float(low[0]),
        "high": float(high[0]),
        "curve": [
            dict(zip(("x", "y", "low", "high"), map(float, row), strict=True)) for row in rows
        ],
    }


def _at(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Sensitivity at the grid; where the curve rises straight up, its upper end."""
    x, last = np.unique(across[::-1], return_index=True)
    return np.asarray(np.interp(GRID, x, up[::-1][last]))


def _interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower limit, mean and upper limit over rows, within 0 to 1."""
    n = len(values)
    mean = values.mean(axis=0)
    half = stats.t.ppf(0.975, n - 1) * values.std(axis=0, ddof=1) / math.sqrt(n)
    return np.clip(mean - half, 0, 1), mean, np.clip(mean + half, 0, 1)


def rocs(lesson: Lesson) -> dict[str, dict[str, Any]]:
    """ROC of the class by arm, over slides whose key is open: a curve must not tell a closed key.

    All slides together stand under the empty name, where there are several arms.
    """
    told = {i: s for i, s in enumerate(lesson.slides) if i in lesson.opened and s.truth is not None}
    answers = {i: _ratings(lesson.shown(i)) for i in told}
    arms = sorted({slide.arm for slide in told.values()})
    found = {}
    for arm in ["", *arms] if len(arms) > 1 else arms:
        truth = {i: bool(s.truth) for i, s in told.items() if arm in {"", s.arm}}
        if (roc := class_roc(truth, answers)) is not None:
            found[arm] = roc
    return found


def _ratings(given: Mapping[str, Any]) -> dict[str, float]:
    return {device: float(value) for device, value in given.items() if not isinstance(value, str)}
