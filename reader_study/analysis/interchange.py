"""Interchange formats: final ratings and marks as iMRMC, MRMCaov and RJafroc read them."""

from pathlib import Path
from typing import Any

import pandas as pd

from ctlab.files import write_csv, write_whole
from reader_study.analysis.endpoints.localisation import (
    case_truth,
    lesion_table,
    marks_mm,
    spacing_of_cases,
)
from reader_study.analysis.tables import marks_table
from reader_study.design.protocol import Protocol
from reader_study.record.study_record import UnblindedStudy
from reader_study.stats.free_response.match_marks import match_marks

FORMATS = ("imrmc", "rjafroc", "mrmcaov")


def write_interchange(record: UnblindedStudy, ratings: pd.DataFrame, *, to: str) -> list[Path]:
    """Write the final ratings for another program; the paths written.

    Raises
    ------
    ValueError
        Unknown format, or the study lacks what the format is about.
    """
    if to not in FORMATS:
        raise ValueError(f"expected --to csv, {', '.join(FORMATS)}; got {to!r}; name one of them")
    folder = record.folder / "tables"
    if to == "rjafroc":
        return _write_sheets(folder / "rjafroc", rjafroc_sheets(record, ratings))
    scores = confidence_scores(ratings, record.protocol)
    path = folder / ("ratings.imrmc" if to == "imrmc" else "mrmcaov.csv")
    if to == "mrmcaov":
        write_csv(path, scores.rename(columns={"arm": "treatment"}))
        return [path]
    with write_whole(path) as part:
        part.write_text(imrmc_text(scores), "utf-8")
    return [path]


def confidence_scores(ratings: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """``reader, arm, case, truth, rating`` of the 0 to 100 item asked of every image.

    Raises
    ------
    ValueError
        No such item, or no case with and no case without a lesion.
    """
    names = [
        item.name
        for item in protocol.items
        if item.kind == "slider" and (item.about == "each" or not protocol.design.is_paired)
    ]
    if not names:
        raise ValueError(
            "expected a slider (0 to 100) about each image, as ROC formats need; this protocol "
            "has none; use --to csv"
        )
    chosen = ratings[(ratings["kind"] == "main") & (ratings["item"] == names[0])]
    arm = chosen["arm_right"].where(chosen["side"] == "right", chosen["arm_left"])
    truth = case_truth(protocol).set_index("case")["truth"]
    if truth.nunique() < 2:
        raise ValueError(
            "expected cases with and cases without a lesion, as ROC formats need, got one kind; "
            "write the lesions of the cases into the protocol"
        )
    table = chosen[["reader", "case"]].assign(
        arm=arm, truth=chosen["case"].map(truth), rating=pd.to_numeric(chosen["value"])
    )
    return table[["reader", "arm", "case", "truth", "rating"]].reset_index(drop=True)


def imrmc_text(scores: pd.DataFrame) -> str:
    """Input of the iMRMC program: counts, truth of every case, then one score a line.

    Cases and arms are numbered, because iMRMC reads whole numbers; the lines on top say which.

    Examples
    --------
    >>> table = pd.DataFrame({"reader": ["R1", "R1"], "arm": ["a", "a"], "case": ["x", "y"],
    ...                       "truth": [0, 1], "rating": [10, 90]})
    >>> print(imrmc_text(table).split("BEGIN DATA:")[1].strip())
    -1,1,0,0
    -1,2,0,1
    1,1,1,10
    1,2,1,90
    """
    numbers = {
        column: {name: i for i, name in enumerate(sorted(scores[column].unique()), start=1)}
        for column in ("reader", "arm", "case")
    }
    truth = scores.drop_duplicates("case").set_index("case")["truth"].sort_index()
    lines = [f"{what} {i}: {name}" for what in numbers for name, i in numbers[what].items()]
    counts = {"N0": (truth == 0).sum(), "N1": (truth == 1).sum()}
    counts |= {"NR": len(numbers["reader"]), "NM": len(numbers["arm"])}
    lines += [f"{name}: {count}" for name, count in counts.items()]
    lines.append("BEGIN DATA:")
    lines += [f"-1,{numbers['case'][case]},0,{value}" for case, value in truth.items()]
    for row in scores.sort_values(["reader", "arm", "case"]).itertuples():
        ids = (numbers["reader"][row.reader], numbers["case"][row.case], numbers["arm"][row.arm])
        lines.append(",".join(map(str, (*ids, row.rating))))
    return "\n".join(lines) + "\n"


def rjafroc_sheets(record: UnblindedStudy, ratings: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The three sheets of an RJafroc workbook: TRUTH, TP (marks on lesions), FP (other marks)."""
    protocol, spacing_mm = record.protocol, spacing_of_cases(record)
    main = ratings[ratings["kind"] == "main"]
    marks = marks_table(record)
    marks = marks[marks["trial"].isin(main["trial"])]
    if marks.empty:
        raise ValueError("expected marks, as RJafroc needs; no reader has set one; use --to csv")
    rule = protocol.analysis
    matched = match_marks(
        marks_mm(marks, spacing_mm),
        lesion_table(protocol, spacing_mm),
        radius_mm=rule.mark_radius_mm,
        rule=rule.mark_rule,
        duplicates=rule.mark_duplicates,
    )
    numbers = {case: i for i, case in enumerate(case_truth(protocol)["case"], start=1)}
    names = {"reader": "ReaderID", "arm": "ModalityID", "case": "CaseID", "lesion": "LesionID"}
    table = matched.assign(case=matched["case"].map(numbers)).rename(columns=names)
    hits, misses = table[table["mark"] == "LL"], table[table["mark"] == "NL"]
    where = ["ReaderID", "ModalityID", "CaseID"]
    return {
        "TRUTH": _truth_sheet(protocol, numbers, main),
        "TP": hits[[*where, "LesionID", "rating"]].rename(columns={"rating": "TP_Rating"}),
        "FP": misses[[*where, "rating"]].rename(columns={"rating": "FP_Rating"}),
    }


def _truth_sheet(protocol: Protocol, numbers: dict[str, int], main: pd.DataFrame) -> pd.DataFrame:
    """One row per lesion, all of a case equally heavy, and one with lesion 0 per normal case."""
    readers = ", ".join(sorted(main["reader"].unique()))
    arms = ", ".join(arm.name for arm in protocol.arms)
    rows: list[tuple[Any, ...]] = []
    for case in case_truth(protocol).itertuples():
        lesions = range(1, case.n_lesions + 1) or [0]
        weight = 1 / case.n_lesions if case.n_lesions else 0
        rows += [(numbers[case.case], k, weight, readers, arms, "FROC") for k in lesions]
    columns = ["CaseID", "LesionID", "Weight", "ReaderID", "ModalityID", "Paradigm"]
    return pd.DataFrame(rows, columns=columns)


def _write_sheets(folder: Path, sheets: dict[str, pd.DataFrame]) -> list[Path]:
    paths = []
    for name, table in sheets.items():
        path = folder / f"{name}.csv"
        write_csv(path, table)
        paths.append(path)
    return paths
