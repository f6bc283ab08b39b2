"""The bundle: all that the reading room needs and sees. Opaque tokens, pixels, questions."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ctlab.input_files import check_depth, check_keys, read_bytes
from reader_study.record.migrations import FORMAT_VERSION, migrated

STUDY_FILE = "study.json"
PIXEL_FOLDER = "pixels"
OVERLAY_FOLDER = "overlays"


@dataclass(frozen=True)
class ShownTrial:
    """A trial as the reading room knows it: no arm, no case, no role."""

    token: str
    session: int
    practice: bool
    left: str
    right: str | None
    feedback: str = ""
    overlay: str | None = None  # token of the map over its images
    labels: tuple[str, ...] = ()  # over the images, where nothing is blinded (adjudication)
    given_marks: tuple[dict[str, Any], ...] = ()  # set beforehand, to be judged


@dataclass(frozen=True)
class Image:
    """Size, spacing (z, y, x), SHA-256 of the pixels behind a token, and how the patient lies.

    ``orientation`` are six direction cosines along a row and down a column; empty in bundles
    before format 3. ``opens_at`` is the slice first shown; None: the middle one.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    sha256: str
    orientation: tuple[float, ...] = ()
    opens_at: int | None = None


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; pixels are read when a trial needs them."""

    folder: Path
    facts: dict[str, Any]
    sha256: str

    @property
    def study_id(self) -> str:
        """Random name of the study; its database carries the same."""
        return str(self.facts["study_id"])

    @property
    def commitment(self) -> str:
        """SHA-256 of the sealed key, published at lock."""
        return str(self.facts["commitment"])

    @property
    def items(self) -> list[dict[str, Any]]:
        """The questions, as the browser gets them."""
        return list(self.facts["items"])

    @property
    def n_slots(self) -> int:
        """Readers of the design."""
        return len(self.facts["slots"])

    @cached_property
    def images(self) -> dict[str, Image]:
        """Images by token."""
        return {
            token: Image(
                tuple(i["shape"]),
                tuple(i["spacing_mm"]),
                i["sha256"],
                tuple(i.get("orientation", ())),
                i.get("opens_at"),
            )
            for token, i in self.facts["images"].items()
        }

    def trials(self, slot: int) -> list[ShownTrial]:
        """Trials of a slot (from 1) in reading order."""
        if not 1 <= slot <= self.n_slots:
            raise ValueError(f"slot must be 1 to {self.n_slots}, got {slot}")
        return [ShownTrial(**trial) for trial in self.facts["slots"][slot - 1]]

    def pixels(self, token: str) -> bytes:
        """Int16 HU of an image, little-endian, (z, y, x)."""
        if token not in self.images:
            raise ValueError("no such image in this study")
        return (self.folder / PIXEL_FOLDER / token).read_bytes()

    def overlay(self, token: str) -> bytes:
        """Map over an image, one byte a voxel, (z, y, x): 128 is 0."""
        if token not in self.overlays:
            raise ValueError("no such overlay in this study")
        return (self.folder / OVERLAY_FOLDER / token).read_bytes()

    @property
    def overlays(self) -> dict[str, str]:
        """SHA-256 of the overlays by token; empty in a study without overlays."""
        return dict(self.facts.get("overlays", {}))

    @property
    def overlay_design(self) -> str:
        """``sequential``, ``independent``, or empty in a study without overlays."""
        return str((self.facts.get("overlay") or {}).get("design", ""))

    def damaged(self) -> list[str]:
        """Tokens whose pixels are missing or not those that were locked."""
        images = {token: image.sha256 for token, image in self.images.items()}
        parts = ((PIXEL_FOLDER, images), (OVERLAY_FOLDER, self.overlays))
        return [
            token
            for folder, hashes in parts
            for token, sha256 in sorted(hashes.items())
            if self._digest(folder, token) != sha256
        ]

    def _digest(self, folder: str, token: str) -> str | None:
        path = self.folder / folder / token
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def open_bundle(folder: str | Path) -> Bundle:
    """Bundle of a locked study; one of an earlier format reads as if it were of this one.

    Raises
    ------
    ValueError
        The folder holds no bundle, or one of a newer format.
    """
    path = Path(folder) / STUDY_FILE
    if not path.is_file():
        raise ValueError(f"{folder} holds no locked study; run reader-study lock first")
    raw = read_bytes(path)
    try:
        facts = json.loads(raw)
        version = int(facts["format_version"])
        bundle = None if version > FORMAT_VERSION else _bundle(Path(folder), facts, raw)
    except Exception:  # whatever is missing from it or of another kind
        raise ValueError(f"{path} is damaged; copy the bundle again") from None
    if bundle is None:
        raise ValueError(
            f"{path.name} has format_version {version}; this program reads up to "
            f"{FORMAT_VERSION}: install a newer ctlab"
        )
    return bundle


_KINDS = {
    **dict.fromkeys(("study_id", "commitment"), str),
    **dict.fromkeys(("items", "slots"), list),
    **dict.fromkeys(("images", "design", "view"), dict),
}


def _bundle(folder: Path, facts: dict[str, Any], raw: bytes) -> Bundle:
    """Bundle of the contents of its file, each image and trial looked at once."""
    bundle = Bundle(
        folder, migrated(facts, facts["format_version"]), hashlib.sha256(raw).hexdigest()
    )
    check_keys(bundle.facts, _KINDS)
    check_depth(bundle.facts)
    for token, image in bundle.images.items():
        sizes = [*image.shape, *image.spacing_mm]
        is_whole = len(sizes) == 6 and all(isinstance(n, int | float) and n > 0 for n in sizes)
        if not is_whole or not _TOKEN.fullmatch(token) or not isinstance(image.sha256, str):
            raise ValueError(token)
    for slot in range(1, bundle.n_slots + 1):
        for trial in bundle.trials(slot):
            shown = {trial.left, trial.right} - {None}
            known = shown <= bundle.images.keys() and trial.overlay in {None, *bundle.overlays}
            if not known or not isinstance(trial.token, str):
                raise ValueError(trial.token)
    if not all(_TOKEN.fullmatch(token) for token in bundle.overlays):
        raise ValueError("overlays")
    for item in bundle.items:
        check_keys(item, {"name": str, "kind": str})
    return bundle


_TOKEN = re.compile(r"[\w-]+")
"""A name within the folder of pixels, so that no token leads out of it."""
