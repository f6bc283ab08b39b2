"""Output folders: where they are put together, and whose they are while that goes on."""

import datetime
import errno
import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Errors of the disk say which output they hit.

    Those of a write carry no name of their own, and those of a copy name its source first, as if
    that had no space left.
    """
    try:
        yield
    except OSError as error:
        is_of_a_copy = error.filename2 and error.errno != errno.EIO  # the source may be unreadable
        if error.errno in _DISK and (is_of_a_copy or not error.filename):
            error.filename = str(path)
        raise


def settled(path: str | Path) -> Path:
    """Absolute path of a folder, behind links.

    Raises
    ------
    ValueError
        Links lead in a circle.
    """
    try:
        resolved = Path(path).resolve()
        circle = resolved.is_symlink()  # what Python 3.13 returns; before, it raised
    except (RuntimeError, OSError):
        circle = True
    if circle:
        raise ValueError(f"{path} cannot be followed: its links lead in a circle")
    return resolved


_OURS = {".lock", ".part", ".old", ".unfinished", "lost+found"}
"""Names within an output folder that are no content: ours, and what file systems put there."""


def contents(out: Path) -> list[Path]:
    """What a folder holds beside what is ours; nothing where it does not exist."""
    return [p for p in out.iterdir() if p.name not in _OURS] if out.is_dir() else []


def stays_in_place(out: Path) -> bool:
    """Whether a folder is filled rather than replaced.

    A mount point cannot be replaced, nor what lies in a folder that is not writable, and the
    working directory should not be.
    """
    if not out.is_dir():
        return False
    if out.is_mount() or not os.access(out.parent, os.W_OK):
        return True
    try:
        return Path.cwd().is_relative_to(out)
    except FileNotFoundError:  # the working directory is gone
        return False


def aside(out: Path, what: str) -> Path:
    """Where a lock, unfinished work, or what is replaced lies: beside ``out`` or, hidden, in it."""
    within = out / f".{what}"
    if within.exists() or stays_in_place(out):
        return within
    return out.with_name(f".{out.name}.{what}")


_HELD: dict[Path, int] = {}
"""Open lock files of this process."""


class FolderLock:
    """Keeps other processes from an output folder until it is released, or this process ends.

    A second lock of the same process takes over the first: work that was interrupted in a
    notebook can be begun again there.

    Raises
    ------
    ValueError
        Another process has it; the message says whose, where and since when.
    """

    def __init__(self, out: str | Path) -> None:
        self.path = aside(settled(out), "lock")
        if self.path in _HELD:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = _locked(self.path)
        if isinstance(handle, str):
            raise ValueError(
                f"{out} is being written to by {handle or 'another process'}; wait until that has "
                "ended, or name another folder"
            )
        os.ftruncate(handle, 0)
        start = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        who = f"{_user()} on {socket.gethostname()} (process {os.getpid()}) since {start}"
        os.write(handle, who.encode())
        _HELD[self.path] = handle

    def release(self) -> None:
        """Let others in; a second call does nothing."""
        handle = _HELD.pop(self.path, None)
        if handle is not None:
            self.path.unlink(missing_ok=True)
            os.close(handle)

    def __enter__(self) -> "FolderLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _locked(path: Path) -> int | str:
    """The lock file, open and ours until it is closed; or who has it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _lock(handle):
            told = os.read(handle, 1000).decode(errors="replace")
            os.close(handle)
            return told
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        os.close(handle)  # released between opening and locking: try again


def _lock(handle: int) -> bool:
    """Lock an open file; false where another process holds it. The system lets go at its end."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user has a number alone
        return f"user {os.getuid()}"
