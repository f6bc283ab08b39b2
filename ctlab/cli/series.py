"""Commands on DICOM series: what there is, simulate, fetch, de-identify."""

from pathlib import Path
from textwrap import fill
from typing import Annotated

import typer

from ctlab.cli.options import AllowGaps, Clip, Folder, Json, Out, Overwrite, Series, SkipDamaged
from ctlab.console import emit, in_text, item, say, say_problems, table, working
from ctlab.ct.datasets.dicomweb import shown_place, source_folder, target_folder


def doctor(as_json: Json = False) -> None:
    """Tell what this installation can do, and what is missing."""
    from ctlab.doctor import diagnose

    facts = diagnose()
    if not emit(facts, as_json):
        yes = {True: "yes", False: "no"}
        rows = [("ctlab", facts["ctlab"]), ("Python", facts["python"]), ("cores", facts["cores"])]
        rows += [("torch", facts["torch"] or "not installed"), ("GPU", facts["cuda"] or "none")]
        rows += [(f"reads {name}", yes[works]) for name, works in facts["codecs"].items()]
        rows += [(f"part '{p}'", yes[not gone]) for p, gone in facts["parts"].items()]
        say(table(["what", "here"], rows))
        for remedy in facts["remedies"]:
            say(f"- {remedy}")
        say("The core works." if facts["ok"] else "The core is not complete.")
    raise typer.Exit(0 if facts["ok"] else 1)


def sample(
    out: Out,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the packaged sample: 40 slices of a real chest CT."""
    from ctlab.ct import SAMPLE_CREDIT, write_sample

    with target_folder(out) as put:
        count = write_sample(put, overwrite=overwrite)
    if not emit({"slices": count, "credit": SAMPLE_CREDIT}, as_json):
        say(f"{count} slices in {shown_place(out)}\n{fill(SAMPLE_CREDIT, 80)}")


def inspect(folder: Folder, as_json: Json = False) -> None:
    """Tell what a folder of DICOM holds, and what is wrong with it."""
    from ctlab.ct import inspect_folder

    with source_folder(folder) as place:
        reports = [report.as_dict() for report in inspect_folder(place)]
    if not emit({"series": reports}, as_json):
        for report in reports:
            shown = {k: v for k, v in report.items() if v not in (None, "", [], ())}
            problems = shown.pop("problems", [])
            uid = shown.pop("uid", "unknown")
            say(table(["series", uid], [(k, in_text(v)) for k, v in shown.items()]))
            for problem in problems or ["no problem found"]:
                say(item(problem))
    raise typer.Exit(0 if any(report["readable"] for report in reports) else 1)


def simulate(
    folder: Folder,
    out: Out,
    dose: Annotated[float, typer.Option(help="fraction of the scan's own dose, 0 < F <= 1")],
    seed: Annotated[int, typer.Option(help="same seed, same series")] = 0,
    as_json: Json = False,
    overwrite: Overwrite = False,
    series_uid: Series = None,
    allow_gaps: AllowGaps = False,
    skip_damaged: SkipDamaged = False,
    clip: Clip = False,
) -> None:
    """Write the series as if scanned at a fraction of its dose."""
    from ctlab.ct import simulate_series

    problems: list[str] = []
    with (
        source_folder(folder) as place,
        target_folder(out, problems.append) as put,
        working("simulating slices") as progress,
    ):
        report = simulate_series(
            place,
            put,
            fraction=dose,
            seed=seed,
            series_uid=series_uid,
            allow_gaps=allow_gaps,
            skip_damaged=skip_damaged,
            clip=clip,
            overwrite=overwrite,
            progress=progress,
            note=problems.append,
        )
    if not emit({**report.as_dict(), "problems": problems}, as_json):
        say(
            f"{report.slices} slices at {100 * dose:g} % of this scan's own dose in "
            f"{shown_place(out)}\nnoise in soft tissue {report.reference_noise_hu:.1f} HU before, "
            f"{report.noise_sd_hu:.1f} HU after (simulated)\n{report.calibration_in_words()}\n"
            + fill(f"left out: {'; '.join(report.left_out)}", 80)
        )
        say_problems([*problems, *filter(None, [report.spread_in_words()])])


def fetch(
    collection: Annotated[str, typer.Argument(help="mayo-chest, mayo-abdomen or lidc")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="folder to download to")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list, download nothing")] = False,
    patients: Annotated[int | None, typer.Option(help="only so many patients")] = None,
    as_json: Json = False,
) -> None:
    """Download a public collection, or list what would be downloaded."""
    from ctlab.ct.datasets import download

    report = download.fetch(collection, out, dry_run=dry_run, patients=patients)
    if not emit(report.as_dict(), as_json):
        verb = "downloaded to" if report.downloaded else "would go to"
        say(
            f"{len(report.series)} series of {report.patients} patients, "
            f"{report.bytes / 1e9:.1f} GB {verb} {out}\n{fill(report.credit, 80)}"
        )


def deidentify(
    folder: Folder, out: Out, as_json: Json = False, overwrite: Overwrite = False
) -> None:
    """Write copies without identity (DICOM PS3.15 basic profile)."""
    from ctlab.ct import deidentify_series
    from ctlab.ct.dicom.deidentify import NOT_DICOM

    changed: list[str] = []
    with source_folder(folder) as place, target_folder(out, changed.append) as put:
        report = deidentify_series(place, put, overwrite=overwrite)
    report.warnings += changed
    if not emit(report.as_dict(), as_json):
        say(f"{report.files} files in {shown_place(out)}; left out: {len(report.left_out)}")
        rows = [(name, "removed", count) for name, count in sorted(report.removed.items())]
        rows += [(name, "replaced", count) for name, count in sorted(report.replaced.items())]
        say(table(["element", "what", "files"], rows))
        for name, values in sorted(report.kept_text.items()):
            say(item(f"kept {name}: {', '.join(values)}"))
        for file, reason in sorted(report.left_out.items()):
            say(item(f"left out {file}: {reason}"))
        for warning in report.warnings:
            say(item(warning))
    images = [reason for reason in report.left_out.values() if reason != NOT_DICOM]
    raise typer.Exit(1 if images else 0)
