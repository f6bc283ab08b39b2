"""Public CT collections from the NCI Imaging Data Commons, without an account.

What there is, and how large it is, comes from the index that the package ``idc-index-data``
carries, so a dry run needs no network.
"""

import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Source:
    """Which series of an IDC collection make up one of our collections."""

    collection_id: str
    body_part: str = ""
    descriptions: tuple[str, ...] = ()
    credit: str = ""


_MAYO = "Mayo LDCT-and-Projection-data, doi 10.7937/9npb-2637, CC BY 4.0"
_DOSES = ("Full Dose Images", "Low Dose Images")
SOURCES = {
    "mayo-chest": Source("ldct_and_projection_data", "CHEST", _DOSES, f"{_MAYO}; 10 % dose"),
    "mayo-abdomen": Source("ldct_and_projection_data", "ABDOMEN", _DOSES, f"{_MAYO}; 25 % dose"),
    "lidc": Source("lidc_idri", credit="LIDC-IDRI, doi 10.7937/K9/TCIA.2015.LO9QL9SX, CC BY 3.0"),
}
"""Names that :func:`fetch` knows. The low dose of the Mayo sets is simulated noise insertion."""

_TEMPLATE = "%collection_id/%PatientID/%StudyInstanceUID/%Modality_%SeriesInstanceUID"
STORE = "https://s3.amazonaws.com"
"""Where the public copies lie."""

_SLACK = 1.05
"""Free disk asked for, relative to the download: file systems round sizes up."""


@dataclass(frozen=True)
class FetchReport:
    """Series of a collection, their size, and whether they were downloaded."""

    collection: str
    series: tuple[dict[str, Any], ...]  # patient, uid, description, slices, bytes
    bytes: int
    patients: int
    downloaded: bool
    credit: str

    def as_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        return vars(self) | {"series": list(self.series)}


def fetch(
    collection: str, out: str | Path, *, dry_run: bool = False, patients: int | None = None
) -> FetchReport:
    """Download a public collection into ``out``, or say what would be downloaded.

    Interrupted downloads resume: files that are complete are not fetched again. Series lie in
    ``out/collection/patient/study/CT_uid``.

    Parameters
    ----------
    collection : ``mayo-chest``, ``mayo-abdomen`` or ``lidc``
    dry_run : list series and bytes from the bundled index; nothing is written
    patients : only so many, the first by identifier

    Raises
    ------
    ValueError
        The collection is unknown, the optional package is missing, the disk is too small, or a
        series arrived incomplete.
    """
    rows = series_of(collection, patients)
    report = FetchReport(
        collection,
        tuple(rows),
        sum(r["bytes"] for r in rows),
        len({r["patient"] for r in rows}),
        not dry_run,
        SOURCES[collection].credit,
    )
    if not dry_run:
        there = sum(min(size, row["bytes"]) for row, _, size in _arrived(rows, Path(out)))
        check_disk(Path(out), report.bytes - there)
        check_network()
        _download(SOURCES[collection].collection_id, rows, Path(out))
        check_complete(rows, Path(out))
    return report


def series_of(collection: str, patients: int | None = None) -> list[dict[str, Any]]:
    """Series of a collection by the bundled index, sorted by patient and description."""
    if collection not in SOURCES:
        known = ", ".join(SOURCES)
        raise ValueError(f"the collections that can be fetched are {known}; got {collection!r}")
    if patients is not None and patients < 1:
        raise ValueError(f"the number of patients must be at least 1, got {patients}")
    table = _index(SOURCES[collection])
    keep = sorted(table["PatientID"].unique())[:patients]
    table = table[table["PatientID"].isin(keep)].sort_values(["PatientID", "SeriesDescription"])
    return [
        {
            "patient": row.PatientID,
            "uid": row.SeriesInstanceUID,
            "description": row.SeriesDescription or "",
            "slices": int(row.instanceCount),
            "bytes": round(row.series_size_MB * 1e6),
        }
        for row in table.itertuples()
    ]


