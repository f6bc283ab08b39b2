"""A page for each reader after unblinding: the own answers and the cases missed, nobody else's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctlab.files import write_whole
from reader_study.report.page import environment


def write_own_pages(study: str | Path, readings: Mapping[str, dict[str, Any]]) -> list[Path]:
    """Write ``STUDY/own-results/READER.html`` for each reader; the paths.

    A page holds one reader's answers and no one else's, and no name. Hand each to its reader.

    Parameters
    ----------
    readings : of :func:`reader_study.analysis.own_readings.own_readings`
    """
    template = environment(autoescape=True).get_template("own_page.html.jinja")
    folder = Path(study) / "own-results"
    folder.mkdir(exist_ok=True)
    paths = []
    for reader, facts in readings.items():
        paths.append(folder / f"{reader}.html")
        with write_whole(paths[-1]) as part:
            part.write_text(template.render(**facts), "utf-8")
    return paths
