"""The analysis plan that a protocol fixes: which comparisons, by which method, in which order."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, get_args

from reader_study.design.analysis import Assisted, Called
from reader_study.design.protocol import Item, Protocol

LEVEL = 0.95
# Endpoints that count answers from ``called_from`` on as positive calls.
CALLED: tuple[str, ...] = get_args(Called)
# Endpoints of maps over the images: right answers from ``called_from`` on, before and after.
ASSISTED: tuple[str, ...] = get_args(Assisted)
NULL = {"share": 0.5, "odds": 1.0, "difference": 0.0, "auc": 0.0, "wafroc": 0.0, "ai": 0.0}
NULL["limits"] = 0.0
NULL |= dict.fromkeys((*CALLED, *ASSISTED), 0.0) | {"time": 1.0}
UNIT = {
    "share": "share of decided pairs won",
    "odds": "odds ratio of a better rating",
    "difference": "rating points in favour",
    "auc": "difference of areas under the ROC curve",
    "wafroc": "difference of weighted AFROC areas",
    "sensitivity": "difference of sensitivities",
    "specificity": "difference of specificities",
    "correct": "difference of shares of cases called rightly",
    "recall": "difference of shares of cases called",
    "ai": "area under the ROC curve of the model minus the mean of the readers",
    "limits": "mean difference of lengths in mm, with limits of agreement",
    "reliance": "difference of shares of right answers under the maps",
    "change": "difference of net changes from wrong to right answers by the maps",
    "brier": "reduction of the Brier score of stated confidence",
    "time": "reading time of the reference over that of the new arm",
}
METHOD = {
    "share": (
        "share of decided pairs with an interval for new readers and new cases (crossed variance, "
        "Satterthwaite degrees of freedom, Korn-Graubard limits)"
    ),
    "odds": (
        "cumulative link mixed model (logit; Laplace approximation) with the arm as fixed effect "
        "and random intercepts of reader and case, Wald interval"
    ),
    "difference": (
        "mean of paired differences with random readers and cases (crossed variance, "
        "Satterthwaite degrees of freedom)"
    ),
    "auc": (
        "empirical areas under the ROC curve, Obuchowski-Rockette analysis with DeLong "
        "covariances, random readers and cases, Hillis degrees of freedom"
    ),
    "wafroc": (
        "weighted AFROC areas, Obuchowski-Rockette analysis with jackknife covariances, random "
        "readers and cases, Hillis degrees of freedom"
    ),
    "limits": (
        "mean difference of measurements and limits of agreement (95 % of single differences) from "
        "variance components of readers and cases (Wen and Gallas 2022), random readers and cases, "
        "normal limits"
    ),
    "ai": (
        "empirical areas under the ROC curve; differences reader minus model, one-treatment "
        "analysis with DeLong covariances, random readers and cases, the model fixed, Hillis "
        "degrees of freedom"
    ),
}
METHOD |= dict.fromkeys(
    ASSISTED,
    "difference of two arms with random readers and cases (crossed variance, Satterthwaite degrees "
    "of freedom), within reader and case where cases were read in both arms, else between them",
)
METHOD |= dict.fromkeys(
    CALLED,
    "shares of cases called, Obuchowski-Rockette analysis with jackknife covariances over the "
    "cases that enter, random readers and cases, Hillis degrees of freedom",
)


@dataclass(frozen=True)
class Planned:
    """One comparison of two arms on one item; ``role`` is primary, secondary or assay."""

    role: str
    item: str
    endpoint: str
    new: str
    reference: str
    n_answers: int
    relative: bool
    reverse_scored: bool
    called_from: float | None = None
    lesion_cases: frozenset[str] = frozenset()  # where an answer from ``called_from`` on is right
    confidence_item: str = ""

    @property
    def null(self) -> float:
        """Value of the endpoint where the arms do not differ."""
        return NULL[self.endpoint]


@dataclass(frozen=True)
class Plan:
    """Everything that was decided before reading."""

    tests: tuple[Planned, ...]
    aim: str
    margin: float | None
    multiplicity: str
    estimand: dict[str, str]
    unplanned_items: tuple[str, ...]


def plan_of(protocol: Protocol) -> Plan:
    """The plan of a protocol; nothing in it depends on the answers.

    Raises
    ------
    ValueError
        The primary item has no analysis (unordered answers, an endpoint that the design cannot
        give); the message says what to change before the study is locked.
    """
    said = protocol.analysis
    items = {item.name: item for item in protocol.items}
    primary = items[said.primary_item]
    pairs = _comparisons(protocol)
    model = protocol.model
    against = [(model.name, model.arm)] if model else pairs
    tests = [_planned(protocol, "primary", primary, *pair) for pair in against]
    others = [item for item in protocol.items if item.name != primary.name]
    ordered = [item for item in others if item.kind != "choice"]
    tests += [_planned(protocol, "secondary", item, *pair) for item in ordered for pair in pairs]
    if model is None:
        known = _assay_pairs(protocol, pairs)
        tests += [_planned(protocol, "assay", primary, *pair) for pair in known]
    aim = said.aim or ("noninferiority" if said.margin is not None else "superiority")
    unplanned = tuple(item.name for item in others if item.kind == "choice")
    return Plan(
        tuple(tests),
        aim,
        said.margin,
        said.multiplicity,
        _estimand(protocol, tests[0], aim),
        unplanned,
    )


def _comparisons(protocol: Protocol) -> list[tuple[str, str]]:
    if protocol.analysis.comparisons:
        return [(pair.new, pair.reference) for pair in protocol.analysis.comparisons]
    names = [arm.name for arm in protocol.arms]
    references = [arm.name for arm in protocol.arms if arm.reference]
    if len(references) == 1:
        return [(name, references[0]) for name in names if name != references[0]]
    return list(combinations(names, 2))


def _assay_pairs(protocol: Protocol, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The reference arm against the others: pairs that show whether a difference can be seen."""
    compared = {frozenset(pair) for pair in pairs}
    references = [arm.name for arm in protocol.arms if arm.reference]
    return [
        (reference, arm.name)
        for reference in references
        for arm in protocol.arms
        if arm.name != reference and frozenset((reference, arm.name)) not in compared
    ]


