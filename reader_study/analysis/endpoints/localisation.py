"""Readers' marks against the protocol's lesions, in mm, for the free-response endpoint."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reader_study.analysis.endpoints.binary_and_model import with_model
from reader_study.analysis.endpoints.outcome_tables import cluster_of, outcome_table
from reader_study.analysis.endpoints.result import Estimate, from_mrmc, nothing
from reader_study.design.analysis_plan import CALLED, Planned
from reader_study.design.protocol import Protocol
from reader_study.record.study_record import UnblindedStudy
from reader_study.stats.free_response.froc import Fom, froc
from reader_study.stats.free_response.match_marks import match_marks

Spacing = tuple[float, float, float]  # z, y, x


def spacing_of_cases(record: UnblindedStudy) -> dict[str, Spacing]:
    """Voxel spacing in mm of each case, by its name."""
    cases, images = record.protocol.cases, record.bundle.images
    return {
        cases[origin.case].name: images[token].spacing_mm
        for token, origin in record.key.images.items()
    }


def lesion_table(protocol: Protocol, spacing_mm: dict[str, Spacing]) -> pd.DataFrame:
    """``case, lesion, x, y, z, diameter_mm`` of the reading cases, in mm of the whole series."""
    rows = []
    for case in protocol.reading_cases:
        for number, lesion in enumerate(case.lesions, start=1):
            z, y, x = np.asarray(lesion.centre_zyx) * np.asarray(spacing_mm[case.name])
            rows.append((case.name, number, x, y, z, lesion.diameter_mm))
    return pd.DataFrame(rows, columns=["case", "lesion", "x", "y", "z", "diameter_mm"])


def case_truth(protocol: Protocol) -> pd.DataFrame:
    """``case, truth, n_lesions, patient`` of the reading cases."""
    rows = [
        (case.name, int(bool(case.lesions)), len(case.lesions), case.patient)
        for case in protocol.reading_cases
    ]
    return pd.DataFrame(rows, columns=["case", "truth", "n_lesions", "patient"])


def marks_mm(marks: pd.DataFrame, spacing_mm: dict[str, Spacing]) -> pd.DataFrame:
    """Marks with positions in mm; a mark without a confidence counts as 100, the highest."""
    size = np.array([spacing_mm[case] for case in marks["case"]]).reshape(-1, 3)
    place = marks[["z", "y", "x"]].to_numpy(float) * size
    rating = pd.to_numeric(marks["confidence"]).fillna(100.0)
    return marks[["reader", "arm", "case", "trial"]].assign(
        z=place[:, 0], y=place[:, 1], x=place[:, 2], rating=rating
    )


@dataclass(frozen=True)
class Localisation:
    """The marks of a study and the rule that matches them to lesions.

    ``marks`` are as :func:`reader_study.analysis.tables.marks_table` gives, of the kind that means
    a lesion.
    """

    protocol: Protocol
    spacing_mm: dict[str, Spacing]
    marks: pd.DataFrame
    kind: str

    def matched(self, table: pd.DataFrame, *, radius_mm: float | None = None) -> pd.DataFrame:
        """Marks of the trials in an outcome table as hits and misses.

        Columns ``reader, arm, case, mark, lesion, rating, distance_mm``; ``radius_mm`` in place
        of the protocol's.
        """
        rule = self.protocol.analysis
        shown = self.marks[
            (self.marks["kind"] == self.kind)
            & self.marks["trial"].isin(table["trial"])
            & self.marks["arm"].isin(table["arm"].unique())
        ]
        return match_marks(
            marks_mm(shown, self.spacing_mm),
            lesion_table(self.protocol, self.spacing_mm),
            radius_mm=radius_mm or rule.mark_radius_mm,
            rule=rule.mark_rule,
            duplicates=rule.mark_duplicates,
        )

    def estimate(
        self,
        test: Planned,
        table: pd.DataFrame,
        *,
        radius_mm: float | None = None,
        fom: Fom = "wafroc",
    ) -> Estimate:
        """Free-response areas of two arms; every main trial with an answer counts as read."""
        cases = case_truth(self.protocol)
        read = table.groupby(["reader", "arm"])["case"].nunique()
        if read.empty or (read < len(cases)).any():
            return nothing(
                "free-response areas want every reader to have read every case in both arms; "
                f"{int((len(cases) - read).sum()) if len(read) else 'all'} readings are missing"
            )
        matched = self.matched(table, radius_mm=radius_mm)
        readers = tuple(sorted(table["reader"].unique()))
        blank = sorted(set(readers) - set(matched["reader"]))
        alone = len(readers) < 2
        try:
            result = froc(
                matched,
                cases,
                fom=fom,
                arms=(test.new, test.reference),
                reader_names=readers,
                readers="fixed" if alone else "random",
                cluster=cluster_of(cases),
            )
        except ValueError as error:
            return nothing(str(error))
        note = f"no marks at all by {', '.join(blank)}" if blank else ""
        estimated = from_mrmc(
            result, test, note=note, scope="cases" if alone else "readers and cases"
        )
        counts = {
            "n": len(matched),
            "n_readers": len(readers),
            "n_cases": len(cases),
            "n_patients": cases["patient"].nunique(),
        }
        return Estimate(**{**vars(estimated), **counts})


def primary_rows(
    test: Planned,
    ratings: pd.DataFrame,
    cases: pd.DataFrame,
    marks: Localisation,
    scores: dict[str, float],
) -> pd.DataFrame:
    """What the R script reads; free-response readings without any mark have empty marks.

    ``scores`` are those of the model by case, where the endpoint has one.
    """
    table = outcome_table(ratings, test)
    columns = [
        "reader",
        "case",
        "patient",
        "arm",
        "left",
        "right",
        "choice",
        "score",
        "rating",
        "truth",
        "mark",
        "lesion",
    ]
    if test.endpoint == "ai" and not table.empty:
        table = with_model(test, table, scores)
    if test.endpoint in ("auc", "ai", *CALLED) and not table.empty:
        table = table.merge(cases[["case", "truth"]], on="case", how="left")
    if test.endpoint == "wafroc" and not table.empty:
        keys = ["reader", "arm", "case"]
        read = table[[*keys, "patient"]].drop_duplicates()
        table = read.merge(marks.matched(table), on=keys, how="left")
        table["lesion"] = table["lesion"].astype("Int64")
    return table[[name for name in columns if name in table]]
