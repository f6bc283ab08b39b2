"""Domains on disk: simulated once, read by every process, as whole HU."""

import json
from pathlib import Path

import numpy as np

from ctlab.learn.data.domains import Domains
from ctlab.learn.data.patches import PatchDomain
from ctlab.learn.data.split import Slab


class Pool:
    """Slabs as int16 HU, each stored once however many domains and configurations use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[bytes, str] = {}

    def put(self, slab: np.ndarray) -> str:
        """Name of the file that holds this slab."""
        whole = np.rint(slab).astype(np.int16)
        key = whole.tobytes()
        if key not in self.known:
            self.known[key] = f"slab{len(self.known)}.npz"
            np.savez_compressed(self.folder / self.known[key], hu=whole)
        return self.known[key]

    def get(self, name: str) -> np.ndarray:
        """The slab again."""
        with np.load(self.folder / name) as stored:
            return stored["hu"]


def write_domains(domains: Domains, pool: Pool, path: Path) -> None:
    """Both domains, the pairs where there are any, the split and the card."""

    def describe(domain: PatchDomain | None) -> dict | None:
        if domain is None:
            return None
        return {
            "slabs": [pool.put(slab) for slab in domain.slabs],
            "noise_hu": domain.noise_hu,
            "partners": [pool.put(slab) for slab in domain.partners or []],
        }

    parts = {name: describe(getattr(domains, name)) for name in ("full", "low", "pairs")}
    slabs = [vars(slab) for slab in domains.slabs]
    text = json.dumps(parts | {"split": slabs, "card": domains.card}, indent=1)
    path.write_text(text, encoding="utf-8")


def read_domains(path: Path, *, patch_px: int) -> Domains:
    """What :func:`write_domains` wrote."""
    stored, pool = json.loads(path.read_text(encoding="utf-8")), Pool(path.parent)

    def build(part: dict | None) -> PatchDomain | None:
        if part is None:
            return None
        partners = [pool.get(name) for name in part["partners"] or []] or None
        hu = [pool.get(name) for name in part["slabs"]]
        return PatchDomain(hu, part["noise_hu"], patch_px=patch_px, partners=partners)

    full, low = build(stored["full"]), build(stored["low"])
    assert full is not None
    assert low is not None
    return Domains(
        full=full,
        low=low,
        slabs=tuple(Slab(**slab) for slab in stored["split"]),
        card=stored["card"],
        pairs=build(stored["pairs"]),
    )
