"""Options and arguments that several commands share, as annotations."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="folder, zip or DICOMDIR with DICOM")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="folder to write; must be new or empty")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object instead of text")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what OUT holds")]
Checkpoint = Annotated[
    Path | None, typer.Option(help="trained model; default: the one that ships with ctlab")
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="any denoiser: model, tv:0.8, net.onnx, net.pt, package.module:function",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="SPEC",
        help="any denoiser: model, tv:0.8, net.onnx, net.pt, package.module:function",
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
AllowTilt = Annotated[bool, typer.Option("--allow-tilt", help="take tilted slices as they are")]
Straighten = Annotated[bool, typer.Option("--straighten", help="resample tilted slices upright")]


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
