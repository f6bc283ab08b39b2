"""Files of a DICOM series: in a folder tree, behind a DICOMDIR, inside a zip, or one alone."""

import zipfile
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR."""


def list_files(path: str | Path) -> list[Path]:
    """Every file that may hold an image, in name order; members of a zip as ``zip/member``.

    Hidden files and folders are left out: they are what operating systems leave behind.

    Raises
    ------
    ValueError
        Nothing is there: a missing path, or a folder or zip without a file in it.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(f for f in path.rglob("*") if f.is_file() and not _hidden(f, path))
    elif path.is_file() and zipfile.is_zipfile(path):
        found = _zip_members(path)
    elif path.is_file():
        found = [path] if path.name.upper() != "DICOMDIR" else _referenced(path)
    else:
        raise ValueError(f"{path} does not exist; name a folder, a zip or a DICOM file")
    if not found:
        raise ValueError(f"{path} holds no files; name a folder with a DICOM series in it")
    return found


def open_source(path: Path) -> BinaryIO:
    """A file opened for reading, also where ``path`` names a member of a zip."""
    if path.is_file():
        return path.open("rb")
    for archive in path.parents:
        if archive.is_file():
            with zipfile.ZipFile(archive) as opened:
                return BytesIO(opened.read(path.relative_to(archive).as_posix()))
    return path.open("rb")  # raises the FileNotFoundError that names the path


def _hidden(file: Path, root: Path) -> bool:
    parts = file.relative_to(root).parts
    return any(p.startswith(".") or p == "__MACOSX" for p in parts)


def _zip_members(archive: Path) -> list[Path]:
    with zipfile.ZipFile(archive) as opened:
        names = sorted(i.filename for i in opened.infolist() if not i.is_dir())
        encrypted = [i.filename for i in opened.infolist() if i.flag_bits & 1]
    if encrypted:
        raise ValueError(f"{archive} is protected by a password; unpack it first")
    return [archive / n for n in names if not _hidden(archive / n, archive)]


def _referenced(directory: Path) -> list[Path]:
    """Files that a DICOMDIR lists and that exist; their names are compared without case."""
    import pydicom

    records = pydicom.dcmread(directory).get("DirectoryRecordSequence", [])
    names = [r.ReferencedFileID for r in records if "ReferencedFileID" in r]
    present = {str(f.relative_to(directory.parent)).upper(): f for f in _below(directory.parent)}
    keys = ["/".join([n] if isinstance(n, str) else list(n)).upper() for n in names]
    missing = [k for k in keys if k not in present]
    if keys and len(missing) == len(keys):
        raise ValueError(f"{directory} lists {len(keys)} files and none of them exists beside it")
    return sorted(present[k] for k in keys if k in present)


def _below(folder: Path) -> list[Path]:
    return [f for f in folder.rglob("*") if f.is_file()]
