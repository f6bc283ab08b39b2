"""Forest plots and curves of a study's results, each with its caption and alternative text."""

from typing import Any

from reader_study.report import figures, words


def _labelled(row: dict[str, Any]) -> dict[str, Any]:
    label = f"{row['item']}: {row['new']} vs {row['reference']}"
    strong = row["role"] == "primary"
    bound = None
    if row["margin"] is not None and row["aim"] != "superiority":
        bound = row["null"] - row["margin"]
    return {**row, "label": label, "strong": strong, "bound": bound}


def forests(facts: dict[str, Any]) -> list[dict[str, str]]:
    """A forest plot for each endpoint, and one of the sensitivity analyses."""
    rows = [_labelled(r) for role in ("primary", "secondary", "assay") for r in facts[role]]
    forests = []
    for endpoint in dict.fromkeys(row["endpoint"] for row in rows):
        same = [row for row in rows if row["endpoint"] == endpoint]
        if any(row["value"] is not None for row in same):
            forests.append(_forest("result", f"forest-{endpoint}", same, _forest_caption(endpoint)))
    first = facts["primary"][0]
    same = [
        {**row, "label": row["label"]}
        for row in facts["sensitivity"]
        if row["endpoint"] == first["endpoint"] and row["value"] is not None
    ]
    if same and first["value"] is not None:
        top = {**_labelled(first), "label": "as planned"}
        caption = "The primary result under other assumptions; the first row is the planned one."
        forests.append(_forest("sensitivity", "sensitivity", [top, *same], caption))
    return forests


def _forest_caption(endpoint: str) -> str:
    return (
        f"Estimates and 95 % intervals ({words.SHORT[endpoint]}). The vertical line is no "
        "difference; right of it favours the arm named first. Diamonds: primary; dashed line: "
        "margin, where there is one."
    )


def _forest(section: str, name: str, rows: list[dict[str, Any]], caption: str) -> dict[str, str]:
    said = "; ".join(
        f"{row['label']} {words.number(row['value'], row['endpoint'])} ({words.interval(row)})"
        for row in rows
    )
    svg = figures.forest(rows, name=name)
    return {
        "section": section,
        "name": name,
        "svg": svg,
        "caption": caption,
        "alt": f"Forest plot. {said}.",
    }


def per_reader(facts: dict[str, Any]) -> list[dict[str, str]]:
    """A forest plot of each reader alone; none where no reader has an estimate."""
    first = facts["primary"][0]
    same = {"endpoint": first["endpoint"], "null": first["null"]}
    rows = [
        {**row, **same, "label": row["reader"]}
        for row in first["readers"]
        if row.get("value") is not None
    ]
    if not rows:
        return []
    rows.append({**_labelled(first), "label": "all readers"})
    caption = (
        "Each reader alone (interval over cases) and all together (interval over readers and "
        "cases), primary comparison."
    )
    if first["endpoint"] == "odds":
        caption += (
            " A reader's own odds ratio is from a model without cases and so lies nearer to 1."
        )
    alone = [str(row["reader"]) for row in first["readers"] if row.get("value") is None]
    if alone:
        caption += (
            f" No estimate of their own (answers all alike or separated): {', '.join(alone)}."
        )
    return [_forest("result", "readers", rows, caption)]


def curve_figures(facts: dict[str, Any]) -> list[dict[str, str]]:
    """ROC or VGC curves of every reader; none where the study has no such endpoint."""
    curves = facts["curves"]
    if not curves:
        return []
    kind = curves[0]["kind"]
    labels = {
        "roc": ("1 − specificity", "sensitivity", "ROC curves of every reader in either arm."),
        "vgc": (
            "share graded at or above, reference arm",
            "share graded at or above, new arm",
            "VGC curves of every reader and of all; above the diagonal favours the new arm.",
        ),
    }
    xlabel, ylabel, caption = labels[kind]
    svg = figures.curves(curves, name=kind, xlabel=xlabel, ylabel=ylabel)
    names = ", ".join(dict.fromkeys(row["arm"] for row in curves))
    return [
        {
            "section": "result",
            "name": kind,
            "svg": svg,
            "caption": caption,
            "alt": f"{kind.upper()} curves, {len(curves)} lines for {names}.",
        }
    ]