def _index(source: Source) -> Any:
    """Rows of the bundled index that belong to a source, as a table."""
    import pandas as pd

    try:
        import idc_index_data
    except ImportError as error:
        raise ValueError(
            "fetching needs the optional package idc-index: pip install 'ctlab[fetch]'"
        ) from error
    columns = "PatientID SeriesInstanceUID SeriesDescription instanceCount series_size_MB"
    table = pd.read_parquet(
        idc_index_data.IDC_INDEX_PARQUET_FILEPATH,
        columns=[*columns.split(), "BodyPartExamined"],
        filters=[("collection_id", "==", source.collection_id), ("Modality", "==", "CT")],
    )
    table["SeriesDescription"] = table["SeriesDescription"].fillna("")
    if source.body_part:
        table = table[table["BodyPartExamined"] == source.body_part]
    if source.descriptions:
        table = table[table["SeriesDescription"].isin(source.descriptions)]
        # Only half of the patients have both doses; the other scanner has no low-dose images.
        arms = table.groupby("PatientID")["SeriesDescription"].nunique()
        table = table[table["PatientID"].isin(arms[arms == len(source.descriptions)].index)]
    return table


def check_disk(out: Path, wanted_bytes: int) -> None:
    """Refuse to begin what cannot be finished."""
    place = out
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < wanted_bytes * _SLACK:
        raise ValueError(
            f"the download needs {wanted_bytes * _SLACK / 1e9:.1f} GB and {place} has "
            f"{free / 1e9:.1f} GB free; choose another disk or fewer patients"
        )


def check_network() -> None:
    """Refuse to begin where the store cannot be reached: its client would go on trying for long.

    Raises
    ------
    ValueError
        There is no connection; a proxy named in the environment is used.
    """
    try:
        urllib.request.urlopen(STORE, timeout=10).close()
    except urllib.error.HTTPError:
        return  # it answers, if only that there is nothing at its root
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise ValueError(
            f"{STORE} cannot be reached ({reason}); the download needs a network, --dry-run none"
        ) from error


def _download(collection_id: str, rows: list[dict[str, Any]], out: Path) -> None:
    try:
        from idc_index.index import IDCClient
    except ImportError as error:
        raise ValueError(
            "fetching needs the optional package idc-index: pip install 'ctlab[fetch]'"
        ) from error
    out.mkdir(parents=True, exist_ok=True)
    try:
        IDCClient().download_from_selection(
            str(out),
            collection_id=collection_id,
            seriesInstanceUID=[r["uid"] for r in rows],
            use_s5cmd_sync=any(out.iterdir()),
            dirTemplate=_TEMPLATE,
        )
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"the download failed ({reason}); run it again to resume") from error


def check_complete(rows: list[dict[str, Any]], out: Path) -> None:
    """Compare what arrived with the index: the number of files of each series, and their size.

    Raises
    ------
    ValueError
        A series is missing or short; the message names the first.
    """
    short = [
        f"{row['patient']} {row['uid']}: {count} of {row['slices']} files, "
        f"{size / 1e6:.1f} of {row['bytes'] / 1e6:.1f} MB"
        for row, count, size in _arrived(rows, out)
        if count < row["slices"] or size < 0.99 * row["bytes"]
    ]
    if short:
        raise ValueError(
            f"{len(short)} of {len(rows)} series are incomplete (first: {short[0]}); run the same "
            "command again to resume"
        )


def _arrived(rows: list[dict[str, Any]], out: Path) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Each series with the number of its files below ``out`` and their bytes."""
    folders = {f.name.rpartition("_")[2]: f for f in out.glob("*/*/*/*_*") if f.is_dir()}
    for row in rows:
        folder = folders.get(row["uid"])
        sizes = [f.stat().st_size for f in folder.iterdir()] if folder else []
        yield row, len(sizes), sum(sizes)
