"""Reading a protocol file, with errors that name the line and the remedy."""

import difflib
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ctlab.input_files import MOST_TOML_BYTES, NestedTooDeeply, check_depth, read_bytes
from reader_study.design.protocol import FORMAT_VERSION, Protocol

_HEADER = re.compile(r"^\s*\[(\[)?\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-]+|\"[^\"]*\")\s*=")


def read_protocol(path: str | Path) -> tuple[Protocol, str]:
    """Protocol of a TOML file and the SHA-256 of its bytes.

    Raises
    ------
    ValueError
        The file is no TOML, a key is unknown or a value refused; the message names file, line,
        key, and what to write instead.
    """
    path = Path(path)
    raw = read_bytes(path, MOST_TOML_BYTES)
    try:
        text = raw.decode("utf-8")
        table = tomllib.loads(text)
        check_depth(table)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not a text file in UTF-8 ({error.reason})") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name} is not valid TOML: {error}") from None
    except (RecursionError, NestedTooDeeply):
        raise ValueError(f"{path.name} nests its tables too deeply to be a protocol") from None
    return check_protocol(table, text=text, name=path.name), hashlib.sha256(raw).hexdigest()


def check_protocol(
    table: dict[str, Any], *, text: str = "", name: str = "protocol.toml"
) -> Protocol:
    """Protocol of a parsed TOML table; ``text`` lets errors name the line."""
    version = table.get("format_version", FORMAT_VERSION)
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ValueError(
            f"{name} has format_version {version}; this program reads up to {FORMAT_VERSION}: "
            "install a newer ctlab"
        )
    try:
        return Protocol.model_validate(table)
    except ValidationError as error:
        problem = _most_telling(error)
        place = tuple(problem["loc"])
        line = line_of(text, place)
        where = f"{name}, line {line}" if line else name
        raise ValueError(f"{where}: {_wording(problem, place)}") from None


def _most_telling(error: ValidationError) -> Any:
    """A misspelt key also leaves its right twin missing: name the misspelling first."""
    problems = error.errors()
    return next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])


def _wording(problem: Any, place: tuple[str | int, ...]) -> str:
    named = ".".join(str(p + 1) if isinstance(p, int) else p for p in place)
    if problem["type"] == "extra_forbidden":
        known = sorted(_fields_at(place[:-1]))
        near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"unknown key {str(place[-1])!r}; {hint}"
    if problem["type"] == "missing":
        return f"{named} is missing; add it (reader-study new --example shows every key)"
    said = problem["msg"].removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    value = problem.get("input")
    if problem["type"] == "value_error" or isinstance(value, dict):
        return f"{named}: {said}" if named else said
    return f"{named} = {value!r}: {said}"


def _fields_at(place: tuple[str | int, ...]) -> set[str]:
    """Keys allowed in the table at ``place``."""
    model: Any = Protocol
    for part in place:
        if isinstance(part, int):
            continue
        if part not in model.model_fields:
            return set()
        model = _model_inside(model.model_fields[part].annotation)
        if model is None:
            return set()
    return set(model.model_fields)


def _model_inside(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model_inside(a))), None)


def line_of(text: str, place: tuple[str | int, ...]) -> int | None:
    r"""Line (from 1) of the key or table header at ``place``, or of the nearest thing above it.

    Examples
    --------
    >>> line_of('title = "a"\n[[arms]]\nname = "x"\n[[arms]]\nnam = "y"', ("arms", 1, "nam"))
    5
    """
    best: tuple[int, int] | None = None
    here: tuple[str | int, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            names = tuple(part.strip(" \"'") for part in header[2].split("."))
            if header[1]:
                counts[names] = counts.get(names, -1) + 1
            here = _with_indices(names, counts)
            spot = here
        elif key := _KEY.match(line):
            spot = (*here, key[1].strip('"'))
        else:
            continue
        if place[: len(spot)] == spot and (best is None or len(spot) > best[0]):
            best = (len(spot), number)
    return best[1] if best else None


def _with_indices(
    names: tuple[str, ...], counts: dict[tuple[str, ...], int]
) -> tuple[str | int, ...]:
    spot: list[str | int] = []
    for depth, part in enumerate(names, start=1):
        spot.append(part)
        if names[:depth] in counts:
            spot.append(counts[names[:depth]])
    return tuple(spot)
