"""Files and folders that are written whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
