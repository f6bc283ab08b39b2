"""Reporting checklists, chosen by the kind of study and filled from what its files say.

Items stand in ``checklist_items/*.toml``, in our own words under the numbers of their source.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from reader_study.report.checklist_facts import known_facts

OPEN = "To be written by the authors."
ACCURACY = {"auc", "wafroc", "sensitivity", "specificity", "correct", "recall", "ai", "reliance"}
Row = dict[str, Any]


@cache
def checklist_files() -> dict[str, dict[str, Any]]:
    """Every checklist by its short name: ``name, title, source`` and ``items`` by number."""
    folder = files("reader_study.report").joinpath("checklist_items").iterdir()
    return {
        part.name.removesuffix(".toml"): tomllib.loads(part.read_text("utf-8"))
        for part in sorted(folder, key=lambda part: part.name)
        if part.name.endswith(".toml")
    }


def chosen(facts: dict[str, Any]) -> list[str]:
    """Short names of the checklists for this study.

    Those that the protocol names under ``analysis.checklists``; where it names none, CLAIM for
    every study, STARD-AI where the primary endpoint is an accuracy, GRRAS where it is none or
    agreement between readers was estimated. DECIDE-AI belongs to live use in a clinic, which no
    file can show: it has to be named.
    """
    if named := facts["design"].get("checklists"):
        return list(named)
    accuracy = facts["primary"][0]["endpoint"] in ACCURACY
    names = ["claim-2024"] + (["stard-ai-2025"] if accuracy else [])
    return names + (["grras-2011"] if facts["agreement"] or not accuracy else [])


def fill(name: str, facts: dict[str, Any], model: dict[str, Any] | None = None) -> dict[str, Any]:
    """One checklist with its answers.

    Parameters
    ----------
    name : short name, a file of ``checklist_items``
    facts : contents of ``analysis.json``
    model : what :func:`reader_study.report.checklist_facts.read_model` found

    Returns
    -------
    dict
        ``name, title, source, rows, filled, part, open``; a row has ``number, item, answer,
        state, filled``. An answer names the file that it comes from; ``state`` is "filled",
        "in part" where the authors must add what the answer says, or "open".
    """
    checklist, known = checklist_files()[name], known_facts(facts, model or {})
    rows = [_row(number, item, known) for number, item in checklist["items"].items()]
    counts = {
        word: sum(row["state"] == state for row in rows)
        for word, state in (("filled", "filled"), ("part", "in part"), ("open", "open"))
    }
    return {**{key: checklist[key] for key in ("name", "title", "source")}, "rows": rows, **counts}


def as_table(facts: dict[str, Any], model: dict[str, Any]) -> pd.DataFrame:
    """All chosen checklists as rows ``checklist, number, item, state, answer``."""
    columns = ["checklist", "number", "item", "state", "answer"]
    lists = [fill(name, facts, model) for name in chosen(facts)]
    rows = [{"checklist": part["name"], **row} for part in lists for row in part["rows"]]
    return pd.DataFrame(rows)[columns]


def _row(number: str, item: dict[str, Any], known: dict[str, tuple[str, str]]) -> Row:
    parts = [known[name] for name in item.get("known", ()) if name in known]
    answer = " ".join(f"{text.rstrip('.')} [{source}]." for text, source in parts)
    rest = item.get("write", "")
    if answer and rest:
        answer = f"{answer} To be added: {rest}."
    state = "open" if not answer else "in part" if rest else "filled"
    return {
        "number": number,
        "item": item["asks"],
        "answer": answer or OPEN,
        "state": state,
        "filled": state == "filled",
    }
