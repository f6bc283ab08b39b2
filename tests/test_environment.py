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


def test_python_version_is_stated_once_and_alike():
    assert PROJECT["version"] == re.search(
        r'__version__ = "(.+)"', (ROOT / "ctlab/__init__.py").read_text()
    ).group(1)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
