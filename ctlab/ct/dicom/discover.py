"""Files of a DICOM series: in a folder tree, behind a DICOMDIR, inside a zip, or one alone."""

import os
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from ctlab.ct.dicom.media.dicomdir import is_index, referenced
from ctlab.ct.dicom.media.zips import LARGEST_UNPACKED, member_bytes, unpacked, zip_members

__all__ = ["LARGEST_UNPACKED", "MEDIA_DIRECTORY", "find_files", "list_files", "open_source"]

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR."""

Lost = list[tuple[str, str, str]]
"""Series UID ("" if unknown), name, and what of it in words, for what cannot be had."""

Found = tuple[list[Path], Lost]

_PACKED = {
    *(b"\x1f\x8b", b"\x1f\x9d", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"),
    *(b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07"),
}
"""How gzip, compress, bzip2, xz, Zstandard, LZ4, 7z and RAR begin."""

_PACKED_SUFFIXES = (*(".gz", ".tgz", ".bz2", ".xz", ".zst", ".lz4", ".7z", ".rar", ".tar", ".iso"),)
_OTHER_TEXT = """
.txt .csv .tsv .log .md .rst .json .xml .html .htm .css .js .py .sh .bat .ini .cfg .inf .toml
.yaml .yml .lock .tmp .pdf .doc .rtf .nii .svg .ps .sql .jsonl .sum .sha256 .md5
"""
_OTHER = set(_OTHER_TEXT.split())
"""Suffixes of files that are no images, whether packed or empty."""

_DOCUMENTS_TEXT = """
.docx .xlsx .pptx .docm .xlsm .odt .ods .odp .epub .jar .npz .whl .apk .pt .pth .ckpt .keras
.onnx .kmz .vsdx .xpi .ipa
"""
_DOCUMENTS = set(_DOCUMENTS_TEXT.split())
"""Suffixes of files that are zips within, and hold no images."""

_PASSED_OVER = (".git", ".Trash", "__MACOSX", ".snapshot", ".Spotlight", ".DocumentRevisions")
_UNFINISHED = (".part", ".old", ".unfinished", ".lock")
"""What no series is looked for in: what systems keep, and what killed runs left."""


def list_files(path: str | Path) -> list[Path]:
    """Every file that may hold an image, as :func:`find_files` lists them."""
    return find_files(path)[0]


def find_files(path: str | Path) -> Found:
    """Every file that may hold an image, in name order, and what is known to be missing.

    Folders behind links are entered, once; members of a zip, also of one within a folder or
    within another zip, are listed as ``zip/member``. What can hold images and cannot be looked
    into is named: other archives, empty files, links that lead nowhere, hidden folders with DICOM
    files. Other hidden files are what operating systems leave behind. A DICOMDIR is no image,
    but files that it lists and that are gone are missing.

    Raises
    ------
    ValueError
        Nothing is there: a missing path, or a folder or zip without a file in it.
    """
    path = Path(path)
    if path.is_dir():
        files, lost = _in_folder(path)
    elif path.is_file() and is_index(path.name):
        files, lost = _of_medium(path)
    elif path.is_file():
        files, lost = _expanded(path)
    else:
        raise ValueError(f"{path} does not exist; name a folder, a zip or a DICOM file")
    if not files and not lost:
        raise ValueError(f"{path} holds no files; name a folder with a DICOM series in it")
    return sorted(files), lost


def _of_medium(index: Path) -> Found:
    try:
        with index.open("rb") as stream:
            files, lost = referenced(index, stream, _below(index.parent)[0])
    except ValueError as error:
        raise ValueError(f"{index} {error}, or name the folder it lies in") from error
    if not files:
        raise ValueError(
            f"{index} lists {len(lost)} files and none of them exists beside it; copy the whole "
            "medium, or name the folders of images"
        )
    return files, lost


def _in_folder(folder: Path) -> Found:
    there, lost = _below(folder)
    files: list[Path] = []
    for file in there:
        more, gone = _lost_of_index(file, there) if is_index(file.name) else _expanded(file)
        files += more
        lost += gone
    return files, lost


def _lost_of_index(index: Path, there: Iterable[Path]) -> Found:
    """What an index lists and is gone; an index that cannot be read is itself missing."""
    try:
        with open_source(index) as stream:
            below = (f for f in there if f.is_relative_to(index.parent))
            return [], referenced(index, stream, below)[1]
    except ValueError as error:
        return [], [("", index.name, str(error))]


def _expanded(file: Path, depth: int = 0) -> Found:
    """The file itself, or what a zip holds; what is packed otherwise or empty is missing."""
    suffix = file.suffix.lower()
    if suffix in (".dcm", ".ima"):  # if it is something else, that is said when it is read
        return [file], []
    try:
        head, size = read_start(file, 264)
    except (ValueError, OSError) as error:
        return [], [("", file.name, f"cannot be opened ({error})"[:300])]
    stem = Path(file.stem).suffix.lower()
    if not size:
        return ([file], []) if {suffix, stem} & _OTHER else ([], [("", file.name, _EMPTY)])
    if suffix == ".zip" or (head[:4] == b"PK\3\4" and suffix not in _DOCUMENTS):
        return _in_zip(file, depth) if depth < 2 else ([], [("", file.name, _TOO_DEEP)])
    is_packed = head[257:262] == b"ustar" or any(head.startswith(mark) for mark in _PACKED)
    is_packed |= suffix in _PACKED_SUFFIXES and head[128:132] != b"DICM"
    if is_packed and not {suffix, stem} & _OTHER:
        return [], [("", file.name, _OTHER_ARCHIVE)]
    return [file], []


_EMPTY = "is empty; copy it again, or delete it"
_OTHER_ARCHIVE = "is packed in a way that is not looked into; unpack it, or move it away"
_TOO_DEEP = "lies within a zip within a zip; unpack it, or move it away"


def _in_zip(file: Path, depth: int) -> Found:
    """Members of a zip in a folder, or of a zip within that."""
    archive = next(p for p in file.parents if p.is_file()) if depth else file
    name = file.relative_to(archive).as_posix() if depth else ""
    try:
        members, faults = zip_members(archive, name)
    except ValueError as error:
        return [], [("", file.name, str(error))]
    lost: Lost = [("", *fault) for fault in faults]
    files: list[Path] = []
    visible = [m for m in members if not _is_passed_over(m, file)]
    for member in visible:
        if is_index(member.name):
            more, gone = _lost_of_index(member, visible)
        else:
            more, gone = _expanded(member, depth + 1)
        files += more
        lost += gone
    return files, lost


def _is_passed_over(member: Path, archive: Path) -> bool:
    """Hidden, and no DICOM file in a visible folder."""
    *folders, name = member.relative_to(archive).parts
    if any(_hidden(folder) for folder in folders):
        return True
    return _hidden(name) and not _is_marked(member)


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
            return BytesIO(unpacked(archive, path.relative_to(archive).as_posix()))
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
            return unpacked(archive, name, size), member_bytes(archive, name)
    with path.open("rb") as stream:
        return stream.read(size), os.fstat(stream.fileno()).st_size


def _below(root: Path) -> Found:
    """Files below a folder; one that is linked twice counts once. What leads nowhere is missing."""
    files: list[Path] = []
    lost: Lost = []
    entered = set()

    def closed(error: OSError) -> None:
        lost.append(("", Path(error.filename).name, "is a folder that cannot be opened; copy it"))

    for place, folders, names in os.walk(root, followlinks=True, onerror=closed):
        here = Path(place)
        if here.resolve() in entered:
            folders.clear()
            continue
        entered.add(here.resolve())
        hidden = [f for f in folders if _hidden(f)]
        folders[:] = sorted(set(folders) - set(hidden))
        lost += [("", f, _HIDDEN_IMAGES) for f in sorted(hidden) if _holds_images(here / f)]
        for name in sorted(names):
            file = here / name
            if file.is_file():
                files += [file] if not _hidden(name) or _is_marked(file) else []
            elif not _hidden(name):
                lost.append(("", name, _NOWHERE if file.is_symlink() else _NO_FILE))
    return files, lost


_HIDDEN_IMAGES = "is a hidden folder with DICOM files; rename it to have them read, or move it away"
_NOWHERE = "is a link that leads nowhere; copy what it stands for, or delete it"
_NO_FILE = "is no file that can be read; move it away"


def _hidden(name: str) -> bool:
    return (name.startswith(".") and name != "..") or name == "__MACOSX"


def _is_marked(file: Path) -> bool:
    """Whether a file has the marker of DICOM."""
    try:
        return read_start(file, 132)[0][128:] == b"DICM"
    except (ValueError, OSError):
        return False


def _holds_images(folder: Path) -> bool:
    """Whether DICOM files lie in a hidden folder that no system or killed run left."""
    if folder.name.startswith(_PASSED_OVER) or folder.name.endswith(_UNFINISHED):
        return False
    return any(
        _is_marked(Path(place) / name) for place, _, names in os.walk(folder) for name in names
    )
