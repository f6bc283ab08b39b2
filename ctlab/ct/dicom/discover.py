"""Files of a DICOM series: in a folder tree, behind a DICOMDIR, inside a zip, or one alone."""

import os
import warnings
import zipfile
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
        files, lost = _zip_members(path), []
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
                files += _zip_members(file)
            except ValueError as error:
                lost.append(("", str(error)))
        else:
            files.append(file)
    return files, lost


def open_source(path: Path) -> BinaryIO:
    """A file opened for reading, also where ``path`` names a member of a zip."""
    if path.is_file():
        return path.open("rb")
    for archive in path.parents:
        if archive.is_file():
            with zipfile.ZipFile(archive) as opened:
                return BytesIO(opened.read(path.relative_to(archive).as_posix()))
    return path.open("rb")  # raises the FileNotFoundError that names the path


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
    return name.startswith(".") or name == "__MACOSX"


def _zip_members(archive: Path) -> list[Path]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [i for i in opened.infolist() if not i.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{archive} is damaged ({error}); copy it again") from error
    if any(i.flag_bits & 1 for i in members):
        raise ValueError(f"{archive} is protected by a password; unpack it first")
    names = sorted(i.filename for i in members)
    return [archive / n for n in names if not any(map(_hidden, Path(n).parts))]


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
