"""A page on which a coordinator explores readers, cases and power without any code."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from ctlab.files import write_whole
from reader_study.report.figures import as_svg, styled
from reader_study.report.page import environment

LINES = ["-", "--", "-.", ":"]


def write_power_page(path: str | Path, facts: dict[str, Any]) -> Path:
    """One HTML file, usable offline, for the result of ``plan_power``; returns its path."""
    path = Path(path)
    data = json.dumps(facts["effects"], allow_nan=False).replace("<", "\\u003c")
    template = environment(autoescape=True).get_template("power.html.jinja")
    text = template.render(facts=facts, data=data, svg=power_figure(facts))
    with write_whole(path) as part:
        part.write_text(text, "utf-8")
    return path


def power_figure(facts: dict[str, Any]) -> str:
    """Power against cases, one line per number of readers, and the target."""
    with mpl.rc_context(styled()):
        figure = Figure(figsize=(7.6, 4.2), layout="constrained")
        axes = figure.subplots()
        counts = list(dict.fromkeys(row["readers"] for row in facts["curve"]))
        shades = mpl.colormaps["viridis"]
        for place, count in enumerate(counts):
            rows = [row for row in facts["curve"] if row["readers"] == count]
            axes.plot(
                [row["cases"] for row in rows],
                [row["power"] for row in rows],
                marker="o",
                markersize=3.5,
                linestyle=LINES[place % 4],
                label=f"{count} readers",
                color=shades(0.85 * place / max(len(counts) - 1, 1)),
            )
        axes.axhline(facts["target"], color="#7a8794", linewidth=1)
        axes.set(xlabel="cases", ylabel="power", ylim=(0, 1.02))
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        return as_svg(figure, "power")
