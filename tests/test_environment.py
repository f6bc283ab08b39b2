"""One set of pins: pyproject.toml, constraints.txt and environment.yml say the same."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def requirements() -> list[Requirement]:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    wanted = [Requirement(text) for group in groups for text in group]
    return [r for r in wanted if r.name != PROJECT["name"]]


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_every_dependency_is_pinned_within_its_range(requirement):
    version = pins().get(canonicalize_name(requirement.name))
    assert version is not None, f"{requirement.name} has no pin in constraints.txt"
    assert version in requirement.specifier


def test_pins_name_no_build_and_no_place():
    """A '+cpu' suffix or a path would hold on one machine only."""
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*|# .*", line), line


def test_conda_environment_installs_the_same_project_with_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(d for d in environment["dependencies"] if str(d).startswith("python="))
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert Version(python.split("=")[1]) in Requirement(f"x{PROJECT['requires-python']}").specifier
    assert pip == ["-c constraints.txt", "-e .[all]"]
    everything = Requirement(PROJECT["optional-dependencies"]["all"][0]).extras
    assert everything == set(PROJECT["optional-dependencies"]) - {"all"}


def test_jupyter_book_stays_on_the_version_that_reads_our_toc():
    book = next(r for r in requirements() if r.name == "jupyter-book")
    assert Version("2.0") not in book.specifier


def test_a_reader_needs_no_torch():
    study = PROJECT["optional-dependencies"]["study"] + PROJECT["dependencies"]
    assert not {Requirement(text).name for text in study} & {"torch", "torchvision", "captum"}


def test_the_version_is_stated_once_and_alike():
    assert "version" in PROJECT["dynamic"]
    assert "version" not in PROJECT
    version = re.search(r'__version__ = "(.+)"', (ROOT / "ctlab/__init__.py").read_text()).group(1)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version


def test_the_wheel_carries_both_packages_whole_and_says_that_they_are_typed():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"] == {"packages": ["ctlab", "reader_study"]}, "nothing excluded"
    for package in build["targets"]["wheel"]["packages"]:
        assert (ROOT / package / "py.typed").is_file()


def test_classifiers_and_workflow_name_the_pythons_that_make_check_proves():
    said = set(re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"])))
    makefile = (ROOT / "Makefile").read_text()
    others = re.search(r"^pythons: (.+)$", makefile, re.MULTILINE).group(1)
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE).group(1)
    proven = re.findall(r"3\.\d+", others) if "pythons" in recipe else []
    assert said == {"3.11", *proven}
    checks = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text())
    (python,) = (s for s in checks["jobs"]["check"]["steps"] if "python" in s.get("uses", ""))
    found = python["with"]["python-version"].split()
    assert set(found) == said
    assert found[-1] == "3.11", "the last one becomes python3"


def test_each_command_installs_what_it_needs_and_no_more():
    """The book comes without engines, fetch and the tools of development; tests with all."""
    makefile = (ROOT / "Makefile").read_text()
    sets = dict(re.findall(r"^\.venv/\.(\w+): EXTRAS := (\S+)$", makefile, re.MULTILINE))
    assert sets == {"book": "book,explain,study", "study": "study", "all": "all"}
    for target, needs in [("book", "BOOK"), ("study", "STUDY_ROOM"), ("test", "ALL")]:
        assert re.search(rf"^{target}: \$\({needs}\)$", makefile, re.MULTILINE)
