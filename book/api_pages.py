"""The API reference: what the docstrings of the public names say, one page a subpackage.

Each page of ``book/api`` holds a worked example and includes what is written here, to
``book/_build/api``: the public names by module, then their docstrings (Sphinx's autodoc).
"""

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer

from pages import HERE

TARGET = HERE / "_build" / "api"
FACES = {
    name.replace(".", "-").replace("_", "-"): name
    for name in (
        "ctlab.ct",
        "ctlab.classic",
        "ctlab.assess",
        "ctlab.learn",
        "ctlab.explain",
        "ctlab.view",
        "ctlab.passport",
        "ctlab.workflows",
        "reader_study",
        "reader_study.stats",
    )
}
# Faces that export no names themselves: the modules whose functions a program calls.
MODULES = {
    "ctlab.workflows": ("denoise", "evaluate", "explain", "ldct_benchmark"),
    "reader_study": (
        "examples.new_study",
        "design.protocol_file",
        "blinding.lock",
        "record.study_record",
        "blinding.unblind",
        "analysis.analyse",
        "report",
        "power.sample_size",
    ),
}


def public_names(face: str) -> dict[str, list[str]]:
    """Public names of a face by the module that defines them, as dotted paths to import.

    Examples
    --------
    >>> public_names("ctlab.classic")["ctlab.classic.tuning"]
    ['tune', 'Tuning']
    """
    if face in MODULES:
        modules = [import_module(f"{face}.{name}") for name in MODULES[face]]
        return {module.__name__: _defined_in(module) for module in modules}
    module = import_module(face)
    names: dict[str, list[str]] = {}
    for name in sorted(module.__all__, key=str.casefold):
        if not isinstance(getattr(module, name), ModuleType):
            names.setdefault(_home(module, name), []).append(name)
    return dict(sorted(names.items()))


def page_text(face: str) -> str:
    """MyST text of one page: a heading a module, its names in a table, then their docstrings."""
    parts = []
    for home, names in public_names(face).items():
        owner = home if face in MODULES else face
        code = [name for name in names if _is_code(getattr(import_module(owner), name))]
        parts += [f"## `{home.removeprefix(f'{face}.')}`", "", _first_line(import_module(home)), ""]
        parts += ["```{eval-rst}", f".. currentmodule:: {owner}", ""]
        if code:
            parts += [".. autosummary::", "   :nosignatures:", ""]
            parts += [f"   {name}" for name in code] + [""]
        parts += [line for name in names for line in _directive(owner, name)]
        parts += ["```", ""]
    return "\n".join(parts)


def write_all(target: Path = TARGET) -> None:
    """Write what the pages of ``book/api`` include."""
    target.mkdir(parents=True, exist_ok=True)
    for stem, face in FACES.items():
        (target / f"{stem}.md").write_text(page_text(face), "utf-8")


def _defined_in(module: ModuleType) -> list[str]:
    """Public functions and classes of a module, in the order of its source."""
    if names := getattr(module, "__all__", None):
        return sorted(names)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]


def _home(face: ModuleType, name: str) -> str:
    """Module whose source defines a name that a face exports."""
    value = getattr(face, name)
    if _is_code(value):
        return str(value.__module__)
    assigned = re.compile(rf"^{name}\b[^=\n]*=", re.MULTILINE)
    top = face.__name__.partition(".")[0]
    for module in [m for key, m in sorted(sys.modules.items()) if key.startswith(f"{top}.")]:
        here = vars(module).get(name) is value and getattr(module, "__file__", None)
        if here and assigned.search(Path(here).read_text("utf-8")):
            return module.__name__
    raise ValueError(f"expected {face.__name__}.{name} to be assigned in a module, found none")


def _is_code(value: Any) -> bool:
    """Whether a value is a function or a class that we wrote, with a docstring of its own."""
    code = inspect.isfunction(value) or inspect.isclass(value)
    return code and value.__module__.startswith(("ctlab", "reader_study"))


def _directive(owner: str, name: str) -> list[str]:
    """What makes Sphinx print the docstring of a function or class, or the note of a constant."""
    module = import_module(owner)
    value = getattr(module, name)
    if _is_code(value):
        if earlier := _documented_before(owner, name):
            return [f".. py:class:: {name}", "", f"   The same as :class:`{earlier}.{name}`.", ""]
        kind = "class" if inspect.isclass(value) else "function"
        members = ["   :members:"] if kind == "class" else []
        return [f".. auto{kind}:: {name}", *members, ""]
    home = _home(module, name)
    notes = ModuleAnalyzer.for_module(home).find_attr_docs().get(("", name), [])
    note = notes or [f"A {type(value).__name__} of :mod:`{home}`."]
    return [f".. py:data:: {name}", "", *(f"   {line}" for line in note), ""]


def _documented_before(owner: str, name: str) -> str:
    """An earlier face that exports the same class; Sphinx takes one description of a class."""
    value = getattr(import_module(owner), name)
    if not inspect.isclass(value):
        return ""
    faces = [face for face in FACES.values() if face not in MODULES]
    before = faces[: faces.index(owner)] if owner in faces else []
    return next((f for f in before if getattr(import_module(f), name, None) is value), "")


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().splitlines()[0]
