"""Files and folders that appear whole or not at all; JSON.

- :func:`write_whole`, :func:`write_json`: a file.
- :func:`fresh_folder`: a folder; an error leaves nothing.
- :class:`ctlab.resumable_folder.ResumableFolder`: a folder of many files; a killed run goes on.
"""

import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ctlab.output_folder import (
    FolderLock,
    aside,
    contents,
    named_errors,
    settled,
    stays_in_place,
)


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
    path = settled(path)  # a link stays, and what it points to is replaced
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file to write to")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    # The suffix is kept because writers such as savefig and savez choose the format by it.
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    with named_errors(path):
        try:
            yield part
            with part.open("rb") as handle:
                os.fsync(handle.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Delete what processes that are gone left of ``path``."""
    pattern = re.compile(rf"\.{re.escape(path.stem)}\.(\d+)\.part{re.escape(path.suffix)}")
    for left in path.parent.iterdir():
        if (found := pattern.fullmatch(left.name)) and not _is_running(int(found[1])):
            left.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


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


def canonical(value: Any) -> str:
    r"""JSON with sorted keys and no spaces: one text for one value, so that hashes agree.

    Examples
    --------
    >>> print(canonical({"b": 1, "a": [None, "ü"]}))
    {"a":[null,"\u00fc"],"b":1}
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def spreadsheet_safe(cell: Any) -> Any:
    """The cell as a spreadsheet shows it: text that would run as a formula gets a quote before it.

    Source: OWASP, CSV injection: cells that start with ``= + - @``, a tab or a line end. A carriage
    return becomes a line feed: Python before 3.13 leaves it without quotes, and what follows it
    would begin a row.

    Examples
    --------
    >>> [spreadsheet_safe(cell) for cell in ("=1+1", "-0.5", "- none", "fine", -2.0)]
    ["'=1+1", '-0.5', "'- none", 'fine', -2.0]
    """
    if not isinstance(cell, str):
        return cell
    cell = cell.replace("\r\n", "\n").replace("\r", "\n")
    if not cell.startswith(("=", "+", "-", "@", "\t", "\n")):
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
    """Raise where :func:`fresh_folder` would; for use before long work.

    Raises
    ------
    ValueError
        ``path`` is a file, a folder that is not empty (and ``overwrite`` is false), or was left
        half replaced by a killed run.
    OSError
        Nothing can be written there.
    """
    if str(path).startswith("dicomweb:"):
        raise ValueError("expected a folder to write to, got an address of a server; name a folder")
    out = settled(path)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{path} is a file; name a folder to write to")
    if aside(out, "old").exists() and stays_in_place(out) and not overwrite:
        raise ValueError(
            f"a run was killed while it replaced what {path} held: that lies in "
            f"{aside(out, 'old')}, what was made in {aside(out, 'part')} and {path}; save what "
            "you need, then pass --overwrite"
        )
    if contents(out) and not overwrite:
        raise ValueError(f"{path} is not empty; name a new folder or pass --overwrite")
    near = next(folder for folder in (out, *out.parents) if folder.is_dir())
    if not os.access(near, os.W_OK | os.X_OK):
        raise PermissionError(13, "Permission denied, nothing can be written there", str(near))


def refuse_own_source(source: str | Path, out: str | Path) -> None:
    """Raise ``ValueError`` where replacing ``out`` would delete what is read from ``source``."""
    read, written = settled(source), settled(out)
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

    What ``path`` holds is looked at again then: without ``overwrite`` nothing is ever deleted,
    and with it the old folder goes only after the new one is in its place.

    Raises
    ------
    ValueError
        ``path`` is a file, or a folder that is not empty and ``overwrite`` is false; or another
        process writes to it.
    """
    refuse_full_folder(path, overwrite=overwrite)
    out = settled(path)
    with FolderLock(out), named_errors(out):
        clear_leftovers(out)
        refuse_full_folder(path, overwrite=overwrite)
        part = aside(out, "part")
        part.mkdir()
        try:
            yield part
            put_in_place(part, out, overwrite=overwrite)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def clear_leftovers(out: Path) -> None:
    """Remove what killed runs left beside a folder, and put back what they had moved aside."""
    shutil.rmtree(aside(out, "part"), ignore_errors=True)
    old = aside(out, "old")
    if old.is_dir() and not out.exists():
        old.rename(out)
    elif not stays_in_place(out):
        shutil.rmtree(old, ignore_errors=True)


class FilledMeanwhile(ValueError):  # noqa: N818  (a finding, not a fault)
    """Something else was put into the output folder while the work went on."""

    def __init__(self, out: Path) -> None:
        super().__init__(
            f"{out} was filled by something else meanwhile, which was left alone; "
            "move it away, or name a new folder"
        )


def put_in_place(part: Path, out: Path, *, overwrite: bool) -> None:
    """Move a finished folder to its place: atomically where that is free."""
    if contents(out) and not overwrite:
        raise FilledMeanwhile(out)
    old = aside(out, "old")
    if stays_in_place(out):
        old.mkdir(exist_ok=True)
        _exchange(contents(out), old, list(part.iterdir()), out)
    else:
        if out.is_dir():
            shutil.copymode(out, part)
        try:
            part.rename(out)  # an empty folder gives way, another does not
        except OSError:
            if not contents(out):
                raise
            if not overwrite:
                raise FilledMeanwhile(out) from None
            out.rename(old)
            try:
                part.rename(out)
            except OSError:
                old.rename(out)
                raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(present: list[Path], old: Path, made: list[Path], out: Path) -> None:
    """Move what is there aside, then what was made in; back again where that fails."""
    try:
        for each in present:
            each.rename(old / each.name)
        for each in made:
            each.rename(out / each.name)
    except OSError:
        for each in made:
            shutil.rmtree(out / each.name, ignore_errors=True)
            with suppress(OSError):
                (out / each.name).unlink(missing_ok=True)
        for each in old.iterdir():
            each.rename(out / each.name)
        raise
