"""A DICOM series in, a denoised DICOM series out: with a model or a classic filter."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.classic import METHODS, denoise_classic
from ctlab.ct import Derivation, Volume, measure_noise_hu, read_series, write_series
from ctlab.ct.export import DENOISED
from ctlab.ct.files import refuse_full_folder

Progress = Callable[[int, int], None]
"""Called with (slices done, slices in all)."""


@dataclass(frozen=True)
class DenoiseReport:
    """What was done: method, slices, seconds, noise SD before and after, and applicability."""

    method: str
    slices: int
    seconds: float
    noise_before_hu: float
    noise_after_hu: float
    applicability: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def denoise_series(
    path: str | Path,
    out: str | Path,
    *,
    method: str = "model",
    checkpoint: str | Path | None = None,
    engine: str = "torch",
    force: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> DenoiseReport:
    """Write the series at ``path``, denoised, to ``out`` as a derived DICOM series.

    Parameters
    ----------
    method : ``"model"``, or a filter of :data:`ctlab.classic.METHODS`
    checkpoint : trained model; default: the one that ships with the package
    engine : what runs the model: torch, onnx or openvino
    force : use the model even outside the range of use on its card

    Raises
    ------
    ValueError
        Unknown method, a checkpoint given to a filter, a series that cannot be read or lies
        outside the model's range of use, or an output folder that is not empty.
    """
    if method != "model" and method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of model, {', '.join(METHODS)}")
    if method != "model" and checkpoint is not None:
        raise ValueError(f"--checkpoint belongs to the model; the filter {method!r} has none")
    # Refused before minutes of work rather than after.
    refuse_full_folder(out, overwrite=overwrite)
    volume = read_series(path)
    before = measure_noise_hu(volume)
    start = time.perf_counter()
    if method == "model":
        denoised, made, fits = _with_model(volume, checkpoint, engine, force, progress)
    else:
        denoised, made, fits = _with_filter(volume, method, before, progress)
    seconds = time.perf_counter() - start
    write_series(
        denoised, out, description=f"Denoised ({method})", derivation=made, overwrite=overwrite
    )
    return DenoiseReport(method, len(volume.hu), seconds, before, measure_noise_hu(denoised), fits)


def _with_model(
    volume: Volume, path: str | Path | None, engine: str, force: bool, progress: Progress | None
) -> tuple[Volume, Derivation, dict[str, Any]]:
    from ctlab.learn import applicability, denoise_volume, load_checkpoint

    checkpoint = load_checkpoint(path)
    fits = applicability(volume, checkpoint).to_dict()
    denoised = denoise_volume(volume, checkpoint, engine=engine, force=force, progress=progress)
    made = Derivation(
        f"Denoised by an OT-CycleGAN (checkpoint sha256 {checkpoint.sha256[:12]}, step "
        f"{checkpoint.step}); for research and teaching, not for diagnosis",
        algorithm="CT Lab OT-CycleGAN",
        code=DENOISED,
    )
    return denoised, made, fits


def _with_filter(
    volume: Volume, method: str, noise_sd_hu: float, progress: Progress | None
) -> tuple[Volume, Derivation, dict[str, Any]]:
    hu = np.empty_like(volume.hu)
    for k, image in enumerate(volume.hu):
        hu[k] = denoise_classic(image, method, noise_sd_hu=noise_sd_hu)
        if progress:
            progress(k + 1, len(hu))
    made = Derivation(
        f"Denoised with the filter {method} for a noise SD of {noise_sd_hu:.1f} HU; for research "
        "and teaching, not for diagnosis",
        algorithm=f"CT Lab {method}",
        code=DENOISED,
    )
    return volume.with_hu(hu), made, {}
