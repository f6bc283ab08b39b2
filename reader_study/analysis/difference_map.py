"""Where readers say that the images of a case differ: a map over readers, one for each case."""

import base64
from typing import Any

import numpy as np
import pandas as pd

from ctlab.ct.hu import WINDOWS, Window
from reader_study.record.store import latest
from reader_study.record.study_record import UnblindedStudy
from reader_study.room.questions import WHERE

_COLUMNS = ["reader", "trial", "kind", "case", "z", "y", "x", "radius_mm"]
_SIDE = 96  # pixels of a map: enough to see where, small in analysis.json


def differences_table(record: UnblindedStudy) -> pd.DataFrame:
    """One row a trial that was marked: circle in voxels of the slab; empty where "nowhere"."""
    rows = []
    by_reader: dict[str, list[Any]] = {}
    for answer in record.answers:
        by_reader.setdefault(answer.reader, []).append(answer)
    for reader, answers in by_reader.items():
        for (token, item), answer in latest(answers).items():
            if item != WHERE or answer.value == "cannot-judge":
                continue
            trial = record.key.trials[token]
            place = answer.value if isinstance(answer.value, dict) else {}
            spot = [place.get(name) for name in ("z", "y", "x", "radius_mm")]
            rows.append([reader, token, trial.kind, record.protocol.cases[trial.case].name, *spot])
    return pd.DataFrame(rows, columns=_COLUMNS)


def difference_maps(record: UnblindedStudy) -> list[dict[str, Any]]:
    """For each case the share of readers whose circle covers each place, over an image of it.

    Main trials alone count, so that every reader counts once a case and pair of arms.

    Returns
    -------
    list of dict
        ``case``, ``readings``, ``nowhere``, ``slice`` (stored, from 0; the one marked most),
        ``shape`` of the map, ``share`` and ``image`` (uint8, base64; share in 1/255, grey values).
    """
    table = differences_table(record)
    table = table[table["kind"] == "main"]
    maps = []
    for number, case in enumerate(record.protocol.cases):
        rows = table[table["case"] == case.name]
        if rows.empty:
            continue
        token = next(t for t, o in record.key.images.items() if (o.case, o.arm) == (number, 0))
        maps.append({"case": case.name, **_map(record, token, rows)})
    return maps


def _map(record: UnblindedStudy, token: str, rows: pd.DataFrame) -> dict[str, Any]:
    image = record.bundle.images[token]
    depth, height, width = image.shape
    step = max(1, -(-max(height, width) // _SIDE))
    marked = rows.dropna(subset=["z"])
    y, x = np.mgrid[0:height:step, 0:width:step]
    covered = np.zeros(y.shape)
    for mark in marked.itertuples():
        dy, dx = (y - mark.y) * image.spacing_mm[1], (x - mark.x) * image.spacing_mm[2]
        covered += np.hypot(dy, dx) <= max(mark.radius_mm, step * max(image.spacing_mm[1:]))
    at = depth // 2 if marked.empty else int(marked["z"].mode().iloc[0])
    hu = np.frombuffer(record.bundle.pixels(token), "<i2").reshape(image.shape)[at, ::step, ::step]
    return {
        "readings": len(rows),
        "nowhere": len(rows) - len(marked),
        "slice": at,
        "shape": list(y.shape),
        "share": _text(np.rint(255 * covered / len(rows)).astype(np.uint8)),
        "image": _text(_window(record).render(hu)),
    }


def _window(record: UnblindedStudy) -> Window:
    view = record.protocol.view
    own = {w.name: Window(w.level_hu, w.width_hu, w.name) for w in view.windows}
    return (WINDOWS | own)[view.window]


def _text(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
