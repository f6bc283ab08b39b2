"""Power of a planned study, from a pilot, from published components, or from stated assumptions."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctlab.console import Progress
from reader_study.power.model_observer_pilot import Pilot
from reader_study.stats.power.closed_form import (
    MOST_CASES,
    OrComponents,
    components_of,
    or_power,
    power_curve,
    smallest_design,
    smallest_on_grid,
)
from reader_study.stats.power.simulated import (
    LikertTruth,
    PreferenceTruth,
    likert_decision,
    preference_decision,
    simulate_likert,
    simulate_preference,
    simulate_roc_pair,
    simulated_power,
)
from reader_study.stats.read_table import read_table
from reader_study.stats.roc.mrmc import mrmc
from reader_study.stats.roc.roe_metz import RoeMetz

KINDS = ("roc", "rating", "preference")
READERS = (2, 3, 4, 5, 6, 8, 10, 12)
CASES = (20, 40, 60, 80, 120, 160, 240)
USUAL_EFFECT = {"roc": 0.05, "rating": 2.0, "preference": 0.65}
EFFECT_IS = {
    "roc": "difference of areas under the ROC curve, new minus reference",
    "rating": "odds ratio of a better rating in the new arm",
    "preference": "share of decided pairs that the new arm wins",
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
    components: OrComponents | None = None,
    readers: tuple[int, ...] = READERS,
    cases: tuple[int, ...] = CASES,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Power over a grid of readers and cases, the smallest design, and what was assumed.

    Parameters
    ----------
    kind : "roc" (closed form), "rating" or "preference" (simulated)
    pilot : an in-silico pilot whose components are used
    components : of a pilot or published study; for "roc" without any, those of the Roe-Metz model

    Raises
    ------
    ValueError
        For an unknown kind or an effect that is no effect of its kind.
    """
    _check(kind, aim)
    if kind == "roc":
        given = components or (pilot.components if pilot else None)
        model = "the Roe-Metz model, high correlation and reader variance"
        parts = given or roe_metz_components(aim.seed)
        assumed: dict[str, Any] = {"components from": "the pilot given" if given else model}
        assumed |= asdict(parts)
        curves = {
            scale: power_curve(
                partial(_or_power, parts, aim.effect * scale, aim.margin),
                readers=readers,
                cases=cases,
            )
            for scale in (0.6, 0.8, 1.0, 1.2, 1.6)
        }
        curve = curves[1.0]
        others = [{"effect": aim.effect * s, "curve": _records(c)} for s, c in curves.items()]
        power = partial(_or_power, parts, aim.effect, aim.margin)
        smallest = smallest_design(power, readers=readers, target=aim.target)
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
        "most_cases": MOST_CASES if kind == "roc" else max(cases),
        "label": pilot.assumption if pilot else "",
    }


def _check(kind: str, aim: Aim) -> None:
    if kind not in KINDS:
        raise ValueError(f"expected a design of {', '.join(KINDS)}, got {kind!r}; name one")
    low, high = {"roc": (-0.5, 0.5), "rating": (0.0, np.inf), "preference": (0.0, 1.0)}[kind]
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


def _or_power(parts: OrComponents, effect: float, margin: float, readers: int, cases: int) -> float:
    return or_power(parts, readers=readers, cases=cases, effect=effect, margin=margin).power


def roe_metz_components(seed: int, *, studies: int = 20) -> OrComponents:
    """Components of Roe-Metz studies with areas of 0.85, averaged over simulated large studies."""
    rng = np.random.default_rng(seed)
    components = [
        asdict(
            components_of(
                mrmc(
                    simulate_roc_pair(
                        areas=(0.85, 0.85), readers=8, cases=200, rng=rng, model=RoeMetz()
                    )
                ),
                cases=200,
            )
        )
        for _ in range(studies)
    ]
    mean = pd.DataFrame(components).mean()
    return OrComponents(**{**mean.to_dict(), "cases": 200})


def read_pilot_csv(path: str | Path) -> OrComponents:
    """Components of a pilot study: ``reader, case, arm, truth, rating``."""
    table = read_table(Path(path))
    result = mrmc(table, method="delong")
    return components_of(result, cases=int(table["case"].nunique()))


Truth = LikertTruth | PreferenceTruth
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
