"""Files of a DICOM series: in a folder tree, behind a DICOMDIR, inside a zip, or one alone."""

import lzma
import os
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR."""


Lost = list[tuple[str, str]]
"""Series UID ("" if unknown) and a sentence for each file that cannot be had."""


def list_files(path: str | Path) -> list[Path]:
    """Every file that may hold an image, as :func:`find_files` lists them."""
    return find_files(path)[0]


def find_files(path: str | Path) -> tuple[list[Path], Lost]:
    """Every file that may hold an image, in name order, and what is known to be missing.

    Folders behind links are entered, once; members of a zip, also of one within a folder, are
    listed as ``zip/member``. Hidden files and folders are left out: they are what operating
    systems leave behind. A DICOMDIR is no image, but files that it lists and that are gone are
    missing.

    Raises
    ------
    ValueError
        Nothing is there: a missing path, or a folder or zip without a file in it.
    """
    path = Path(path)
    if path.is_dir():
        files, lost = _in_folder(path)
    elif path.is_file() and zipfile.is_zipfile(path):
        files, lost = _zip_members(path)
    elif path.is_file():
        files, lost = ([path], []) if path.name.upper() != "DICOMDIR" else _referenced(path)
        if not files:
            raise ValueError(
                f"{path} lists {len(lost)} files and none of them exists beside it; copy the whole "
                "medium, or name the folders of images"
            )
    else:
        raise ValueError(f"{path} does not exist; name a folder, a zip or a DICOM file")
    if not files and not lost:
        raise ValueError(f"{path} holds no files; name a folder with a DICOM series in it")
    return sorted(files), lost


def _in_folder(folder: Path) -> tuple[list[Path], Lost]:
    files: list[Path] = []
    lost: Lost = []
    for file in _below(folder):
        if file.name.upper() == "DICOMDIR":
            lost += _referenced(file)[1]
        elif file.suffix.lower() == ".zip" and zipfile.is_zipfile(file):
            try:
                members, twice = _zip_members(file)
            except ValueError as error:
                lost.append(("", str(error)))
            else:
                files += members
                lost += twice
        else:
            files.append(file)
    return files, lost


def open_source(path: Path) -> BinaryIO:
    """A file opened for reading, also where ``path`` names a member of a zip.

    Raises
    ------
    ValueError
        A member of a zip is damaged, or unpacks to far more than an image.
    """
    if path.is_file():
        return path.open("rb")
    for archive in path.parents:
        if archive.is_file():
            return BytesIO(_unpacked(archive, path.relative_to(archive).as_posix()))
    return path.open("rb")  # raises the FileNotFoundError that names the path


def read_start(path: Path, size: int) -> tuple[bytes, int]:
    """So many bytes of a file's beginning, and its length; of a zip's member no more is unpacked.

    Raises
    ------
    ValueError
        As :func:`open_source`.
    """
    for archive in () if path.is_file() else path.parents:
        if archive.is_file():
            name = path.relative_to(archive).as_posix()
            return _unpacked(archive, name, size), _archive_of(archive).getinfo(name).file_size
    with path.open("rb") as stream:
        return stream.read(size), os.fstat(stream.fileno()).st_size


LARGEST_UNPACKED = 1 << 28
"""What packs better than :data:`BEST_RATIO` is read up to this size, in bytes."""

BEST_RATIO = 100
"""Images pack less well by far."""


def _unpacked(archive: Path, name: str, size: int = -1) -> bytes:
    try:
        opened = _archive_of(archive)
        info = opened.getinfo(name)
        packs_well = info.file_size > BEST_RATIO * max(info.compress_size, 1)
        if size < 0 and packs_well and info.file_size > LARGEST_UNPACKED:
            raise ValueError(
                f"{archive.name}/{name} is {info.compress_size} bytes that unpack to "
                f"{info.file_size}, which no image does; unpack it yourself if it is one"
            )
        with opened.open(info) as member:
            return member.read(size)
    except _ZIP_FAULTS as error:
        raise ValueError(
            f"{archive.name}/{name} is damaged ({str(error)[:200]}); copy it again"
        ) from error


_ZIP_FAULTS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, KeyError),
    *(NotImplementedError, RuntimeError, struct.error, IndexError, UnicodeError, OverflowError),
)
"""What the standard library raises for damaged archives."""


def _archive_of(archive: Path) -> zipfile.ZipFile:
    """The archive with its list of members, which is long to read, kept for the next ones."""
    facts = archive.stat()
    return _opened(archive, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=2)
def _opened(archive: Path, _changed: int, _size: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(archive)


def _below(root: Path) -> list[Path]:
    """Files below a folder that are not hidden; a folder that is linked twice counts once."""
    files, entered = [], set()
    for place, folders, names in os.walk(root, followlinks=True):
        here = Path(place)
        if here.resolve() in entered:
            folders.clear()
            continue
        entered.add(here.resolve())
        folders[:] = sorted(f for f in folders if not _hidden(f))
        files += [here / n for n in sorted(names) if not _hidden(n) and (here / n).is_file()]
    return files


def _hidden(name: str) -> bool:
    return (name.startswith(".") and name != "..") or name == "__MACOSX"


def _zip_members(archive: Path) -> tuple[list[Path], Lost]:
    """Members of a zip, and those that share a name, of which only the last can be read."""
    try:
        members = [i for i in _archive_of(archive).infolist() if not i.is_dir()]
    except _ZIP_FAULTS as error:
        raise ValueError(f"{archive} is damaged ({str(error)[:200]}); copy it again") from error
    if any(i.flag_bits & 1 for i in members):
        raise ValueError(f"{archive} is protected by a password; unpack it first")
    counts = Counter(i.filename for i in members if not any(map(_hidden, Path(i.filename).parts)))
    twice = [
        ("", f"{archive.name} holds {n} files called {name}, of which one can be read; unpack it")
        for name, n in counts.items()
        if n > 1
    ]
    return [archive / name for name in sorted(counts)], twice


def _referenced(directory: Path) -> tuple[list[Path], Lost]:
    """Files that a DICOMDIR lists, their names compared without case; and those that are gone."""
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            records = pydicom.dcmread(directory).get("DirectoryRecordSequence") or []
        except Exception:  # nested records are parsed at once, and may be cut
            return [], []
    present = {
        f.relative_to(directory.parent).as_posix().upper(): f for f in _below(directory.parent)
    }
    files: list[Path] = []
    lost: Lost = []
    series = ""
    for record in records:  # a series stands before its images
        series = str(record.get("SeriesInstanceUID") or series)
        if not (name := record.get("ReferencedFileID")):
            continue
        key = "/".join([name] if isinstance(name, str) else list(name))
        if (file := present.get(key.upper())) is not None:
            files.append(file)
        else:
            lost.append((series, f"{key} is listed in {directory.name} and missing; copy it again"))
    return files, lost
