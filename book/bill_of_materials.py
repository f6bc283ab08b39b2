"""Software bill of materials of a release, as CycloneDX 1.6 (ECMA-424): what it consists of.

Three kinds of components: the pinned Python packages, the browser packages that the book serves
(with the hash under which they were published), and the released files (with their own).
"""

import base64
import hashlib
import json
import tomllib
import uuid
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import vendor
from metadata import read_citation, version_of
from pages import ROOT

_LONGEST_NAME = 80
_NOTICES = {"SHA256SUMS"}


def pins() -> dict[str, str]:
    """Version of every pinned Python package, by its name on the index."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def python_package(name: str, version: str) -> dict[str, Any]:
    """Component of a pinned package; its licence where the package is installed and states one."""
    purl = f"pkg:pypi/{name}@{version}"
    component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return component | _licences(name)


def _licences(name: str) -> dict[str, Any]:
    """Licence as an SPDX expression, or in the package's own words; nothing where it says none."""
    try:
        facts = metadata(name)
    except PackageNotFoundError:
        return {}
    if expression := facts.get("License-Expression"):
        return {"licenses": [{"expression": expression}]}
    named = [
        line.rpartition(" :: ")[2]
        for line in facts.get_all("Classifier") or ()
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    stated = facts.get("License", "").strip()
    if not named and 0 < len(stated) <= _LONGEST_NAME and "\n" not in stated:
        named = [stated]
    licences = [{"license": {"name": name}} for name in named]
    return {"licenses": licences} if licences else {}


def browser_package(name: str, version: str, integrity: str) -> dict[str, Any]:
    """Component of an npm package; ``integrity`` is its SHA-512 in base64, as npm states it."""
    purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
    group, _, plain = name.rpartition("/")
    component = {"type": "library", "bom-ref": purl, "name": plain, "version": version}
    digest = base64.b64decode(integrity).hex()
    return (
        component
        | ({"group": group} if group else {})
        | {"purl": purl, "hashes": [{"alg": "SHA-512", "content": digest}]}
    )


def file_component(path: Path, folder: Path) -> dict[str, Any]:
    """Component of a released file with its SHA-256."""
    name = path.relative_to(folder).as_posix()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "type": "file",
        "bom-ref": f"file:{name}",
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def _pinned(wanted: list[Requirement], pinned: dict[str, str]) -> list[str]:
    """References of what is asked for without an extra, or unconditionally, and has a pin."""
    asked = [
        canonicalize_name(requirement.name)
        for requirement in wanted
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]
    return sorted({f"pkg:pypi/{name}@{pinned[name]}" for name in asked if name in pinned})


def _needs_of_package(name: str, pinned: dict[str, str]) -> list[str]:
    try:
        return _pinned([Requirement(text) for text in requires(name) or ()], pinned)
    except PackageNotFoundError:  # not installed here: what it needs is not known
        return []


def _needs_of_kit(pinned: dict[str, str]) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return _pinned([Requirement(text) for group in groups for text in group], pinned)


def bill_of_materials(folder: Path) -> dict[str, Any]:
    """The bill of what lies in the folder of a release; the same contents give the same bill."""
    version, pinned = version_of(), pins()
    own = f"pkg:generic/ctlab@{version}"
    browser = [
        browser_package(name, number, integrity)
        for name, (number, integrity, _) in {**vendor.PACKAGES, **vendor.LIVE}.items()
    ]
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in _NOTICES)
    components = [
        *(python_package(name, number) for name, number in sorted(pinned.items())),
        *browser,
        *(file_component(path, folder) for path in files),
    ]
    needs = {
        f"pkg:pypi/{name}@{number}": _needs_of_package(name, pinned)
        for name, number in pinned.items()
    }
    needs[own] = [*_needs_of_kit(pinned), *(part["bom-ref"] for part in browser)]
    released = read_citation().get("date-released")
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            **({"timestamp": f"{released}T00:00:00Z"} if released else {}),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "ctlab",
                "version": version,
                "licenses": [{"license": {"id": "BSD-3-Clause"}}],
            },
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": on} for ref, on in sorted(needs.items())],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))
    return {**bill, "serialNumber": serial.urn}
