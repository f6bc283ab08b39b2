"""A tiny set of a forced-choice test, written as ``ctlab forced-choice`` writes it."""

import json

import numpy as np
import pytest

SIZE, PLACES = 9, 4
CASES = ["case 001", "case 002", "case 003"]
CONTRASTS = [40.0, 80.0, 40.0]


@pytest.fixture
def small_set(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    tiles = {
        f"arm_{k}": rng.integers(-900, -700, (len(CASES), PLACES, SIZE, SIZE)).astype(np.int16)
        for k in range(2)
    }
    np.savez_compressed(folder / "tiles.npz", **tiles)
    facts = {
        "format_version": 1,
        "arms": ["low-dose", "filter nlm"],
        "cases": CASES,
        "case_contrasts_hu": CONTRASTS,
        "places": PLACES,
        "tile_px": SIZE,
        "pixel_mm": 0.7,
        "diameter_mm": 6.0,
    }
    (folder / "set.json").write_text(json.dumps(facts), "utf-8")
    return folder


@pytest.fixture
def search_set(tmp_path):
    """A set of ``ctlab forced-choice --search``: the first of two squares holds a lesion."""
    folder = tmp_path / "search"
    folder.mkdir()
    rng = np.random.default_rng(1)
    shown = rng.integers(-900, -700, (2, 1, 41, 41)).astype(np.int16)
    shown[0, 0, 10:16, 20:26] = -300
    np.savez_compressed(folder / "tiles.npz", arm_0=shown, arm_1=shown)
    facts = {
        "format_version": 1,
        "task": "search",
        "arms": ["low-dose", "filter nlm"],
        "cases": CASES[:2],
        "case_contrasts_hu": [80.0, None],
        "case_places_px": [[12, 22], None],
        "places": 1,
        "tile_px": 41,
        "pixel_mm": 1.0,
        "diameter_mm": 6.0,
    }
    (folder / "set.json").write_text(json.dumps(facts), "utf-8")
    return folder
