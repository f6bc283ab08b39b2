"""An R script that repeats the primary result from the study's tables and compares the numbers.

Base R throughout. The mixed ordinal model is fitted again where the package ``ordinal`` is there;
without it, its likelihood is written out in base R and examined at the published estimate.
"""

import json
from pathlib import Path
from typing import Any

from reader_study.design.analysis_plan import ASSISTED, CALLED

PARTS = Path(__file__).parent / "r"
# How closely R must agree: closed forms, and a likelihood found by another optimiser.
CLOSED = ("share", "difference", "auc", "wafroc", "ai", "limits", *CALLED, *ASSISTED)
TOLERANCE = dict.fromkeys(CLOSED, 1e-6) | {"odds": 5e-3}
# Which scripts follow each other for an endpoint; "ustat": areas from incomplete readings.
STEPS = {
    "share": ("crossed", "share"),
    "difference": ("crossed", "difference"),
    "odds": ("odds",),
    "auc": ("auc", "anova"),
    "wafroc": ("wafroc", "anova"),
    "ustat": ("ustat",),
    "ai": ("model", "auc", "anova"),
    "limits": ("limits",),
    **dict.fromkeys(CALLED, ("called", "anova")),
    **dict.fromkeys(ASSISTED, ("crossed", "assisted")),
}


def r_script(facts: dict[str, Any]) -> str:
    """The script for the primary comparison of an analysis.

    Parameters
    ----------
    facts : contents of ``analysis.json``

    Returns
    -------
    str
        Run as ``Rscript primary.R [FOLDER]``, with ``primary.csv`` and ``cases.csv`` in the
        folder. It prints the estimate and interval of R beside the published ones and ends with
        an error where they differ. Where the primary result has no estimate, the script says so
        and prints the data.
    """
    row = facts["primary"][0]
    head = _head(facts, row)
    if row["value"] is None:
        return head + _only_data(f"The study published no estimate: {row['note']}")
    incomplete = row["endpoint"] == "auc" and row["extra"]["method"] == "ustat"
    steps = STEPS["ustat" if incomplete else row["endpoint"]]
    body = "".join((PARTS / f"{step}.R").read_text("utf-8") for step in steps)
    if row["endpoint"] in CALLED:
        head += f"called_from <- {row['extra']['called_from']!r}\n"
        head += f'share <- "{row["endpoint"]}"\n\n'
    if row["endpoint"] in ASSISTED:
        head += f'endpoint <- "{row["endpoint"]}"\n\n'
    if row["endpoint"] == "odds":
        head += _ordinal_fit(row["extra"])
    return head + body + _compare(row)


def _ordinal_fit(extra: dict[str, Any]) -> str:
    """The published fit, at which base R examines the likelihood."""
    named = ", ".join(f"{name} = {value!r}" for name, value in extra["variances"].items())
    numbers = ", ".join(map(repr, extra.get("thresholds", ())))  # none in older analyses
    return (
        f"thresholds <- c({numbers})\nvariances <- c({named})\n"
        f"log_odds <- {extra['log_odds']!r}\nloglik <- {extra.get('loglik', 'NA')}\n\n"
    )


def _head(facts: dict[str, Any], row: dict[str, Any]) -> str:
    title = " ".join(facts["title"].split())
    return (
        f"# {title}\n"
        f"# Primary result: {row['unit']}, {row['new']} against {row['reference']}, item "
        f"{row['item']}.\n"
        + ("# Ratings are reverse-scored: higher is better.\n" if row["turned"] else "")
        + "# Usage: Rscript primary.R [folder with primary.csv]\n"
        "args <- commandArgs(TRUE)\n"
        'folder <- if (length(args)) args[1] else "."\n'
        'd <- read.csv(file.path(folder, "primary.csv"), stringsAsFactors = FALSE,\n'
        '              colClasses = c(reader = "character", case = "character"))\n'
        f"new <- {_quoted(row['new'])}\n"
        f"reference <- {_quoted(row['reference'])}\n"
        f"level <- {facts['level']}\n"
        "# Patients are the independent units where some of them gave several cases.\n"
        "patients <- length(unique(d$patient))\n"
        "clustered <- patients > 1 && patients < length(unique(d$case))\n"
        "d$unit <- if (clustered) as.character(d$patient) else d$case\n\n"
    )


def _quoted(text: str) -> str:
    """An R string; JSON's escapes are R's."""
    return json.dumps(text)


def _only_data(why: str) -> str:
    return f"cat({_quoted(why)}, '\\n')\nprint(summary(d))\n"


def _compare(row: dict[str, Any]) -> str:
    values = {"estimate": row["value"], "low": row["low"], "high": row["high"]}
    for limits in row["extra"].get("limits", ())[:2]:  # of two arms: same reader, two readers
        name = limits["comparison"].split()[0]
        values |= {f"{name}_low": limits["low"], f"{name}_high": limits["high"]}
    numbers = ["NA" if value is None else repr(float(value)) for value in values.values()]
    published, names = ", ".join(numbers), ", ".join(f"{name} = 1" for name in values)
    return (
        f"\npublished <- c({names}) * c({published})\n"
        f"tolerance <- {TOLERANCE[row['endpoint']]!r}\n"
        "print(rbind(published = published, r = found), digits = 8)\n"
        "gap <- max(abs(found - published) / pmax(1, abs(published)), na.rm = TRUE)\n"
        'if (!(gap < tolerance)) stop("R does not repeat the published result; gap ", gap)\n'
        'cat("The published result is repeated (largest gap ", format(gap, digits = 2), ").\\n",\n'
        '    sep = "")\n'
    )
