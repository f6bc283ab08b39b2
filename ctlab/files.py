"""Files and folders that are written whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@contextmanager
def write_whole(path: str | Path) -> Iterator[Path]:
    """Temporary path beside ``path`` that replaces it when the block ends without an error.

    A reader of ``path`` sees the old file or the new one, never half of it: POSIX renames
    within one folder are atomic. The data are flushed to disk before the rename.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "table.csv"
    >>> with write_whole(target) as part:
    ...     _ = part.write_text("a,b")
    >>> target.read_text()
    'a,b'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept because writers such as savefig and savez choose the format by it.
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        with part.open("rb") as handle:
            os.fsync(handle.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def refuse_full_folder(path: str | Path, *, overwrite: bool = False) -> None:
    """Raise ``ValueError`` where :func:`fresh_folder` would; for use before long work."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file; name a folder to write to")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise ValueError(f"{path} is not empty; name a new folder or pass --overwrite")


def refuse_own_source(source: str | Path, out: str | Path) -> None:
    """Raise ``ValueError`` where replacing ``out`` would delete what is read from ``source``."""
    read, written = Path(source).resolve(), Path(out).resolve()
    if written == read or written in read.parents:
        raise ValueError(f"{out} holds what is read; name another folder to write to")


@contextmanager
def fresh_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Temporary folder that becomes ``path`` when the block ends without an error.

    Raises
    ------
    ValueError
        ``path`` is a file, or a folder that is not empty and ``overwrite`` is false.
    """
    path = Path(path)
    refuse_full_folder(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    part.chmod(0o755)
    try:
        yield part
        if path.exists():
            shutil.rmtree(path)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


STATE = "unfinished.json"


@dataclass(frozen=True)
class Unfinished:
    """Folder beside ``out`` that becomes ``out`` when all files are there.

    ``facts`` say what is being made and from what: only work on the same facts is continued.
    ``given`` are values drawn at the start (new identifiers), which a continued run must share.
    """

    out: Path
    facts: dict[str, Any]
    given: dict[str, Any]

    @property
    def folder(self) -> Path:
        return folder_of(self.out)

    def abandon(self) -> None:
        """Remove what was made."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self) -> None:
        """Put the folder in its place."""
        (self.folder / STATE).unlink()
        if self.out.exists():
            shutil.rmtree(self.out)
        self.folder.rename(self.out)


def folder_of(out: str | Path) -> Path:
    """Where unfinished work on ``out`` lies."""
    out = Path(out)
    return out.with_name(f".{out.name}.unfinished")


def begin(
    out: str | Path,
    facts: dict[str, Any],
    given: dict[str, Any],
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Unfinished:
    """Start work on ``out``, or go on with what a killed run left.

    Raises
    ------
    ValueError
        ``out`` is full; unfinished work is there and neither ``resume`` nor ``overwrite`` is
        true; or it was begun with other facts.
    """
    out = Path(out)
    refuse_full_folder(out, overwrite=overwrite)
    folder = folder_of(out)
    if folder.exists() and not (resume or overwrite):
        raise ValueError(
            f"work on {out} was cut short; pass --resume to go on, or --overwrite to begin anew"
        )
    if resume and (folder / STATE).exists():
        kept = json.loads((folder / STATE).read_text(encoding="utf-8"))
        for name in facts:
            if kept["facts"].get(name) != facts[name]:
                raise ValueError(
                    f"work on {out} was begun with {name} {kept['facts'].get(name)!r}, now it is "
                    f"{facts[name]!r}; use what it was begun with, or --overwrite"
                )
        return Unfinished(out, facts, kept["given"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with write_whole(folder / STATE) as part:
        part.write_text(json.dumps({"facts": facts, "given": given}), encoding="utf-8")
    return Unfinished(out, facts, given)


def join(out: str | Path, facts: dict[str, Any]) -> Unfinished:
    """The work that another process began."""
    kept = json.loads((folder_of(out) / STATE).read_text(encoding="utf-8"))
    return Unfinished(Path(out), facts, kept["given"])
