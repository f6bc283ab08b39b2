"""Rendered cases beside a study while it is being locked, so that a killed lock goes on."""

import json
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ctlab.files import write_json, write_whole
from reader_study.blinding.render import Rendition

FOLDER = ".lock.unfinished"
_STATE = "lock.json"


@dataclass(frozen=True)
class RenderedCase:
    """What is known about a case whose pixels lie in the stage; lists have one entry per arm."""

    source: str  # fingerprint of the series it was rendered from
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    sha256: list[str]
    words: list[str]  # of the headers
    texture: list[list[float]] | None
    leaks: list[str]
    orientation: tuple[float, ...] = ()
    opens_at: int | None = None  # slice first shown; None: the middle one


class Stage:
    """Folder ``.lock.unfinished`` of a study; begun anew where the protocol is another one.

    It names arms, like ``arms/`` beside it, and is removed when the study is locked or refused.
    """

    def __init__(self, study: Path, protocol_sha256: str) -> None:
        self.folder = study / FOLDER
        state = self.folder / _STATE
        kept = json.loads(state.read_text("utf-8")) if state.is_file() else {}
        if kept.get("protocol_sha256") != protocol_sha256:
            self.remove()
            kept = {"protocol_sha256": protocol_sha256, "noise_seed": str(secrets.randbits(256))}
            write_json(state, kept)
        self.noise_seed = int(kept["noise_seed"])

    def remove(self) -> None:
        """Forget what was rendered."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def pixels(self, case: int, arm: int) -> Path:
        """File with the pixels of a case in an arm."""
        return self.folder / f"{case}-{arm}.hu"

    def keep_map(self, case: int, values: np.ndarray, *, other: bool = False) -> None:
        """Write the own or the other map of a case, float32, (z, y, x)."""
        with write_whole(self._map(case, other)) as part, part.open("wb") as file:
            np.save(file, values)

    def map(self, case: int, *, other: bool = False) -> np.ndarray:
        """Own or other map of a case, float32, (z, y, x)."""
        return np.asarray(np.load(self._map(case, other), allow_pickle=False))

    def _map(self, case: int, other: bool) -> Path:
        return self.folder / f"{case}{'-other' if other else ''}.map"

    def kept(self, case: int, source: str) -> RenderedCase | None:
        """The case as rendered before, unless its series changed since."""
        path = self.folder / f"{case}.json"
        if not path.is_file():
            return None
        facts = json.loads(path.read_text("utf-8"))
        for name in ("shape", "spacing_mm", "orientation"):
            facts[name] = tuple(facts.get(name, ()))
        rendered = RenderedCase(**facts)
        return rendered if rendered.source == source else None

    def keep(self, case: int, rendered: RenderedCase, renditions: list[Rendition]) -> None:
        """Write the pixels of a case, then what is known about it."""
        for rendition in renditions:
            with write_whole(self.pixels(case, rendition.arm)) as part:
                part.write_bytes(rendition.pixels)
        write_json(self.folder / f"{case}.json", asdict(rendered))

    def hu(self, case: int, arm: int, shape: tuple[int, int, int]) -> np.ndarray:
        """Pixels of a case in an arm, int16, (z, y, x)."""
        return np.fromfile(self.pixels(case, arm), "<i2").reshape(shape)
