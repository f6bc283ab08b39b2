"""An output folder in the making, which a killed run leaves behind and a later one completes."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlab.ct.files import refuse_full_folder, write_whole

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
