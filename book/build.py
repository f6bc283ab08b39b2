"""Execute and build the book: ``python book/build.py [--force] [--study FOLDER]``.

Chapters are executed once and cached. The cache is keyed by the library, the data and the pins,
because Jupyter Book looks only at a page's own text: without the key, a page would go on showing
what an older library computed. Warnings are errors. ``CTLAB_FAST=1`` shortens what trains.
"""

import argparse
import hashlib
import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

import api_pages
import execute
import notebooks
import vendor
from address import publication
from first_frame import with_first_frames
from pages import page_names, read_toc, source_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = HERE / "_build"
LIVE_SOURCES = (
    "ctlab/learn/shipped/checkpoint.pt",
    "ctlab/learn/engines.py",
    "ctlab/explain/adjoint_graph.py",
)
LIBRARY = (
    "ctlab",
    "reader_study",
    "constraints.txt",
    "experiments",
)


def library_digest(root: Path = ROOT) -> str:
    """Digest of every file that a chapter's outputs depend on, except the chapter itself."""
    digest = hashlib.sha256(os.environ.get("CTLAB_FAST", "").encode())
    for name in LIBRARY:
        top = root / name
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def with_repository(config: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """The configuration with launch, edit and issue buttons, where the repository is known."""
    if not facts["repository"]:
        return config
    services = ("binderhub_url", "colab_url", "jupyterhub_url")
    launch = {name: facts[name] for name in services if facts.get(name)}
    options = config["sphinx"]["config"]["html_theme_options"]
    options |= {
        "repository_url": facts["repository"],
        "repository_branch": facts["branch"],
        "path_to_docs": "",
        "launch_buttons": {"notebook_interface": "jupyterlab", **launch},
        "use_repository_button": True,
        "use_issues_button": True,
        "use_edit_page_button": True,
    }
    return config


def pages_address(repository: str) -> str:
    """Where GitHub Pages shows the book of a repository; empty where it is not on GitHub.

    Examples
    --------
    >>> pages_address("https://github.com/owner/name")
    'https://owner.github.io/name/'
    """
    found = re.fullmatch(r"https://github\.com/([\w-]+)/([\w.-]+?)/?", repository)
    return f"https://{found[1].lower()}.github.io/{found[2]}/" if found else ""


def cache_folder(*, force: bool = False) -> Path:
    """Folder of the execution cache of this library; older ones go."""
    cache = BUILD / "cache" / library_digest()
    for old in (BUILD / "cache").glob("*"):
        if old != cache or force:
            shutil.rmtree(old)
    return cache


def write_config(
    cache: Path, *, pdf: bool = False, study: dict[str, str] | None = None, root: Path = ROOT
) -> Path:
    """Copy of ``_config.yml`` that names the cache, and the repository where it is known.

    ``study`` holds title, author, copyright and footer of a study that stands alone: its team
    signs its pages.
    """
    config = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    config["execute"]["cache"] = str(cache)
    if study:
        config |= {name: study[name] for name in ("title", "copyright")}
        # The theme puts these into its pages as they are; the title it escapes itself.
        config["author"] = html.escape(study["author"])
        options = config["sphinx"]["config"]["html_theme_options"]
        options["extra_footer"] = study["footer"]
        options["logo"] = {"text": html.escape(study["title"])}
    facts = publication(root)
    config["sphinx"]["config"]["extensions"].append("ctlab_book")
    config["sphinx"]["config"] |= {
        "ctlab_pdf": pdf,
        "ctlab_address": pages_address(facts["repository"]),
        "ctlab_branches": [facts["branch"], facts["launch_branch"]],
    }
    config = with_repository(config, facts)
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "config.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return path


def write_live_networks(texts: list[str]) -> None:
    """Networks that the live figures of these pages run, beside the browser libraries.

    They are made anew where the shipped checkpoint or what makes them has changed, and left out
    where torch or onnx is not installed: those figures then say so.
    """
    if not any("live_slice" in text for text in texts):
        return
    folder = HERE / "_vendor" / "live"
    sources = [*LIVE_SOURCES, *sorted((ROOT / "ctlab/lessons/live").glob("*.*"))]
    digest = hashlib.sha256(os.environ.get("CTLAB_FAST", "").encode())
    for source in sources:
        digest.update((ROOT / source).read_bytes())
    stamp = folder / "networks.digest"
    if stamp.is_file() and stamp.read_text("utf-8") == digest.hexdigest():
        return
    code = "import sys; from pathlib import Path; from ctlab.lessons.live import networks"
    code += "; networks.write_networks(Path(sys.argv[1]))"
    environment = execute.environment(without_torch=False)
    shutil.rmtree(folder, ignore_errors=True)
    done = subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, cwd=ROOT)
    if done.returncode:
        print("note: live figures will not move, their networks were not made", file=sys.stderr)
        return
    stamp.write_text(digest.hexdigest(), "utf-8")


