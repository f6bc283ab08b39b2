"""Tables of an unblinded study written for other programs."""

from pathlib import Path

from ctlab.files import write_whole
from reader_study.analysis.other_formats import write_foreign
from reader_study.analysis.tables import (
    comments_table,
    events_table,
    final_ratings,
    marks_table,
    ratings_table,
    read_key,
)


def write_tables(study: str | Path, *, to: str = "csv") -> list[Path]:
    """Write the tables of an unblinded study under ``STUDY/tables``; the paths written.

    Raises
    ------
    ValueError
        The study is still blinded, or the format is unknown.
    """
    key = read_key(study)
    if to != "csv":
        return write_foreign(Path(study), final_ratings(ratings_table(study, key)), key, to=to)
    tables = {
        "ratings": ratings_table(study, key),
        "marks": marks_table(study, key),
        "events": events_table(study),
        "comments": comments_table(study, key),
    }
    paths = []
    for name, table in tables.items():
        path = Path(study) / "tables" / f"{name}.csv"
        with write_whole(path) as part:
            table.to_csv(part, index=False)
        paths.append(path)
    return paths
