"""The concept inventory: ten questions before and after the course, kept without names.

The form lives in the page and needs no kernel. It writes a CSV file on the student's computer and
sends nothing. A word that only the student knows ties both files together; the file holds a
fingerprint of that word.
"""

import csv
import html
import io
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctlab.lessons.exercises.inventory_items import ITEMS

if TYPE_CHECKING:
    import pandas as pd

FORMAT_VERSION = 1
STAGES = ("before", "after")
COLUMNS = ("format_version", "stage", "person", "item", "answer")


@dataclass(frozen=True)
class Inventory:
    """The form of one stage; after the course it also explains the answers."""

    stage: str

    def _repr_html_(self) -> str:
        name = f"ctlab-inventory-{self.stage}"
        items = "".join(_item(name, number, key) for number, key in enumerate(ITEMS, 1))
        facts = {"stage": self.stage, "format": FORMAT_VERSION, "items": list(ITEMS)}
        script = files(__package__).joinpath("inventory.js").read_text("utf-8")
        data = html.escape(json.dumps(facts), quote=True)
        return (
            f'<form class="ctlab-quiz ctlab-inventory" id="{name}" data-facts="{data}">{items}'
            f'<p><label for="{name}-word">A word that only you know, the same before and after '
            f'(not your name)</label><br><input id="{name}-word" autocomplete="off" required '
            'minlength="4"></p><p><button type="submit">Save my answers</button></p>'
            f'<p role="status"></p></form><script>{script}</script>'
        )


def inventory(stage: str) -> Inventory:
    """The form of a stage, ``before`` or ``after`` the course."""
    if stage not in STAGES:
        raise ValueError(f"stage must be 'before' or 'after', got {stage!r}")
    return Inventory(stage)


def _item(form: str, number: int, key: str) -> str:
    question = ITEMS[key]
    rows = []
    for place, option in enumerate(question.options):
        why = f"{'Right.' if option.is_right else 'No.'} {option.feedback}"
        rows.append(
            f'<p><label><input type="radio" name="{form}-{key}" value="{place}" required> '
            f"{html.escape(option.text)}</label>"
            + (f' <span class="why" hidden>{html.escape(why)}</span>' if "after" in form else "")
            + "</p>"
        )
    legend = f"{number}. {html.escape(question.text)}"
    return f"<fieldset><legend>{legend}</legend>{''.join(rows)}</fieldset>"


def is_right(item: str, answer: int) -> bool:
    """Whether an option is the right one.

    Examples
    --------
    >>> is_right("dose", 2), is_right("dose", 0)
    (True, False)
    """
    return ITEMS[item].options[answer].is_right


def read_inventories(folder: str | Path) -> "pd.DataFrame":
    """Answers of all files in a folder: ``stage``, ``person``, ``item``, ``is_right``.

    Raises
    ------
    ValueError
        There is no file, or one that is not such an export, or a person answered a stage twice
        and differently.
    """
    import pandas as pd

    paths = sorted(Path(folder).glob("*.csv"))
    if not paths:
        raise ValueError(f"no .csv file in {folder}; collect the students' exports there")
    rows = [row for path in paths for row in _read(path)]
    table = pd.DataFrame(rows).drop_duplicates()
    twice = table[table.duplicated(["stage", "person", "item"])]
    if len(twice):
        first = twice.iloc[0]
        raise ValueError(
            f"person {first.person} answered item {first['item']!r} twice {first.stage} the "
            "course; keep one of the files"
        )
    return table.drop(columns="answer").reset_index(drop=True)


def _read(path: Path) -> list[dict[str, Any]]:
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    try:
        kept = [
            {
                "stage": row["stage"],
                "person": row["person"],
                "item": row["item"],
                "answer": int(row["answer"]),
                "is_right": is_right(row["item"], int(row["answer"])),
            }
            for row in rows
            if int(row["format_version"]) <= FORMAT_VERSION
        ]
    except (KeyError, ValueError, IndexError, TypeError):
        raise ValueError(f"{path.name} is not an export of the concept inventory") from None
    if not kept or any(row["stage"] not in STAGES for row in kept):
        raise ValueError(f"{path.name} is not an export of the concept inventory of this version")
    return kept


def inventory_gain(answers: "pd.DataFrame") -> "pd.DataFrame":
    """Share of right answers per item before and after, and the normalised gain.

    Only people with both files count, so that nobody is compared with somebody else. The gain is
    the share of what could be won that was won, (after − before) / (1 − before); Hake 1998,
    doi:10.1119/1.18809. It is missing where everybody was right before. The last row, ``all``, is
    over all items.

    Parameters
    ----------
    answers : table of :func:`read_inventories`

    Raises
    ------
    ValueError
        Nobody answered both times.
    """
    wide = answers.pivot_table("is_right", ["person", "item"], "stage", aggfunc="first")
    if not set(STAGES) <= set(wide.columns) or wide[list(STAGES)].dropna().empty:
        raise ValueError("nobody has a file before and one after; the words must be the same")
    both = wide[list(STAGES)].dropna().astype(float).reset_index()
    shares = both.groupby("item", sort=False)[list(STAGES)].mean().reindex(ITEMS)
    shares.loc["all"] = both[list(STAGES)].mean()
    shares["people"] = both.groupby("item")["person"].nunique().reindex(shares.index)
    shares.loc["all", "people"] = both["person"].nunique()
    left = 1 - shares["before"]
    shares["gain"] = (shares["after"] - shares["before"]) / left.where(left > 0)
    return shares[["people", *STAGES, "gain"]].astype(float)
