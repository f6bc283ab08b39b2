"""What the statistics commands say to people: one result as lines of text."""

from typing import Any


def ai_lines(facts: dict[str, Any]) -> list[str]:
    """The model, the panel, their difference and what was shown."""
    lines = [
        f"{facts['name']}: {number(facts['ai'])}, readers: {number(facts['readers_mean'])}",
        f"difference {number(facts['difference'])} [{number(facts['low'])}, "
        f"{number(facts['high'])}], p = {number(facts['p'])}",
    ]
    if facts["margin"] is not None:
        for claim, p in (("not worse than", "noninferiority"), ("equivalent to", "equivalence")):
            value = facts[f"{p}_p"]
            limit = 0.025 if p == "noninferiority" else 0.05
            shown = "shown" if value is not None and value < limit else "not shown"
            lines.append(
                f"{facts['name']} {claim} the readers by {number(facts['margin'])}: {shown}, "
                f"one-sided p = {number(value)}"
            )
    lines.append(f"{facts['readers']} readers, {facts['cases']} cases; the model is fixed")
    return [*lines, *([f"Note: {facts['note']}"] if facts["note"] else [])]


def limit_lines(facts: dict[str, Any]) -> list[str]:
    """One line for each kind of limits."""
    return [
        f"{row['comparison']}{' ' + row['arm'] if row['arm'] else ''}: {number(row['mean'])} "
        f"[{number(row['low'])}, {number(row['high'])}]"
        + (f" ({row['note']})" if row["note"] else "")
        for row in facts["limits"]
    ]


def number(value: object) -> str:
    """Four digits, a dash where there is no number."""
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def mrmc_lines(facts: dict[str, Any]) -> list[str]:
    """Arms, differences, the global test, a margin and the design."""
    lines = [
        f"{arm}: {number(row['mean'])} [{number(row['low'])}, {number(row['high'])}]"
        for arm, row in facts["arm_means"].items()
    ]
    lines.extend(
        f"{row['first']} - {row['second']}: {number(row['difference'])} "
        f"[{number(row['low'])}, {number(row['high'])}], p = {number(row['p'])}"
        for row in facts["differences"]
    )
    df2 = "inf" if facts["df2"] is None else number(facts["df2"])
    lines.append(f"F({number(facts['df1'])}, {df2}) = {number(facts['f'])}")
    if facts["noninferiority"]:
        row = facts["noninferiority"]
        verdict = "shown" if row["shown"] else "not shown"
        lines.append(
            f"{row['new']} not worse than {row['reference']} by {number(row['margin'])}: "
            f"{verdict}, one-sided p = {number(row['p'])}"
        )
    lines.append(f"design {facts['design']}, {facts['method']}, {facts['scope']}")
    lines += [facts["readings"]] if "readings" in facts else []
    return [*lines, *([f"Note: {facts['note']}"] if facts["note"] else [])]


def clmm_lines(facts: dict[str, Any]) -> list[str]:
    """Estimates with errors, variances, likelihood and notes."""
    lines = [
        f"{name}: {number(value)} (SE {number(facts['se'][name])})"
        for name, value in (facts["coefficients"] | facts["thresholds"]).items()
    ]
    lines += [f"variance of {name}: {number(v)}" for name, v in facts["variances"].items()]
    left_out = f", {facts['missing']} rows with an empty cell left out" if facts["missing"] else ""
    lines.append(f"log-likelihood {facts['loglik']:.4f}, {facts['n']} ratings{left_out}")
    return [*lines, *([f"Note: {facts['note']}"] if facts["note"] else [])]


def interval_lines(facts: dict[str, Any]) -> list[str]:
    """Each value with its interval; other facts by name."""
    lines = []
    for name, row in facts.items():
        if isinstance(row, dict) and "value" in row:
            note = f" ({row['note']})" if row.get("note") else ""
            lines.append(
                f"{name}: {number(row['value'])} [{number(row['low'])}, {number(row['high'])}]"
                + note
            )
        elif name == "note":
            lines += [f"Note: {row}"] if row else []
        elif name == "rater_names":
            lines.append(f"raters by name: {', '.join(row)}")
        elif isinstance(row, int | float | str) or row is None:
            lines.append(f"{name}: {number(row)}")
    return lines


def preference_lines(facts: dict[str, Any]) -> list[str]:
    """Shares of each pair of arms by reader, and pooled."""
    lines = []
    for comparison in facts["comparisons"]:
        lines.append(f"{comparison['arm']} preferred over {comparison['over']}")
        lines.extend(
            f"  {row['reader']}: {number(row['share'])} "
            f"[{number(row['low'])}, {number(row['high'])}]"
            for row in [*comparison["readers"], {"reader": "pooled", **comparison["pooled"]}]
        )
        lines += [f"  Note: {comparison['pooled']['note']}"] if comparison["pooled"]["note"] else []
        lines.append(f"  randomisation test p = {number(comparison['randomisation_p'])}")
    return lines


def row_lines(facts: dict[str, Any]) -> list[str]:
    """Every test on a line of its own."""
    exact = [{"method": "exact", **facts["exact"]}] if "exact" in facts else []
    shares = [{"share of": name, **row} for name, row in facts.get("share_limits", {}).items()]
    lines = [
        ", ".join(f"{name} {number(value)}" for name, value in row.items() if value != "")
        for row in [*shares, *facts["tests"], *exact]
    ]
    return [*lines, *([f"Note: {facts['note']}"] if facts.get("note") else [])]