def study_toc(
    study: Path, toc: dict[str, Any], *, alone: bool
) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Contents with the chapters of a study, written to ``your-study/pages``; who signs them.

    Raises
    ------
    ValueError
        The study has not been analysed, or what its team wrote to sign it cannot be read.
    """
    from reader_study.report import read_analysis, read_signature, write_chapters

    names = write_chapters(study, HERE / "your-study" / "pages")
    first, *others = [{"file": f"book/your-study/pages/{name}"} for name in names]
    if alone:
        facts = read_analysis(study)
        signed = read_signature(study, int(facts["integrity"]["unblinded_at"][:4]))
        if not signed.authors:
            print(
                f"note: the pages name no authors yet; fill in {study}/book/publication.toml",
                file=sys.stderr,
            )
        said = {"title": facts["title"], "author": signed.by, "copyright": str(signed.year)}
        said["footer"] = signed.footer()
        return {"format": "jb-book", "root": first["file"], "chapters": others}, said
    part = {"caption": "Our study", "chapters": [first, *others]}
    return {**toc, "parts": [*toc["parts"][:-1], part, toc["parts"][-1]]}, None


def write_toc(toc: dict[str, Any]) -> Path:
    """The contents as the file that Jupyter Book reads."""
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "toc.yml"
    path.write_text(yaml.safe_dump(toc, sort_keys=False), "utf-8")
    return path


def build(config: Path, toc: Path, output: Path = HERE) -> int:
    """Run Jupyter Book with warnings as errors; its exit code."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(ROOT), "--path-output", str(output), "--config", str(config)]
    command += ["--toc", str(toc)]
    # Every page is written anew: menus and search know all pages; outputs come from the cache.
    command += ["--all", "--warningiserror", "--keep-going", "--quiet"]
    environment = execute.environment(without_torch=False)
    path = [str(HERE / "ext"), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(path)
    return subprocess.run(command, env=environment, cwd=ROOT).returncode


def mend_pages(folder: Path) -> None:
    """Mend what fails on a page that was opened from disk; put first frames into it.

    The theme preloads its icon fonts across origins; from ``file://`` a browser refuses that and
    reports an error, though the style sheet loads the same fonts without trouble. Notebooks are
    downloaded, not shown. Entries of a list of references are named by a role that is no longer
    in use, and browsers then find no items in the list.
    """
    preload = re.compile(r'<link rel="preload" as="font"[^>]*/?>\s*')
    saved = re.compile(r'(<a href="[^"]*_(?:sources|pdf)/[^"]*\.(?:ipynb|pdf)") target="_blank"')
    for page in folder.rglob("*.html"):
        text = preload.sub("", page.read_text("utf-8"))
        text = text.replace('role="doc-biblioentry"', 'role="listitem"')
        text = saved.sub(r"\1 download", text)
        page.write_text(with_first_frames(text), "utf-8")
    # Sphinx writes the titles that a search finds into the page as HTML; they are plain text.
    for script in folder.glob("_static/searchtools.js"):
        text = script.read_text("utf-8").replace(
            "linkEl.innerHTML = title", "linkEl.textContent = title"
        )
        text = text.replace(
            'createElement("span")).innerHTML =', 'createElement("span")).textContent ='
        )
        script.write_text(text, "utf-8")


def prepare(toc: dict[str, Any], *, force: bool = False) -> tuple[Path, list[str]]:
    """Browser libraries fetched, chapters executed; the cache, and messages about what failed.

    Chapters that take longer than the book promises fail where all are executed anew.
    """
    vendor.main()
    cache = cache_folder(force=force)
    names = page_names(toc)
    write_live_networks([source_of(name).read_text("utf-8") for name in names])
    errors = execute.execute([source_of(name) for name in names], cache)
    BUILD.mkdir(exist_ok=True)
    api_pages.write_all()
    stems = [Path(name).name for name in names]
    times = {k: v for k, v in execute.read_times(cache).items() if k in stems}
    (BUILD / "times.md").write_text(execute.times_table(stems, times), "utf-8")
    failed = [f"{page} failed:\n{text}" for page, text in errors.items()]
    slow = execute.too_slow(times)
    for sentence in slow:
        print(f"note: {sentence}", file=sys.stderr)
    return cache, failed + execute.too_large(times) + (slow if force else [])


def finish(folder: Path, cache: Path) -> None:
    """Notebooks beside the pages, and pages mended."""
    notebooks.write_all(folder / "_sources", cache, publication()["repository"])
    mend_pages(folder)


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="execute every chapter again")
    parser.add_argument(
        "--study",
        type=Path,
        help="folder of a study that was analysed; without it, the one that pyproject.toml names",
    )
    parser.add_argument("--only-study", action="store_true", help="only the pages of that study")
    options = parser.parse_args()
    if options.only_study and not options.study:
        parser.error("--only-study needs --study FOLDER")
    return options


def main() -> int:
    """Execute and build; the exit code."""
    options = parse()
    toc, study, output = read_toc(), None, HERE
    named = publication()["study"]
    options.study = options.study or (ROOT / named if named else None)
    if options.study:
        try:
            toc, study = study_toc(options.study, toc, alone=options.only_study)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
    if options.only_study:
        output = BUILD / "study"
    cache, errors = prepare(toc, force=options.force)
    status = 1 if errors else build(write_config(cache, study=study), write_toc(toc), output)
    if status:
        print(*errors, "The book has errors: see the messages above.", sep="\n", file=sys.stderr)
        return status
    folder = output / "_build" / "html"
    finish(folder, cache)
    page = folder / "index.html"
    print(f"The book is built. Open it in a browser:\n  {page}\n  {page.as_uri()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
