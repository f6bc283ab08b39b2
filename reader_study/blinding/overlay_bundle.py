"""Overlays on their way into the bundle: random names, hashes, files in the order of names."""

import hashlib
import os
import secrets
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from reader_study.blinding.overlays import (
    body_of,
    encode_overlay,
    make_overlay,
    overlay_facts,
    overlay_leaks,
)
from reader_study.blinding.stage import RenderedCase, Stage
from reader_study.design.protocol import Protocol

ONE_TIME = 946_684_800  # 1 January 2000; zip archives know no time before 1980
_IN_MEMORY = 8


class OverlayFiles:
    """Overlay of every case in every arm that has one; nothing in a study without overlays.

    Attributes
    ----------
    tokens : random name by case and arm
    leaks : what would tell the kinds apart
    """

    def __init__(
        self, protocol: Protocol, stage: Stage, rendered: list[RenderedCase], *, seed: int
    ) -> None:
        self._protocol, self._seed = protocol, seed
        self._body = lru_cache(_IN_MEMORY)(
            lambda case: body_of(stage.hu(case, 0, rendered[case].shape))
        )
        self._maps = lru_cache(_IN_MEMORY)(stage.map)
        self._others = partial(stage.map, other=True)
        arms = [arm for arm, facts in enumerate(protocol.arms) if facts.overlay]
        cases = range(len(protocol.cases))
        self.tokens = {(c, a): secrets.token_hex(16) for c in cases for a in arms}
        self._sha256: dict[str, str] = {}
        self.leaks: list[str] = []
        for case in cases if arms else ():
            made = {str(protocol.arms[a].overlay): self._made(case, a) for a in arms}
            self.leaks += overlay_leaks(protocol.cases[case], self._body(case), made)
            for arm in arms:
                values = encode_overlay(made[str(protocol.arms[arm].overlay)])
                self._sha256[self.tokens[case, arm]] = hashlib.sha256(values).hexdigest()

    def _made(self, case: int, arm: int) -> np.ndarray:
        kind = self._protocol.arms[arm].overlay
        assert kind is not None  # only arms with an overlay have a token
        return make_overlay(
            kind,
            case,
            self._protocol,
            body=self._body,
            maps=self._maps,
            others=self._others,
            seed=self._seed,
        )

    @property
    def sealed(self) -> dict[str, Any]:
        """What the key holds: case and arm behind each name."""
        if not self.tokens:
            return {}
        return {"overlays": {t: {"case": c, "arm": a} for (c, a), t in self.tokens.items()}}

    @property
    def facts(self) -> dict[str, Any]:
        """What the bundle tells: hashes in the order of names, and when overlays are seen."""
        if not self.tokens:
            return {}
        hashes = {token: self._sha256[token] for token in sorted(self._sha256)}
        return {"overlay": overlay_facts(self._protocol), "overlays": hashes}

    def write(self, folder: Path) -> None:
        """Write the files in the order of their random names."""
        if not self.tokens:
            return
        folder.mkdir(parents=True)
        in_order = sorted(self.tokens.items(), key=lambda entry: entry[1])
        for (case, arm), token in in_order:
            (folder / token).write_bytes(encode_overlay(self._made(case, arm)))
        for _, token in in_order:
            os.utime(folder / token, (ONE_TIME, ONE_TIME))
