"""Files of the iMRMC software (Gallas, FDA): reader, case, arm and score, truth in rows of its own.

Free text, a line ``BEGIN DATA:``, then four cells a row. Rows of the reader ``-1`` (or ``truth``)
hold the truth of their case in the fourth cell. Data frames of the R package have the same rows
under the header ``readerID, caseID, modalityID, score``.
"""

from pathlib import Path

from reader_study.stats.tables import listed_rows

BEGIN = "begin data"
HEADER = ["readerid", "caseid", "modalityid", "score"]
TRUTH = ("-1", "truth")

Records = dict[int, list[str]]


def from_imrmc(path: Path, records: Records) -> Records:
    """Rows with the header ``reader, case, arm, truth, rating``; other tables as they are.

    Parameters
    ----------
    path : Path
        For the words of a refusal.
    records : rows of the file by their number, the cells of each

    Raises
    ------
    ValueError
        Rows without four cells, a case without a row of truth or with two truths.
    """
    begin = [at for at, cells in records.items() if cells[0].strip().lower().startswith(BEGIN)]
    first = min(records, default=0)
    if begin:
        rows = {at: cells for at, cells in records.items() if at > begin[0]}
        rows = {at: cells[0].split(",") if len(cells) == 1 else cells for at, cells in rows.items()}
    elif first and sorted(map(_plain, records[first])) == sorted(HEADER):
        order = [list(map(_plain, records[first])).index(name) for name in HEADER]
        full = {at: cells for at, cells in records.items() if len(cells) == len(HEADER)}
        rows = {at: [cells[k] for k in order] for at, cells in full.items() if at > first}
        if len(full) < len(records):
            return records  # the reader of tables names the rows
    else:
        return records
    wrong = [at for at, cells in rows.items() if len(cells) != 4]
    if wrong:
        raise ValueError(
            f"{path}: expected reader, case, arm and score after BEGIN DATA:, got "
            f"{len(rows[wrong[0]])} cells in {listed_rows(wrong)}; write four"
        )
    rows = {at: [cell.strip() for cell in cells] for at, cells in rows.items()}
    truth = _truth(path, rows)
    readings = {at: cells for at, cells in rows.items() if cells[0].lower() not in TRUTH}
    lost = [at for at, cells in readings.items() if cells[1] not in truth]
    if lost:
        raise ValueError(
            f"{path}: expected a row of reader -1 with the truth of each case, got none for "
            f"{readings[lost[0]][1]!r} of {listed_rows(lost)}; add it"
        )
    header = begin[0] if begin else first
    made = {
        at: [reader, case, arm, truth[case], score]
        for at, (reader, case, arm, score) in readings.items()
    }
    return {header: ["reader", "case", "arm", "truth", "rating"], **made}


def _plain(name: str) -> str:
    return name.strip().lower()


def _truth(path: Path, rows: Records) -> dict[str, str]:
    """Truth by case, from the rows of the reader -1."""
    truth: dict[str, str] = {}
    for at, (reader, case, _, score) in rows.items():
        if reader.lower() in TRUTH and truth.setdefault(case, score) != score:
            raise ValueError(
                f"{path}: expected one truth for each case, got {truth[case]} and {score} for "
                f"{case!r} (row {at}); keep one"
            )
    return truth
