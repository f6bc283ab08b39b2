"""Scores of the statements about maps that readers rated at the end of their sessions."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reader_study.design.analysis_plan import LEVEL
from reader_study.record.store import latest
from reader_study.record.study_record import UnblindedStudy
from reader_study.room.questions import TRUST

OVERALL = "overall"


def trust_table(record: UnblindedStudy) -> pd.DataFrame:
    """``reader, session, subscale, score, answered, of``, a row for each score.

    A score is empty where a statement of its subscale was not answered.
    """
    if record.protocol.trust is None:
        return pd.DataFrame(columns=["reader", "session", "subscale", "score", "answered", "of"])
    scale = record.protocol.trust.asked
    top = len(scale.answers)
    given: dict[tuple[str, int], dict[int, float]] = {}
    for (reader, item), answer in _last(record).items():
        value = answer if isinstance(answer, int | float) else np.nan
        given.setdefault(reader, {})[int(item.removeprefix(TRUST)) - 1] = float(value)
    rows = []
    for (reader, session), answers in sorted(given.items()):
        values = pd.DataFrame(
            [
                (item.subscale, answers.get(k, np.nan), item.subscale in scale.reversed)
                for k, item in enumerate(scale.items)
            ],
            columns=["subscale", "value", "reversed"],
        )
        parts = [(name, part["value"]) for name, part in values.groupby("subscale", sort=False)]
        turned = values["value"].where(~values["reversed"], 1 + top - values["value"])
        parts += [(OVERALL, turned)] if len(parts) > 1 else []
        for name, part in parts:
            score = part.mean() if part.notna().all() else np.nan
            rows.append((reader, session, name, score, int(part.notna().sum()), len(part)))
    return pd.DataFrame(rows, columns=["reader", "session", "subscale", "score", "answered", "of"])


def _last(record: UnblindedStudy) -> dict[tuple[tuple[str, int], str], Any]:
    """Last answers to the statements by reader, session from 1, and statement."""
    asked = [a for a in record.answers if a.item.startswith(TRUST)]
    made: dict[tuple[tuple[str, int], str], Any] = {}
    for reader in dict.fromkeys(a.reader for a in asked):
        for answer in latest([a for a in asked if a.reader == reader]).values():
            made[(reader, answer.session + 1), answer.item] = answer.value
    return made


def trust_facts(record: UnblindedStudy) -> dict[str, Any]:
    """Mean and SD over readers of each score with the limits of the mean; empty where not asked."""
    if record.protocol.trust is None:
        return {}
    scale, table = record.protocol.trust.asked, trust_table(record)
    rows = []
    for name, part in table.groupby("subscale", sort=False):
        mine = part.groupby("reader")["score"].mean().dropna()
        n, sd = len(mine), float(mine.std()) if len(mine) > 1 else np.nan
        half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * sd / np.sqrt(n) if n > 1 else np.nan
        mean = float(mine.mean()) if n else np.nan
        ends = {"low": mean - half, "high": mean + half}
        rows.append({"subscale": name, "mean": mean, "sd": sd, **ends, "readers": n})
    named = ("title", "source", "wording", "licence", "notes")
    told = {name: getattr(scale, name) for name in named}
    return {**told, "about": record.protocol.trust.about, "top": len(scale.answers), "rows": rows}
