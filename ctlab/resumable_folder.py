"""A folder of many files whose writing a killed run leaves to the next: ``--resume`` goes on."""

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ctlab.files import clear_leftovers, plain, put_in_place, refuse_full_folder, write_json
from ctlab.output_folder import FolderLock, aside, settled

_STATE = "unfinished.json"


@dataclass(frozen=True)
class ResumableFolder:
    """A folder in the making, which becomes ``out`` when :meth:`finish` is called.

    Attributes
    ----------
    out : where it will lie
    facts : what is being made and from what: only work on the same facts is continued
    given : values drawn at the start (new identifiers), which a continued run must share
    lock : of the process that began it
    """

    out: Path
    facts: dict[str, Any]
    given: dict[str, Any]
    lock: FolderLock | None = field(default=None, compare=False)

    @staticmethod
    def folder_of(out: str | Path) -> Path:
        """Where unfinished work on ``out`` lies."""
        return aside(settled(out), "unfinished")

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
            true; it was begun with other facts; or another process is at it.
        """
        refuse_full_folder(out, overwrite=overwrite)
        lock = FolderLock(out)
        try:
            clear_leftovers(settled(out))
            refuse_full_folder(out, overwrite=overwrite)
            begun = cls._begun(out, facts, given, resume=resume, overwrite=overwrite)
        except BaseException:
            lock.release()
            raise
        return replace(begun, lock=lock)

    @classmethod
    def _begun(
        cls,
        out: str | Path,
        facts: dict[str, Any],
        given: dict[str, Any],
        *,
        resume: bool,
        overwrite: bool,
    ) -> "ResumableFolder":
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
        self.release()

    def release(self) -> None:
        """Let other processes go on with it."""
        if self.lock is not None:
            self.lock.release()

    def finish(self, *, overwrite: bool = False) -> None:
        """Put the folder in its place; with ``overwrite`` also where that was filled meanwhile."""
        state = self.folder / _STATE
        kept = state.read_bytes()
        state.unlink()
        try:
            put_in_place(self.folder, settled(self.out), overwrite=overwrite)
        except BaseException:
            state.write_bytes(kept)  # so that it can be resumed
            raise
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()
