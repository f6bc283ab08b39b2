"""The command that runs every check on a denoiser: passport."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctlab.cli.options import (
    After,
    AllowGaps,
    AllowTilt,
    Before,
    Checkpoints,
    Compare,
    Dose,
    Exec,
    ExportProbes,
    HigherDose,
    ImportProbes,
    Json,
    Limits,
    Methods,
    Models,
    OnlyChecks,
    Overwrite,
    Page,
    Patients,
    Seed,
    Series,
    SeriesOfEach,
    SkipDamaged,
    SlicesOfEach,
    Straighten,
    TimeLimit,
)
from ctlab.console import emit, item, say, say_problems, table, working

if TYPE_CHECKING:
    from ctlab.passport import Limit, Passport


def passport(
    folders: Patients = None,
    checkpoint: Checkpoints = None,
    method: Methods = None,
    model: Models = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    before: Before = None,
    after: After = None,
    reference: HigherDose = None,
    export: ExportProbes = None,
    processed: ImportProbes = None,
    out: Page = None,
    dose: Dose = 0.1,
    slices: SlicesOfEach = 8,
    limits: Limits = None,
    checks: OnlyChecks = None,
    seed: Seed = 0,
    compare: Compare = False,
    as_json: Json = False,
    overwrite: Overwrite = False,
    series_uid: SeriesOfEach = None,
    allow_gaps: AllowGaps = False,
    skip_damaged: SkipDamaged = False,
    allow_tilt: AllowTilt = False,
    straighten: Straighten = False,
) -> None:
    """Run every check on a denoiser; exit code 1 where one fails its limit."""
    from ctlab import passport as passports
    from ctlab.workflows.model_spec import load_denoisers

    bounds = passports.DEFAULT_LIMITS if limits is None else passports.read_limits(limits)
    reading: dict[str, Any] = {"allow_gaps": allow_gaps, "skip_damaged": skip_damaged}
    reading |= {"allow_tilt": allow_tilt, "straighten": straighten}
    problems: list[str] = []
    how: dict[str, Any] = {"reading": reading, "slices": slices, "seed": seed, "limits": bounds}
    how |= {"note": problems.append, "overwrite": overwrite}
    denoisers = {"checkpoint": checkpoint, "method": method, "model": model, "exec": execute}
    series = (before or [], after or [], reference or [])
    elsewhere = bool(export or processed or any(series))
    _check_asked(denoisers, folders or series_uid, elsewhere, compare=compare, pairs=any(series))
    if not any(series):
        reading["series_uid"] = series_uid or []
    if export is not None:
        how = {"dose": dose, "slices": slices, "seed": seed, "overwrite": overwrite}
        _export(folders or [], export, reading, as_json, **how)
        return
    if compare:
        by_name = _compared(folders or [], out, overwrite=overwrite)
    elif processed is not None:
        by_name = _imported(folders or [], processed, out, bounds, overwrite=overwrite)
    elif any(series):
        by_name = _before_and_after(series, out, **how)
    else:
        models = load_denoisers(model or [], execute, time_limit_s=time_limit)
        how |= {"checkpoints": checkpoint or [], "methods": method or [], "models": models}
        how |= {"dose": dose, "only": checks.split(",") if checks else ()}
        with working("checking the denoiser") as progress:
            by_name = passports.passports_of_folders(folders or [], out, progress=progress, **how)
    _say_passports(by_name, out, as_json, problems, compare=compare)
    raise typer.Exit(0 if all(p.passed for p in by_name.values()) else 1)


def _check_asked(
    denoisers: dict[str, Any], given: Any, elsewhere: bool, *, compare: bool, pairs: bool
) -> None:
    """Refuse options that do not go together, and none at all."""
    named = [f"--{name}" for name, value in denoisers.items() if value]
    if elsewhere and (named or compare):
        raise ValueError(
            f"expected probes, or images before and after, without a denoiser, got "
            f"{' and '.join(named) or '--compare'} beside them; leave it out"
        )
    if pairs and given:
        raise ValueError(
            "--before and --after name all that is looked at; leave DIR, --series and the "
            "denoiser out"
        )
    if not (given or named or elsewhere):
        raise ValueError(
            "expected folders with series, or --before and --after, or a denoiser (--model) or "
            "probes, got none; name one of them"
        )


def _compared(folders: list[Path], out: Path | None, *, overwrite: bool) -> "dict[str, Passport]":
    """Passports that were written before, and their comparison where a folder is named."""
    from ctlab import passport as passports

    by_name = passports.read_passports(folders)
    if out is not None:
        passports.write_comparison(by_name, out, overwrite=overwrite)
    return by_name


def _export(
    folders: list[Path], out: Path, reading: dict[str, Any], as_json: bool, **how: Any
) -> None:
    """Write probes of series, or of the packaged sample where none is named."""
    from ctlab import passport as passports

    with working("making the probes") as progress:
        volumes = passports.volumes_of(folders, reading)
        count = passports.export_probes(volumes, out, progress=progress, **how)
    facts = {"slices": count, "images": str(out / "images"), "key": str(out / "key.json")}
    if not emit(facts, as_json):
        say(
            f"{count} slices in {out / 'images'}: have every series processed there\n"
            f"keep key.json and key.npz in {out}, then\n"
            f"ctlab passport {out} --import-probes PROCESSED"
        )


def _imported(
    folders: list[Path],
    processed: Path,
    out: Path | None,
    limits: "Mapping[str, Limit]",
    *,
    overwrite: bool,
) -> "dict[str, Passport]":
    """Passport from probes that were processed elsewhere, written where it is wanted."""
    from ctlab import passport as passports

    if len(folders) > 1:
        raise ValueError(f"expected one DIR, the folder of --export-probes, got {len(folders)}")
    key = folders[0] if folders else passports.find_key(processed)
    with working("checking the answers") as progress:
        passport = passports.import_probes(key, processed, limits=limits, progress=progress)
    if out is not None:
        passports.write_passport(passport, out, overwrite=overwrite)
    return {str(passport.facts["denoiser"]): passport}


def _before_and_after(
    series: tuple[list[Path], list[Path], list[Path]],
    out: Path | None,
    *,
    overwrite: bool,
    **how: Any,
) -> "dict[str, Passport]":
    """Passport of series before and after, written where it is wanted."""
    from ctlab import passport as passports

    with working("checking before and after") as progress:
        passport = passports.passport_before_after(*series, progress=progress, **how)
    if out is not None:
        passports.write_passport(passport, out, overwrite=overwrite)
    return {"before and after": passport}


def _say_passports(
    by_name: "dict[str, Passport]",
    out: Path | None,
    as_json: bool,
    problems: list[str],
    *,
    compare: bool,
) -> None:
    """Print one passport, or several side by side."""
    from ctlab import passport as passports

    several = len(by_name) > 1 or compare
    facts = (
        passports.comparison(passports.side_by_side(by_name))
        if several
        else next(iter(by_name.values())).as_dict()
    )
    if not emit({**facts, "problems": problems}, as_json):
        say(passports.in_words(facts))
        say_problems(problems)
        if out is not None:
            say(f"page in {out / 'comparison' if several and not compare else out}")


def archive(
    passport: Annotated[Path, typer.Argument(help="folder of a passport, or its passport.json")],
    series: Annotated[Path, typer.Argument(help="the series that it was made of")],
    out: Annotated[Path, typer.Option(help="file to write, .dcm")],
    series_uid: Series = None,
) -> None:
    """Write a passport's numbers as a DICOM structured report for the archive."""
    from ctlab import passport as passports
    from ctlab.ct import read_series

    volume = read_series(series, series_uid=series_uid, allow_gaps=True, allow_tilt=True)
    made = passports.write_structured_report(
        passports.read_passport(passport), out, list(dict.fromkeys(volume.sources))
    )
    say(f"structured report in {made}")


