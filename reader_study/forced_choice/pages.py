"""One page for each reader: trials in an order of its own, places shuffled, no answer inside."""

import base64
import json
import re
import secrets
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from ctlab.ct.hu import Window
from ctlab.files import fresh_folder, write_json
from ctlab.input_files import declared, read_arrays, read_json

WINDOW = Window(-750.0, 700.0, "narrow lung")
SEARCH = "search"
"""Task of a set: where in one square a lesion lies, if anywhere; else which square holds it."""
_SET = "is no set of a forced-choice test", "make it by ctlab forced-choice"


def read_set(folder: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts of a set of ``ctlab forced-choice``, and the tiles of each arm.

    Returns
    -------
    facts : dict
    tiles : arm -> ndarray, int16, shape (trials, places, y, x), HU; the lesion comes first

    Raises
    ------
    ValueError
        A file is missing or damaged, or the two disagree.
    """
    path = Path(folder) / "set.json"
    facts = read_json(path, *_SET)
    with declared(path, *_SET):
        if facts.get("task") == SEARCH:
            lesions = [place is not None for place in facts["case_places_px"]]
            if lesions != [c is not None for c in facts["case_contrasts_hu"]]:
                raise ValueError(f"{path}: places and contrasts of lesions disagree; {_SET[1]}")
        if facts["format_version"] != 1:
            raise ValueError(
                f"{path} has format_version {facts['format_version']}; this program reads 1: "
                "install a newer ctlab"
            )
        arms = [str(arm) for arm in facts["arms"]]
        size, cases = int(facts["tile_px"]), len(facts["cases"])
        shape = (cases, int(facts["places"]), size, size)
    stored = read_arrays(Path(folder) / "tiles.npz", [f"arm_{k}" for k in range(len(arms))], *_SET)
    tiles = {arm: stored[f"arm_{k}"] for k, arm in enumerate(arms)}
    for arm, shown in tiles.items():
        if shown.shape != shape:
            raise ValueError(
                f"expected tiles of {arm} of shape {shape}, got {shown.shape}; {_SET[1]}"
            )
    return facts, tiles


def write_pages(
    folder: str | Path,
    out: str | Path,
    readers: Sequence[str],
    *,
    seed: int | None = None,
    practice: bool = True,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write ``READER.html`` for each reader, ``practice.html``, and the coordinator's ``key.json``.

    A page shows every case of every arm once, in an order of its own; the same case comes with its
    places in another order, under a name drawn at random. What is right stands in the key alone,
    except on the practice page, whose staircase has to know it.

    Parameters
    ----------
    folder : from ``ctlab forced-choice``
    readers : labels, letters, digits, hyphens and underscores
    seed : for pages that come out alike again; default: from the system

    Raises
    ------
    ValueError
        A set that cannot be read, labels that are no file names, or alike.
    """
    facts, tiles = read_set(folder)
    wrong = [r for r in readers if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", r) or r == "practice"]
    if not readers or wrong or len({r.casefold() for r in readers}) < len(readers):
        raise ValueError(
            "expected different readers' labels of letters, digits, - and _, got "
            f"{', '.join(repr(r) for r in readers) or 'none'}; name them by --reader"
        )
    rng = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
    key: dict[str, Any] = {"format_version": 1, "places": facts["places"], "trials": {}}
    if facts.get("task") == SEARCH:
        key |= {"task": SEARCH, **{n: facts[n] for n in ("pixel_mm", "diameter_mm")}}
    with fresh_folder(out, overwrite=overwrite) as target:
        for reader in readers:
            page, answers = _trials(facts, tiles, rng)
            key["trials"] |= {t: {"reader": reader, **answer} for t, answer in answers.items()}
            _write(target / f"{reader}.html", facts, page, reader)
        if practice:
            _write(target / "practice.html", facts, _steps(facts, tiles, rng), "practice")
        write_json(target / "key.json", key)
    return {"readers": list(readers), "trials": len(facts["arms"]) * len(facts["cases"])}


def _trials(
    facts: dict[str, Any], tiles: dict[str, np.ndarray], rng: np.random.Generator
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Trials as a page shows them, and what is right in each by token."""
    page, answers = [], {}
    pairs = [(arm, case) for arm in tiles for case in range(len(facts["cases"]))]
    for k in rng.permutation(len(pairs)):
        arm, case = pairs[k]
        order = rng.permutation(facts["places"])
        token = rng.bytes(8).hex()
        page.append({"token": token, "tiles": [_grey(tiles[arm][case][i]) for i in order]})
        answers[token] = {
            "arm": arm,
            "case": facts["cases"][case],
            "contrast_hu": facts["case_contrasts_hu"][case],
            "place": _place(facts, case, order),
        }
    return page, answers


def _steps(
    facts: dict[str, Any], tiles: dict[str, np.ndarray], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Trials of the first arm for a staircase, with contrast and right place."""
    shown = next(iter(tiles.values()))
    made = []
    for case, contrast in enumerate(facts["case_contrasts_hu"]):
        order = rng.permutation(facts["places"])
        trial = {"contrast": contrast, "place": _place(facts, case, order)}
        made.append(trial | {"tiles": [_grey(shown[case][i]) for i in order]})
    return made


def _place(facts: dict[str, Any], case: int, order: np.ndarray) -> Any:
    """Number of the square with the lesion; in a search its row and column, None without one."""
    if facts.get("task") == SEARCH:
        return facts["case_places_px"][case]
    return int(np.flatnonzero(order == 0)[0]) + 1


def _grey(tile_hu: np.ndarray) -> str:
    return base64.b64encode(WINDOW.render(tile_hu).tobytes()).decode()


def _write(path: Path, facts: dict[str, Any], trials: list[dict[str, Any]], reader: str) -> None:
    here = files(__package__)
    data = {
        "reader": reader,
        "practice": reader == "practice",
        "size": facts["tile_px"],
        "places": facts["places"],
        "diameter_mm": facts["diameter_mm"],
        "pixel_mm": facts["pixel_mm"],
        "trials": trials,
    }
    scripts = ("common.js", "search.js" if facts.get("task") == SEARCH else "choice.js")
    template = jinja2.Template(here.joinpath("page.html.jinja").read_text("utf-8"), autoescape=True)
    text = template.render(
        data=json.dumps(data).replace("<", "\\u003c"),
        script="\n".join(here.joinpath(name).read_text("utf-8") for name in scripts),
        practice=data["practice"],
        places=facts["places"],
    )
    path.write_text(text, "utf-8")
