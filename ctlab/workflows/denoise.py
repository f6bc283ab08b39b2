"""A DICOM series in, a denoised DICOM series out: with a model or a classic filter.

Slices go from disk to disk a few at a time, so memory does not grow with the series; a run that
was killed goes on where it stopped; and processes that torchrun started share the slices.
"""

import datetime
import math
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ctlab.classic import METHODS
from ctlab.console import Note, Progress
from ctlab.ct import Volume, measure_noise_hu
from ctlab.ct.denoiser import Denoiser, tell_behaviour
from ctlab.ct.dicom.pixels.encode import count_beyond, note_clipped
from ctlab.ct.dicom.read_lazy import hu_findings, open_series
from ctlab.ct.dicom.write import SeriesWriter
from ctlab.ct.noise_level import noise_pair_hu
from ctlab.files import FilledMeanwhile, refuse_full_folder, refuse_own_source, write_whole
from ctlab.resumable_folder import ResumableFolder
from ctlab.workflows.model_spec import TIME_LIMIT_S, load_denoiser
from ctlab.workflows.slice_work import Work, with_filter, with_model, with_stranger

BATCH = 2
"""Slices that are in memory and pass through the network together."""


@dataclass(frozen=True)
class DenoiseReport:
    """What was done: method, slices, seconds, noise SD before and after, and applicability.

    ``adaptation`` holds the fields of :class:`ctlab.learn.adapt.Adaptation`, or nothing.
    """

    method: str
    slices: int
    seconds: float
    noise_before_hu: float
    noise_after_hu: float
    applicability: dict[str, Any] = field(default_factory=dict)
    adaptation: dict[str, Any] = field(default_factory=dict)
    resumed_slices: int = 0
    processes: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


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
    precision: str = "float32",
    strength: float | None = None,
    force: bool = False,
    adapt_s: float | None = None,
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
    precision : float32, or bfloat16 with torch: three times as fast where the processor has it, and
        HU that differ by 0.7 RMS with the shipped model
    strength : of a filter in noise SDs; of a switchable model from 0 to 1. Default: as tuned
    force : use the model even outside the range of use on its card
    adapt_s : seconds of training on this very series first, without clean images; refused where
        its noise is not the simulated one, see :mod:`ctlab.learn.adapt`
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
        Unknown method, a checkpoint or an engine given to a filter, a series that cannot be read,
        lies outside the model's range of use or allows no adaptation, or an output folder that is
        not empty.
    """
    asked = _asked_for(model, method, checkpoint, strength, time_limit_s)
    _check_adaptation(adapt_s, asked.method, resume)
    _check_choice(asked, engine, precision)  # refused before minutes of work, not after
    refuse_own_source(path, out)
    refuse_full_folder(out, overwrite=overwrite)
    processes = _processes(engine)
    reading = {"allow_gaps": allow_gaps, "skip_damaged": skip_damaged}
    volume = open_series(path, series_uid=series_uid, **reading)
    _tell(note, volume.problems)
    with_network = {"force": force, "adapt_s": adapt_s, "engine": engine, "precision": precision}
    work = _work(asked, volume, note, device=processes.device, **with_network)
    start = time.perf_counter()
    begun = _begun(volume, out, work, asked.method, processes, resume, overwrite, clip)
    ready = _finished(volume, work, *begun, processes, progress, overwrite)
    if processes.global_rank != 0:
        return None
    seconds = time.perf_counter() - start
    _tell(note, hu_findings(volume))
    before, after = noise_pair_hu(volume, _made(out, clip, note))
    counts = (ready, processes.world_size)
    sizes = (len(volume.hu), seconds, before, after)
    return DenoiseReport(asked.method, *sizes, work.fits, work.adaptation, *counts)


def _work(
    asked: "Asked", volume: Volume, note: Note | None, *, device: Any, **with_network: Any
) -> Work:
    """What turns the slices of this series into denoised ones."""
    if asked.stranger is not None:
        tell_behaviour([asked.stranger], note)
        return with_stranger(asked.stranger, volume)
    if asked.method != "model":
        return with_filter(asked.method, measure_noise_hu(volume), asked.strength)
    return with_model(
        volume, asked.checkpoint, strength=asked.strength, device=device, **with_network
    )


def _finished(
    volume: Volume,
    work: Work,
    unfinished: ResumableFolder,
    writer: SeriesWriter,
    processes: _Processes,
    progress: Progress | None,
    overwrite: bool,
) -> int:
    """Write what is missing and put the folder in its place; how many slices were ready before."""
    ready = {p.name for p in unfinished.folder.glob("IM*.dcm")}
    processes.barrier()  # each has counted what was ready before anyone adds to it
    try:
        _denoise(volume, work, writer, unfinished.folder, ready, processes, progress)
        processes.barrier()
        if processes.global_rank == 0:
            unfinished.finish(overwrite=overwrite)
    except ValueError as error:
        if not isinstance(error, FilledMeanwhile):  # a damaged slice: going on would not help
            unfinished.abandon()
        raise
    finally:
        unfinished.release()
    return len(ready)


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
    work: Work,
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
    work: Work,
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


class Asked(NamedTuple):
    """Method, checkpoint and strength of the kit's own denoisers, or a denoiser that is not."""

    method: str
    checkpoint: str | Path | None = None
    strength: float | None = None
    stranger: Denoiser | None = None


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
        return Asked(method, checkpoint, strength)
    if method != "model" or checkpoint is not None:
        raise ValueError("--model names the denoiser; leave --method and --checkpoint out")
    denoiser = load_denoiser(model, time_limit_s=time_limit_s)
    if denoiser.kind == "model":
        return Asked("model", None if model == "model" else model, strength)
    if denoiser.kind == "filter":
        name, _, given = model.partition(":")
        return Asked(name, strength=float(given) if given else strength)
    if strength is not None:
        raise ValueError(
            f"--strength belongs to filters and switchable models, not to {denoiser.name}; "
            "leave it out"
        )
    return Asked(denoiser.name, stranger=denoiser)


def _check_adaptation(adapt_s: float | None, method: str, resume: bool) -> None:
    """Refuse to adapt what is no network, or half a series: other weights would do the rest."""
    if adapt_s is None:
        return
    if method != "model":
        raise ValueError(f"--adapt trains the model, not {method!r}; leave --adapt out")
    if resume or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "--adapt denoises a series in one go and in one process; leave --resume out (with "
            "--overwrite to begin anew), and start it without torchrun"
        )


def _check_choice(asked: Asked, engine: str, precision: str) -> None:
    """Refuse an engine for a filter, and a precision or strength that nothing here knows."""
    method, strength = asked.method, asked.strength
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"expected --precision float32 or bfloat16, got {precision!r}; choose one")
    if precision != "float32" and (method != "model" or engine != "torch"):
        raise ValueError(
            f"--precision {precision} belongs to the model and the torch engine; leave it out"
        )
    if method != "model" and engine != "torch":
        raise ValueError(
            f"--engine {engine} runs the model, not the filter {method!r}; leave --engine out"
        )
    highest, unit = (1.0, "from 0 to 1") if method == "model" else (math.inf, "in noise SDs, 0 up")
    if strength is not None and not (0.0 <= strength <= highest and math.isfinite(strength)):
        raise ValueError(
            f"--strength of {method} goes {unit}, got {strength:g}; leave it out for the default"
        )
