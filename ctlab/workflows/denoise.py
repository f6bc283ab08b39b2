"""A DICOM series in, a denoised DICOM series out: with a model or a classic filter.

Slices go from disk to disk a few at a time, so memory does not grow with the series; a run that
was killed goes on where it stopped; and processes that torchrun started share the slices.
"""

import datetime
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ctlab.classic import METHODS, denoise_classic
from ctlab.console import Note, Progress
from ctlab.ct import Derivation, Volume, check_applicability, measure_noise_hu
from ctlab.ct.denoiser import Denoiser, tell_behaviour
from ctlab.ct.dicom.pixels.encode import count_beyond, note_clipped
from ctlab.ct.dicom.read_lazy import hu_findings, open_series
from ctlab.ct.dicom.write import DENOISED, SeriesWriter
from ctlab.ct.noise_level import noise_pair_hu
from ctlab.files import (
    FilledMeanwhile,
    ResumableFolder,
    refuse_full_folder,
    refuse_own_source,
    write_whole,
)
from ctlab.workflows.model_spec import TIME_LIMIT_S, load_denoiser

BATCH = 2
"""Slices that are in memory and pass through the network together."""


@dataclass(frozen=True)
class DenoiseReport:
    """What was done: method, slices, seconds, noise SD before and after, and applicability."""

    method: str
    slices: int
    seconds: float
    noise_before_hu: float
    noise_after_hu: float
    applicability: dict[str, Any] = field(default_factory=dict)
    resumed_slices: int = 0
    processes: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Work:
    """How slices ``start`` to ``stop`` of a stack are denoised, and what the files say of it."""

    part: Callable[[Any, int, int], np.ndarray]
    derivation: Derivation
    facts: dict[str, Any]
    fits: dict[str, Any]


class _Processes(Protocol):
    """The part of a Lightning Fabric that is used here."""

    @property
    def global_rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...

    @property
    def device(self) -> Any: ...

    def barrier(self) -> None: ...


class _Alone:
    """Stands for a Fabric of one process where torch is not needed, and may be missing."""

    global_rank, world_size, device = 0, 1, None

    def barrier(self) -> None:
        return


def denoise_series(
    path: str | Path,
    out: str | Path,
    *,
    method: str = "model",
    checkpoint: str | Path | None = None,
    model: str | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    engine: str = "torch",
    strength: float | None = None,
    force: bool = False,
    series_uid: str | None = None,
    allow_gaps: bool = False,
    skip_damaged: bool = False,
    clip: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
) -> DenoiseReport | None:
    """Write the series at ``path``, denoised, to ``out`` as a derived DICOM series.

    Parameters
    ----------
    method : ``"model"``, or a filter of :data:`ctlab.classic.METHODS`
    checkpoint : trained model; default: the one that ships with the package
    model : any denoiser, in place of the two above; see :mod:`ctlab.workflows.model_spec`
    time_limit_s : for one call of a denoiser that is not the kit's own
    engine : what runs the model: torch, onnx or openvino
    strength : of a filter in noise SDs; of a switchable model from 0 to 1. Default: as tuned
    force : use the model even outside the range of use on its card
    series_uid, allow_gaps, skip_damaged : as for :func:`ctlab.ct.read_series`
    clip : clamp HU to what one rescale holds, and count them
    resume : go on with what a killed run left of the same work
    note : called with every finding about the series

    Returns
    -------
    DenoiseReport
        ``None`` in processes other than the first, where torchrun started several.

    Raises
    ------
    ValueError
        Unknown method, a checkpoint or an engine given to a filter, a series that cannot be read or
        lies outside the model's range of use, or an output folder that is not empty.
    """
    method, checkpoint, strength, stranger = _asked_for(
        model, method, checkpoint, strength, time_limit_s
    )
    _check_choice(method, engine, strength)  # refused before minutes of work, not after
    refuse_own_source(path, out)
    refuse_full_folder(out, overwrite=overwrite)
    processes = _processes(engine)
    reading = {"allow_gaps": allow_gaps, "skip_damaged": skip_damaged}
    volume = open_series(path, series_uid=series_uid, **reading)
    _tell(note, volume.problems)
    before = measure_noise_hu(volume)
    if stranger is not None:
        tell_behaviour([stranger], note)
        work = _with_stranger(stranger, volume)
    elif method == "model":
        work = _with_model(volume, checkpoint, engine, strength, force, processes)
    else:
        work = _with_filter(method, before, strength)
    start = time.perf_counter()
    unfinished, writer = _begun(volume, out, work, method, processes, resume, overwrite, clip)
    ready = {p.name for p in unfinished.folder.glob("IM*.dcm")}
    processes.barrier()  # each has counted what was ready before anyone adds to it
    try:
        _denoise(volume, work, writer, unfinished.folder, ready, processes, progress)
        processes.barrier()
        if processes.global_rank != 0:
            return None
        unfinished.finish(overwrite=overwrite)
    except ValueError as error:
        if not isinstance(error, FilledMeanwhile):  # a damaged slice: going on would not help
            unfinished.abandon()
        raise
    finally:
        unfinished.release()
    seconds = time.perf_counter() - start
    _tell(note, hu_findings(volume))
    before, after = noise_pair_hu(volume, _made(out, clip, note))
    return DenoiseReport(
        method, len(volume.hu), seconds, before, after, work.fits, len(ready), processes.world_size
    )


