"""Plans by closed form: areas, free response, shares called, a model beside a panel."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, cast, get_args

import pandas as pd

from reader_study.stats.power.closed_form import (
    Design,
    OrComponents,
    or_power,
    power_curve,
    smallest_design,
)
from reader_study.stats.power.panel import (
    MeasureComponents,
    PanelComponents,
    design_effect,
    measure_power,
    panel_power,
)
from reader_study.stats.power.roe_metz_components import components_of_model
from reader_study.stats.roc.roe_metz import RoeMetz

BINARY = ("sensitivity", "specificity", "correct", "recall")
CLOSED_FORM = ("roc", "wafroc", *BINARY, "ai", "limits")
CLOSED_FORM_EFFECT = dict.fromkeys(CLOSED_FORM, 0.05) | dict.fromkeys(BINARY, 0.1)
CLOSED_FORM_EFFECT["limits"] = 1.0
CLOSED_FORM_IS = {
    "roc": "difference of areas under the ROC curve, new minus reference",
    "wafroc": "difference of weighted AFROC areas, new minus reference",
    "sensitivity": "difference of sensitivities, new minus reference",
    "specificity": "difference of specificities, new minus reference",
    "correct": "difference of shares of cases called rightly, new minus reference",
    "recall": "difference of shares of cases called, new minus reference",
    "limits": "mean difference of measurements, in their units, new minus reference",
    "ai": "figure of the model minus the mean of the readers",
}
CASES_ARE = {
    "sensitivity": "cases with the finding",
    "specificity": "cases without the finding",
}
SCALES = (0.6, 0.8, 1.0, 1.2, 1.6)
# The area that studies without a pilot are planned for, as in Roe & Metz 1997.
USUAL_AREA, USUAL_CASES = 0.85, 200


@dataclass(frozen=True)
class Layout:
    """Who reads what, and how lesions of one patient are alike.

    ``design`` and ``blocks`` as :func:`reader_study.stats.power.closed_form.or_power`. With
    ``per_patient`` above 1, cases are lesions that correlate by ``icc`` within a patient.
    """

    design: str = "crossed"
    blocks: int = 1
    per_patient: float = 1.0
    icc: float = 0.0

    def __post_init__(self) -> None:
        if self.design not in get_args(Design):
            known = ", ".join(get_args(Design))
            raise ValueError(f"expected a design of {known}, got {self.design!r}; name one")

    @property
    def label(self) -> str:
        """The design in words."""
        return f"{self.design}, {self.blocks} blocks" if self.blocks > 1 else self.design


Parts = OrComponents | PanelComponents | MeasureComponents
NEEDED = {"ai": PanelComponents, "limits": MeasureComponents}
Plan = tuple[pd.DataFrame, pd.DataFrame, list[dict[str, Any]], dict[str, Any]]


def closed_form_plan(
    kind: str,
    effect: float,
    margin: float,
    target: float,
    parts: Parts | None,
    layout: Layout,
    readers: tuple[int, ...],
    cases: tuple[int, ...],
) -> Plan:
    """Power curve, smallest designs, curves of other effects and designs, and assumptions.

    Raises
    ------
    ValueError
        Where a kind other than "roc" has no components, or components of the wrong kind.
    """
    source = "the pilot or published study given"
    if parts is None and kind == "roc":
        half = USUAL_CASES // 2
        parts = components_of_model(RoeMetz(), area=USUAL_AREA, diseased=half, healthy=half)
        source = "the Roe-Metz model, high correlation and reader variance"
    if parts is None or not isinstance(parts, NEEDED.get(kind, OrComponents)):
        raise ValueError(
            f"expected the components of a pilot or a published study for {kind}, got none; pass "
            "--pilot FILE or --components"
        )
    readers = tuple(count for count in readers if count >= max(2, layout.blocks))
    if kind in NEEDED and layout.design != "crossed":
        raise ValueError(
            f"expected the crossed design for {kind}, got {layout.design}; leave --design out"
        )
    if not readers:
        raise ValueError(
            f"expected {max(2, layout.blocks)} readers or more with the design {layout.label}; "
            "raise --readers"
        )
    power = partial(_power, parts, layout, effect, margin)
    others = []
    for other in _layouts(kind, layout):
        enough = tuple(count for count in readers if count >= other.blocks)
        for scale in SCALES:
            grid = partial(_power, parts, other, effect * scale, margin)
            curve = power_curve(grid, readers=enough, cases=cases)
            row = {"effect": effect * scale, "design": other.label, "curve": _records(curve)}
            others.append(row)
    assumed = {
        "components from": source,
        "design": layout.label,
        **({"lesions per patient": layout.per_patient, "icc": layout.icc} if layout.icc else {}),
        **asdict(parts),
    }
    smallest = smallest_design(power, readers=readers, target=target)
    return power_curve(power, readers=readers, cases=cases), smallest, others, assumed


def _layouts(kind: str, chosen: Layout) -> list[Layout]:
    """The layout chosen first, then the others that a coordinator may weigh against it."""
    if kind in NEEDED:
        return [chosen]
    every = [replace(chosen, design=name, blocks=1) for name in get_args(Design)]
    every = [one for one in every if one.design != "split-plot"]
    every += [replace(chosen, design="split-plot", blocks=count) for count in (2, 3)]
    return [chosen, *(one for one in every if one != chosen)]


def _power(
    parts: Parts, layout: Layout, effect: float, margin: float, readers: int, cases: int
) -> float:
    alike = design_effect(icc=layout.icc, per_patient=layout.per_patient)
    # Lesions of one patient count for fewer: the covariances of more cases apply.
    scaled: Parts = replace(parts, cases=parts.cases * alike)
    if isinstance(scaled, PanelComponents):
        found = panel_power(scaled, readers=readers, cases=cases, effect=effect, margin=margin)
    elif isinstance(scaled, MeasureComponents):
        found = measure_power(scaled, readers=readers, cases=cases, effect=effect, margin=margin)
    else:
        found = or_power(
            scaled,
            readers=readers,
            cases=cases,
            effect=effect,
            margin=margin,
            design=cast(Design, layout.design),
            blocks=layout.blocks,
        )
    return found.power


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [*table.astype(object).where(table.notna(), None).to_dict("records")]
