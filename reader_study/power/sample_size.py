"""Power of a planned study, from a pilot, from published components, or from stated assumptions."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ctlab.console import Progress
from reader_study.power.closed_form_plan import (
    CASES_ARE,
    CLOSED_FORM,
    CLOSED_FORM_EFFECT,
    CLOSED_FORM_IS,
    Layout,
    Parts,
    closed_form_plan,
)
from reader_study.power.model_observer_pilot import Pilot
from reader_study.stats.power.closed_form import (
    MOST_CASES,
    smallest_on_grid,
)
from reader_study.stats.power.simulated import (
    LikertTruth,
    PreferenceTruth,
    likert_decision,
    preference_decision,
    simulate_likert,
    simulate_preference,
    simulated_power,
)
from reader_study.stats.reliance.simulated import (
    OverlayReaders,
    overlay_decision,
    readers_with_contrast,
    simulate_overlay_study,
)

OVERLAY_KINDS = {
    "overlay": "reliance",
    "overlay-change": "change",
    "overlay-brier": "brier",
    "overlay-time": "time",
}
"""Kinds of study of maps, by the endpoint that decides."""
KINDS = (*CLOSED_FORM, "rating", "preference", *OVERLAY_KINDS)
READERS = (2, 3, 4, 5, 6, 8, 10, 12)
CASES = (20, 40, 60, 80, 120, 160, 240)
USUAL_EFFECT = {**CLOSED_FORM_EFFECT, "rating": 2.0, "preference": 0.65}
USUAL_EFFECT |= dict.fromkeys(OVERLAY_KINDS, 0.15) | {"overlay-time": 1.2}
_MAPS = "right answers with own maps less those with shuffled ones"
EFFECT_IS = {
    **CLOSED_FORM_IS,
    "rating": "odds ratio of a better rating in the new arm",
    "preference": "share of decided pairs that the new arm wins",
    "overlay": _MAPS,
    "overlay-change": f"{_MAPS}; net changes of mind decide",
    "overlay-brier": f"{_MAPS}; the Brier score of confidence decides",
    "overlay-time": "how many times quicker answers are with own maps than with shuffled ones",
}
# A mixed model takes a second or so per simulated study; beyond this many designs the mean does.
FEW_DESIGNS = 4


@dataclass(frozen=True)
class Aim:
    """What is to be shown, and how surely."""

    effect: float
    margin: float = 0.0
    target: float = 0.8
    replicates: int = 200
    seed: int = 0


def plan_power(
    kind: str,
    aim: Aim,
    *,
    pilot: Pilot | None = None,
    components: Parts | None = None,
    layout: Layout | None = None,
    readers: tuple[int, ...] = READERS,
    cases: tuple[int, ...] = CASES,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Power over a grid of readers and cases, the smallest design, and what was assumed.

    Parameters
    ----------
    kind : "roc", "wafroc", "sensitivity", "specificity", "correct", "recall", "ai", "limits"
        (closed form), "rating", "preference" or one of :data:`OVERLAY_KINDS` (simulated)
    pilot : an in-silico pilot whose components are used
    components : of a pilot or published study; for "roc" without any, those of the Roe-Metz model
    layout : who reads what, and lesions of one patient; default crossed, one case each

    Raises
    ------
    ValueError
        For an unknown kind or an effect that is no effect of its kind.
    """
    _check(kind, aim)
    if kind in CLOSED_FORM:
        parts = components or (pilot.components if pilot else None)
        curve, smallest, others, assumed = closed_form_plan(
            kind, aim.effect, aim.margin, aim.target, parts, layout or Layout(), readers, cases
        )
    else:
        few = len(readers) * len(cases) <= FEW_DESIGNS
        truth, decide, draw, analysis = _simulation(kind, aim, pilot, few=few)
        curve = _simulated_curve(draw, decide, aim, readers, cases, progress)
        smallest = smallest_on_grid(curve, target=aim.target)
        others = [{"effect": aim.effect, "curve": _records(curve)}]
        assumed = {
            **asdict(truth),
            "analysis": analysis,
            "replicates": aim.replicates,
            "seed": aim.seed,
        }
    return {
        "kind": kind,
        "effect": aim.effect,
        "effect_is": EFFECT_IS[kind],
        "margin": aim.margin,
        "target": aim.target,
        "assumptions": assumed,
        "curve": _records(curve),
        "effects": others,
        "smallest": _records(smallest),
        "most_cases": MOST_CASES if kind in CLOSED_FORM else max(cases),
        "cases_are": CASES_ARE.get(kind, "cases"),
        "label": pilot.assumption if pilot else "",
    }


