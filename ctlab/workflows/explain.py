"""A region of a DICOM series explained."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ctlab.console import Note, Progress
from ctlab.ct import Lesion, Volume, read_series
from ctlab.ct.denoiser import Denoiser
from ctlab.explain import (
    AuditPlan,
    DenoiserProbe,
    Explanation,
    Region,
    explain_region,
    region_of_nodule,
    write_archive,
    write_explanation,
)
from ctlab.explain.black_box import explain_black_box
from ctlab.explain.explanation_page import write_page
from ctlab.files import refuse_full_folder
from ctlab.input_files import read_array
from ctlab.learn import load_checkpoint
from ctlab.workflows.model_spec import TIME_LIMIT_S, load_denoiser


def find_region(
    volume: Volume,
    number: int,
    *,
    disc: Sequence[float] | None = None,
    box: Sequence[float] | None = None,
    mask: Path | None = None,
    nodule: Sequence[float] | None = None,
) -> Region:
    """The one region that was asked for, on slice ``number``.

    Parameters
    ----------
    disc : (y, x, radius), pixels
    box : (top, left, bottom, right), pixels
    mask : NPY file, bool, shape (y, x)
    nodule : (z, y, x, diameter in mm), voxels

    Raises
    ------
    ValueError
        None or more than one was given, or the region is not on the slice.
    """
    given = {"--roi": disc, "--box": box, "--mask": mask, "--nodule": nodule}
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        came = " and ".join(names) or "none"
        raise ValueError(f"give one region, by --roi, --box, --mask or --nodule; got {came}")
    if nodule is not None:
        z, y, x, diameter_mm = nodule
        ball = Lesion((z, y, x), diameter_mm, hu=0.0)
        shape = (int(volume.hu.shape[1]), int(volume.hu.shape[2]))
        return region_of_nodule(ball, number, shape, spacing_mm=volume.spacing_mm)
    if mask is not None:
        try:
            return read_array(mask, "is none") != 0
        except ValueError as error:
            raise ValueError(f"--mask must be an NPY file with a mask (y, x): {error}") from None
    return list(disc or box or ())


def explain_series(
    path: str | Path,
    number: int,
    *,
    checkpoint: Path | None = None,
    model: str | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    out: Path | None = None,
    dicom: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
    method: str | None = None,
    target: str = "mean",
    layer: str | None = None,
    more_tests: bool = False,
    series_uid: str | None = None,
    allow_gaps: bool = False,
    skip_damaged: bool = False,
    **region: Any,
) -> Explanation:
    """Explanation of a region of one slice of a series, written where it is wanted.

    Parameters
    ----------
    path : folder, zip or DICOMDIR
    number : slice; 0 is the first
    model : any denoiser; see :mod:`ctlab.workflows.model_spec`
    time_limit_s : for one call of a denoiser that is not the kit's own
    method : default: ``hirescam``, or ``occlusion`` for a denoiser that shows no layers
    out : NPZ for the map; a picture (PNG) and a page with the viewer (HTML) go beside it
    more_tests : also those of :func:`ctlab.explain.assess_map`
    dicom : new folder for secondary capture, segmentation and parametric map
    series_uid, allow_gaps : as for :func:`ctlab.ct.read_series`
    note : called with every finding about the series
    **region : as for :func:`find_region`

    Raises
    ------
    ValueError
        The slice is not in the series, or what the region, method, target or layer names is not
        there.
    """
    if out is not None and out.suffix.lower() != ".npz":
        raise ValueError(f"expected a name that ends in .npz for the map, got {out.name}")
    if dicom is not None:
        refuse_full_folder(dicom, overwrite=overwrite)
    reading = {"allow_gaps": allow_gaps, "skip_damaged": skip_damaged}
    volume = read_series(path, series_uid=series_uid, allow_tilt=True, **reading)  # one slice
    if note is not None:
        for problem in volume.problems:
            note(problem)
    if not 0 <= number < len(volume.hu):
        raise ValueError(f"--slice must be 0 to {len(volume.hu) - 1}, got {number}")
    if model is not None and checkpoint is not None:
        raise ValueError("--model names the denoiser; leave --checkpoint out")
    denoiser = None if model is None else load_denoiser(model, time_limit_s=time_limit_s)
    where = find_region(volume, number, **region)
    plan = AuditPlan(more_tests=more_tests, progress=progress)
    if denoiser is None or denoiser.checkpoint is not None:
        known = load_checkpoint(checkpoint) if denoiser is None else denoiser.checkpoint
        probe = DenoiserProbe(known)
        explanation = explain_region(
            probe,
            probe.of_stack(volume.hu, number),
            where,
            method=method or "hirescam",
            target=target,
            layer=layer,
            plan=plan,
        )
    else:
        explanation = _tried_out(denoiser, volume, number, where, method, target, layer, plan)
    if dicom is not None:
        write_archive(explanation, dicom, volume, number, overwrite=overwrite)
    if out is not None:
        write_explanation(explanation, out, out.with_suffix(".png"))
        write_page(explanation, out.with_suffix(".html"), spacing_mm=volume.spacing_mm)
    return explanation


def _tried_out(
    denoiser: Denoiser,
    volume: Volume,
    number: int,
    where: Region,
    method: str | None,
    target: str,
    layer: str | None,
    plan: AuditPlan,
) -> Explanation:
    """Explanation of a denoiser that shows no layers."""
    if layer is not None:
        raise ValueError(f"--layer belongs to networks, {denoiser.name} shows none; leave it out")
    near = volume.slices(max(0, number - 1), min(number + 2, len(volume.hu)))
    denoise = partial(denoiser.tuned_to(near).alone, spacing_mm=volume.spacing_mm)
    return explain_black_box(
        denoise, volume.hu[number], where, method=method or "occlusion", target=target, plan=plan
    )