def rank(
    folder: Annotated[Path, typer.Argument(metavar="FILTERS", help="files NAME.py of a class")],
    series: Patients = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="secret seeds of the noise, as 17,4; default: drawn, and told"),
    ] = None,
    dose: Dose = 0.1,
    slices: SlicesOfEach = 4,
    time_limit: TimeLimit = 60.0,
    csv: Annotated[Path | None, typer.Option(help="also write the table")] = None,
    as_json: Json = False,
) -> None:
    """Rank the filters of a class by passports on hidden seeds."""
    import secrets

    from ctlab import passport as passports
    from ctlab.assess import write_table

    try:
        chosen = [int(s) for s in seeds.split(",")] if seeds else [secrets.randbelow(2**31)]
    except ValueError:
        raise ValueError(f"--seeds: expected whole numbers as in 17,4, got {seeds!r}") from None
    found = passports.rank_filters(
        folder,
        passports.volumes_of(series or [], {}),
        seeds=chosen,
        dose=dose,
        slices=slices,
        time_limit_s=time_limit,
    )
    if csv is not None:
        write_table(found, csv)
    if not emit({"seeds": chosen, "filters": found.to_dict("records")}, as_json):
        shown = ["rank", "name", "passed", "failed", "error_left", "noise_left"]
        rows = [[_short(v) for v in row] for row in found[shown].to_numpy(object)]
        say(table([c.replace("_", " ") for c in shown], rows))
        for row in found.itertuples():
            say(item(f"{row.name}: {row.note}"))
        say(f"seeds {', '.join(map(str, chosen))}")


def _short(value: Any) -> str:
    """A cell of the table: three digits; a dash where nothing was measured."""
    if (isinstance(value, float) and value != value) or value == float("inf"):
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
