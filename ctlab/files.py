"""Files and folders that appear whole or not at all, folders whose writing can be resumed, JSON.

- :func:`write_whole`, :func:`write_json`: a file.
- :func:`fresh_folder`: a folder; an error leaves nothing.
- :class:`ResumableFolder`: a folder of many files; a killed run is continued.
"""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
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


def plain(value: Any) -> Any:
    """The same value in the types that JSON has; numbers that are not finite become ``None``.

    Mappings, lists, tuples, numpy arrays and scalars, and tables (a list of rows) are taken apart;
    anything else (a path, a date) becomes its text.

    Examples
    --------
    >>> plain({"a": float("nan"), "b": (2, float("inf")), "c": Path("x")})
    {'a': None, 'b': [2, None], 'c': 'x'}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a table; pandas stays unloaded
        return [plain(row) for row in value.to_dict("records")]
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` to ``path`` as JSON for people and programs, whole or not at all."""
    with write_whole(path) as part:
        text = json.dumps(plain(value), indent=1, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")


def spreadsheet_safe(cell: Any) -> Any:
    """The cell as a spreadsheet shows it: text that would run as a formula gets a quote before it.

    Source: OWASP, CSV injection: cells that start with ``= + - @``, a tab or a line end.

    Examples
    --------
    >>> [spreadsheet_safe(cell) for cell in ("=1+1", "-0.5", "- none", "fine", -2.0)]
    ["'=1+1", '-0.5', "'- none", 'fine', -2.0]
    """
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return cell
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell


def write_csv(path: str | Path, table: Any) -> None:
    """Write a pandas table without its index, whole or not at all, safe for spreadsheets."""
    with write_whole(path) as part:
        table.map(spreadsheet_safe).rename(columns=spreadsheet_safe).to_csv(part, index=False)


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
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """Empty folder beside ``path``, on its disk, that is removed when the block ends."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    part.chmod(0o755)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


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
    with scratch_folder(path) as part:
        yield part
        _put(part, path)


def _put(part: Path, path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
    part.rename(path)


_STATE = "unfinished.json"


@dataclass(frozen=True)
class ResumableFolder:
    """A folder in the making, which becomes ``out`` when :meth:`finish` is called.

    Attributes
    ----------
    out : where it will lie
    facts : what is being made and from what: only work on the same facts is continued
    given : values drawn at the start (new identifiers), which a continued run must share
    """

    out: Path
    facts: dict[str, Any]
    given: dict[str, Any]

    @staticmethod
    def folder_of(out: str | Path) -> Path:
        """Where unfinished work on ``out`` lies."""
        out = Path(out)
        return out.with_name(f".{out.name}.unfinished")

    @property
    def folder(self) -> Path:
        """Where files are written until all are there."""
        return self.folder_of(self.out)

    @classmethod
    def begin(
        cls,
        out: str | Path,
        facts: dict[str, Any],
        given: dict[str, Any],
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> "ResumableFolder":
        """Start work on ``out``, or go on with what a killed run left.

        Raises
        ------
        ValueError
            ``out`` is full; unfinished work is there and neither ``resume`` nor ``overwrite`` is
            true; or it was begun with other facts.
        """
        refuse_full_folder(out, overwrite=overwrite)
        folder = cls.folder_of(out)
        if folder.exists() and not (resume or overwrite):
            raise ValueError(
                f"work on {out} was cut short; pass --resume to go on, or --overwrite to begin anew"
            )
        if resume and (folder / _STATE).exists():
            begun = cls.join(out)
            for name, value in facts.items():
                if begun.facts.get(name) != plain(value):
                    raise ValueError(
                        f"work on {out} was begun with {name} {begun.facts.get(name)!r}, now it is "
                        f"{value!r}; use what it was begun with, or --overwrite"
                    )
            return begun
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_json(folder / _STATE, {"facts": facts, "given": given})
        return cls.join(out)

    @classmethod
    def join(cls, out: str | Path) -> "ResumableFolder":
        """The work on ``out`` that another process, or an earlier run, began."""
        kept = json.loads((cls.folder_of(out) / _STATE).read_text(encoding="utf-8"))
        return cls(Path(out), kept["facts"], kept["given"])

    def abandon(self) -> None:
        """Remove what was made."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self) -> None:
        """Put the folder in its place."""
        (self.folder / _STATE).unlink()
        _put(self.folder, self.out)
