"""The command that explains what a denoiser did in a region."""

from pathlib import Path
from typing import Any

from ctlab.cli.options import (
    AllowGaps,
    Box,
    Checkpoint,
    Disc,
    Exec,
    Json,
    Layer,
    MapDicom,
    MapMethod,
    MapOut,
    Mask,
    MaybeFolder,
    Model,
    MoreTests,
    Nodule,
    OnSample,
    Overwrite,
    Series,
    SkipDamaged,
    Slice,
    Target,
    TimeLimit,
    one_spec,
)
from ctlab.console import emit, say, say_problems, working


def explain(
    folder: MaybeFolder = None,
    number: Slice = None,
    roi: Disc = None,
    box: Box = None,
    mask: Mask = None,
    nodule: Nodule = None,
    method: MapMethod = None,
    target: Target = "mean",
    layer: Layer = None,
    checkpoint: Checkpoint = None,
    model: Model = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    out: MapOut = None,
    dicom: MapDicom = None,
    tests: MoreTests = False,
    study: OnSample = False,
    as_json: Json = False,
    overwrite: Overwrite = False,
    series_uid: Series = None,
    allow_gaps: AllowGaps = False,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Map what a region's value was made from, with the audit of the map."""
    from ctlab.explain.explanation_page import facts, in_words
    from ctlab.workflows.explain import explain_series

    region: dict[str, Any] = {"disc": roi, "box": box, "mask": mask, "nodule": nodule}
    reading: dict[str, Any] = {"series_uid": series_uid, "allow_gaps": allow_gaps}
    reading["skip_damaged"] = skip_damaged
    if study:
        if any((folder, number is not None, dicom, *region.values(), *reading.values())):
            raise ValueError("--study takes no series, region or --dicom; it runs on the sample")
        _explain_sample(checkpoint, out, as_json)
        return
    if folder is None or number is None:
        raise ValueError("name the series and --slice K, or use --study for the packaged sample")
    problems: list[str] = []
    with working("auditing the map") as progress:
        explanation = explain_series(
            folder,
            number,
            method=method,
            target=target,
            layer=layer,
            checkpoint=checkpoint,
            model=one_spec(model, execute),
            time_limit_s=time_limit,
            out=out,
            dicom=dicom,
            more_tests=tests,
            overwrite=overwrite,
            progress=progress,
            note=problems.append,
            **region,
            **reading,
        )
    if not emit({**facts(explanation), "problems": problems}, as_json):
        say(in_words(explanation, out=out, dicom=dicom))
        say_problems(problems)


def _explain_sample(checkpoint: Path | None, out: Path | None, as_json: bool) -> None:
    """Audit every method on the packaged sample, and print the table."""
    from ctlab.explain.method_comparison import study_in_words, study_of_sample

    with working("auditing all methods") as progress:
        audit = study_of_sample(checkpoint=checkpoint, out=out, progress=progress)
    if not emit(audit, as_json):
        say(study_in_words(audit))
