"""Everything that a release of the book consists of: ``python book/release.py`` (``make release``).

All chapters are executed again, then written to ``dist/release``: the book as a zip of HTML that
opens from disk, as PDF, as notebooks, the homework for students, the metadata that archives read,
a software bill of materials, and checksums of all of it.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import assignment
import build
import notebooks
import pdf
from bill_of_materials import bill_of_materials
from metadata import copy_metadata, read_citation, version_of
from pages import ROOT, page_names, read_toc

TARGET = ROOT / "dist" / "release"


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
    copy_metadata(folder)
    bill = json.dumps(bill_of_materials(folder), indent=1)
    (folder / f"{stem}.cdx.json").write_text(bill + "\n", "utf-8")
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
