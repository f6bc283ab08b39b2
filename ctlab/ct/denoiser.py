"""Any denoiser behind one type: slices in HU go in, the same slices come out denoised.

The kit's own networks and filters, an ONNX file, a function, a command or a torch file all become
a :class:`Denoiser`; ``ctlab.workflows.model_spec`` makes one from a name. What a stranger returns
is checked on every call, and :func:`behaviour` measures what its maker may not have said.
"""

import contextlib
import os
import pickle
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ctlab.console import Note
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
    version : str or None
        As its maker states it.
    scale : (offset, scale) or None
        Its own units are ``(HU - offset) / scale``; None where it is given HU.
    multiple : int
        Height and width are padded to a multiple of it.
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
    version: str | None = None
    scale: tuple[float, float] | None = None
    multiple: int = 1
    card: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Any = None
    time_limit_s: float | None = None
    tune: "Callable[[Volume], Denoiser] | None" = None

    @property
    def is_differentiable(self) -> bool:
        """Whether its layers and gradients can be asked for; else it is explained by trying."""
        return self.checkpoint is not None

    def stated(self) -> dict[str, str]:
        """What is known of it without running it, in words."""
        offset, scale = self.scale or (0.0, 1.0)
        every = "not stated: it is given the whole stack"
        return {
            "name": self.name,
            "kind": self.kind,
            "version": self.version or "not stated",
            "sha256": self.sha256 or "not known",
            "input": f"(HU - ({offset:g})) / {scale:g}" if self.scale else "HU",
            "slices it sees": every if self.slices is None else str(self.slices),
            "size multiple": str(self.multiple),
            "differentiable": "yes" if self.is_differentiable else "not here: explained by trying",
            "range of use": "on its card" if self.card.get("range_of_use") else "not stated",
        }

    def __call__(self, hu: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
        """Neighbouring slices (z, y, x), denoised, HU, float32.

        A denoiser that sees more slices than there are gets the outermost ones again.

        Raises
        ------
        ValueError
            The denoiser failed, took too long, or returned what is no such stack, in a sentence.
        """
        given = np.array(hu, dtype=np.float32)  # a copy: a stranger may write into it
        if self.kind in OWN:
            return self.function(given, spacing_mm)
        count, first = len(given), max((self.slices or 1) - len(given), 0) // 2
        if count < (self.slices or 1):
            last = (self.slices or 1) - count - first
            given = np.pad(given, ((first, last), (0, 0), (0, 0)), mode="edge")
        shape = given.shape
        try:
            with _set_aside():
                out = _within(
                    self.time_limit_s, lambda: np.asarray(self.function(given, spacing_mm))
                )
        except TimeoutError:
            raise ValueError(
                f"{self.name}: expected an answer for {shape} within "
                f"{self.time_limit_s:g} s, got none; try it on fewer slices or raise --time-limit"
            ) from None
        except (Exception, SystemExit) as error:  # whatever it raises becomes one sentence
            raise ValueError(
                f"{self.name} failed on slices of shape {shape}: "
                f"{type(error).__name__}: {error}; call it on such an array alone to see why"
            ) from error
        return self._checked(shape, out)[first : first + count]

    def _checked(self, shape: tuple[int, ...], array: np.ndarray) -> np.ndarray:
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
        with np.errstate(over="ignore"):  # what float32 cannot hold is told below
            array = array.astype(np.float32)
        bad = array.size - int(np.isfinite(array).sum())
        if bad:
            raise ValueError(
                f"{self.name}: expected finite HU, got {bad} NaN or infinite of {array.size} "
                "pixels; find the slice and mask it"
            )
        return array

    def alone(self, images: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
        """Images (n, y, x) that are no neighbours of each other, denoised, HU."""
        if self.slices == 1:
            return self(images, spacing_mm)
        return np.concatenate([self(images[k : k + 1], spacing_mm) for k in range(len(images))])

    def tuned_to(self, volume: Volume) -> "Denoiser":
        """The same denoiser, set for the noise of a series where it has to be."""
        return self if self.tune is None else self.tune(volume)


@contextlib.contextmanager
def _set_aside() -> Iterator[None]:
    """What a stranger prints goes to stderr, and the working folder stays."""
    folder = os.getcwd()  # noqa: PTH109  # kept as text, for os.chdir
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.chdir(folder)


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


MEASURED = ("deterministic", "depends on image extent", "depends on neighbouring slices")
"""What :meth:`Behaviour.measured` says."""


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
    neighbours_hu : float
        Largest change of an image where it lies between two others.
    changed_state : tuple of str
        What it changed outside itself: random states, settings, environment, working folder.
    """

    repeat_hu: float
    constant_hu: float
    shift_hu: float
    extent_hu: float
    neighbours_hu: float
    changed_state: tuple[str, ...]

    @property
    def is_deterministic(self) -> bool:
        """Whether two runs gave the same HU."""
        return self.repeat_hu == 0

    @property
    def depends_on_extent(self) -> bool:
        """Whether the middle of an image changed by more than 1 HU with its border."""
        return self.extent_hu > 1

    @property
    def sees_neighbours(self) -> bool:
        """Whether an image changed with the images beside it, by more than two runs differ."""
        return self.neighbours_hu > max(self.repeat_hu, 0.01)

    def measured(self) -> dict[str, str]:
        """What was measured of it, in words, beside what :meth:`Denoiser.stated` knows."""
        found = (
            (not self.is_deterministic, self.repeat_hu),
            (self.depends_on_extent, self.extent_hu),
            (self.sees_neighbours, self.neighbours_hu),
        )
        words = [f"yes, by {hu:.3g} HU" if differs else "no" for differs, hu in found]
        words[0] = f"no, runs differ by {self.repeat_hu:.3g} HU" if found[0][0] else "yes"
        return dict(zip(MEASURED, words, strict=True))

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
        if self.depends_on_extent:
            sentences.append(
                f"the middle of an image changes by up to {self.extent_hu:.3g} HU where its border "
                "is cut off: its answer depends on the field of view"
            )
        if self.changed_state:
            sentences.append(
                f"it changes {' and '.join(self.changed_state)}: let it keep its state to itself"
            )
        return sentences


@contextlib.contextmanager
def _given_back() -> Iterator[None]:
    """Random states, settings and environment are afterwards as they were before."""
    drawn, mixed = np.random.get_state(), random.getstate()  # noqa: NPY002  # what is kept
    environment, errors = dict(os.environ), np.geterr()
    try:
        yield
    finally:
        np.random.set_state(drawn)  # noqa: NPY002  # and given back
        random.setstate(mixed)
        np.seterr(**errors)
        os.environ.clear()
        os.environ.update(environment)


@_given_back()
def behaviour(
    denoiser: Denoiser, *, size_px: int = 96, spacing_mm: Spacing = (2.5, 0.7, 0.7)
) -> Behaviour:
    """Measured on images of constants and on noisy lung beside soft tissue, (1, size, size)."""
    rng = np.random.default_rng(0)
    noisy = rng.normal(-850.0, 60.0, (1, size_px, size_px))
    noisy[..., : size_px // 4] += 890.0  # a wall of soft tissue beside lung
    first, second, changed = _twice(denoiser, noisy, spacing_mm)
    flat = [denoiser(np.full_like(noisy, hu), spacing_mm) - hu for hu in (-850.0, 0.0, 40.0)]
    shifted = denoiser(noisy + 10.0, spacing_mm)
    edge, middle = 16, size_px // 2
    inner = np.s_[:, edge:-edge, edge:-edge]
    cut = denoiser(noisy[inner], spacing_mm) - first[inner]
    near = np.s_[:, middle - edge - 2 : middle - edge + 2, middle - edge - 2 : middle - edge + 2]
    between = first
    if denoiser.slices != 1:
        others = rng.normal(-400.0, 60.0, (2, *noisy.shape[1:]))
        stack = np.stack([others[0], noisy[0], others[1]])
        between = denoiser(stack, spacing_mm)[1:2]
    return Behaviour(
        repeat_hu=float(np.abs(second - first).max()),
        constant_hu=float(max(np.abs(f).max() for f in flat)),
        shift_hu=float(shifted.mean(dtype=float) - first.mean(dtype=float)) - 10.0,
        extent_hu=float(np.abs(cut[near]).max()),
        neighbours_hu=float(np.abs(between - first).max()),
        changed_state=changed,
    )


def _twice(
    denoiser: Denoiser, images: np.ndarray, spacing_mm: Spacing
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Two answers to the same images, and what was changed outside the denoiser."""
    folder: list[str] = []

    def watched(hu: np.ndarray, mm: Spacing) -> np.ndarray:
        out = denoiser.function(hu, mm)
        folder.append(os.getcwd())  # noqa: PTH109  # before it is set back
        return out

    seen = replace(denoiser, function=watched)
    start = os.getcwd()  # noqa: PTH109  # compared as text
    before = _outside()
    first, second = (seen(images, spacing_mm) for _ in range(2))
    after = _outside()
    changed = [name for name, state in before.items() if state != after[name]]
    if set(folder) - {start}:
        changed.append("the working folder")
    return first, second, tuple(changed)


def _outside() -> dict[str, Any]:
    """State that belongs to all code of a process, by its name."""
    state = {
        "NumPy's global random state": pickle.dumps(np.random.get_state()),  # noqa: NPY002  # watched
        "Python's global random state": random.getstate(),
        "NumPy's error settings": np.geterr(),
        "environment variables": dict(os.environ),
    }
    torch: Any = sys.modules.get("torch")  # watched where a stranger uses it, never imported
    if torch is not None:
        state["torch's global random state"] = torch.get_rng_state().numpy().tobytes()
        state["torch's default type"] = torch.get_default_dtype()
    return state


def tell_behaviour(denoisers: Sequence[Denoiser], note: Note | None) -> None:
    """Hand on the sentences of :func:`behaviour` of strangers, before work with them.

    A command is left out: a call of it may take minutes. Its passport tells.
    """
    if note is None:
        return
    for denoiser in denoisers:
        if denoiser.kind in (*OWN, "command", "pair", "probes"):
            continue
        # One that refuses small images says so of the real ones, too.
        with contextlib.suppress(ValueError):
            for sentence in behaviour(denoiser).sentences():
                note(f"{denoiser.name}: {sentence}")
