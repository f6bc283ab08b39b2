"""Options and arguments that several commands share, as annotations."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="folder, zip, DICOMDIR or dicomweb:URL#SERIES_UID")
]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="new or empty folder, or dicomweb:URL")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object instead of text")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what OUT holds")]
Checkpoint = Annotated[
    Path | None, typer.Option(help="trained model; default: the one that ships with ctlab")
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="any denoiser: model, tv:0.8, net.onnx, net.pt, net.toml, file.py:function",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="SPEC",
        help="any denoiser: model, tv:0.8, net.onnx, net.pt, net.toml, file.py:function",
    ),
]
Exec = Annotated[
    str | None,
    typer.Option("--exec", metavar="CMD", help="command on DICOM folders: 'denoise {in} {out}'"),
]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", help="seconds for one call of such a denoiser")
]

_UID = "Series Instance UID or its end, where a folder holds several"
Series = Annotated[str | None, typer.Option("--series", metavar="UID", help=_UID)]
SeriesOfEach = Annotated[list[str] | None, typer.Option("--series", metavar="UID", help=_UID)]
AllowGaps = Annotated[bool, typer.Option("--allow-gaps", help="read series with gaps, too")]
SkipDamaged = Annotated[
    bool, typer.Option("--skip-damaged", help="leave out files that are cut short or unreadable")
]
Clip = Annotated[
    bool, typer.Option("--clip", help="clamp HU beyond -33792 to 31743, so that one rescale fits")
]
AllowTilt = Annotated[bool, typer.Option("--allow-tilt", help="take tilted slices as they are")]
Straighten = Annotated[bool, typer.Option("--straighten", help="resample tilted slices upright")]

# how a series is denoised: ctlab denoise
Method = Annotated[str, typer.Option(help="model, nlm, tv, bilateral or bm3d")]
Engine = Annotated[str, typer.Option(help="of the model: torch, onnx or openvino")]
Precision = Annotated[
    str, typer.Option(help="of the model with torch: float32, or bfloat16 for speed")
]
Strength = Annotated[
    float | None, typer.Option(help="of a filter in noise SDs, of a switchable model 0 to 1")
]
Force = Annotated[bool, typer.Option("--force", help="also outside the model's range of use")]
Adapt = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="train the model on this very series first")
]
Resume = Annotated[bool, typer.Option("--resume", help="go on with what a killed run left")]

# a map of one region: ctlab explain
MaybeFolder = Annotated[
    Path | None, typer.Argument(metavar="DIR", help="folder, zip or DICOMDIR with DICOM")
]
Slice = Annotated[int | None, typer.Option("--slice", help="slice; 0 is the first")]
Disc = Annotated[
    tuple[float, float, float] | None,
    typer.Option(metavar="Y X R", help="row, column and radius in pixels"),
]
Box = Annotated[
    tuple[int, int, int, int] | None,
    typer.Option(metavar="T L B R", help="top, left, bottom, right in pixels"),
]
Mask = Annotated[Path | None, typer.Option(help="NPY file with a mask of the slice")]
Nodule = Annotated[
    tuple[float, float, float, float] | None,
    typer.Option(metavar="Z Y X MM", help="annotated nodule: voxel and diameter in mm"),
]
MapMethod = Annotated[
    str | None,
    typer.Option(help="hirescam (default), gradcam, ...; --model: occlusion, gradient, rise"),
]
Target = Annotated[str, typer.Option(help="mean, edge, noise, template, ...")]
Layer = Annotated[str | None, typer.Option(help="layer of a CAM; a wrong one lists all")]
MapOut = Annotated[
    Path | None, typer.Option(help="NPZ; PNG and HTML beside it; with --study a JSON file")
]
MapDicom = Annotated[
    Path | None, typer.Option(help="folder for the map as capture, SEG and Parametric Map")
]
MoreTests = Annotated[
    bool, typer.Option("--tests", help="also infidelity, sensitivity-n, ... of the map; slower")
]
OnSample = Annotated[
    bool, typer.Option("--study", help="all methods on the packaged sample; takes no DIR")
]

# every check on a denoiser: ctlab passport
Patients = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="DIR...", help="one reference-dose series a patient; default: the packaged sample"
    ),
]
Checkpoints = Annotated[
    list[Path] | None, typer.Option(help="trained model; more than one are compared")
]
Methods = Annotated[
    list[str] | None, typer.Option(help="nlm, tv, bilateral, bm3d or model (the shipped one)")
]
Before = Annotated[
    list[Path] | None, typer.Option(help="what a denoiser was given; once a patient, no DIR")
]
After = Annotated[list[Path] | None, typer.Option(help="what it gave, in the same order")]
HigherDose = Annotated[list[Path] | None, typer.Option(help="the same patients at higher dose")]
ExportProbes = Annotated[
    Path | None,
    typer.Option(
        "--export-probes", metavar="DIR", help="write images for a denoiser that runs elsewhere"
    ),
]
ImportProbes = Annotated[
    Path | None,
    typer.Option(
        "--import-probes",
        metavar="DIR",
        help="those images, processed; DIR... is where they were written",
    ),
]
Page = Annotated[Path | None, typer.Option(help="folder for the page; new or empty")]
Dose = Annotated[float, typer.Option(help="dose fraction to simulate")]
SlicesOfEach = Annotated[int, typer.Option(help="slices looked at in each series")]
Limits = Annotated[Path | None, typer.Option(help="TOML file with limits of your own")]
OnlyChecks = Annotated[
    str | None,
    typer.Option("--checks", help="only these families: accuracy,noise,detection,..."),
]
Seed = Annotated[int, typer.Option(help="same seed, same passport")]
Compare = Annotated[
    bool, typer.Option("--compare", help="the folders are passports: put them side by side")
]


def one_spec(model: str | None, execute: str | None) -> str | None:
    """The line that names a denoiser, from ``--model`` or ``--exec``.

    Examples
    --------
    >>> one_spec(None, "denoise {in} {out}")
    'exec:denoise {in} {out}'
    """
    if model is not None and execute is not None:
        raise ValueError("--model and --exec name one denoiser each; give one of them")
    return model if execute is None else f"exec:{execute}"
