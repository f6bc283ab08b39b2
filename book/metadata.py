"""Version, citation and what archives read, each from one source.

The version stands in ``ctlab/__init__.py``; authors, title and references in ``CITATION.cff``.
``python book/metadata.py`` writes the version into the citation, and ``.zenodo.json`` and
``codemeta.json`` from it; ``--released 2027-01-31`` adds the date of a release.
"""

import argparse
import datetime
import json
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from pages import ROOT

DESCRIPTION = (
    "<p>Executable book, library and blinded reader studies on ultra-low-dose CT and its denoising "
    "with an optimal-transport CycleGAN. For students, radiologists and researchers. Not for "
    "diagnosis.</p>"
)
FILES = ("CITATION.cff", ".zenodo.json", "codemeta.json")


def package_version(root: Path = ROOT) -> str:
    """The version as ``ctlab/__init__.py`` names it."""
    text = (root / "ctlab" / "__init__.py").read_text("utf-8")
    version = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if version is None:
        raise ValueError("expected __version__ in ctlab/__init__.py, got none; name the version")
    return version[1]


def version_of(root: Path = ROOT) -> str:
    """Version of the kit, the one that ``import ctlab`` shows.

    Raises
    ------
    ValueError
        ``CITATION.cff`` names another one.
    """
    version, cited = package_version(root), str(read_citation(root)["version"])
    if cited != version:
        raise ValueError(
            f"expected version {version} of ctlab/__init__.py in CITATION.cff, got {cited}; "
            "run python book/metadata.py"
        )
    return version


def read_citation(root: Path = ROOT) -> dict[str, Any]:
    """Contents of ``CITATION.cff``."""
    citation: dict[str, Any] = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    return citation


def with_version(text: str, version: str, released: datetime.date | None) -> str:
    r"""Text of a citation with that version, and with a date where there is a release.

    Examples
    --------
    >>> old = "title: T\nversion: 0.1.0\ndate-released: 2026-01-01\nlicense: X\n"
    >>> print(with_version(old, "0.2.0", None), end="")
    title: T
    version: 0.2.0
    license: X
    >>> print(with_version(old, "0.2.0", datetime.date(2027, 1, 31)), end="")
    title: T
    version: 0.2.0
    date-released: 2027-01-31
    license: X
    """
    text = re.sub(r"^date-released: .*\n", "", text, flags=re.MULTILINE)
    date = f"\ndate-released: {released.isoformat()}" if released else ""
    return re.sub(r"^version: .*$", f"version: {version}{date}", text, flags=re.MULTILINE)


def zenodo_metadata(citation: dict[str, Any]) -> dict[str, Any]:
    """What Zenodo reads from ``.zenodo.json``, so that the archive and the citation agree."""
    creators = []
    for author in citation["authors"]:
        creator = {"name": _name(author)}
        if "orcid" in author:
            creator["orcid"] = author["orcid"].rsplit("/", 1)[-1]
        creators.append(creator)
    return {
        "title": citation["title"],
        "upload_type": "software",
        "version": str(citation["version"]),
        **_dated("publication_date", citation),
        "description": DESCRIPTION,
        "creators": creators,
        "license": citation["license"].lower(),
        "keywords": citation["keywords"],
        "related_identifiers": [
            {"identifier": reference["doi"], "relation": "references", "scheme": "doi"}
            for reference in citation.get("references", [])
            if "doi" in reference
        ],
        "access_right": "open",
    }


def codemeta(citation: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON-LD, with what describes learning materials (Bioschemas)."""
    licences = (citation["license"], "CC-BY-4.0")
    roles = ("student", "radiologist", "researcher", "teacher")
    return {
        "@context": ["https://doi.org/10.5063/schema/codemeta-2.0", "https://schema.org"],
        "@type": ["SoftwareSourceCode", "LearningResource"],
        "name": citation["title"],
        "version": str(citation["version"]),
        **_dated("datePublished", citation),
        "license": [f"https://spdx.org/licenses/{licence}" for licence in licences],
        "author": [{"@type": "Organization", "name": _name(a)} for a in citation["authors"]],
        "keywords": citation["keywords"],
        "programmingLanguage": "Python",
        "inLanguage": "en",
        "audience": [{"@type": "EducationalAudience", "educationalRole": role} for role in roles],
        "learningResourceType": ["book", "exercise", "quiz", "notebook"],
        "isAccessibleForFree": True,
    }


def as_json(facts: dict[str, Any]) -> str:
    """Text of a metadata file."""
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def write_metadata(root: Path, released: datetime.date | None = None) -> None:
    """Bring ``CITATION.cff`` to the version of the package, and write the other two from it."""
    path = root / "CITATION.cff"
    text = with_version(path.read_text("utf-8"), package_version(root), released)
    path.write_text(text, "utf-8")
    citation = read_citation(root)
    (root / ".zenodo.json").write_text(as_json(zenodo_metadata(citation)), "utf-8")
    (root / "codemeta.json").write_text(as_json(codemeta(citation)), "utf-8")


def copy_metadata(folder: Path) -> None:
    """The three files, into a release."""
    for name in FILES:
        shutil.copy(ROOT / name, folder)


def main() -> int:
    """Write the files anew; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--released", type=datetime.date.fromisoformat, metavar="YYYY-MM-DD")
    write_metadata(ROOT, parser.parse_args().released)
    print(f"{', '.join(FILES)}: version {version_of()}")
    return 0


def _name(author: dict[str, str]) -> str:
    family = author.get("family-names", "")
    return f"{family}, {author['given-names']}" if family else author["name"]


def _dated(key: str, citation: dict[str, Any]) -> dict[str, str]:
    """The date of the release, where there was one."""
    return {key: str(citation["date-released"])} if "date-released" in citation else {}


if __name__ == "__main__":
    raise SystemExit(main())
