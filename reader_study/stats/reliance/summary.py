"""All that a table of readings with overlays tells, in numbers and in words."""

from dataclasses import asdict
from typing import Any

import pandas as pd

from reader_study.stats.conduct.reading_time import time_ratios
from reader_study.stats.reliance import change
from reader_study.stats.reliance.calibration import calibration


def reliance_facts(table: pd.DataFrame, first: str = "", second: str = "") -> dict[str, Any]:
    """All that a table of readings with overlays tells, as plain data.

    Parameters
    ----------
    table : as for :func:`~reader_study.stats.reliance.change.checked_readings`; ``confidence``
        (0 to 1) and ``seconds`` are used where they are there
    first, second : overlays compared; default own and shuffled, or the two there are
    """
    found = change.checked_readings(table)
    kinds = list(dict.fromkeys(found["overlay"].astype(str)))
    one, other = _compared(kinds, first, second)
    locked = "first_right" in found and found["first_right"].notna().any()
    compared = [one, other] if other else []
    facts: dict[str, Any] = {
        "overlays": kinds,
        "contrast": asdict(change.overlay_contrast(found, first=one, second=other))
        if compared
        else None,
        "changes": change.change_matrix(found).to_dict("records") if locked else [],
        "reliance": [],
        "trust": [],
        "harmed": [],
        "calibration": {},
        "times": [],
    }
    if found["advice_right"].notna().any():
        facts["reliance"] = change.reliance_shares(found).to_dict("records")
        facts["trust"] = change.d_prime_of_trust(found).to_dict("records")
    if compared:
        facts["harmed"] = change.harmed_readers(found, first=one, second=other).to_dict("records")
    if "confidence" in found:
        for kind, part in found.groupby("overlay", sort=False):
            told = part[part["confidence"].notna()]
            if len(told):
                stated = pd.to_numeric(told["confidence"])
                found_here = calibration(stated, told["final_right"])
                facts["calibration"][str(kind)] = asdict(found_here)
    if "seconds" in found and len(kinds) > 1:
        times = found.rename(columns={"overlay": "arm"})[["reader", "case", "arm", "seconds"]]
        facts["times"] = _times(times)
    return facts


def _times(times: pd.DataFrame) -> list[dict[str, Any]]:
    """Ratios within reader and case where a case was read under both kinds; else none."""
    times = times[times["seconds"].notna()]
    both = len(times) and times.groupby(["reader", "case"])["arm"].nunique().max() > 1
    return time_ratios(times).to_dict("records") if both else []


def _compared(kinds: list[str], first: str, second: str) -> tuple[str, str]:
    """The two overlays of the primary comparison: those named, own and shuffled, or all two."""
    if (first or second) and not {first, second} <= set(kinds):
        raise ValueError(
            f"expected --first and --second among {', '.join(kinds)}, got {first or 'none'} and "
            f"{second or 'none'}"
        )
    if first:
        return first, second
    if {"own", "shuffled"} <= set(kinds):
        return "own", "shuffled"
    return (kinds[0], kinds[1]) if len(kinds) == 2 else (kinds[0], "")


def reliance_lines(facts: dict[str, Any]) -> list[str]:
    """The comparison, changes, reliance, trust, harm and calibration, a line each."""
    lines = []
    if facts["contrast"]:
        row = facts["contrast"]
        lines.append(
            f"{row['first']} - {row['second']}: right answers {_points(row['difference'])} points "
            f"[{_points(row['low'])}, {_points(row['high'])}], p = {_number(row['p'])}"
        )
    else:
        lines.append("several overlays: name two by --first and --second to compare them")
    lines.extend(
        f"{row['overlay']}: right to wrong {row['right_wrong']}, wrong to right "
        f"{row['wrong_right']} of {row['n']}; net {_points(row['net'])} points "
        f"[{_points(row['net_low'])}, {_points(row['net_high'])}]"
        for row in facts["changes"]
    )
    for row in facts["reliance"]:
        said = change.MEASURES[row["measure"]]
        if row["share"] is None:
            lines.append(f"{said}: not known, {row['reason']}")
            continue
        why = f" ({row['reason']})" if row["reason"] else ""
        limits = f"[{row['low']:.1%}, {row['high']:.1%}]"
        lines.append(f"{said}: {row['share']:.1%} {limits}, n = {row['n']}{why}")
    if facts["trust"]:
        row = facts["trust"][-1]
        lines.append(
            f"telling right advice from wrong: d' {_number(row['d_prime'])} "
            f"[{_number(row['low'])}, {_number(row['high'])}]"
        )
    if facts["harmed"]:
        worst = facts["harmed"][0]
        lines.append(
            f"least helped: {worst['reader']}, {_points(worst['shrunk'])} points after shrinkage, "
            f"harmed with probability {worst['harmed']:.2f}"
        )
    lines.extend(
        f"confidence under {kind}: Brier {_number(row['brier'])}, calibration error "
        f"{_number(row['ece'])} (by chance alone {_number(row['ece_if_calibrated'])}), "
        f"over-confidence {_points(row['over_confidence'])} points"
        for kind, row in facts["calibration"].items()
    )
    return lines


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