def _made(out: str | Path, clip: bool, note: Note | None) -> Volume:
    """The series that was written, with what was clamped in it told."""
    made = open_series(out, allow_gaps=True)
    note_clipped(note, sum(map(count_beyond, made.hu)) if clip else 0)
    return made


def _tell(note: Note | None, problems: Iterable[str]) -> None:
    if note is not None:
        for problem in problems:
            note(problem)


def _processes(engine: str) -> _Processes:
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return _Alone()
    from ctlab.learn.train.devices import open_fabric

    return open_fabric(accelerator="auto" if engine == "torch" else "cpu")


def _begun(
    volume: Volume,
    out: str | Path,
    work: _Work,
    method: str,
    processes: _Processes,
    resume: bool,
    overwrite: bool,
    clip: bool,
) -> tuple[ResumableFolder, SeriesWriter]:
    """The folder in the making, and a writer whose identifiers all processes share."""
    writer = SeriesWriter.of(volume, f"Denoised ({method})"[:64], work.derivation, "none")
    facts = {"series": volume.acquisition.series_uid, "slices": len(volume.hu), **work.facts}
    facts["clip"] = clip or None
    if processes.global_rank == 0:
        drawn = {n: getattr(writer, n) for n in ("series_uid", "study_uid", "frame_uid")}
        given = drawn | {"created": writer.created.isoformat()}
        unfinished = ResumableFolder.begin(out, facts, given, resume=resume, overwrite=overwrite)
    processes.barrier()
    if processes.global_rank != 0:
        unfinished = ResumableFolder.join(out)
    shared = unfinished.given | {
        "created": datetime.datetime.fromisoformat(unfinished.given["created"])
    }
    return unfinished, replace(writer, **shared, clip=clip)


