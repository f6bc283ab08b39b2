"""Figures of the report as SVG text, drawn without a display."""

import base64
import io
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from reader_study.report.words import SHORT, interval, number

INK, ACCENT, SOFT, LINE = "#1b2733", "#0b5cad", "#7a8794", "#b9c2cb"
SOFT_TEXT = "#55626e"  # readable on light paper
# Distinct without colour too: each arm has its own line style.
ARM_STYLES = [("#0b5cad", "-"), ("#b3541e", "--"), ("#3c7a3c", "-."), ("#6b4c9a", ":")]
MARKED = 12  # curves of at most this many points have them marked
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar in a name is a dollar
}


def styled() -> Any:
    """Settings that every figure of the report is drawn with."""
    return dict(_STYLE)


def as_svg(figure: Figure, name: str) -> str:
    """SVG element without XML header; the same input gives the same bytes."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def maps(cases: list[dict[str, Any]], *, name: str) -> str:
    """Small images of cases, each with the share of readers who marked a place laid over it.

    Parameters
    ----------
    cases : as :func:`reader_study.analysis.difference_map.difference_maps` gives
    """
    columns = min(4, len(cases))
    rows = -(-len(cases) // columns)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(2.1 * columns, 2.4 * rows), layout="constrained")
        places = np.atleast_1d(figure.subplots(rows, columns)).flat
        for axes, case in zip(places, cases, strict=False):  # the last row may have empty places
            image, share = (
                np.frombuffer(base64.b64decode(case[part]), np.uint8).reshape(case["shape"])
                for part in ("image", "share")
            )
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            axes.imshow(share / 255, cmap="autumn", vmin=0, vmax=1, alpha=0.65 * (share > 0))
            axes.set_title(f"{case['case']} ({case['readings']})", fontsize=9)
        for axes in figure.axes:
            axes.set_axis_off()
        return as_svg(figure, name)


def forest(rows: list[dict[str, Any]], *, name: str, xlabel: str = "") -> str:
    """Estimates of one unit with their intervals, the line of no difference, and the numbers.

    Parameters
    ----------
    rows : ``label, value, low, high, endpoint, null`` and optionally ``bound`` (a margin) and
        ``strong``
    """
    with mpl.rc_context(_STYLE):
        rows = [{**row, "label": _on_lines(row["label"])} for row in rows]
        further = sum(row["label"].count("\n") for row in rows)
        size = 8.2, 0.75 + 0.36 * len(rows) + 0.17 * further
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        _draw_forest(axes, rows)
        axes.set_xlabel(xlabel or SHORT.get(rows[0]["endpoint"], ""))
        return as_svg(figure, name)


def _on_lines(label: Any) -> str:
    """A label on three lines at most, so that names of any length leave room for the plot."""
    lines = wrap(str(label), 40)
    return "\n".join(lines[:3]) + ("…" if len(lines) > 3 else "")


def _draw_forest(axes: Axes, rows: list[dict[str, Any]]) -> None:
    endpoint = rows[0]["endpoint"]
    if endpoint == "odds":
        axes.set_xscale("log")
    if endpoint == "share":
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    axes.axvline(rows[0]["null"], color=SOFT, linewidth=1)
    bounds = {float(row["bound"]) for row in rows if row.get("bound") is not None}
    for bound in bounds:
        axes.axvline(bound, color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    for place, row in enumerate(rows):
        _one_estimate(axes, len(rows) - 1 - place, row)
    if endpoint == "odds":
        _odds_ticks(axes)
    axes.set_yticks(range(len(rows)), [row["label"] for row in reversed(rows)])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    right = axes.secondary_yaxis("right")
    texts = [f"{number(row['value'], endpoint)}  ({interval(row)})" for row in reversed(rows)]
    right.set_yticks(range(len(rows)), texts)
    right.tick_params(length=0)
    right.spines["right"].set_visible(False)


def _odds_ticks(axes: Axes) -> None:
    """Plain numbers at steps that a reader of odds ratios expects, at most eight of them."""
    low, high = axes.get_xlim()
    fine = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0]
    for steps in (fine, [1.0, 1.5, 2.0, 3.0, 5.0], [1.0, 2.0, 5.0], [1.0]):
        decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        ticks = [s * 10.0**k for k in decades for s in steps if low <= s * 10.0**k <= high]
        if len(ticks) <= 8:
            break
    axes.xaxis.set_major_locator(mpl.ticker.FixedLocator(ticks))
    axes.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())


def _one_estimate(axes: Axes, height: int, row: dict[str, Any]) -> None:
    if row["value"] is None:
        return
    strong = row.get("strong", False)
    colour = ACCENT if strong else INK
    if row["low"] is not None and row["high"] is not None:
        width = 2.6 if strong else 1.4
        ends = [row["low"], row["high"]]
        axes.plot(ends, [height, height], color=colour, linewidth=width, solid_capstyle="butt")
    marker, size = ("D", 8) if strong else ("s", 5)
    axes.plot([row["value"]], [height], marker=marker, color=colour, markersize=size)


def curves(rows: list[dict[str, Any]], *, name: str, xlabel: str, ylabel: str) -> str:
    """Curves of every reader, with arms told apart by colour and line style.

    Parameters
    ----------
    rows : ``arm, reader, x, y``; reader "all" is drawn heavy and on top, the others then grey
    """
    whole = any(row["reader"] == "all" for row in rows)
    rows = sorted(rows, key=lambda row: row["reader"] == "all")
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    styles = {arm: ARM_STYLES[i % len(ARM_STYLES)] for i, arm in enumerate(arms)}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 4.4), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
        seen: set[str] = set()
        for row in rows:
            colour, line = styles[row["arm"]]
            if whole:
                colour, line = (ACCENT, "-") if row["reader"] == "all" else (SOFT, "-")
            width = 2.8 if row["reader"] == "all" else 1.0 if whole else 1.4
            label = None if row["arm"] in seen else row["arm"]
            seen.add(row["arm"])
            look: dict[str, Any] = {"color": colour, "linestyle": line, "linewidth": width}
            if len(row["x"]) <= MARKED and not whole:
                look |= {"marker": "o", "markersize": 3}  # the operating points of a scale
            axes.plot(row["x"], row["y"], label=label, **look)
        axes.set(
            xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=xlabel, ylabel=ylabel, aspect="equal"
        )
        axes.legend(frameon=False, loc="lower right")
        return as_svg(figure, name)


def flow(steps: list[tuple[str, str]], *, name: str) -> str:
    """Boxes from top to bottom with arrows between them, each a heading and a line below it."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 0.95 * len(steps)), layout="constrained")
        axes = figure.subplots()
        for place, (heading, line) in enumerate(steps):
            y = -float(place)
            box = FancyBboxPatch(
                (0.02, y - 0.3),
                0.96,
                0.6,
                boxstyle="round,pad=0",
                facecolor="#f3f6f9",
                edgecolor=LINE,
            )
            axes.add_patch(box)
            axes.text(0.5, y + (0.1 if line else 0), heading, ha="center", va="center")
            axes.text(0.5, y - 0.14, line, ha="center", va="center", fontsize=8.5, color=SOFT_TEXT)
            if place:
                axes.annotate(
                    "",
                    (0.5, y + 0.31),
                    (0.5, y + 0.69),
                    arrowprops={"arrowstyle": "->", "color": SOFT},
                )
        axes.set(xlim=(0, 1), ylim=(0.35 - len(steps), 0.4))
        axes.axis("off")
        return as_svg(figure, name)


