"""Execute and build the book: ``python book/build.py [--force] [--study FOLDER]``.

Chapters are executed once and cached. The cache is keyed by the library, the data and the pins,
because Jupyter Book looks only at a page's own text: without the key, a page would go on showing
what an older library computed. Warnings are errors. ``CTLAB_FAST=1`` shortens what trains.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import execute
import notebooks
import vendor
import yaml
from pages import page_names, read_toc, source_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = HERE / "_build"
LIBRARY = ("ctlab", "reader_study", "constraints.txt")


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


def publication(root: Path = ROOT) -> dict[str, Any]:
    """Address of the repository (empty where it is not known yet), branch, and launch services."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    urls = project["project"].get("urls", {})
    return {"repository": urls.get("Repository", ""), **project["tool"]["ctlab"]["book"]}


def with_repository(config: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """The configuration with launch, edit and issue buttons, where the repository is known."""
    if not facts["repository"]:
        return config
    services = ("binderhub_url", "colab_url", "jupyterhub_url")
    launch = {name: facts[name] for name in services if facts.get(name)}
    repository = {"url": facts["repository"], "branch": facts["branch"], "path_to_book": ""}
    html = {"use_repository_button": True, "use_issues_button": True, "use_edit_page_button": True}
    return {
        **config,
        "repository": repository,
        "launch_buttons": {"notebook_interface": "jupyterlab", **launch},
        "html": {**config["html"], **html},
    }


def cache_folder(*, force: bool = False) -> Path:
    """Folder of the execution cache of this library; older ones go."""
    cache = BUILD / "cache" / library_digest()
    for old in (BUILD / "cache").glob("*"):
        if old != cache or force:
            shutil.rmtree(old)
    return cache


def write_config(cache: Path, *, pdf: bool = False, root: Path = ROOT) -> Path:
    """Copy of ``_config.yml`` that names the cache, and the repository where it is known."""
    config = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    config["execute"]["cache"] = str(cache)
    config["sphinx"]["local_extensions"] = {"ctlab_book": str(HERE / "ext")}
    facts = publication(root)
    config["sphinx"]["config"] |= {
        "ctlab_pdf": pdf,
        "ctlab_branches": [facts["branch"], facts["launch_branch"]],
    }
    config = with_repository(config, facts)
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "config.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return path


def build(config: Path, toc: Path) -> int:
    """Run Jupyter Book with warnings as errors; its exit code."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(ROOT), "--path-output", str(HERE), "--config", str(config)]
    command += ["--toc", str(toc)]
    # Every page is written anew: menus and search know all pages, and outputs come from the cache.
    command += ["--all", "--warningiserror", "--keep-going", "--quiet"]
    return subprocess.run(
        command, env=execute.environment(without_torch=False), cwd=ROOT
    ).returncode


def mend_pages(folder: Path) -> None:
    """Mend what fails on a page that was opened from disk.

    The theme preloads its icon fonts across origins; from ``file://`` a browser refuses that and
    reports an error, though the style sheet loads the same fonts without trouble. Notebooks are
    downloaded, not shown.
    """
    preload = re.compile(r'<link rel="preload" as="font"[^>]*/?>\s*')
    saved = re.compile(r'(<a href="[^"]*_(?:sources|pdf)/[^"]*\.(?:ipynb|pdf)") target="_blank"')
    for page in folder.rglob("*.html"):
        text = preload.sub("", page.read_text("utf-8"))
        page.write_text(saved.sub(r"\1 download", text), "utf-8")


def prepare(*, force: bool = False) -> tuple[Path, list[str]]:
    """Browser libraries fetched, chapters executed; the cache, and messages about what failed."""
    vendor.main()
    cache = cache_folder(force=force)
    names = page_names(read_toc())
    errors = execute.execute([source_of(name) for name in names], cache)
    BUILD.mkdir(exist_ok=True)
    stems = [Path(name).name for name in names]
    table = execute.times_table(stems, execute.read_times(cache))
    (BUILD / "times.md").write_text(table, "utf-8")
    return cache, [f"{page} failed:\n{text}" for page, text in errors.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="execute every chapter again")
    options = parser.parse_args()
    cache, errors = prepare(force=options.force)
    if errors:
        print(*errors, "The book has errors: see the messages above.", sep="\n", file=sys.stderr)
        return 1
    status = build(write_config(cache), ROOT / "_toc.yml")
    if status:
        print("The book has errors: see the messages above.", file=sys.stderr)
        return status
    facts = publication()
    notebooks.write_all(BUILD / "html" / "_sources", cache, facts["repository"])
    mend_pages(BUILD / "html")
    page = BUILD / "html" / "index.html"
    print(f"The book is built. Open it in a browser:\n  {page}\n  {page.as_uri()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
