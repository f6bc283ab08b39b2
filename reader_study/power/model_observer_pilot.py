"""An in-silico pilot: model observers with internal noise read the study's own images.

It yields variance components before any radiologist has read. That they are like a
radiologist's is an assumption, and every result says so.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.special import logit

from reader_study.blinding.render import Renderer, Rendition, SeriesReader, default_reader
from reader_study.blinding.sealed_key import unseal
from reader_study.design.allocation import draw_allocation
from reader_study.design.analysis_plan import ASSISTED, CALLED, Planned, plan_of
from reader_study.design.protocol import Case, Lesion, Protocol
from reader_study.design.protocol_file import read_protocol
from reader_study.design.trial_order import Trial
from reader_study.record.bundle import open_bundle
from reader_study.record.paths import bundle_folder, sealed_key
from reader_study.record.study_record import key_from
from reader_study.stats.ordinal.clm import clmm
from reader_study.stats.paired.crossed_mean import crossed_mean
from reader_study.stats.power.closed_form import OrComponents, components_of
from reader_study.stats.power.simulated import LikertTruth, PreferenceTruth
from reader_study.stats.roc.mrmc import figure_named, mrmc

ASSUMPTION = (
    "In-silico pilot: model observers, not radiologists, read these images. Noise level, sharpness "
    "and lesion contrast in the images are real; how strongly readers weigh them, how much "
    "readers differ and how steady they are is assumed. Where answers are calls, observers call as "
    "many cases in the reference arm as have the finding."
)

# Endpoints for which observers look at the lesion; else at noise and sharpness.
CASES_OF = {"sensitivity": (1,), "specificity": (0,)}
DETECTED = ("auc", *CALLED)
NO_OBSERVER = {
    "wafroc": "got wafroc, and none searches for lesions; use power wafroc with --pilot, or plan "
    "the endpoint auc",
    "ai": "got ai, and none is like the readers beside whom the model stands; use power ai with "
    "--pilot FILE or --components",
    "limits": "got limits, and none measures lengths; use power limits with --pilot",
} | {
    name: f"got {name}, and none is moved by a map; use reader-study power overlay-..."
    for name in ASSISTED
}


@dataclass(frozen=True)
class Observers:
    """What is assumed about the readers.

    ``internal_noise`` is the standard deviation of a reader's own noise relative to that of the
    signal between images; ``spread`` the standard deviation of log weights between readers.
    """

    internal_noise: float = 1.0
    spread: float = 0.3
    sharpness_weight: float = 1.0


@dataclass(frozen=True)
class Pilot:
    """Answers of the model observers and the components they give."""

    endpoint: str
    answers: pd.DataFrame
    components: OrComponents | None
    likert: LikertTruth | None
    preference: PreferenceTruth | None
    effect: float
    readers: int
    cases: int
    assumption: str = ASSUMPTION

    def facts(self) -> dict[str, Any]:
        """Plain data for JSON, without the single answers."""
        parts = (self.components, self.likert, self.preference)
        components = next((asdict(part) for part in parts if part is not None), {})
        return {
            "endpoint": self.endpoint,
            "components": components,
            "effect": self.effect,
            "readers": self.readers,
            "cases": self.cases,
            "assumption": self.assumption,
        }


def run_pilot(
    study: str | Path,
    *,
    rng: np.random.Generator,
    observers: Observers | None = None,
    passphrase: str = "",
    read: SeriesReader | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Pilot:
    """Let model observers read a study's primary item.

    Parameters
    ----------
    study : folder with ``protocol.toml`` and ``arms/``
    rng : draws observers, their noise and, without a passphrase, an allocation like the real one
    passphrase : reads the allocation that was locked; nothing of it is shown or stored
    read : turns a folder into a volume; :func:`ctlab.ct.read_series` if not given

    Raises
    ------
    ValueError
        As protocol and images are refused at lock; for an endpoint without a model observer.
    """
    study, observers = Path(study), observers or Observers()
    protocol, _ = read_protocol(study / "protocol.toml")
    test = plan_of(protocol).tests[0]
    if problem := NO_OBSERVER.get(test.endpoint):
        raise ValueError(f"expected an endpoint that model observers can read, {problem}")
    slots = _slots(study, protocol, passphrase, rng)
    signals = _signals(study, protocol, test, rng, read, progress)
    answers = _answers(protocol, test, slots, signals, observers, rng)
    return _pilot(test, answers)


def _slots(
    study: Path, protocol: Protocol, passphrase: str, rng: np.random.Generator
) -> list[list[Trial]]:
    """Main trials of each reader slot."""
    if not passphrase:
        drawn = draw_allocation(protocol, seed=int(rng.integers(2**63)))
        return [[t for t in trials if t.kind == "main"] for trials in drawn.slots]
    bundle = open_bundle(bundle_folder(study))
    sealed = sealed_key(study).read_bytes()
    key = key_from(unseal(sealed, passphrase, commitment=bundle.commitment))
    slots: list[list[Trial]] = [[] for _ in range(bundle.n_slots)]
    for t in sorted(key.trials.values(), key=lambda t: t.position):
        if t.kind == "main":
            slots[t.slot - 1].append(Trial("main", t.case, t.left_arm, t.right_arm, t.session))
    return slots


# ---------------------------------------------------------------- what an image offers


def _signals(
    study: Path,
    protocol: Protocol,
    test: Planned,
    rng: np.random.Generator,
    read: SeriesReader | None,
    progress: Callable[[int, int], None] | None,
) -> dict[tuple[int, int], tuple[float, ...]]:
    """(case, arm) -> log noise and log sharpness, or the response to the lesion's template."""
    renderer = Renderer(study, protocol, read or default_reader())
    diameters = [le.diameter_mm for case in protocol.reading_cases for le in case.lesions]
    reading = [i for i, case in enumerate(protocol.cases) if not case.practice]
    signals: dict[tuple[int, int], tuple[float, ...]] = {}
    for done, number in enumerate(reading, start=1):
        case = protocol.cases[number]
        renditions = renderer.case(number)
        spot = _spot(case, renditions[0], diameters, rng) if test.endpoint in DETECTED else None
        for rendition in renditions:
            hu = np.frombuffer(rendition.pixels, "<i2").reshape(rendition.shape).astype(float)
            if spot is None:
                signals[number, rendition.arm] = quality_signals(hu)
            else:
                signals[number, rendition.arm] = (_template(hu, rendition.spacing_mm, *spot),)
        if progress:
            progress(done, len(reading))
    return signals


