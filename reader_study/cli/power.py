"""``reader-study power``: how many readers and cases a study needs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ctlab.console import emit, table

if TYPE_CHECKING:
    from reader_study.power.model_observer_pilot import Pilot

Kind = Literal["roc", "rating", "preference"]
KIND_OF = {"auc": "roc", "odds": "rating", "difference": "rating", "share": "preference"}


def power(
    kind: Annotated[Kind | None, typer.Argument(help="roc, rating or preference")] = None,
    effect: Annotated[
        float | None,
        typer.Option(help="difference of areas, odds ratio, or share that prefers the new arm"),
    ] = None,
    readers: Annotated[int | None, typer.Option(min=1, max=500, help="only this many")] = None,
    cases: Annotated[int | None, typer.Option(min=4, max=10_000, help="only this many")] = None,
    margin: Annotated[float, typer.Option(min=0, help="non-inferiority margin; 0: none")] = 0.0,
    target: Annotated[float, typer.Option(help="power to reach")] = 0.8,
    pilot: Annotated[Path | None, typer.Option(help="CSV: reader,case,arm,truth,rating")] = None,
    from_images: Annotated[
        Path | None, typer.Option(help="study whose images model observers read first")
    ] = None,
    passphrase_file: Annotated[
        list[Path] | None, typer.Option(help="with --from-images: read the locked allocation")
    ] = None,
    replicates: Annotated[int, typer.Option(min=1, help="simulated studies per design")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="of the simulations")] = 0,
    page: Annotated[Path | None, typer.Option(help="write an HTML page to explore")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Power over readers and cases, and the smallest design that reaches the target."""
    from ctlab.console import working
    from reader_study.power.sample_size import (
        CASES,
        READERS,
        USUAL_EFFECT,
        Aim,
        plan_power,
        read_pilot_csv,
    )

    observed = _observe(from_images, passphrase_file, seed) if from_images else None
    design = _design(kind, observed, pilot)
    usual = observed.effect if observed is not None else USUAL_EFFECT[design]
    effect = usual if effect is None else effect
    with working("Simulating studies") as advance:
        facts = plan_power(
            design,
            Aim(effect, margin, target, replicates, seed),
            pilot=observed,
            components=read_pilot_csv(pilot) if pilot else None,
            readers=(readers,) if readers else READERS,
            cases=(cases,) if cases else CASES,
            progress=advance,
        )
    if observed is not None:
        facts["pilot"] = observed.facts()
    if page is not None:
        from reader_study.report.power_page import write_power_page

        facts["page"] = str(write_power_page(page, facts))
    if not emit(facts, as_json):
        _print(facts)


def _design(kind: Kind | None, observed: "Pilot | None", pilot: Path | None) -> str:
    """The design asked for, or that of the study whose images were read."""
    design = kind or (KIND_OF[observed.endpoint] if observed is not None else None)
    if design is None:
        raise ValueError(
            "expected a design (roc, rating or preference), got none; name it, or pass "
            "--from-images STUDY"
        )
    if pilot is not None and design != "roc":
        raise ValueError("--pilot holds ROC ratings; use it with the design roc")
    return design


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
    typer.echo(
        f"Effect {facts['effect']:.3g} ({facts['effect_is']}){margin}.\n"
        "Power by readers (down) and cases (across):"
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
            f"{most['readers']} readers and {most['cases']} cases.\n"
            "More readers, or a larger effect, are needed."
        )
    else:
        typer.echo(
            f"Fewest readings for {facts['target']:.0%}: {best['readers']} readers, "
            f"{best['cases']} cases (power {best['power']:.2f})."
        )
    if "page" in facts:
        typer.echo(f"Page: {facts['page']}")
