"""Any denoiser behind one type: slices in HU go in, the same slices come out denoised.

The kit's own networks and filters, an ONNX file, a function, a command or a torch file all become
a :class:`Denoiser`; ``ctlab.workflows.model_spec`` makes one from a name. What a stranger returns
is checked on every call, and :func:`behaviour` measures what its maker may not have said.
"""

import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ctlab.ct.volume import Volume

Spacing = Sequence[float]
DenoiseImages = Callable[[np.ndarray], np.ndarray]
"""From images (n, y, x) in HU, no neighbours of each other, to the same, denoised."""

DenoiseSlices = Callable[[np.ndarray, Spacing], np.ndarray]
"""From slices (z, y, x) in HU and their spacing (z, y, x) in mm to the same slices, denoised."""

OWN = ("model", "filter")
"""Kinds that are the kit's own code; others are strangers, whose every answer is checked."""


@dataclass(frozen=True)
class Denoiser:
    """A denoiser and what is known of it.

    Attributes
    ----------
    name : str
    function : DenoiseSlices
    kind : ``model``, ``filter``, ``onnx``, ``function``, ``command`` or ``torch``
    slices : int or None
        How many neighbouring slices it sees: 1, an odd number, or None for the whole stack.
    sha256 : str or None
        Of its file.
    card : mapping
        May hold ``range_of_use``, see :func:`ctlab.ct.check_applicability`.
    checkpoint : Checkpoint or None
        Of the kit's own network, whose layers can be explained.
    time_limit_s : float or None
        For one call; a command keeps its own.
    tune : function or None
        From a Volume to this denoiser, set for its noise.
    """

    name: str
    function: DenoiseSlices = field(repr=False)
    kind: str = "function"
    slices: int | None = 1
    sha256: str | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Any = None
    time_limit_s: float | None = None
    tune: "Callable[[Volume], Denoiser] | None" = None

    def __call__(self, hu: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
        """Neighbouring slices (z, y, x), denoised, HU, float32.

        Raises
        ------
        ValueError
            The denoiser failed, took too long, or returned what is no such stack, in a sentence.
        """
        given = np.array(hu, dtype=np.float32)  # a copy: a stranger may write into it
        if self.kind in OWN:
            return self.function(given, spacing_mm)
        try:
            out = _within(self.time_limit_s, lambda: self.function(given, spacing_mm))
        except TimeoutError:
            raise ValueError(
                f"{self.name}: expected an answer for {given.shape} within "
                f"{self.time_limit_s:g} s, got none; try it on fewer slices or raise --time-limit"
            ) from None
        except Exception as error:  # whatever a stranger raises becomes one sentence
            raise ValueError(
                f"{self.name} failed on slices of shape {given.shape}: "
                f"{type(error).__name__}: {error}; call it on such an array alone to see why"
            ) from error
        return self._checked(given.shape, out)

    def _checked(self, shape: tuple[int, ...], out: Any) -> np.ndarray:
        array = np.asarray(out)
        if array.dtype.kind not in "fi" or array.dtype.itemsize < 2:
            raise ValueError(
                f"{self.name}: expected HU as float or int16 and wider, got {array.dtype}; "
                "return HU, not grey values or masks"
            )
        if array.shape != shape:
            raise ValueError(
                f"{self.name}: expected slices of shape {shape}, got {array.shape}; return as "
                "many slices and pixels as came in"
            )
        bad = array.size - int(np.isfinite(array).sum())
        if bad:
            raise ValueError(
                f"{self.name}: expected finite HU, got {bad} NaN or infinite of {array.size} "
                "pixels; find the slice and mask it"
            )
        return array.astype(np.float32)

    def alone(self, images: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
        """Images (n, y, x) that are no neighbours of each other, denoised, HU."""
        if self.slices == 1:
            return self(images, spacing_mm)
        return np.concatenate([self(images[k : k + 1], spacing_mm) for k in range(len(images))])

    def tuned_to(self, volume: Volume) -> "Denoiser":
        """The same denoiser, set for the noise of a series where it has to be."""
        return self if self.tune is None else self.tune(volume)


def _within(limit_s: float | None, work: Callable[[], Any]) -> Any:
    """Result of the work, in a thread that is left behind where it takes longer than the limit."""
    if limit_s is None:
        return work()
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        raise TimeoutError
    if failure:
        raise failure[0]
    return result[0]


@dataclass(frozen=True)
class Behaviour:
    """What a denoiser did with small images whose answer is known.

    Attributes
    ----------
    repeat_hu : float
        Largest difference between two runs on the same image; 0 where it is deterministic.
    constant_hu : float
        Largest error on images of one value, -850, 0 and 40 HU.
    shift_hu : float
        Error of the mean where 10 HU are added to a noisy image.
    extent_hu : float
        Largest change in the middle of an image where its border is cut off by 16 px.
    changed_random_state : bool
        The global random state of NumPy was moved.
    """

    repeat_hu: float
    constant_hu: float
    shift_hu: float
    extent_hu: float
    changed_random_state: bool

    @property
    def is_deterministic(self) -> bool:
        """Whether two runs gave the same HU."""
        return self.repeat_hu == 0

    def sentences(self) -> list[str]:
        """What a user has to know, one sentence each; none where all is well."""
        sentences = []
        if not self.is_deterministic:
            sentences.append(
                f"two runs on one image differ by up to {self.repeat_hu:.3g} HU: fix its seed, or "
                "read every number as one draw"
            )
        if self.constant_hu > 100:
            sentences.append(
                f"images of -850, 0 and 40 HU came back wrong by up to {self.constant_hu:.0f} HU: "
                "other units? check its scale"
            )
        if abs(self.shift_hu) > 2:
            sentences.append(
                f"10 HU added to an image came out as {10 + self.shift_hu:.1f} HU: its answer "
                "depends on the level"
            )
        if self.extent_hu > 1:
            sentences.append(
                f"the middle of an image changes by up to {self.extent_hu:.3g} HU where its border "
                "is cut off: its answer depends on the field of view"
            )
        if self.changed_random_state:
            sentences.append("it moves NumPy's global random state: give it a generator of its own")
        return sentences


def behaviour(
    denoiser: Denoiser, *, size_px: int = 96, spacing_mm: Spacing = (2.5, 0.7, 0.7)
) -> Behaviour:
    """Measured on images of constants and on noisy lung beside soft tissue, (1, size, size)."""
    before = np.random.get_state()  # noqa: NPY002  # the global state is what is watched
    noisy = np.random.default_rng(0).normal(-850.0, 60.0, (1, size_px, size_px))
    noisy[..., : size_px // 4] += 890.0  # a wall of soft tissue beside lung
    first, second = (denoiser(noisy, spacing_mm) for _ in range(2))
    moved = pickle.dumps(before) != pickle.dumps(np.random.get_state())  # noqa: NPY002  # as above
    flat = [denoiser(np.full_like(noisy, hu), spacing_mm) - hu for hu in (-850.0, 0.0, 40.0)]
    shifted = denoiser(noisy + 10.0, spacing_mm)
    edge, middle = 16, size_px // 2
    inner = np.s_[:, edge:-edge, edge:-edge]
    cut = denoiser(noisy[inner], spacing_mm) - first[inner]
    near = np.s_[:, middle - edge - 2 : middle - edge + 2, middle - edge - 2 : middle - edge + 2]
    np.random.set_state(before)  # noqa: NPY002  # and given back
    return Behaviour(
        repeat_hu=float(np.abs(second - first).max()),
        constant_hu=float(max(np.abs(f).max() for f in flat)),
        shift_hu=float(shifted.mean(dtype=float) - first.mean(dtype=float)) - 10.0,
        extent_hu=float(np.abs(cut[near]).max()),
        changed_random_state=moved,
    )
