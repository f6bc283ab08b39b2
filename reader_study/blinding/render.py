"""Pixels as readers get them: whole HU as int16, nothing else, equal in size for every arm."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ctlab.ct.hu import HU_MAX, HU_MIN
from ctlab.ct.volume import Volume
from reader_study.blinding.noise_texture import matched
from reader_study.blinding.overlay_files import read_overlay
from reader_study.blinding.preflight import missing_folder
from reader_study.design.protocol import Case, Protocol

_NOISE = 0x7E87  # key of the stream that draws the noise of matched arms
SeriesReader = Callable[[Path], Volume]


def default_reader() -> SeriesReader:
    """What reads a folder where nothing else is asked for: :func:`ctlab.ct.read_series`."""
    from ctlab.ct.dicom.read import read_series

    return read_series


@dataclass(frozen=True)
class Rendition:
    """One case in one arm, ready for the bundle."""

    case: int
    arm: int
    pixels: bytes
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: tuple[float, ...] = ()

    @property
    def sha256(self) -> str:
        """Of the pixels, in hex."""
        return hashlib.sha256(self.pixels).hexdigest()


def encode(hu: np.ndarray) -> bytes:
    """Whole HU as little-endian int16, (z, y, x), clipped to -1024...3071.

    Clipping also makes one value of all paddings (-2000, -1024, -3024), which differ between
    reconstructions and would tell the arms apart in the corners of the image.

    Examples
    --------
    >>> np.frombuffer(encode(np.array([[[-2000.0, 39.6]]])), "<i2").tolist()
    [-1024, 40]
    """
    if not np.isfinite(hu).all():
        raise ValueError("HU must be finite; the series holds NaN or infinity")
    whole: np.ndarray = np.rint(np.clip(hu, HU_MIN, HU_MAX)).astype("<i2")
    return whole.tobytes()


def decode(rendition: Rendition) -> np.ndarray:
    """HU of a rendition, int16, (z, y, x): what a reader's browser gets."""
    return np.frombuffer(rendition.pixels, "<i2").reshape(rendition.shape)


class Renderer:
    """Renders the cases of a study; a series is read once although several cases are slabs of it.

    Parameters
    ----------
    study : folder that holds ``arms/``
    read : what turns a folder into a volume, normally :func:`ctlab.ct.read_series`
    seed : of the noise that is added where the protocol wants arms of matched texture
    """

    def __init__(
        self, study: Path, protocol: Protocol, read: SeriesReader, *, seed: int = 0
    ) -> None:
        self._study, self._protocol, self._read, self._seed = study, protocol, read, seed
        self._kept: dict[int, tuple[Path, Volume]] = {}  # last series of each arm
        self.headers: set[str] = set()  # what headers say about reconstruction and patient

    def case(self, case: int) -> list[Rendition]:
        """One rendition per arm, of equal geometry and byte length.

        Raises
        ------
        ValueError
            A series is missing or cannot be read, slices or lesions lie outside it, or the arms
            differ in shape, spacing, position or orientation; textures cannot be matched.
        """
        slabs = [self._slab(arm, case) for arm in range(len(self._protocol.arms))]
        self._check_geometry(slabs, case)
        _check_lesions(self._protocol.cases[case], self._kept[0][1])
        return [
            Rendition(case, arm, encode(hu), slab.shape, slab.spacing_mm, slabs[0].orientation)
            for arm, (slab, hu) in enumerate(zip(slabs, self._evened(slabs, case), strict=True))
        ]

    def overlay(self, case: int, *, other: bool = False) -> np.ndarray:
        """Own or other map of the case rendered last, float32, (z, y, x)."""
        volume = self._kept[0][1]
        return read_overlay(self._study, self._protocol.cases[case], volume, other=other)

    def _evened(self, slabs: list[Volume], case: int) -> list[np.ndarray]:
        images = [slab.hu for slab in slabs]
        if self._protocol.design.texture == "as-made":
            return images
        key = np.random.SeedSequence(self._seed, spawn_key=(_NOISE, case))
        try:
            return matched(images, np.random.Generator(np.random.PCG64DXSM(key)))
        except ValueError as error:
            raise ValueError(f"case {self._protocol.cases[case].name}: {error}") from None

    def _slab(self, arm: int, case: int) -> Volume:
        arm_name, plan = self._protocol.arms[arm].folder, self._protocol.cases[case]
        folder = self._study / "arms" / arm_name / plan.folder
        if arm not in self._kept or self._kept[arm][0] != folder:
            if not folder.is_dir():
                raise ValueError(missing_folder(arm_name, plan))
            self._kept[arm] = (folder, self._read(folder))
            said = asdict(self._kept[arm][1].acquisition).values()
            self.headers |= {word.strip() for word in said if isinstance(word, str)} - {""}
        return _cut(self._kept[arm][1], plan)

    def _check_geometry(self, slabs: list[Volume], case: int) -> None:
        """Refuse arms whose images of one case could not be laid over each other."""
        for arm, slab in enumerate(slabs[1:], start=1):
            for what in ("shape", "spacing_mm", "origin_mm", "orientation"):
                here, there = getattr(slabs[0], what), getattr(slab, what)
                if not np.allclose(here, there, atol=1e-3):
                    names = [self._protocol.arms[a].name for a in (0, arm)]
                    raise ValueError(
                        f"case {self._protocol.cases[case].name} differs in {what} between arms "
                        f"{names[0]} ({_plain(here)}) and {names[1]} ({_plain(there)}); resample "
                        "one of them"
                    )


def _cut(volume: Volume, case: Case) -> Volume:
    first, last = case.slices or (0, volume.shape[0])
    if last > volume.shape[0]:
        raise ValueError(
            f"case {case.name} asks for slices {first} to {last} but the series has "
            f"{volume.shape[0]}; correct slices in protocol.toml"
        )
    return Volume(
        hu=volume.hu[first:last],
        spacing_mm=volume.spacing_mm,
        origin_mm=volume.origin_mm,
        orientation=volume.orientation,
    )


def _check_lesions(case: Case, volume: Volume) -> None:
    for lesion in case.lesions:
        if not all(0 <= c < n for c, n in zip(lesion.centre_zyx, volume.shape, strict=True)):
            raise ValueError(
                f"case {case.name}: lesion at {_plain(lesion.centre_zyx)} lies outside the series "
                f"of {_plain(volume.shape)} voxels; correct centre_zyx in protocol.toml"
            )


def _plain(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in values)
