"""The index of a medium (DICOMDIR, PS3.3, annex F): which files it lists, and which are gone."""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO


def is_index(name: str) -> bool:
    """Whether a file is the index of a medium, by its name.

    Examples
    --------
    >>> is_index("dicomdir"), is_index("DICOMDIR;1"), is_index("IM0001")
    (True, True, False)
    """
    return _key(name) == "DICOMDIR"


def referenced(
    index: Path, stream: BinaryIO, beside: Iterable[Path]
) -> tuple[list[Path], list[tuple[str, str, str]]]:
    """Files of images that an index lists, and series, name and reason of each that is gone.

    Names are compared as ISO 9660 writes them: upper case, perhaps with a version behind ``;``.

    Raises
    ------
    ValueError
        The index cannot be read to its end.
    """
    present = {_key(f.relative_to(index.parent).as_posix()): f for f in beside}
    files: list[Path] = []
    lost: list[tuple[str, str, str]] = []
    series = ""
    for record in _records(stream):  # a series stands before its images
        kind = str(record.get("DirectoryRecordType") or "IMAGE")
        if kind in ("PATIENT", "STUDY", "SERIES"):
            series = str(record.get("SeriesInstanceUID") or "")
        name = record.get("ReferencedFileID")
        if not name:
            continue
        place = "/".join([name] if isinstance(name, str) else [str(part) for part in name])
        if (file := present.get(_key(place))) is not None:
            files.append(file)
        elif kind == "IMAGE":
            lost.append((series, place, f"is listed in {index.name} and missing; copy it again"))
    return files, lost


def patient_records(index: Path) -> list[Any]:
    """What an index says of its patients and their studies; nothing where it cannot be read."""
    try:
        with index.open("rb") as stream:
            return _records(stream)
    except (ValueError, OSError):
        return []


def _key(name: str) -> str:
    """A path as ISO 9660 compares it: upper case, without version and final dot."""
    return "/".join(re.sub(r"\.?(;\d+)?$", "", part) for part in name.upper().split("/"))


def _records(stream: BinaryIO) -> list[Any]:
    import pydicom

    fault = "is damaged: the list of files of this medium cannot be read; copy it again"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(stream)
            raw: Any = dataset.get_item("DirectoryRecordSequence")
            cut = isinstance(raw.value, bytes) and len(raw.value) < raw.length
            records = list(dataset.DirectoryRecordSequence)
            names = [(r.get("ReferencedFileID"), r.get("SeriesInstanceUID")) for r in records]
        except Exception as error:  # nested records are parsed at once, and may be cut
            raise ValueError(fault) from error
    if cut or not names:
        raise ValueError(fault)
    return records
