"""The commands ``stats forced-choice`` and ``stats search``: their results in numbers and words."""

from pathlib import Path
from typing import Any

import pandas as pd

from reader_study.cli.stats_lines import number
from reader_study.stats.forced_choice.panel import forced_choice
from reader_study.stats.forced_choice.search import search


def forced_choice_facts(
    table: pd.DataFrame, places: int, observers: pd.DataFrame | None
) -> dict[str, Any]:
    """Answers as analysed, as plain data."""
    return forced_choice(table, places, observers=observers).facts()


def draw_detectability(facts: dict[str, Any], observers: pd.DataFrame | None, path: Path) -> None:
    """Write the panel's d' beside the observers' as SVG; ``ValueError`` for another ending."""
    from ctlab.files import write_whole
    from reader_study.report.figures import detectability

    if path.suffix != ".svg":
        raise ValueError(f"expected a name that ends in .svg, got {path}; rename it")
    rows = [] if observers is None else observers.to_dict("records")
    for row in rows:
        row |= {name: float(row[name]) for name in ("contrast_hu", "d_prime")}
    with write_whole(path) as part:
        part.write_text(detectability(facts["arms"], rows), "utf-8")


def forced_choice_lines(facts: dict[str, Any]) -> list[str]:
    """D' of each arm, differences, thresholds, efficiency and notes, a line each."""
    lines = [f"right answers among {facts['places']} places, limits for new readers and cases"]
    lines.extend(_arm_line(row) for row in facts["arms"])
    lines.extend(
        f"{row['first']} - {row['second']}: {100 * row['share_difference']:.1f} points "
        f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}], p = {number(row['p'])}, "
        f"d' {number(row['d_prime_difference'])} "
        f"[{number(row['d_prime_low'])}, {number(row['d_prime_high'])}]"
        for row in facts["differences"]
    )
    for arm, fit in facts["thresholds"].items():
        lines.append(
            f"{arm}: d' is 1 at {number(fit['threshold_hu'])} HU "
            f"[{number(fit['low_hu'])}, {number(fit['high_hu'])}]"
            + (f" ({fit['note']})" if fit["note"] else "")
        )
    lines.extend(
        f"{row['arm']} at {number(row['contrast_hu'])} HU: efficiency beside {row['observer']} "
        f"(d' {number(row['observer_d_prime'])}) {number(row['efficiency'])} "
        f"[{number(row['low'])}, {number(row['high'])}]"
        for row in facts["efficiencies"]
    )
    for reader, ratio in facts["internal_noise"].items():
        shown = "above all measure" if ratio is None else number(ratio)
        lines.append(f"{reader}: own noise over that of the images {shown}")
    return [*lines, *(f"Note: {note}" for note in facts["notes"])]


def _arm_line(row: dict[str, Any]) -> str:
    """Share and d' of an arm; nothing missed leaves a lower limit alone."""
    at = "" if row["contrast_hu"] is None else f" at {number(row['contrast_hu'])} HU"
    value = f"d' above {number(row['low'])}"
    if row["d_prime"] is not None:
        high = "no upper limit" if row["high"] is None else number(row["high"])
        value = f"d' {number(row['d_prime'])} [{number(row['low'])}, {high}]"
    return f"{row['arm']}{at}: {row['share']:.1%} right, {value}"


def search_facts(table: pd.DataFrame, observers: pd.DataFrame | None) -> dict[str, Any]:
    """Answers to a search as analysed, as plain data."""
    return search(table, observers=observers).facts()


def search_lines(facts: dict[str, Any]) -> list[str]:
    """Lesions found, areas and differences, observers and notes, a line each."""
    lines = ["lesions found, and areas under the localisation ROC curve; new readers and cases"]
    lines.extend(
        f"{row['arm']}{_at(row)}: {row['share']:.1%} found "
        f"[{row['low']:.1%}, {row['high']:.1%}], n = {row['n']}"
        for row in facts["arms"]
    )
    lines.extend(
        f"{row['arm']}: area {row['area']:.3f} [{number(row['low'])}, {number(row['high'])}]"
        for row in facts["areas"]
    )
    lines.extend(
        f"{row['first']} - {row['second']}: {row['difference']:+.3f} "
        f"[{number(row['low'])}, {number(row['high'])}], p = {number(row['p'])}"
        for row in facts["differences"]
    )
    lines.extend(
        f"{row['arm']}{_at(row)}, {row['observer']} observer: {row['share_found']:.1%} found, "
        f"area {row['area']:.3f}{_efficiency(row)}"
        for row in facts["observers"]
    )
    return [*lines, *(f"Note: {note}" for note in facts["notes"])]


def _at(row: dict[str, Any]) -> str:
    return "" if row["contrast_hu"] is None else f" at {number(row['contrast_hu'])} HU"


def _efficiency(row: dict[str, Any]) -> str:
    if row["efficiency"] is None:
        return ""
    limits = f"[{number(row['low'])}, {number(row['high'])}]"
    return f"; efficiency of the panel {number(row['efficiency'])} {limits}"
