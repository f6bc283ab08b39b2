"""JSON, TOML, NPY and NPZ from elsewhere: read within limits, or refused in one sentence.

Readers of formats raise what they like for a damaged file; :func:`declared` turns that into the
``ValueError`` that a border declares. Sizes are looked at before memory is spent on them.
"""

import json
import math
import os
import tomllib
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, get_args

import numpy as np

MOST_TEXT_BYTES = 1 << 28
"""JSON of the largest studies is far smaller."""

MOST_TOML_BYTES = 1 << 22
"""What people write; the parser is slow and takes a hundred times the memory of its text."""

DEEPEST = 64
"""Levels of nesting; none of our files has ten."""

MOST_CODE_BYTES = 1 << 26
"""What the code in a file of torch unpacks to; its numbers are not packed."""

MOST_ARRAY_BYTES = 1 << 30
"""What the arrays of one file unpack to."""


@contextmanager
def declared(path: str | Path, what: str, remedy: str = "copy it again") -> Iterator[None]:
    """Whatever a block raises that reads ``path`` becomes a ``ValueError`` that names the file.

    Errors of the disk (no such file, no permission) and sentences that name the file already
    stay as they are. Keep the block small: a mistake of ours in it reads as damage.

    Examples
    --------
    >>> with declared("a.json", "is no card"):
    ...     {}["name"]
    Traceback (most recent call last):
    ValueError: a.json is no card (it lacks 'name'); copy it again
    """
    try:
        yield
    except ModuleNotFoundError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        raise _damaged(path, what, remedy, error) from error
    except Exception as error:  # formats have no common class
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise _damaged(path, what, remedy, error) from error


def _damaged(path: str | Path, what: str, remedy: str, error: Exception) -> ValueError:
    said = " ".join(str(error).split()).split("Traceback (most recent call last)")[0]
    why = {
        KeyError: f"it lacks {said}",
        RecursionError: "nested too deeply",
        MemoryError: "it asks for more memory than there is",
    }.get(type(error), said or type(error).__name__)
    why = why if len(why) <= 150 else f"{why[:149]}…"
    return ValueError(f"{path} {what} ({why}); {remedy}")


def read_bytes(path: str | Path, most: int = MOST_TEXT_BYTES) -> bytes:
    """Bytes of a file, or of a pipe, up to a limit.

    Raises
    ------
    ValueError
        It is a folder, or longer.
    OSError
        It cannot be read.
    """
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder; name a file")
    with Path(path).open("rb") as stream:
        raw = stream.read(most + 1)
    if len(raw) > most:
        raise ValueError(f"{path}: expected at most {most >> 20} MiB, got more; name another file")
    return raw


def read_json(path: str | Path, what: str, remedy: str = "copy it again") -> dict[str, Any]:
    """The JSON object of a file.

    Raises
    ------
    ValueError
        It is no JSON object in UTF-8, too long, or nested too deeply.
    """
    with declared(path, what, remedy):
        return _table(json.loads(read_bytes(path).decode("utf-8-sig")))


def read_toml(path: str | Path, what: str, remedy: str = "mend that line") -> dict[str, Any]:
    """The tables of a TOML file; refused as by :func:`read_json`."""
    with declared(path, what, remedy):
        return _table(tomllib.loads(read_bytes(path, MOST_TOML_BYTES).decode("utf-8-sig")))


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__}, not named values")
    check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Raise :class:`NestedTooDeeply` for lists and mappings of more levels than :data:`DEEPEST`."""
    level = [value]
    for _ in range(DEEPEST):
        nested: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                nested += item.values()
            elif isinstance(item, list | tuple):
                nested += item
        level = nested
        if not level:
            return
    raise NestedTooDeeply(f"nested more than {DEEPEST} levels deep")


class NestedTooDeeply(ValueError):  # noqa: N818  (a finding, not a fault)
    """Lists and mappings within each other that no file of ours has."""


def check_keys(content: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless every name is there with a value of its kind.

    Examples
    --------
    >>> check_keys({"a": "1"}, {"a": int})
    Traceback (most recent call last):
    ValueError: expected a as int, got a str
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"expected named values, got a {type(content).__name__}")
    if missing := [name for name in kinds if name not in content]:
        raise ValueError(f"it lacks {', '.join(missing)}")
    check_kinds(content, kinds)


def check_kinds(content: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` where a value that is there is not of its kind, or not finite."""
    for name, kind in kinds.items():
        value = content.get(name)
        if name not in content or kind is object:
            continue
        # Python counts True as an int; a file that says true where a number stands does not.
        is_flag = isinstance(value, bool) and bool not in (get_args(kind) or (kind,))
        if not isinstance(value, kind) or is_flag:
            wanted = getattr(kind, "__name__", str(kind))
            raise ValueError(f"expected {name} as {wanted}, got a {type(value).__name__}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}")


def read_array(path: str | Path, what: str, remedy: str = "save it anew") -> np.ndarray:
    """The array of an NPY file, without pickles.

    Raises
    ------
    ValueError
        It is no NPY file, or its shape disagrees with its length.
    """
    with declared(path, what, remedy), Path(path).open("rb") as stream:
        return _array(stream, os.fstat(stream.fileno()).st_size)


def read_arrays(
    path: str | Path,
    names: Collection[str] | None,
    what: str,
    remedy: str = "copy it again",
    *,
    most_bytes: int = MOST_ARRAY_BYTES,
) -> dict[str, np.ndarray]:
    """Arrays of an NPZ file by name, without pickles; all of them where ``names`` is None.

    Raises
    ------
    ValueError
        It is no NPZ file, lacks one of the names, unpacks to more than ``most_bytes``, or a
        shape disagrees with the length of its member.
    """
    with declared(path, what, remedy), zipfile.ZipFile(path) as archive:
        members = {i.filename.removesuffix(".npy"): i for i in archive.infolist()}
        asked = members if names is None else {name: members[name] for name in names}
        total = sum(info.file_size for info in asked.values())
        if total > most_bytes:
            raise ValueError(f"it unpacks to {total} bytes, more than {most_bytes}")
        found = {}
        for name, info in asked.items():
            with archive.open(info) as stream:
                found[name] = _array(stream, info.file_size)
                if stream.read(1):  # the checksum is compared at the end
                    raise ValueError(f"{name} is longer than its shape says")
        return found


def check_archive(path: str | Path) -> None:
    """Raise ``ValueError`` where a file of torch would unpack to far more: it packs code alone."""
    if not zipfile.is_zipfile(path):
        return
    with declared(path, "is no torch file"), zipfile.ZipFile(path) as archive:
        total = sum(info.file_size for info in archive.infolist())
        held = Path(path).stat().st_size
        if total > held + MOST_CODE_BYTES:
            raise ValueError(f"its {held} bytes would unpack to {total}")


def _array(stream: IO[bytes], size: int) -> np.ndarray:
    """Array of an NPY stream of ``size`` bytes; what its header says is checked before."""
    header = np.lib.format
    version = header.read_magic(stream)
    read = header.read_array_header_1_0 if version == (1, 0) else header.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != size - stream.tell():
        raise ValueError(f"{size} bytes do not hold the shape {shape} that it says")
    stream.seek(0)
    return np.asarray(header.read_array(stream, allow_pickle=False))