def _planned(protocol: Protocol, role: str, item: Item, new: str, reference: str) -> Planned:
    asked = protocol.analysis.endpoint if role != "secondary" else None
    endpoint = asked or _default_endpoint(protocol, item, role)
    _check_endpoint(protocol, item, endpoint)
    return Planned(
        role,
        item.name,
        endpoint,
        new,
        reference,
        n_answers=len(item.answers) if item.kind == "scale" else 101,
        relative=_is_relative(protocol, item),
        reverse_scored=item.name in protocol.analysis.lower_is_better,
        called_from=protocol.analysis.called_from if endpoint in CALLED + ASSISTED else None,
        lesion_cases=frozenset(case.name for case in protocol.reading_cases if case.lesions),
        confidence_item=(protocol.overlay and protocol.overlay.confidence_item) or "",
    )


def _is_relative(protocol: Protocol, item: Item) -> bool:
    """One answer about two images: it says how much the right one is better."""
    return protocol.design.is_paired and item.about == "pair" and item.kind != "preference"


def _default_endpoint(protocol: Protocol, item: Item, role: str) -> str:
    if item.kind == "preference":
        return "share"
    if limits := _of_length(item):
        return limits
    margin = protocol.analysis.margin is not None and role != "secondary"
    if item.kind == "slider" or margin or _is_relative(protocol, item):
        return "difference"
    return "odds"


def _check_endpoint(protocol: Protocol, item: Item, endpoint: str) -> None:
    truths = {bool(case.lesions) for case in protocol.reading_cases}
    relative = _is_relative(protocol, item)
    problem = _assisted_problem(protocol, endpoint) if endpoint in ASSISTED else ""
    if item.kind == "choice":
        problem = "has unordered answers; ask it as a scale"
    elif (endpoint == "share") != (item.kind == "preference"):
        problem = f"is a {item.kind} and endpoint is {endpoint}; a share belongs to a preference"
    elif "limits" in (endpoint, _of_length(item)):
        problem = _length_problem(protocol, item, endpoint)
    elif endpoint == "odds" and (item.kind != "scale" or relative):
        problem = "cannot give odds of a rating; rate each image on a scale"
    elif endpoint in {"auc", "wafroc", "ai", *CALLED, *ASSISTED} and (len(truths) < 2 or relative):
        problem = f"cannot give {endpoint}; rate each image, in cases with and without lesions"
    elif endpoint == "wafroc" and not item.marks:
        problem = 'has no marks; name their kinds, the lesion\'s first: marks = ["lesion"]'
    elif endpoint in CALLED + ASSISTED and protocol.analysis.called_from is None:
        problem = "is called from some answer on; say which: called_from = 3"
    elif endpoint in {"ai", *CALLED, *ASSISTED} and item.name in protocol.analysis.lower_is_better:
        problem = f"is in lower_is_better; for {endpoint} high answers must mean the finding"
    if problem:
        raise ValueError(f"the item {item.name!r} {problem}")