def _denoise(
    volume: Volume,
    work: _Work,
    writer: SeriesWriter,
    folder: Path,
    ready: set[str],
    processes: _Processes,
    progress: Progress | None,
) -> None:
    """Every slice of this process that is not there yet, a batch at a time."""
    count = len(volume.hu)
    first, last = (count * (processes.global_rank + n) // processes.world_size for n in (0, 1))
    missing = [k for k in range(first, last) if writer.name(k) not in ready]
    done = last - first - len(missing)
    for start, stop in _runs(missing, BATCH):
        for k, hu in zip(range(start, stop), work.part(volume.hu, start, stop), strict=True):
            with write_whole(folder / writer.name(k)) as part:
                writer.write_to(part, k, hu)
        done += stop - start
        if progress is not None:
            progress(min(done * processes.world_size, count), count)


def _runs(indices: list[int], size: int) -> Iterator[tuple[int, int]]:
    """Neighbouring indices as (start, stop), at most ``size`` of them.

    >>> list(_runs([0, 1, 2, 5, 6], 2))
    [(0, 2), (2, 3), (5, 7)]
    """
    at = 0
    while at < len(indices):
        start, stop = indices[at], indices[at] + 1
        while stop - start < size and stop in indices[at + 1 : at + size]:
            stop += 1
        at += stop - start
        yield start, stop


def _with_model(
    volume: Volume,
    path: str | Path | None,
    engine: str,
    strength: float | None,
    force: bool,
    processes: _Processes,
) -> _Work:
    from ctlab.learn import applicability, load_checkpoint
    from ctlab.learn.inference import refuse_outside_range, slice_denoiser

    checkpoint = load_checkpoint(path)
    if not force:
        refuse_outside_range(volume, checkpoint)
    how = 1.0 if strength is None else strength
    denoise = slice_denoiser(checkpoint, engine=engine, strength=how, device=processes.device)
    strength_words = "" if how == 1.0 else f", strength {how:g}"
    derivation = Derivation(
        f"Denoised by an OT-CycleGAN (checkpoint sha256 {checkpoint.sha256[:12]}, step "
        f"{checkpoint.step}{strength_words}); for research and teaching, not for diagnosis",
        algorithm="CT Lab OT-CycleGAN",
        code=DENOISED,
    )
    facts = {"method": "model", "checkpoint": checkpoint.sha256, "engine": engine, "strength": how}
    fits = applicability(volume, checkpoint).to_dict()
    fits["notes"] = [*fits["notes"], *_near_identity(checkpoint.card)]
    return _Work(denoise.part, derivation, facts, fits)


def _near_identity(card: Mapping[str, Any]) -> list[str]:
    """What the card's warnings tell of a network that hardly changes an image."""
    from ctlab.learn.train.monitor import COLLAPSE

    return [
        f"this network is close to the identity: at the end of its training it took away "
        f"{100 * warning['value']:.0f} % of the noise SD; train it anew ({warning['remedy']})"
        for warning in card.get("alarms", ())
        if warning["name"] == COLLAPSE
    ]


Asked = tuple[str, str | Path | None, float | None, Denoiser | None]
"""Method, checkpoint and strength of the kit's own denoisers, or a denoiser that is not."""


def _asked_for(
    model: str | None,
    method: str,
    checkpoint: str | Path | None,
    strength: float | None,
    time_limit_s: float,
) -> Asked:
    """What ``--model``, or its short forms ``--method`` and ``--checkpoint``, ask for."""
    if model is None:
        if method != "model" and method not in METHODS:
            known = ", ".join(METHODS)
            raise ValueError(f"unknown method {method!r}; choose one of model, {known}")
        if method != "model" and checkpoint is not None:
            raise ValueError(f"--checkpoint belongs to the model; the filter {method!r} has none")
        return method, checkpoint, strength, None
    if method != "model" or checkpoint is not None:
        raise ValueError("--model names the denoiser; leave --method and --checkpoint out")
    denoiser = load_denoiser(model, time_limit_s=time_limit_s)
    if denoiser.kind == "model":
        return "model", None if model == "model" else model, strength, None
    if denoiser.kind == "filter":
        name, _, given = model.partition(":")
        return name, None, float(given) if given else strength, None
    if strength is not None:
        raise ValueError(
            f"--strength belongs to filters and switchable models, not to {denoiser.name}; "
            "leave it out"
        )
    return denoiser.name, None, None, denoiser


def _with_stranger(denoiser: Denoiser, volume: Volume) -> _Work:
    """Slices among as many neighbours as it sees; the whole stack, once, where that is unknown."""
    whole: list[np.ndarray] = []

    def part(hu: Any, start: int, stop: int) -> np.ndarray:
        if denoiser.slices is None:
            if not whole:
                whole.append(denoiser(np.asarray(hu[0 : len(hu)]), volume.spacing_mm))
            return whole[0][start:stop]
        first = max(start - denoiser.slices // 2, 0)
        near = denoiser(np.asarray(hu[first : stop + denoiser.slices // 2]), volume.spacing_mm)
        return near[start - first : stop - first]

    sha = "" if denoiser.sha256 is None else f" (sha256 {denoiser.sha256[:12]})"
    derivation = Derivation(
        f"Denoised by {denoiser.name}{sha}; for research and teaching, not for diagnosis",
        algorithm=denoiser.name[:64],
        code=DENOISED,
    )
    facts = {"method": denoiser.name, "sha256": denoiser.sha256}
    return _Work(part, derivation, facts, check_applicability(volume, denoiser.card).to_dict())


def _check_choice(method: str, engine: str, strength: float | None) -> None:
    """Refuse an engine for a filter, and a strength that no model or filter knows."""
    if method != "model" and engine != "torch":
        raise ValueError(
            f"--engine {engine} runs the model, not the filter {method!r}; leave --engine out"
        )
    highest, unit = (1.0, "from 0 to 1") if method == "model" else (math.inf, "in noise SDs, 0 up")
    if strength is not None and not (0.0 <= strength <= highest and math.isfinite(strength)):
        raise ValueError(
            f"--strength of {method} goes {unit}, got {strength:g}; leave it out for the default"
        )


def _with_filter(method: str, noise_sd_hu: float, strength: float | None) -> _Work:
    how = METHODS[method] if strength is None else strength

    def part(hu: Any, start: int, stop: int) -> np.ndarray:
        return np.asarray(
            denoise_classic(hu[start:stop], method, noise_sd_hu=noise_sd_hu, strength=how)
        )

    derivation = Derivation(
        f"Denoised with the filter {method}, strength {how:g}, for a noise SD of "
        f"{noise_sd_hu:.1f} HU; for research and teaching, not for diagnosis",
        algorithm=f"CT Lab {method}",
        code=DENOISED,
    )
    return _Work(part, derivation, {"method": method, "strength": how}, {})
