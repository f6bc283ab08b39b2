"""A region of a DICOM series explained, and the study of all methods on the packaged sample."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from ctlab.command import table
from ctlab.ct import SAMPLE_NODULE, Lesion, Volume, load_sample, read_series, simulate_dose
from ctlab.ct.files import write_whole
from ctlab.explain import (
    STUDY_METHODS,
    AuditPlan,
    Explanation,
    Region,
    Subject,
    explain_region,
    region_of_nodule,
    study_methods,
    write_archive,
    write_explanation,
)
from ctlab.explain.methods import is_possible
from ctlab.explain.usefulness import usefulness
from ctlab.explained import limits_in_words, write_page
from ctlab.learn import load_checkpoint

Progress = Callable[[int, int], None]
STUDY_COMMAND = "ctlab explain --study"
STUDY_DOSE, STUDY_SEED, STUDY_SLICES = 0.1, 7, (12, 20, 28)
_ONE_LUNG = (slice(150, 406), slice(60, 316))
_STUDY_PLAN = AuditPlan(draws=4, random_networks=3, fractions=(0.005, 0.02, 0.08))


def study_in_words(result: dict[str, Any]) -> str:
    """The two tables of :func:`study_of_sample` for a terminal of 80 columns."""
    audits: dict[str, list[tuple[str, ...]]] = {}
    for r in result["methods"]:
        audits.setdefault(r["region"], []).append(
            (r["method"], r["verdict"], _cell(r["deletion_over_random"]),
             _cell(r["deletion_over_nearest"]), _cell(r["randomised_cosine"]))
        )  # fmt: skip
    finds = [
        (r["kind"], r["map"], _cell(r["auc"]), _cell(r["auc_low"]), _cell(r["auc_high"]),
         _cell(r["found_at_one_false"]))
        for r in result["usefulness"]
    ]  # fmt: skip
    return "\n".join(
        [
            "Change of the target when marked pixels are replaced, over that of random and",
            "of nearest pixels (1 is no better); likeness to maps of shuffled weights:",
            *[
                table([region, "verdict", "random", "nearest", "shuffled"], rows) + "\n"
                for region, rows in audits.items()
            ],
            "How well each map finds nodules that were erased or invented on purpose:",
            table(["failure", "map", "AUC", "low", "high", "found"], finds),
            "found: share marked at one false mark per slice",
            fill(result["limits"], 80),
        ]
    )


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


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
            return np.load(mask, allow_pickle=False) != 0
        except ValueError as error:
            raise ValueError(f"--mask must be an NPY file with a mask (y, x): {error}") from None
    return list(disc or box or ())


def explain_series(
    path: str | Path,
    number: int,
    *,
    checkpoint: Path | None = None,
    out: Path | None = None,
    dicom: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    method: str = "hirescam",
    target: str = "mean",
    layer: str | None = None,
    series_uid: str | None = None,
    allow_gaps: bool = False,
    **region: Any,
) -> Explanation:
    """Explanation of a region of one slice of a series, written where it is wanted.

    Parameters
    ----------
    path : folder, zip or DICOMDIR
    number : slice; 0 is the first
    out : NPZ for the map; a picture (PNG) and a page with the viewer (HTML) go beside it
    dicom : new folder for a secondary capture and a segmentation
    series_uid, allow_gaps : as for :func:`ctlab.ct.read_series`
    **region : as for :func:`find_region`

    Raises
    ------
    ValueError
        The slice is not in the series, or what the region, method, target or layer names is not
        there.
    """
    volume = read_series(  # one slice is asked for
        path, series_uid=series_uid, allow_gaps=allow_gaps, allow_tilt=True
    )
    if not 0 <= number < len(volume.hu):
        raise ValueError(f"--slice must be 0 to {len(volume.hu) - 1}, got {number}")
    subject = Subject(load_checkpoint(checkpoint))
    found = explain_region(
        subject,
        subject.of_stack(volume.hu, number),
        find_region(volume, number, **region),
        method=method,
        target=target,
        layer=layer,
        plan=AuditPlan(progress=progress),
    )
    if dicom is not None:
        write_archive(found, dicom, volume, number, overwrite=overwrite)
    if out is not None:
        write_explanation(found, out, out.with_suffix(".png"))
        write_page(found, out.with_suffix(".html"), spacing_mm=volume.spacing_mm)
    return found


def study_regions(volume: Volume) -> dict[str, Region]:
    """Three places on the slice through the sample's nodule: the nodule, the aorta, a lung."""
    z = SAMPLE_NODULE.centre[0]
    shape = (int(volume.hu.shape[1]), int(volume.hu.shape[2]))
    nodule = region_of_nodule(SAMPLE_NODULE, z, shape, spacing_mm=volume.spacing_mm)
    return {"nodule": nodule, "aorta": (320, 264, 8), "lung": (250, 130, 8)}