def _check(kind: str, aim: Aim) -> None:
    if kind not in KINDS:
        raise ValueError(f"expected a design of {', '.join(KINDS)}, got {kind!r}; name one")
    limits = {"rating": (0.0, np.inf), "preference": (0.0, 1.0)}
    limits |= {"limits": (-np.inf, np.inf), **dict.fromkeys(OVERLAY_KINDS, (0.0, 0.35))}
    limits["overlay-time"] = (0.2, 5.0)
    low, high = limits.get(kind, (-0.5, 0.5))
    if not low < aim.effect < high:
        raise ValueError(
            f"expected an effect between {low:g} and {high:g} ({EFFECT_IS[kind]}), got "
            f"{aim.effect:g}; pass another --effect"
        )
    if not 0 < aim.target < 1 or aim.margin < 0 or aim.replicates < 1:
        raise ValueError(
            "expected 0 < target < 1, margin >= 0 and replicates >= 1, got "
            f"{aim.target:g}, {aim.margin:g} and {aim.replicates}; mend the one outside"
        )


Truth = LikertTruth | PreferenceTruth | OverlayReaders
Decision = Callable[[pd.DataFrame], bool]
Draw = Callable[[int, int, np.random.Generator], pd.DataFrame]


def _simulation(
    kind: str, aim: Aim, pilot: Pilot | None, *, few: bool
) -> tuple[Truth, Decision, Draw, str]:
    """Truth, decision, draw and the analysis simulated; the mixed model only for few designs."""
    if kind == "rating":
        base = (pilot.likert if pilot else None) or LikertTruth()
        truth: Any = replace(base, odds_ratio=aim.effect)
        model = few and not aim.margin
        decide = likert_decision("clmm" if model else "mean", margin=aim.margin)
        analysis = "cumulative link mixed model" if model else "mean difference of ratings"
        return truth, decide, partial(_draw, simulate_likert, truth), analysis
    if measure := OVERLAY_KINDS.get(kind):
        if measure == "time":
            readers = OverlayReaders(right_helps=0.0, wrong_harms=0.0, faster=aim.effect)
        else:
            readers = readers_with_contrast(aim.effect)
        margin = float(np.log1p(aim.margin)) if measure == "time" else aim.margin
        decide = overlay_decision(measure=measure, margin=margin)
        analysis = f"contrast of own and shuffled maps, endpoint {measure}"
        return readers, decide, partial(_overlays, readers), analysis
    base_share = (pilot.preference if pilot else None) or PreferenceTruth()
    truth = replace(base_share, share=aim.effect)
    decide = preference_decision(margin=aim.margin)
    return truth, decide, partial(_draw, simulate_preference, truth), "pooled share"


def _draw(
    simulate: Callable[..., pd.DataFrame],
    truth: Truth,
    readers: int,
    cases: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    return simulate(truth, readers=readers, cases=cases, rng=rng)


def _overlays(
    truth: OverlayReaders, readers: int, cases: int, rng: np.random.Generator
) -> pd.DataFrame:
    return simulate_overlay_study(truth, n_readers=readers, n_cases=cases, rng=rng)


def _simulated_curve(
    draw: Draw,
    decide: Decision,
    aim: Aim,
    readers: Sequence[int],
    cases: Sequence[int],
    progress: Progress | None,
) -> pd.DataFrame:
    """``readers, cases, power, low, high``; each point has a generator of its own."""
    points = [(j, k) for j in readers for k in cases]
    rows = []
    for done, (j, k) in enumerate(points, start=1):
        rng = np.random.default_rng([aim.seed, j, k])
        simulated = simulated_power(partial(draw, j, k), decide, replicates=aim.replicates, rng=rng)
        rows.append((j, k, simulated.power, simulated.low, simulated.high))
        if progress:
            progress(done, len(points))
    return pd.DataFrame(rows, columns=["readers", "cases", "power", "low", "high"])


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    plain = table.astype(object).where(table.notna(), None)
    return [*plain.to_dict("records")]
