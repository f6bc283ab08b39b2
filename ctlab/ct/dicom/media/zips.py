"""Members of a zip, also of one within it, read without unpacking what is not asked for."""

import lzma
import struct
import zipfile
import zlib
from collections import Counter
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath

LARGEST_UNPACKED = 1 << 28
"""What packs better than :data:`BEST_RATIO` is read up to this size, in bytes."""

BEST_RATIO = 100
"""Images pack less well by far."""

LARGEST_INNER = 1 << 29
"""A zip within a zip is unpacked into memory, up to this size in bytes."""

MOST_MEMBERS = 100_000
"""No medium holds more files; a list of members takes memory before one of them is read."""

_LONGEST_NAME = 1000
_INFO_BYTES = 256
"""What the list of a zip takes for a member, 46 and its name (APPNOTE.TXT 6.3.10, 4.3.12)."""

ZIP_FAULTS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, KeyError),
    *(NotImplementedError, RuntimeError, struct.error, IndexError, UnicodeError, OverflowError),
)
"""What the standard library raises for damaged archives."""


class Archive:
    """An open zip and its members by their name without ``.``, and without a root.

    Attributes
    ----------
    zip : the open archive
    named : the last member of each name
    twice : names that several members share, and how many do
    """

    def __init__(self, stream: Path | BytesIO) -> None:
        size = _list_bytes(stream)
        if size > MOST_MEMBERS * _INFO_BYTES:
            raise ValueError(f"has a list of files of {size} bytes, which no medium has; unpack it")
        self.zip = zipfile.ZipFile(stream)
        members = [i for i in self.zip.infolist() if not i.is_dir()]
        if len(members) > MOST_MEMBERS:
            raise ValueError(f"holds {len(members)} files, more than {MOST_MEMBERS}; unpack it")
        if any(i.flag_bits & 1 for i in members):
            raise _Protected
        self.named = {_plain_name(i.filename): i for i in members}
        counts = Counter(_plain_name(i.filename) for i in members)
        self.twice = {name: n for name, n in counts.items() if n > 1}


class _Protected(Exception):  # noqa: N818  (a finding, not a fault)
    """Members are encrypted."""


def _plain_name(name: str) -> str:
    """A name below the archive: neither absolute, nor with empty parts or ``.`` in it."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _list_bytes(stream: Path | BytesIO) -> int:
    """Size of a zip's list of members, by its end record; 0 where there is none.

    Raises
    ------
    zipfile.BadZipFile
        More than padding follows the end record: its list would leave members out.
    """
    if isinstance(stream, Path):
        with stream.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - (1 << 17), 0))
            tail = file.read()
    else:
        tail = stream.getbuffer()[-(1 << 17) :].tobytes()
    size = 0
    if len(end := tail[tail.rfind(b"PK\5\6") :]) >= 22 and end[:2] == b"PK":
        size, comment = struct.unpack_from("<I4xH", end, 12)
        if len(end) < 22 + comment or end[22 + comment :].strip(b"\0"):
            raise zipfile.BadZipFile("its end record does not lie at its end")
    if size == 0xFFFFFFFF and len(end := tail[tail.rfind(b"PK\6\6") :]) >= 56:
        size = struct.unpack_from("<Q", end, 40)[0]
    return size


def zip_members(archive: Path, inner: str = "") -> tuple[list[Path], list[tuple[str, str]]]:
    """Paths ``zip/member`` in name order; name and reason of those that cannot be had.

    Raises
    ------
    ValueError
        The zip, or ``inner`` within it, is damaged, protected, or unpacks to too much.
    """
    place = archive / inner
    try:
        opened = _archive_of(archive, inner)
    except _Protected:
        raise ValueError("is protected by a password; unpack it first") from None
    except ZIP_FAULTS as error:
        raise ValueError(f"is damaged ({_said(error)}); copy it again") from error
    lost = [
        (place.name, f"holds {n} files called {name}, of which one can be read; unpack it")
        for name, n in opened.twice.items()
    ]
    long = {name for name in opened.named if len(name) > _LONGEST_NAME}
    lost += [(place.name, f"holds a name of {len(name)} characters; unpack it") for name in long]
    return [place / name for name in sorted(opened.named.keys() - long)], lost


def unpacked(archive: Path, name: str, size: int = -1) -> bytes:
    """A member, or so many bytes of its beginning; ``name`` may lead through a zip within.

    Raises
    ------
    ValueError
        It is damaged, or unpacks to far more than an image.
    """
    try:
        opened, member = _located(archive, name)
        info = opened.named[member]
        packs_well = info.file_size > BEST_RATIO * max(info.compress_size, 1)
        if size < 0 and packs_well and info.file_size > LARGEST_UNPACKED:
            raise ValueError(
                f"{archive.name}/{name} is {info.compress_size} bytes that unpack to "
                f"{info.file_size}, which no image does; unpack it yourself if it is one"
            )
        with opened.zip.open(info) as stream:
            return stream.read(size)
    except (*ZIP_FAULTS, _Protected) as error:
        raise ValueError(f"{archive.name}/{name} is damaged ({_said(error)}); copy it again") from (
            error
        )


def member_bytes(archive: Path, name: str) -> int:
    """What a member says that it unpacks to."""
    opened, member = _located(archive, name)
    return opened.named[member].file_size


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _located(archive: Path, name: str) -> tuple[Archive, str]:
    """The zip, or the one within it, that holds a member, and the member's name there."""
    outer = _archive_of(archive)
    if name not in outer.named:
        for parent in PurePosixPath(name).parents:
            if parent.as_posix() in outer.named:
                inner = _archive_of(archive, parent.as_posix())
                return inner, PurePosixPath(name).relative_to(parent).as_posix()
    return outer, name


def _archive_of(archive: Path, inner: str = "") -> Archive:
    """The archive with its list of members, which is long to read, kept for the next ones."""
    facts = archive.stat()
    return _opened(archive, inner, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=3)
def _opened(archive: Path, inner: str, _changed: int, _size: int) -> Archive:
    if not inner:
        return Archive(archive)
    if (size := member_bytes(archive, inner)) > LARGEST_INNER:
        raise ValueError(f"unpacks to {size} bytes, more than {LARGEST_INNER}; unpack it yourself")
    return Archive(BytesIO(unpacked(archive, inner)))