def quality_signals(hu: np.ndarray) -> tuple[float, float]:
    """Log noise (robust, from differences of neighbours) and log sharpness (steepest edges).

    Parameters
    ----------
    hu : ndarray, shape (z, y, x)

    Examples
    --------
    >>> rough = np.random.default_rng(1).normal(0, 10, (1, 64, 64))
    >>> bool(abs(np.exp(quality_signals(rough)[0]) - 10) < 1)
    True
    """
    gaps = np.diff(hu, axis=-1)
    noise = 1.4826 * float(np.median(np.abs(gaps - np.median(gaps)))) / np.sqrt(2)
    smooth = ndimage.gaussian_filter(hu, (0, 1, 1))
    steep = np.hypot(*np.gradient(smooth, axis=(-2, -1)))
    edge = float(np.quantile(steep, 0.95))
    return float(np.log(max(noise, 1e-3))), float(np.log(max(edge, 1e-3)))


def _spot(
    case: Case, rendition: Rendition, diameters: list[float], rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Centre (voxels of the slab) and diameter of the lesion, or of a place without one."""
    first = case.slices[0] if case.slices else 0
    if case.lesions:
        lesion: Lesion = case.lesions[0]
        return np.asarray(lesion.centre_zyx) - [first, 0, 0], lesion.diameter_mm
    hu = np.frombuffer(rendition.pixels, "<i2").reshape(rendition.shape)
    lung = np.argwhere((hu > -980) & (hu < -500))
    inside = lung if len(lung) else np.argwhere(np.isfinite(hu))
    return inside[rng.integers(len(inside))].astype(float), float(rng.choice(diameters))


def _template(
    hu: np.ndarray, spacing_mm: tuple[float, float, float], centre: np.ndarray, diameter_mm: float
) -> float:
    """Mean inside the lesion's disc less the mean of the ring around it, in HU."""
    plane = hu[int(np.clip(round(centre[0]), 0, len(hu) - 1))]
    y, x = np.indices(plane.shape)
    distance = np.hypot((y - centre[1]) * spacing_mm[1], (x - centre[2]) * spacing_mm[2])
    disc = distance <= max(diameter_mm / 2, spacing_mm[1])
    ring = (distance > diameter_mm / 2) & (distance <= 1.5 * diameter_mm + spacing_mm[1]) & ~disc
    return (
        float(plane[disc].mean() - plane[ring].mean()) if ring.any() else float(plane[disc].mean())
    )


# ---------------------------------------------------------------- what observers answer


def _answers(
    protocol: Protocol,
    test: Planned,
    slots: list[list[Trial]],
    signals: dict[tuple[int, int], tuple[float, ...]],
    observers: Observers,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """``reader, case, arm, truth, rating`` of the two arms of the primary comparison."""
    names = [arm.name for arm in protocol.arms]
    compared = {names.index(test.new): test.new, names.index(test.reference): test.reference}
    rows = []
    for slot, trials in enumerate(slots):
        weights = np.exp(observers.spread * rng.standard_normal(2))
        utility = {key: _utility(signal, weights, observers) for key, signal in signals.items()}
        sd = observers.internal_noise * (float(np.std(list(utility.values()))) or 1.0)
        for trial in trials:
            arms = [trial.left_arm, *([] if trial.right_arm is None else [trial.right_arm])]
            if not set(arms) <= set(compared):
                continue
            for arm in arms:
                rating = utility[trial.case, arm] + sd * float(rng.standard_normal())
                case = protocol.cases[trial.case]
                truth = int(bool(case.lesions))
                rows.append((f"M{slot + 1}", case.name, compared[arm], truth, rating))
    return pd.DataFrame(rows, columns=["reader", "case", "arm", "truth", "rating"])


def _utility(signal: tuple[float, ...], weights: np.ndarray, observers: Observers) -> float:
    if len(signal) == 1:
        return float(weights[0] * signal[0])
    noise, sharpness = signal
    return float(-weights[0] * noise + observers.sharpness_weight * weights[1] * sharpness)


def _pilot(test: Planned, answers: pd.DataFrame) -> Pilot:
    counts = (int(answers["reader"].nunique()), int(answers["case"].nunique()))
    if min(counts) < 2:
        raise ValueError(
            f"expected two readers and two cases or more for variance components, got {counts[0]} "
            f"and {counts[1]}; plan more in the protocol"
        )
    if test.endpoint in DETECTED:
        figure = None
        if test.endpoint in CALLED:
            cut = _criterion(answers[answers["arm"] == test.reference])
            figure = figure_named(f"{test.endpoint}:{cut!r}")
        arms = (test.new, test.reference)
        result = mrmc(answers, method="delong", figure=figure, arms=arms)
        effect = float(result.differences.iloc[0]["difference"])
        used = answers[answers["truth"].isin(CASES_OF.get(test.endpoint, (0, 1)))]
        parts = components_of(result, cases=int(used["case"].nunique()))
        return Pilot(test.endpoint, answers, parts, None, None, effect, *counts)
    if test.endpoint in {"odds", "difference"}:
        truth = _likert_truth(test, answers)
        return Pilot(test.endpoint, answers, None, truth, None, truth.odds_ratio, *counts)
    wide = answers.pivot_table(index=["reader", "case"], columns="arm", values="rating")
    won = (wide[test.new] > wide[test.reference]).astype(float).reset_index(name="won")
    share, sd_reader, sd_case = _logit_components(won)
    preference = PreferenceTruth(share, 0.0, sd_reader, sd_case)
    return Pilot(test.endpoint, answers, None, None, preference, share, *counts)


def _criterion(answers: pd.DataFrame) -> float:
    """The rating from which observers call as many cases as have the finding."""
    return float(np.quantile(answers["rating"], 1 - answers["truth"].mean()))


def _likert_truth(test: Planned, answers: pd.DataFrame) -> LikertTruth:
    """Utilities as five grades, cut at quantiles of the reference arm, in a mixed model."""
    usual = LikertTruth()
    reference = answers.loc[answers["arm"] == test.reference, "rating"]
    cuts = np.quantile(reference, np.cumsum(usual.shares)[:-1])
    grades = answers.assign(grade=1 + np.searchsorted(cuts, answers["rating"]))
    levels = {"arm": [test.reference, test.new]}
    fit = clmm(grades, "grade ~ arm + (1|reader) + (1|case)", levels=levels)
    if not fit.converged:
        raise ValueError(
            f"the model observers' ratings gave no estimate ({fit.note or 'no convergence'}); "
            "raise the internal noise or add cases"
        )
    sds = [float(np.sqrt(np.asarray(fit.variances[name], float))) for name in ("reader", "case")]
    odds = float(np.exp(fit.coefficients.iloc[0]["estimate"]))
    return LikertTruth(odds_ratio=odds, sd_reader=sds[0], sd_case=sds[1])


def _logit_components(won: pd.DataFrame) -> tuple[float, float, float]:
    """Share won, kept off 0 and 1, and reader and case deviations on the logit scale."""
    n = len(won)
    mean = crossed_mean(won["won"], won["reader"], won["case"])
    share = float(np.clip(mean.mean, 0.5 / n, 1 - 0.5 / n))
    slope = share * (1 - share)
    sds = [float(np.sqrt(max(v, 0.0)) / slope) for v in (mean.var_reader, mean.var_case)]
    limit = abs(float(logit(0.5 / n)))
    return share, min(sds[0], limit), min(sds[1], limit)
