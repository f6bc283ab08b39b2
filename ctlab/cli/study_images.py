"""Commands that make images for readers: arms of a study, forced-choice tests."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctlab.cli.options import (
    Exec,
    Json,
    Models,
    Overwrite,
    TimeLimit,
)
from ctlab.console import emit, say, say_problems, table, working

if TYPE_CHECKING:
    pass


def arms(
    cases: Annotated[list[Path], typer.Argument(metavar="CASE...", help="one series each")],
    out: Annotated[Path, typer.Option(help="folder for the arms; new or empty")],
    model: Models = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    dose: Annotated[
        float | None, typer.Option(help="dose fraction to simulate; default: as they are")
    ] = None,
    seed: Annotated[int, typer.Option(help="same seed, same noise")] = 0,
    maps: Annotated[
        Path | None, typer.Option(help="folder for maps over the images: what was removed")
    ] = None,
    risk: Annotated[
        Path | None, typer.Option(metavar="PASSPORT", help="maps show its band of risk instead")
    ] = None,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the arms of a reader study: low dose, and every --model on it."""
    from ctlab.workflows.model_spec import load_denoisers
    from ctlab.workflows.study_arms import write_arms

    factor = None
    if risk is not None:
        from ctlab.passport import risk_factor_of

        if maps is None:
            raise ValueError("expected --maps FOLDER with --risk, got none; name a folder")
        factor = risk_factor_of(risk)
    denoisers = load_denoisers(model or [], execute, time_limit_s=time_limit)
    problems: list[str] = []
    how: dict[str, Any] = {"dose": dose, "seed": seed, "maps": maps, "risk_factor": factor}
    names = write_arms(cases, out, denoisers, **how, overwrite=overwrite, note=problems.append)
    if not emit({"arms": names, "cases": len(cases), "problems": problems}, as_json):
        say(f"{len(cases)} cases in {len(names)} arms: {', '.join(names)}")
        say_problems(problems)
        if maps is not None:
            say(f"maps in {maps}; those of one arm go into STUDY/overlays")
        say(f"next: reader-study new STUDY --from {out}")


def forced_choice(
    series: Annotated[Path, typer.Argument(help="folder with one series at its own dose")],
    out: Annotated[Path, typer.Option(help="folder for the set; new or empty")],
    model: Models = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    dose: Annotated[float, typer.Option(help="dose fraction to simulate")] = 0.1,
    contrast_hu: Annotated[
        list[float] | None, typer.Option(help="of the lesion over lung; repeat. Default 40 80 160")
    ] = None,
    diameter_mm: Annotated[float, typer.Option(help="of the lesion")] = 6.0,
    places: Annotated[int, typer.Option(min=2, max=8, help="to choose from")] = 4,
    trials: Annotated[int, typer.Option(min=1, help="per contrast")] = 8,
    search: Annotated[
        bool, typer.Option("--search", help="one square: where is the lesion, if anywhere")
    ] = False,
    seed: Annotated[int, typer.Option(help="same seed, same places and noise")] = 0,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a forced-choice test: lesions of known contrast, low dose and every --model on it."""
    from ctlab.ct import read_series
    from ctlab.workflows.forced_choice_images import ForcedChoicePlan, write_forced_choice
    from ctlab.workflows.model_spec import load_denoisers
    from ctlab.workflows.search_images import SearchPlan, write_search

    asked = model or execute
    denoisers = load_denoisers(model or [], execute, time_limit_s=time_limit) if asked else []
    problems: list[str] = []
    chosen = {"contrasts_hu": tuple(contrast_hu)} if contrast_hu else {}
    rest: dict[str, Any] = {
        "dose": dose,
        "diameter_mm": diameter_mm,
        "trials": trials,
        "seed": seed,
        **chosen,
    }
    said: dict[str, Any] = {"overwrite": overwrite, "note": problems.append}
    with working("arms of every contrast"):
        full = read_series(series)
        if search:
            made = write_search(full, out, denoisers, plan=SearchPlan(**rest), **said)
        else:
            plan = ForcedChoicePlan(places=places, **rest)
            made = write_forced_choice(full, out, denoisers, plan=plan, **said)
    if not emit({**made, "problems": problems}, as_json):
        share = "share_found" if search else "share_expected"
        named = ("arm", "contrast_hu", "observer")
        rows = [
            [
                *(r[name] for name in named),
                round(r["d_prime"], 2),
                f"{r[share]:.0%}",
                *([f"{r['area']:.2f}"] if search else []),
            ]
            for r in made["observers"]
        ]
        last = ["found", "area"] if search else ["right"]
        say(table(["arm", "contrast (HU)", "observer", "d'", *last], rows))
        say_problems(problems)
        say(f"next: reader-study forced-choice pages {out} OUT --reader NAME")
