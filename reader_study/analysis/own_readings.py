"""What a reader may learn after unblinding: the own answers and the cases missed."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reader_study.analysis.endpoints.outcome_tables import main_answers, outcome_table
from reader_study.analysis.tables import final_ratings, ratings_table
from reader_study.design.analysis_plan import Planned, plan_of
from reader_study.design.protocol import Case
from reader_study.record.study_record import UnblindedStudy, read_unblinded
from reader_study.room.own_results import own_results
from reader_study.room.viewer_settings import first_window
from reader_study.stats import share_per_reader, trials_from_ratings

_WITH_TRUTH = {"auc", "sensitivity", "specificity", "correct", "recall"}
_SIDE_PX = 128


def own_readings(study: str | Path, *, maps: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """What each reader who answered may learn of the own reading, by reader number.

    Parameters
    ----------
    maps : folder with pictures ``CASE.png`` that stand beside a case that was missed, such as the
        maps of ``ctlab explain``

    Returns
    -------
    dict
        By reader: ``title``, ``reader``, ``shares`` (planned comparisons of preferences),
        ``consistency`` (repeats, side, pace), and ``rated``: calls beside the truth with the cases
        missed; None where the study knows no truth. Nothing of one reader stands with another.

    Raises
    ------
    ValueError
        The study is not unblinded, or ``maps`` is no folder.
    """
    if maps is not None and not Path(maps).is_dir():
        raise ValueError(f"{maps} is no folder; name one with pictures CASE.png")
    record = read_unblinded(study)
    ratings = final_ratings(ratings_table(record))
    return {
        str(reader): {
            "title": record.bundle.facts["title"],
            "reader": str(reader),
            **_preferences(record, own),
            "consistency": _consistency(record, str(reader)),
            "rated": _rated(record, own, maps),
        }
        for reader, own in ratings.groupby("reader", sort=True)
    }


def _preferences(record: UnblindedStudy, own: pd.DataFrame) -> dict[str, Any]:
    """Share of decided pairs for each planned comparison of a preference."""
    rows = []
    for test in plan_of(record.protocol).tests:
        if test.endpoint != "share":
            continue
        answers = main_answers(own, test.item)
        if answers.empty:
            continue
        trials = trials_from_ratings(answers, item=test.item)
        shown = trials[trials["left"] != trials["right"]]
        both = shown[shown["left"].isin({test.new, test.reference})]
        both = both[both["right"].isin({test.new, test.reference})]
        if not both.empty:
            share = share_per_reader(both, arm=test.new, over=test.reference).iloc[0].to_dict()
            rows.append({"arm": test.new, "over": test.reference, "item": test.item, **share})
    return {"shares": rows}


def _consistency(record: UnblindedStudy, reader: str) -> dict[str, Any]:
    """Agreement with the own repeats, side and pace, as the last page of the room told it."""
    slot = next(r.slot for r in record.readers if r.reader == reader)
    trials = record.bundle.trials(slot)
    return own_results(trials, record.answers_of(reader), record.bundle.items)


def _rated(
    record: UnblindedStudy, own: pd.DataFrame, maps: str | Path | None
) -> dict[str, Any] | None:
    """Calls beside the truth for the primary question, where cases have a known finding."""
    protocol = record.protocol
    test = plan_of(protocol).tests[0]
    if test.endpoint not in _WITH_TRUTH or not any(c.lesions for c in protocol.reading_cases):
        return None
    table = outcome_table(own, test)
    if table.empty:
        return None
    cases = {case.name: case for case in protocol.reading_cases}
    truth = table["case"].map({name: bool(case.lesions) for name, case in cases.items()})
    called = table["rating"] >= _call_from(test)
    arms = []
    for arm in (test.new, test.reference):
        here = table["arm"] == arm
        arms.append(
            {
                "arm": arm,
                "found": int((here & truth & called).sum()),
                "with_finding": int((here & truth).sum()),
                "cleared": int((here & ~truth & ~called).sum()),
                "without": int((here & ~truth).sum()),
            }
        )
    missed = table[truth & ~called]
    shown = [
        {"case": name, "arms": sorted(rows["arm"]), **_pictures(record, cases[str(name)], maps)}
        for name, rows in missed.groupby("case")
    ]
    false = sorted(set(table.loc[~truth & called, "case"]))
    rule = f"{_call_from(test):g} or more of {100 if test.n_answers == 101 else test.n_answers}"
    return {"arms": arms, "missed": shown, "false": false, "rule": rule, "item": test.item}


def _call_from(test: Planned) -> float:
    """Lowest rating that counts as a call: the protocol's, or above the middle of the scale."""
    if test.called_from is not None:
        return test.called_from
    return 50.5 if test.n_answers == 101 else (test.n_answers + 1) / 2 + 0.5


def _pictures(record: UnblindedStudy, case: Case, maps: str | Path | None) -> dict[str, Any]:
    """The first lesion in every arm, with a circle around it, and the map of the case."""
    lesion, protocol = case.lesions[0], record.protocol
    number = protocol.cases.index(case)
    z, y, x = lesion.centre_zyx
    z -= case.slices[0] if case.slices else 0
    window = first_window(record.bundle)
    pictures = []
    for token, origin in sorted(record.key.images.items(), key=lambda i: i[1].arm):
        image = record.bundle.images[token]
        if origin.case != number:
            continue
        hu = np.frombuffer(record.bundle.pixels(token), "<i2").reshape(image.shape)
        radius_px = lesion.diameter_mm / image.spacing_mm[2]
        plane = hu[int(np.clip(round(z), 0, len(hu) - 1))]
        png, left, top = _crop(window.render(plane), y, x)
        pictures.append(
            {
                "arm": protocol.arms[origin.arm].name,
                "png": png,
                "x": x - left + 0.5,
                "y": y - top + 0.5,
                "radius": radius_px + 3,
            }
        )
    found = Path(maps) / f"{case.name}.png" if maps is not None else None
    shown = found is not None and found.is_file()
    picture = base64.b64encode(found.read_bytes()).decode() if found and shown else ""
    slice_mm = {"slice": round(z) + 1, "diameter_mm": lesion.diameter_mm}
    return {"pictures": pictures, "map": picture, "side": _SIDE_PX, **slice_mm}


def _crop(grey: np.ndarray, y: float, x: float) -> tuple[str, int, int]:
    """PNG of a square around a place, and its first column and row; black beyond the image."""
    from PIL import Image

    top, left = round(y) - _SIDE_PX // 2, round(x) - _SIDE_PX // 2
    picture = Image.fromarray(grey).crop((left, top, left + _SIDE_PX, top + _SIDE_PX))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode(), left, top
