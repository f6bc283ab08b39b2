"""Denoising of whole volumes, and the question whether a checkpoint may be used on one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from ctlab.ct import Volume
from ctlab.ct.hu import HU_MAX, HU_MIN
from ctlab.ct.range_check import Applicability, check_applicability
from ctlab.learn.engines import Engine, open_engine
from ctlab.learn.models.switchable import SwitchableUNet
from ctlab.learn.train.checkpoint import Checkpoint, HuDenoiser, load_checkpoint

Precision = Literal["float32", "bfloat16"]

PADDING_BELOW_HU = -1500.0
"""Scanners write -2000 HU or less outside their field of view. Noise in air reaches well below
-1024 HU where a series is not cut off there: taken for padding, it would stay as dark pixels."""


def applicability(volume: Volume, checkpoint: Checkpoint | None = None) -> Applicability:
    """Each fact of a series beside the range on the checkpoint's card.

    See :func:`ctlab.ct.check_applicability`. What the card or the series does not tell is noted
    and not refused.

    Parameters
    ----------
    volume : Volume
    checkpoint : Checkpoint, optional
        Default: the shipped one.
    """
    return check_applicability(volume, (checkpoint or load_checkpoint()).card)


def denoise_volume(
    volume: Volume,
    checkpoint: Checkpoint | None = None,
    *,
    batch: int = 2,
    force: bool = False,
    engine: str = "torch",
    precision: Precision = "float32",
    strength: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Volume:
    """Denoised volume: same geometry and header facts, other HU.

    Whole slices pass through the network, so there are no tile borders. Voxels below -1500 HU
    (what a scanner writes outside its field of view) are returned unchanged.

    Parameters
    ----------
    volume : Volume
        Any height and width; sizes the network cannot take are padded and cropped again.
    checkpoint : Checkpoint, optional
        Default: the shipped one.
    batch : int
        Slices taken at a time, and passed at once on a GPU; it changes speed and memory, not the
        result.
    force : bool
        Denoise even outside the checkpoint's range of use.
    engine : {"torch", "onnx", "openvino"}
        What runs the network: PyTorch (on CUDA where there is one), ONNX Runtime or OpenVINO (CPU,
        the same HU to 0.01).
    precision : {"float32", "bfloat16"}
        bfloat16, with PyTorch only, takes half the time where the hardware has it and moves HU
        by 0.7 RMS with the shipped model; float32 gives the same HU on every machine to 0.01.
    strength : float
        Of a switchable generator: 1 as trained, 0 the image itself. Others know 1 only.
    progress : function, optional
        Called with (slices done, slices in all) after each batch.

    Raises
    ------
    ValueError
        The volume lies outside the checkpoint's range of use and ``force`` is false; the engine
        is unknown, not installed, or cannot run this network or precision.
    """
    volume.refuse_other_units("denoised")
    checkpoint = checkpoint or load_checkpoint()
    if not force:
        refuse_outside_range(volume, checkpoint)
    denoise = slice_denoiser(checkpoint, engine=engine, precision=precision, strength=strength)
    denoised = np.empty(volume.shape, dtype=np.float32)
    for start in range(0, len(denoised), batch):
        denoised[start : start + batch] = denoise.part(volume.hu, start, start + batch)
        if progress is not None:
            progress(min(start + batch, len(denoised)), len(denoised))
    return volume.with_hu(denoised)


def slice_denoiser(
    checkpoint: Checkpoint,
    *,
    engine: str = "torch",
    precision: Precision = "float32",
    strength: float = 1.0,
    device: torch.device | str | None = None,
) -> "SliceDenoiser":
    """What denoises slices (n, y, x) in HU; see :func:`denoise_volume`."""
    if engine != "torch" and precision != "float32":
        raise ValueError(f"the engine {engine} works in float32; use torch for {precision}")
    if device is None or engine != "torch":
        device = "cuda" if engine == "torch" and torch.cuda.is_available() else "cpu"
    model = checkpoint.denoiser(device)
    if strength != 1.0:
        if not isinstance(model.network, SwitchableUNet):
            raise ValueError(
                f"strength {strength:g} needs a switchable generator (recipe adain); this "
                f"checkpoint's is {checkpoint.config.networks.generator!r}, which knows 1 only"
            )
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength goes from 0 to 1, got {strength:g}")
        model.network.strength = strength
    run = None if engine == "torch" else open_engine(model, engine)
    return SliceDenoiser(model, precision, run)


@dataclass(frozen=True)
class SliceDenoiser:
    """Denoises neighbouring slices (n, y, x) in HU."""

    model: HuDenoiser
    precision: Precision = "float32"
    run: Engine | None = None

    @property
    def reach(self) -> int:
        """How many slices above and below a slice the network sees."""
        return getattr(self.model.network, "slices", 1) // 2

    def __call__(self, hu: np.ndarray) -> np.ndarray:
        """Denoised slices (n, y, x) in HU."""
        return denoise_slices(hu, self.model, precision=self.precision, run=self.run)

    def part(self, hu: Any, start: int, stop: int) -> np.ndarray:
        """Slices ``start`` to ``stop - 1`` of a stack, denoised among their neighbours."""
        first = max(start - self.reach, 0)
        denoised = self(hu[first : stop + self.reach])
        return denoised[start - first : stop - first]


def refuse_outside_range(volume: Volume, checkpoint: Checkpoint) -> None:
    """Raise ``ValueError`` with the reasons where :func:`applicability` fails."""
    reasons = applicability(volume, checkpoint).reasons
    if reasons:
        raise ValueError(
            f"this series lies outside the checkpoint's range of use: {'; '.join(reasons)}. "
            "Use a checkpoint trained on such series, or force the use of this one (--force)"
        )


@torch.inference_mode()
def denoise_slices(
    hu: np.ndarray,
    model: HuDenoiser,
    *,
    precision: Precision = "float32",
    run: Engine | None = None,
    batch: int | None = None,
) -> np.ndarray:
    """Denoised slices (n, y, x) in HU, float32, of neighbouring slices (n, y, x) in HU.

    Only a 2.5-D network looks at neighbours; the first and the last slice are their own.
    Voxels below :data:`PADDING_BELOW_HU` are returned as they are; others are raised to -1024 HU
    first, so that noise in air that reaches below that is denoised like the rest.

    ``run``, from :func:`open_engine`, stands in for the model where it is given. ``batch`` is how
    many slices pass at once: all on a GPU, by default one on a CPU, whose caches hold no more.
    """
    clipped = np.clip(hu, HU_MIN, HU_MAX).astype(np.float32)
    height, width = hu.shape[1:]
    multiple = model.network.size_multiple
    edges = ((0, 0), (0, -height % multiple), (0, -width % multiple))
    padded = np.pad(clipped, edges, mode="edge")[:, None]
    device = next(model.parameters()).device
    if run is None:
        if getattr(model.network, "slices", 1) == 3:
            around = np.concatenate([padded[:1], padded, padded[-1:]])[:, 0]
            padded = np.stack([around[:-2], around[1:-1], around[2:]], 1)
        run = partial(_forward, model, precision=precision)
    batch = batch or (1 if device.type == "cpu" else len(padded))
    parts = [run(padded[k : k + batch])[:, 0] for k in range(0, len(padded) or 1, batch)]
    # Adding the change keeps what was clipped away above; below air there is nothing to keep.
    change = np.concatenate(parts)[:, :height, :width] - clipped
    denoised = np.maximum(hu, HU_MIN) + change
    return np.where(hu < PADDING_BELOW_HU, hu, denoised).astype(np.float32)


def _forward(model: HuDenoiser, images: np.ndarray, *, precision: Precision) -> np.ndarray:
    device = next(model.parameters()).device
    images_on = torch.from_numpy(images).to(device).contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        denoised: torch.Tensor = model(images_on)
        return np.asarray(denoised.float().cpu())
