"""``reader-study power``: how many readers and cases a study needs."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ctlab.console import emit, table

if TYPE_CHECKING:
    from reader_study.power.model_observer_pilot import Pilot

Kind = Literal[
    "roc",
    "wafroc",
    "sensitivity",
    "specificity",
    "correct",
    "recall",
    "ai",
    "limits",
    "rating",
    "preference",
    "overlay",
    "overlay-change",
    "overlay-brier",
    "overlay-time",
    "precision",
]
KIND_OF = {
    "auc": "roc",
    "odds": "rating",
    "difference": "rating",
    "share": "preference",
    **{name: name for name in ("sensitivity", "specificity", "correct", "recall")},
}


KindArgument = Annotated[
    Kind | None,
    typer.Argument(
        help="what is compared; precision: lesions for the interval of one share",
        show_default=False,
    ),
]
EffectOption = Annotated[
    float | None,
    typer.Option(
        help="difference of the figure (new minus reference, model minus readers), odds "
        "ratio, share that prefers the new arm, or the share to be estimated"
    ),
]
RocEffectOption = Annotated[
    float | None,
    typer.Option(help="with wafroc: effect in ROC area, scaled by the search model to wAFROC area"),
]
SearchOption = Annotated[
    str,
    typer.Option(
        help="with --roc-effect: mu=,lambda=,nu=,lesions=SHARE/SHARE; else the pilot's",
        metavar="TEXT",
    ),
]
ReadersOption = Annotated[int | None, typer.Option(min=1, max=500, help="only this many")]
CasesOption = Annotated[int | None, typer.Option(min=4, max=10_000, help="only this many")]
MarginOption = Annotated[float, typer.Option(min=0, help="non-inferiority margin; 0: none")]
TargetOption = Annotated[float, typer.Option(help="power to reach")]
PilotOption = Annotated[
    Path | None,
    typer.Option(help="table reader, case, arm, truth, rating (wafroc: marks; limits: measure)"),
]
PilotCasesOption = Annotated[
    Path | None, typer.Option(help="with wafroc: table case, truth, n_lesions")
]
CutOption = Annotated[float, typer.Option(help="lowest rating of the pilot that counts as called")]
AiOption = Annotated[str, typer.Option(help="name of the model among the pilot's readers")]
ComponentsOption = Annotated[
    str,
    typer.Option(
        help="of a study: VarTR=,Var=,Cov1=,Cov2=,Cov3=,cases=[,VarR=]; limits: VarR=,VarC=,VarE="
    ),
]
DesignOption = Annotated[
    str,
    typer.Option(
        help="who reads what: crossed, split-plot, cases nested in readers, cases nested in "
        "arms, readers nested in arms, readers and cases nested in arms"
    ),
]
BlocksOption = Annotated[int, typer.Option(min=1, help="groups of readers in a split-plot")]
PerPatientOption = Annotated[
    float, typer.Option(min=1, help="lesions of a patient, where cases are lesions")
]
IccOption = Annotated[float, typer.Option(min=0, max=1, help="their correlation")]
HalfWidthOption = Annotated[
    float, typer.Option(help="with precision: half the 95 % interval of the share")
]
FromImagesOption = Annotated[
    Path | None, typer.Option(help="study whose images model observers read first")
]
PassphraseFileOption = Annotated[
    list[Path] | None, typer.Option(help="with --from-images: read the locked allocation")
]
ReplicatesOption = Annotated[int, typer.Option(min=1, help="simulated studies per design")]
SeedOption = Annotated[int, typer.Option(min=0, help="of the simulations")]
PageOption = Annotated[Path | None, typer.Option(help="write an HTML page to explore")]
AsJsonOption = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def power(
    kind: KindArgument = None,
    effect: EffectOption = None,
    roc_effect: RocEffectOption = None,
    search: SearchOption = "",
    readers: ReadersOption = None,
    cases: CasesOption = None,
    margin: MarginOption = 0.0,
    target: TargetOption = 0.8,
    pilot: PilotOption = None,
    pilot_cases: PilotCasesOption = None,
    cut: CutOption = 3.0,
    ai: AiOption = "",
    components: ComponentsOption = "",
    design: DesignOption = "crossed",
    blocks: BlocksOption = 1,
    per_patient: PerPatientOption = 1.0,
    icc: IccOption = 0.0,
    half_width: HalfWidthOption = 0.05,
    from_images: FromImagesOption = None,
    passphrase_file: PassphraseFileOption = None,
    replicates: ReplicatesOption = 200,
    seed: SeedOption = 0,
    page: PageOption = None,
    as_json: AsJsonOption = False,
) -> None:
    """Power over readers and cases, and the smallest design that reaches the target."""
    from ctlab.console import working
    from reader_study.power.closed_form_plan import Layout
    from reader_study.power.pilot_components import read_parts
    from reader_study.power.sample_size import CASES, READERS, USUAL_EFFECT, Aim, plan_power

    if kind == "precision":
        _precision(0.5 if effect is None else effect, half_width, icc, per_patient, as_json)
        return
    observed = _observe(from_images, passphrase_file, seed) if from_images else None
    chosen = _kind(kind, observed, given=pilot is not None or bool(components))
    usual = observed.effect if observed is not None else USUAL_EFFECT[chosen]
    effect, scaled = _effect(chosen, effect, usual, roc_effect, search, pilot, pilot_cases)
    parts = read_parts(chosen, components, pilot, cases=pilot_cases, cut=cut, ai=ai)
    with working("Simulating studies") as advance:
        facts = plan_power(
            chosen,
            Aim(effect, margin, target, replicates, seed),
            pilot=observed,
            components=parts,
            layout=Layout(design, blocks, per_patient, icc),
            readers=(readers,) if readers else READERS,
            cases=(cases,) if cases else CASES,
            progress=advance,
        )
    facts["assumptions"] |= scaled
    if observed is not None:
        facts["pilot"] = observed.facts()
    if page is not None:
        from reader_study.report.power_page import write_power_page

        facts["page"] = str(write_power_page(page, facts))
    if not emit(facts, as_json):
        _print(facts)


def _kind(kind: Kind | None, observed: "Pilot | None", *, given: bool) -> str:
    """What was asked for, or what the study whose images were read compares."""
    from reader_study.power.closed_form_plan import CLOSED_FORM

    chosen = kind or (KIND_OF[observed.endpoint] if observed is not None else None)
    if chosen is None:
        raise ValueError(
            f"expected a design ({', '.join(CLOSED_FORM)}, rating, preference, overlay, or "
            "overlay-change, -brier or -time), got none; name it, or pass --from-images STUDY"
        )
    if given and chosen not in CLOSED_FORM:
        raise ValueError(
            f"expected a design of {', '.join(CLOSED_FORM)} with --pilot or --components, got "
            f"{chosen}; use it with the design roc, or leave the pilot out"
        )
    return chosen


def _effect(
    kind: str,
    effect: float | None,
    usual: float,
    roc_effect: float | None,
    search: str,
    pilot: Path | None,
    cases: Path | None,
) -> tuple[float, dict[str, Any]]:
    """The effect, and what a wAFROC effect scaled from one in ROC area rests on."""
    from reader_study.power.pilot_components import read_search
    from reader_study.stats.free_response.search_model import search_scale

    if roc_effect is None:
        if search:
            raise ValueError("expected --roc-effect with --search, got none; give it or drop both")
        return (usual if effect is None else effect), {}
    if kind != "wafroc" or effect is not None:
        raise ValueError(
            "expected --roc-effect with the design wafroc and without --effect, got "
            f"{kind}{'' if effect is None else ' and both'}; give one effect"
        )
    model = read_search(search, pilot, cases)
    scale = search_scale(model)
    return scale * roc_effect, {
        "effect in ROC area": roc_effect,
        "wAFROC effect per ROC effect": scale,
        "search model": f"mu {model.mu:.3f}, lambda {model.false_per_case:.3f}, "
        f"nu {model.found:.3f}",
    }


def _precision(
    share: float, half_width: float, icc: float, per_patient: float, as_json: bool
) -> None:
    from reader_study.stats.power.panel import design_effect, lesions_for_share

    effect = design_effect(icc=icc, per_patient=per_patient)
    lesions = lesions_for_share(share, half_width=half_width, effect_of_design=effect)
    facts = {
        "share": share,
        "half_width": half_width,
        "design_effect": effect,
        "lesions": lesions,
        "patients": lesions / per_patient,
    }
    if not emit(facts, as_json):
        typer.echo(
            f"{math.ceil(lesions)} lesions of {math.ceil(lesions / per_patient)} patients give a "
            f"share of {share:.0%} a 95 % interval of +- {half_width:.1%} (design effect "
            f"{effect:.2f})."
        )


def _observe(study: Path, passphrase_file: list[Path] | None, seed: int) -> "Pilot":
    import numpy as np

    from ctlab.console import working
    from reader_study.blinding.sealed_key import read_passphrases
    from reader_study.power.model_observer_pilot import run_pilot

    passphrase = read_passphrases(passphrase_file) if passphrase_file else ""
    with working("Model observers read") as advance:
        return run_pilot(
            study, rng=np.random.default_rng(seed), passphrase=passphrase, progress=advance
        )


def _print(facts: dict[str, Any]) -> None:
    if facts["label"]:
        typer.echo(facts["label"] + "\n")
    margin = f", margin {facts['margin']:g}" if facts["margin"] else ""
    assumed = facts["assumptions"]
    if "search model" in assumed:
        typer.echo(
            f"An effect of {assumed['effect in ROC area']:.3g} in ROC area is "
            f"{facts['effect']:.3g} in wAFROC area\n(search model: {assumed['search model']})."
        )
    typer.echo(
        f"Effect {facts['effect']:.3g} ({facts['effect_is']}){margin}.\n"
        f"Power by readers (down) and {facts['cases_are']} (across):"
    )
    sizes = list(dict.fromkeys(row["cases"] for row in facts["curve"]))
    by_reader: dict[int, list[str]] = {}
    for row in facts["curve"]:
        by_reader.setdefault(row["readers"], []).append(f"{row['power']:.2f}")
    rows = [(count, *values) for count, values in by_reader.items()]
    typer.echo(table(["readers", *map(str, sizes)], rows))
    best = next((row for row in facts["smallest"] if row["fewest"]), None)
    if best is None:
        most = max(facts["curve"], key=lambda row: row["power"])
        typer.echo(
            f"No design here reaches {facts['target']:.0%}; the most is {most['power']:.2f} with "
            f"{most['readers']} readers and {most['cases']} {facts['cases_are']}.\n"
            "More readers, or a larger effect, are needed."
        )
    else:
        typer.echo(
            f"Fewest readings for {facts['target']:.0%}: {best['readers']} readers, "
            f"{best['cases']} {facts['cases_are']} (power {best['power']:.2f})."
        )
    if "page" in facts:
        typer.echo(f"Page: {facts['page']}")
