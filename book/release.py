"""Everything that a release of the book consists of: ``python book/release.py`` (``make release``).

All chapters are executed again, then written to ``dist/release``: the book as a zip of HTML that
opens from disk, as PDF, as notebooks, the homework for students, the metadata that archives read,
and checksums of all of it.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import assignment
import build
import notebooks
import pdf
import yaml
from pages import ROOT, page_names, read_toc

TARGET = ROOT / "dist" / "release"
DESCRIPTION = (
    "<p>Executable book, library and blinded reader studies on ultra-low-dose CT and its denoising "
    "with an optimal-transport CycleGAN. For students, radiologists and researchers. Not for "
    "diagnosis.</p>"
)


def read_citation(root: Path = ROOT) -> dict[str, Any]:
    """Contents of ``CITATION.cff``."""
    return yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))


def version_of(root: Path = ROOT) -> str:
    """Version of the kit.

    Raises
    ------
    ValueError
        ``CITATION.cff`` and ``pyproject.toml`` name different versions.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    cited = str(read_citation(root)["version"])
    if cited != project["version"]:
        raise ValueError(
            f"CITATION.cff names version {cited}, pyproject.toml {project['version']}: "
            "make them one before a release"
        )
    return cited


def _name(author: dict[str, str]) -> str:
    family = author.get("family-names", "")
    return f"{family}, {author['given-names']}" if family else author["name"]


def zenodo_metadata(citation: dict[str, Any]) -> dict[str, Any]:
    """What Zenodo reads from ``.zenodo.json``, so that the archive and the citation agree."""
    creators = []
    for author in citation["authors"]:
        creator = {"name": _name(author)}
        if "orcid" in author:
            creator["orcid"] = author["orcid"].rsplit("/", 1)[-1]
        creators.append(creator)
    related = [
        {"identifier": ref["doi"], "relation": "references", "scheme": "doi"}
        for ref in citation.get("references", [])
        if "doi" in ref
    ]
    return {
        "title": citation["title"],
        "upload_type": "software",
        "version": str(citation["version"]),
        "publication_date": str(citation["date-released"]),
        "description": DESCRIPTION,
        "creators": creators,
        "license": citation["license"].lower(),
        "keywords": citation["keywords"],
        "related_identifiers": related,
        "access_right": "open",
    }


def codemeta(citation: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON-LD, with what describes learning materials (Bioschemas)."""
    return {
        "@context": ["https://doi.org/10.5063/schema/codemeta-2.0", "https://schema.org"],
        "@type": ["SoftwareSourceCode", "LearningResource"],
        "name": citation["title"],
        "version": str(citation["version"]),
        "datePublished": str(citation["date-released"]),
        "license": [
            f"https://spdx.org/licenses/{citation['license']}",
            "https://spdx.org/licenses/CC-BY-4.0",
        ],
        "author": [{"@type": "Organization", "name": _name(a)} for a in citation["authors"]],
        "keywords": citation["keywords"],
        "programmingLanguage": "Python",
        "inLanguage": "en",
        "audience": [
            {"@type": "EducationalAudience", "educationalRole": role}
            for role in ("student", "radiologist", "researcher", "teacher")
        ],
        "learningResourceType": ["book", "exercise", "quiz", "notebook"],
        "isAccessibleForFree": True,
    }


def as_json(facts: dict[str, Any]) -> str:
    """Text of a metadata file."""
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def write_metadata(folder: Path) -> None:
    """``CITATION.cff``, ``.zenodo.json`` and ``codemeta.json``."""
    citation = read_citation()
    shutil.copy(ROOT / "CITATION.cff", folder)
    (folder / ".zenodo.json").write_text(as_json(zenodo_metadata(citation)), "utf-8")
    (folder / "codemeta.json").write_text(as_json(codemeta(citation)), "utf-8")


def zip_folder(source: Path, target: Path, *, top: str) -> None:
    """Zip a folder under one top folder; the same files give the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file() and path.name not in (".buildinfo", ".nojekyll"):
                entry = zipfile.ZipInfo(f"{top}/{path.relative_to(source).as_posix()}")
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes())


def write_checksums(folder: Path) -> Path:
    """``SHA256SUMS`` of every other file, in the form that ``sha256sum --check`` reads."""
    paths = sorted(p for p in folder.iterdir() if p.is_file() and p.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in paths]
    target = folder / "SHA256SUMS"
    target.write_text("\n".join(lines) + "\n", "utf-8")
    return target


def pack(folder: Path, html: Path, names: list[str], cache: Path | None) -> None:
    """Fill the folder of a release from the built book."""
    version = version_of()
    stem = f"ctlab-book-{version}"
    notice = f"Version {version}. CT Lab contributors. CC BY 4.0. Not for diagnosis."
    whole = pdf.print_pages(html, names, title=read_citation()["title"], notice=notice)
    shutil.move(whole, folder / f"{stem}.pdf")
    zip_folder(html, folder / f"{stem}-html.zip", top=stem)
    with tempfile.TemporaryDirectory() as scratch:
        address = build.publication()["repository"]
        notebooks.write_all(Path(scratch) / "notebooks", cache, address)
        zip_folder(
            Path(scratch) / "notebooks" / "book",
            folder / f"{stem}-notebooks.zip",
            top=f"{stem}-notebooks",
        )
        homework = Path(scratch) / "homework"
        chapters = assignment.chapters_with_exercises()
        assignment.write_assignment(homework, chapters, exemplar=False)
        zip_folder(homework / "student", folder / f"{stem}-homework.zip", top=f"{stem}-homework")
    write_metadata(folder)
    write_checksums(folder)


def main() -> int:
    """Write the release; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep-outputs", action="store_true", help="do not execute chapters again")
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args()
    try:
        version_of()
        cache, errors = build.prepare(read_toc(), force=not options.keep_outputs)
        if errors or build.build(build.write_config(cache, pdf=True), ROOT / "_toc.yml"):
            print(*errors, "no release: the book has errors", sep="\n", file=sys.stderr)
            return 1
        build.finish(build.BUILD / "html", cache)
        part = options.out.with_name(f"{options.out.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        pack(part, build.BUILD / "html", page_names(read_toc()), cache)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    shutil.rmtree(options.out, ignore_errors=True)
    part.rename(options.out)
    print(f"The release is in {options.out}:")
    for path in sorted(options.out.iterdir()):
        print(f"  {path.name}  {path.stat().st_size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
