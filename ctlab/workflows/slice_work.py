"""How slices of a series are denoised, and what files and reports say of it.

By the kit's network, adapted to the series where that is asked for; by a classic filter; or by any
denoiser.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.classic import METHODS, denoise_classic
from ctlab.ct import Derivation, Volume, check_applicability
from ctlab.ct.denoiser import Denoiser
from ctlab.ct.dicom.write import DENOISED


@dataclass(frozen=True)
class Work:
    """How slices ``start`` to ``stop`` of a stack are denoised, and what the files say of it."""

    part: Callable[[Any, int, int], np.ndarray]
    derivation: Derivation
    facts: dict[str, Any]
    fits: dict[str, Any] = field(default_factory=dict)
    adaptation: dict[str, Any] = field(default_factory=dict)


def with_model(
    volume: Volume,
    path: str | Path | None,
    *,
    strength: float | None,
    force: bool,
    adapt_s: float | None,
    **how_run: Any,
) -> Work:
    """The kit's network, or one that a checkpoint holds; adapted to the series for ``adapt_s``.

    ``how_run`` is engine, precision and device, for :func:`ctlab.learn.inference.slice_denoiser`.
    """
    from ctlab.learn import applicability, load_checkpoint
    from ctlab.learn.inference import refuse_outside_range, slice_denoiser

    checkpoint = load_checkpoint(path)
    if not force:
        refuse_outside_range(volume, checkpoint)
    adapted_words, adaptation, network = "", {}, checkpoint
    if adapt_s is not None:
        from ctlab.learn.adapt import adapt_to_series

        network, done = adapt_to_series(volume, checkpoint, seconds=adapt_s)
        adapted_words, adaptation = f", {done.in_words()}", asdict(done)
    how = 1.0 if strength is None else strength
    denoise = slice_denoiser(network, strength=how, **how_run)
    strength_words = "" if how == 1.0 else f", strength {how:g}"
    if how_run["precision"] != "float32":
        strength_words += f", in {how_run['precision']}"
    derivation = Derivation(
        f"Denoised by an OT-CycleGAN (checkpoint sha256 {checkpoint.sha256[:12]}, step "
        f"{checkpoint.step}{strength_words}{adapted_words}); "
        "for research and teaching, not for diagnosis",
        algorithm="CT Lab OT-CycleGAN",
        code=DENOISED,
    )
    facts = {"method": "model", "checkpoint": checkpoint.sha256, "strength": how}
    facts |= {"engine": how_run["engine"], "precision": how_run["precision"]}
    fits = applicability(volume, checkpoint).to_dict()
    fits["notes"] = [*fits["notes"], *_near_identity(checkpoint.card)]
    return Work(denoise.part, derivation, facts, fits, adaptation)


def _near_identity(card: Mapping[str, Any]) -> list[str]:
    """What the card's warnings tell of a network that hardly changes an image."""
    from ctlab.learn.train.monitor import COLLAPSE

    return [
        f"this network is close to the identity: at the end of its training it took away "
        f"{100 * warning['value']:.0f} % of the noise SD; train it anew ({warning['remedy']})"
        for warning in card.get("alarms", ())
        if warning["name"] == COLLAPSE
    ]


def with_stranger(denoiser: Denoiser, volume: Volume) -> Work:
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
    return Work(part, derivation, facts, check_applicability(volume, denoiser.card).to_dict())


def with_filter(method: str, noise_sd_hu: float, strength: float | None) -> Work:
    """A classic filter at its strength for this noise."""
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
    return Work(part, derivation, {"method": method, "strength": how})
