"""Code of the user's own that a line names: ``package.module:name`` or ``file.py:name``."""

import importlib
import importlib.metadata
import importlib.util
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ctlab.workflows.network_file import file_sha256


def named_object(spec: str, *, beside: Path | None = None) -> tuple[Any, ModuleType]:
    """What a line names, and its module; ``file.py`` may stand in the folder ``beside``.

    Raises
    ------
    ValueError
        There is no such module, file or name, or it cannot be imported.
    """
    place, _, name = spec.rpartition(":")
    module = _of_file(spec, place, beside) if place.endswith(".py") else _of_path(spec, place)
    try:
        return getattr(module, name), module
    except AttributeError:
        shown = Path(place).name if place.endswith(".py") else place
        raise ValueError(f"{spec}: {shown} has no {name!r}; check its name") from None


def version_of(module: ModuleType, item: Any = None) -> str | None:
    """As the object, its module or package state it, or as the package was installed."""
    top = module.__name__.partition(".")[0]
    for place in (item, module, sys.modules.get(top)):
        for name in ("version", "__version__"):
            if isinstance(found := getattr(place, name, None), str):
                return found
    packages = importlib.metadata.packages_distributions().get(top, [])
    return importlib.metadata.version(packages[0]) if packages else None


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Global random states are given back: importing or making a network may draw from them."""
    drawn, mixed = np.random.get_state(), random.getstate()  # noqa: NPY002  # the global state
    try:
        yield
    finally:
        np.random.set_state(drawn)  # noqa: NPY002  # as above
        random.setstate(mixed)


def _of_path(spec: str, name: str) -> ModuleType:
    try:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(name=name)
        with random_states_kept(), redirect_stdout(sys.stderr):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{spec}: no module {error.name or name!r} on the path; set PYTHONPATH to its folder, "
            "name its file (file.py:name) or install it"
        ) from None
    except (Exception, SystemExit) as error:  # whatever a stranger's code raises
        raise ValueError(
            f"{spec}: {name} cannot be imported: {type(error).__name__}: {error}; run "
            f"python -m {name} to see where"
        ) from error


def _of_file(spec: str, place: str, beside: Path | None) -> ModuleType:
    """The module of a file, named by the file's hash; it may import what lies beside it."""
    path = Path(place) if beside is None else beside / place
    if not path.is_file():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    name, folder = f"_denoiser_{file_sha256(path)[:16]}", str(path.parent.resolve())
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and pickle look for it there
    sys.path.append(folder)  # last, so that nothing of the kit is hidden
    try:
        with random_states_kept(), redirect_stdout(sys.stderr):
            SourceFileLoader(name, str(path)).exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a stranger's file raises
        sys.modules.pop(name, None)
        raise ValueError(
            f"{spec}: {path.name} cannot be imported: {type(error).__name__}: {error}; run python "
            f"{path.name} to see where"
        ) from error
    finally:
        sys.path.remove(folder)
    return module