def flow_counts(rows: list[tuple[str, float | None, float | None]], *, name: str) -> str:
    """Horizontal bars with two parts each, such as answered and missing trials per reader."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.2, 0.8 + 0.3 * len(rows)), layout="constrained")
        axes = figure.subplots()
        labels = [row[0] for row in reversed(rows)]
        first = [row[1] or 0 for row in reversed(rows)]
        second = [row[2] or 0 for row in reversed(rows)]
        axes.barh(labels, first, color=ACCENT, height=0.6, label="answered")
        axes.barh(
            labels,
            second,
            left=first,
            color="white",
            edgecolor=SOFT,
            hatch="///",
            height=0.6,
            label="not answered",
        )
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("trials")
        axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        return as_svg(figure, name)


def detectability(
    arms: list[dict[str, Any]], observers: list[dict[str, Any]], *, name: str = "d-prime"
) -> str:
    """D' of a panel with its limits beside model observers on one axis, a plot for each arm; SVG.

    Parameters
    ----------
    arms : ``arm, contrast_hu, d_prime, low, high`` of the panel; rows over all contrasts left out
    observers : ``arm, contrast_hu, observer, d_prime``
    """
    panel = [row for row in arms if _is_number(row["contrast_hu"])]
    names = list(dict.fromkeys(row["arm"] for row in panel))
    lines = {"channelised": (0, (4, 2)), "ideal": (0, (1, 2))}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(1.2 + 3.4 * len(names), 3.3), layout="constrained")
        places = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
        for axes, arm in zip(places, names, strict=True):
            own = sorted((r for r in panel if r["arm"] == arm), key=lambda r: r["contrast_hu"])
            x = [row["contrast_hu"] for row in own]
            # Nothing missed: only the lower limit is known, and the point stands there.
            low, d, high = np.array([_known_ends(row) for row in own]).T
            axes.errorbar(x, d, yerr=[d - low, high - d], fmt="o-", color=ACCENT, label="readers")
            for kind in dict.fromkeys(r["observer"] for r in observers if r["arm"] == arm):
                seen = sorted(
                    (r["contrast_hu"], r["d_prime"])
                    for r in observers
                    if (r["arm"], r["observer"]) == (arm, kind)
                )
                axes.plot(
                    *zip(*seen, strict=True),
                    color=SOFT,
                    linestyle=lines.get(kind, "-"),
                    label=f"{kind} observer",
                )
            axes.set_title(_on_lines(arm), fontsize=9)
            axes.set_xlabel("contrast, HU")
            axes.legend(fontsize=8)
        places[0].set_ylabel("d'")
        return as_svg(figure, name)


def _known_ends(row: dict[str, Any]) -> tuple[float, float, float]:
    d = row["d_prime"] if _is_number(row["d_prime"]) else row["low"]
    return row["low"], d, row["high"] if _is_number(row["high"]) else d


def _is_number(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value))