def study_of_sample(
    *,
    checkpoint: Path | None = None,
    out: Path | None = None,
    methods: Sequence[str] = STUDY_METHODS,
    plants: int = 12,
    plan: AuditPlan = _STUDY_PLAN,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Every method on three regions, and every map on planted failures, at a tenth of the dose.

    Parameters
    ----------
    out : JSON file for the result, optional
    plants : failures of each kind, see :func:`ctlab.explain.usefulness`

    Returns
    -------
    dict
        ``command``, ``checkpoint`` (SHA-256 of its weights), ``dose``, ``limits``, ``methods``
        (rows of :func:`ctlab.explain.study_methods`) and ``usefulness`` (rows).
    """
    volume = load_sample()
    model = load_checkpoint(checkpoint)
    subject = Subject(model)
    scans = [_scan(subject, volume, z) for z in STUDY_SLICES]
    regions = study_regions(volume)
    methods = [name for name in methods if is_possible(name, subject)]
    audits = (len(methods) + 1) * len(regions)
    total = audits + 2 * plants
    step = progress or (lambda done, all_: None)
    middle = scans[STUDY_SLICES.index(SAMPLE_NODULE.centre[0])]
    audited = study_methods(
        subject, middle, regions, methods=methods, plan=plan, progress=lambda k, n: step(k, total)
    )
    finds = usefulness(
        subject,
        np.stack([scan[..., *_ONE_LUNG] for scan in scans]),
        rng=np.random.default_rng(STUDY_SEED),
        plants=plants,
        progress=lambda k, n: step(audits + k, total),
    )
    result: dict[str, Any] = {
        "command": STUDY_COMMAND,
        "checkpoint": fingerprint(model),
        "dose": STUDY_DOSE,
        "limits": limits_in_words(plan.limits),
        "methods": json.loads(audited.to_json(orient="records")),
        "usefulness": json.loads(finds.to_json(orient="records")),
    }
    if out is not None:
        with write_whole(out) as part:
            part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def packaged_study() -> dict[str, Any]:
    """The study of the shipped model, as :func:`study_of_sample` wrote it."""
    stored = files("ctlab.explain") / "study_results.json"
    return json.loads(stored.read_text("utf-8"))


def _scan(subject: Subject, volume: Volume, z: int) -> np.ndarray:
    """Slice ``z`` at the study's dose, (y, x), or with the neighbours that the model sees."""
    reach = subject.channels // 2
    near = replace(volume, hu=volume.hu[z - reach : z + reach + 1], sources=())
    low = simulate_dose(near, STUDY_DOSE, rng=np.random.default_rng(STUDY_SEED))
    return subject.of_stack(low.hu, reach)


def fingerprint(model: Any) -> str:
    """SHA-256 of the denoiser's weights, so that a table can be matched with its model."""
    digest = hashlib.sha256()
    for name, values in sorted(model.denoiser().state_dict().items()):
        digest.update(name.encode())
        digest.update(values.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