def _assisted_problem(protocol: Protocol, endpoint: str) -> str:
    overlay = protocol.overlay
    if overlay is None:
        return f"cannot give {endpoint}; it belongs to arms with maps and a table [overlay]"
    if endpoint == "change" and overlay.design != "sequential":
        return 'is answered once; for change set overlay.design = "sequential"'
    if endpoint == "brier" and not overlay.confidence_item:
        return "has no confidence beside it; name the slider: overlay.confidence_item"
    return ""


def _of_length(item: Item) -> str:
    return "limits" if item.kind == "length" else ""


def _length_problem(protocol: Protocol, item: Item, endpoint: str) -> str:
    if endpoint != _of_length(item):
        return f"is a {item.kind} and endpoint is {endpoint}; limits belong to a length"
    if _is_relative(protocol, item):
        return 'is a length of two images at once; ask it about each: about = "each"'
    reverse = item.name in protocol.analysis.lower_is_better
    return "is a length, neither good nor bad; take it out of lower_is_better" if reverse else ""


def _estimand(protocol: Protocol, test: Planned, aim: str) -> dict[str, str]:
    said = protocol.analysis
    margin = "none (superiority)" if said.margin is None else f"{said.margin:g}"
    reason = said.margin_justification.strip() or "none given"
    full = [arm.name for arm in protocol.arms if arm.reference]
    return {
        "population": protocol.population.description.strip() or "not stated in the protocol",
        "treatment": f"{test.new} against {test.reference}",
        "endpoint": f"{UNIT[test.endpoint]}, item {test.item!r}"
        f"{_marked(protocol, test)}{_called(test)}",
        "aim": aim,
        "margin": margin if said.margin is None else f"{margin} (justification: {reason})",
        "intercurrent events": (
            f"Missing answers: {said.missing_data.strip()} Withdrawn readers: "
            f"{said.withdrawn_readers.strip()} 'Cannot judge' is left out and counted."
        ),
        "summary": f"{METHOD[test.endpoint]}; two-sided {LEVEL:.0%} interval",
        "assay sensitivity": (
            f"the arm {full[0]} is the reference of known quality"
            if full
            else "no reference arm: the study cannot show that it would have seen a difference"
        ),
    }


def lesion_mark(protocol: Protocol, test: Planned) -> str:
    """Kind of mark that stands for a lesion: the first that the item offers."""
    return next(item for item in protocol.items if item.name == test.item).marks[0]


def _marked(protocol: Protocol, test: Planned) -> str:
    if test.endpoint != "wafroc":
        return ""
    said = protocol.analysis
    reach = " or half the lesion's diameter" if said.mark_rule == "lesion" else ""
    rest = "dropped" if said.mark_duplicates == "highest" else "counted as false"
    return (
        f", marks of the kind {lesion_mark(protocol, test)!r} within {said.mark_radius_mm:g} mm"
        f"{reach}; further marks on a lesion are {rest}"
    )


def _called(test: Planned) -> str:
    return "" if test.called_from is None else f", called from the answer {test.called_from:g} on"


def as_facts(plan: Plan) -> dict[str, Any]:
    """The plan as plain data for the report."""
    return {
        "aim": plan.aim,
        "margin": plan.margin,
        "multiplicity": plan.multiplicity,
        "level": LEVEL,
        "estimand": plan.estimand,
        "unplanned_items": list(plan.unplanned_items),
        "method": METHOD[plan.tests[0].endpoint],
    }
