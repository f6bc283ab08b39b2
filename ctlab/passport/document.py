"""The passport itself: made from series and a checkpoint, written, read and compared."""

import hashlib
import json
import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctlab import __version__
from ctlab.ct import Volume, fresh_folder, read_series
from ctlab.passport import page
from ctlab.passport.checks import CHECKS, NAMES, Finding
from ctlab.passport.limits import DEFAULT_LIMITS, Limit
from ctlab.passport.scene import Denoiser, Scene, make_scene

FORMAT_VERSION = 1
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Passport:
    """Every check of one checkpoint on given series.

    Attributes
    ----------
    checks : list of dict
        ``name, value, limit, passed, unit, note, source``; value and passed are None where a
        check could not be made, and the note says why.
    facts : dict
        Checkpoint, card, data and code hashes, dose, seed, machine.
    tables : dict from a name to rows
    pictures : dict from a name to RGB uint8
    """

    checks: list[dict[str, Any]]
    facts: dict[str, Any]
    tables: dict[str, list[dict[str, Any]]]
    pictures: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def passed(self) -> bool:
        """Whether no check failed; one that could not be made counts as neither."""
        return all(check["passed"] is not False for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that are not finite become null."""
        content = {"format_version": FORMAT_VERSION, "passed": self.passed}
        return _plain(content | {"facts": self.facts, "checks": self.checks, "tables": self.tables})


def make_passport(
    volumes: Sequence[Volume],
    checkpoint: Any = None,
    *,
    dose: float = 0.1,
    slices: int = 8,
    limits: Mapping[str, Limit] = DEFAULT_LIMITS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Passport:
    """All checks of a checkpoint on reference-dose series, whose low dose is simulated.

    Parameters
    ----------
    volumes : one series a patient
    checkpoint : Checkpoint, optional
        None takes the one that ships.
    dose : float
        Dose fraction simulated, 0 < dose < 1.
    slices : int
        Of each series, spread evenly: memory and time depend on it and not on the series' length.
    limits : see :func:`ctlab.passport.read_limits`

    Raises
    ------
    ValueError
        No series, or a dose outside the open interval.
    """
    from ctlab.learn import denoise_slices, load_checkpoint

    if not volumes or not 0 < dose < 1:
        raise ValueError(f"pass 1 or more series and 0 < dose < 1, got {len(volumes)} and {dose}")
    checkpoint = load_checkpoint() if checkpoint is None else checkpoint
    model = checkpoint.denoiser()

    def denoise(images: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [denoise_slices(images[k : k + 4], model) for k in range(0, len(images), 4)]
        )

    rng = np.random.default_rng(seed)
    steps = len(volumes) + len(CHECKS) + 1
    scenes = []
    for volume in volumes:
        scenes.append(make_scene(volume, denoise, dose=dose, slices=slices, rng=rng))
        _tell(progress, len(scenes), steps)
    checks, tables = measure(scenes, denoise, limits=limits, seed=seed, progress=progress)
    explained, picture = _explanation(checkpoint, scenes[0], limits, seed)
    _tell(progress, steps, steps)
    facts = _facts(checkpoint, volumes, dose=dose, slices=slices, seed=seed)
    pictures = {"slices": page.slices_picture(scenes[0]), "explanation": picture}
    pictures |= page.curves(tables)
    return Passport([*checks, explained], facts, tables, pictures)


def measure(
    scenes: list[Scene],
    denoise: Denoiser,
    *,
    limits: Mapping[str, Limit] = DEFAULT_LIMITS,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Checks and tables of any denoiser on scenes; no check stops the others."""
    rows: list[dict[str, Any]] = []
    tables: dict[str, list[dict[str, Any]]] = {}
    for k, (name, check) in enumerate(CHECKS.items()):
        try:
            finding = check(scenes, denoise, np.random.default_rng([seed, k]))
        except ValueError as error:  # these series cannot answer this check: said in its row
            reason = dict.fromkeys(NAMES[name], str(error))
            finding = Finding(dict.fromkeys(NAMES[name]), reason)
        rows += [_row(n, v, finding.notes.get(n, ""), limits[n]) for n, v in finding.values.items()]
        tables |= finding.tables
        _tell(progress, len(scenes) + k + 1, len(scenes) + len(CHECKS) + 1)
    return rows, tables


def passport_of_folders(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    checkpoint: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Passport:
    """Passport of a checkpoint file on DICOM folders, written to a folder.

    ``options`` are those of :func:`make_passport`.
    """
    from ctlab.learn import load_checkpoint

    volumes = [read_series(folder) for folder in folders]
    made = make_passport(volumes, load_checkpoint(checkpoint), progress=progress, **options)
    write_passport(made, out, overwrite=overwrite)
    return made


def write_passport(passport: Passport, out: str | Path, *, overwrite: bool = False) -> None:
    """Writes ``passport.json``, ``index.html`` and its pictures into a new folder."""
    with fresh_folder(out, overwrite=overwrite) as folder:
        text = json.dumps(passport.as_dict(), indent=1, allow_nan=False)
        (folder / "passport.json").write_text(text, encoding="utf-8")
        for name, rgb in passport.pictures.items():
            page.save_png(rgb, folder / f"{name}.png")
        html = page.page(passport.as_dict(), list(passport.pictures))
        (folder / "index.html").write_text(html, encoding="utf-8")


def read_passport(path: str | Path) -> Passport:
    """Passport from its ``passport.json`` or the folder that holds it; pictures stay there."""
    path = Path(path)
    path = path / "passport.json" if path.is_dir() else path
    content = json.loads(path.read_text(encoding="utf-8"))
    written = content.get("format_version")
    if not isinstance(written, int) or written > FORMAT_VERSION:
        raise ValueError(
            f"{path} is no passport this version reads: format {written}, known up to "
            f"{FORMAT_VERSION}"
        )
    return Passport(content["checks"], content["facts"], content["tables"])


def compare_passports(first: Passport, second: Passport) -> pd.DataFrame:
    """Two passports side by side, one row per check: ``check, limit``, values and results.

    Raises
    ------
    ValueError
        They were made at different doses: their numbers do not compare.
    """
    doses = first.facts["dose"], second.facts["dose"]
    if doses[0] != doses[1]:
        raise ValueError(f"the passports were made at doses {doses[0]} and {doses[1]}; make anew")
    tables = [pd.DataFrame(p.checks)[["name", "limit", "value", "passed"]] for p in (first, second)]
    joined = tables[0].merge(
        tables[1].drop(columns="limit"), on="name", how="outer", suffixes=("_first", "_second")
    )
    return joined.rename(columns={"name": "check"})


def _row(name: str, value: float | None, note: str, limit: Limit) -> dict[str, Any]:
    known = value is not None and math.isfinite(value)
    return {
        "name": name,
        "value": value if known else None,
        "limit": str(limit),
        "passed": limit.allows(float(value)) if known else None,  # type: ignore[arg-type]
        "unit": limit.unit,
        "note": note,
        "source": limit.source,
    }


def _explanation(checkpoint, scene: Scene, limits, seed: int):
    """Audit of the default map on a disc of lung, as a check, and its picture."""
    from ctlab.assess import find_rois
    from ctlab.explain import AuditPlan, explain_region, picture
    from ctlab.passport.scene import LUNG_HU

    name = "explanation better than chance"
    k = len(scene.low) // 2
    corners = find_rois(scene.full.hu[k], LUNG_HU, size_px=32)
    if len(corners) == 0:
        note = "no lung of 32 px was found in the middle slice"
        return _row(name, None, note, limits[name]), np.zeros((8, 8, 3), np.uint8)
    y, x = corners[len(corners) // 2]
    found = explain_region(
        checkpoint, scene.low[k], (int(y) + 16, int(x) + 16, 8), plan=AuditPlan(seed=seed)
    )
    value = float(found.verdict != "no better than chance")
    return _row(name, value, found.in_words(), limits[name]), picture(found)


def _facts(checkpoint, volumes: Sequence[Volume], **settings: Any) -> dict[str, Any]:
    from ctlab.assess import check_applicability

    data = []
    for volume in volumes:
        head = asdict(volume.acquisition) | {"shape": volume.shape, "spacing_mm": volume.spacing_mm}
        data.append(head | {"sha256": hashlib.sha256(volume.hu.tobytes()).hexdigest()})
    return {
        "checkpoint_sha256": checkpoint.sha256,
        "split_hash": checkpoint.split_hash,
        "card": checkpoint.card,
        "steps": checkpoint.step,
        "code_version": __version__,
        "code_sha256": code_hash(),
        "data": data,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "low_dose": "simulated from the series given; no measured low-dose scan",
        "claim": page.claim_items(checkpoint.card, steps=checkpoint.step, n_patients=len(volumes)),
        "series_at_full_dose": check_applicability(volumes[0], checkpoint.card).sentences(),
    } | settings


def code_hash() -> str:
    """SHA-256 over the package's Python and JavaScript sources, in path order."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".js")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _plain(value: Any) -> Any:
    """Only what JSON knows; NaN and infinity become None."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)
