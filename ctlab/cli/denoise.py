"""Commands that denoise a series, or export the network that does."""

from pathlib import Path
from typing import TYPE_CHECKING

from ctlab.cli.options import (
    Adapt,
    AllowGaps,
    Checkpoint,
    Clip,
    Engine,
    Exec,
    Folder,
    Force,
    Json,
    Method,
    Model,
    Out,
    Overwrite,
    Precision,
    Resume,
    Series,
    SkipDamaged,
    Strength,
    TimeLimit,
    one_spec,
)
from ctlab.console import emit, say, say_problems, table, working
from ctlab.ct.datasets.dicomweb import shown_place, source_folder, target_folder

if TYPE_CHECKING:
    from ctlab.workflows.denoise import DenoiseReport


def denoise(
    folder: Folder,
    out: Out,
    checkpoint: Checkpoint = None,
    method: Method = "model",
    model: Model = None,
    execute: Exec = None,
    time_limit: TimeLimit = 600.0,
    engine: Engine = "torch",
    precision: Precision = "float32",
    strength: Strength = None,
    force: Force = False,
    adapt: Adapt = None,
    resume: Resume = False,
    as_json: Json = False,
    overwrite: Overwrite = False,
    series_uid: Series = None,
    allow_gaps: AllowGaps = False,
    skip_damaged: SkipDamaged = False,
    clip: Clip = False,
) -> None:
    """Write the series denoised, as a derived DICOM series; torchrun shares its slices."""
    from ctlab.workflows.denoise import denoise_series

    problems: list[str] = []
    with (
        source_folder(folder) as place,
        target_folder(out, problems.append) as put,
        working("denoising slices") as progress,
    ):
        report = denoise_series(
            place,
            put,
            method=method,
            checkpoint=checkpoint,
            model=one_spec(model, execute),
            time_limit_s=time_limit,
            engine=engine,
            precision=precision,
            strength=strength,
            force=force,
            adapt_s=adapt,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
            note=problems.append,
            series_uid=series_uid,
            allow_gaps=allow_gaps,
            skip_damaged=skip_damaged,
            clip=clip,
        )
    if report is None:  # another process tells
        return
    if not emit({**report.as_dict(), "problems": problems}, as_json):
        _say_denoised(report, out)
        say_problems(problems)


def _say_denoised(report: "DenoiseReport", out: Path | str) -> None:
    say(
        f"{report.slices} slices in {shown_place(out)}, {report.seconds:.1f} s\n"
        f"noise in soft tissue {report.noise_before_hu:.1f} HU before, "
        f"{report.noise_after_hu:.1f} HU after"
    )
    if report.adaptation:
        say(
            "adapted to this series in {steps} steps, {seconds:.0f} s (loss on a slice left out "
            "{loss_ratio:.3f} of\nwhat it was; level {level:.2f} and spectrum {shape:.2f} of the "
            "noise it was adapted with)".format(**report.adaptation)
        )
    for reason in report.applicability.get("reasons", []):
        say(f"- outside the model's range of use: {reason}")
    for note in report.applicability.get("notes", []):
        say(f"- {note}")


def export(
    out: Out,
    checkpoint: Checkpoint = None,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the model as ONNX with its card and scale inside, and as public model cards."""
    from ctlab.workflows.export_model import export_model

    made = export_model(out, checkpoint, overwrite=overwrite)
    if not emit(made, as_json):
        say(table(["what", "file"], list(made.items())))
        say(f"try it: ctlab passport --model {made['onnx']}")
