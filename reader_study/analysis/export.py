"""Tables of an unblinded study written for other programs."""

from pathlib import Path

from ctlab.files import write_csv
from reader_study.analysis.difference_map import differences_table
from reader_study.analysis.endpoints.assisted import assisted_answers
from reader_study.analysis.interchange import write_interchange
from reader_study.analysis.tables import (
    comments_table,
    events_table,
    final_ratings,
    marks_table,
    ratings_table,
)
from reader_study.analysis.trust import trust_table
from reader_study.record.study_record import read_unblinded


def write_tables(study: str | Path, *, to: str = "csv") -> list[Path]:
    """Write the tables of an unblinded study under ``STUDY/tables``; the paths written.

    Raises
    ------
    ValueError
        The study is still blinded, or the format is unknown.
    """
    record = read_unblinded(study)
    if to != "csv":
        return write_interchange(record, final_ratings(ratings_table(record)), to=to)
    tables = {
        "ratings": ratings_table(record),
        "marks": marks_table(record),
        "events": events_table(record),
        "comments": comments_table(record),
        "differences": differences_table(record),
    }
    if record.protocol.overlay and record.protocol.analysis.called_from is not None:
        tables["assisted"] = assisted_answers(record, final_ratings(tables["ratings"]))
    if record.protocol.trust:
        tables["trust"] = trust_table(record)
    paths = []
    for name, table in tables.items():
        path = record.folder / "tables" / f"{name}.csv"
        write_csv(path, table)
        paths.append(path)
    return paths
