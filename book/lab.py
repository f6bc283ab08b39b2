"""The chapters in JupyterLab: ``python book/lab.py [CHAPTER]`` (``make lab CHAPTER=training``).

Chapters are written as notebooks to ``my-book``, without solutions; the complete ones stand in
``my-book/complete``. A notebook that is there is yours and stays as it is: delete it for a fresh
one.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import nbformat

import notebooks
from pages import ROOT, is_notebook, page_names, read_toc, source_of

FOLDER = ROOT / "my-book"


def write_notebooks(folder: Path = FOLDER) -> dict[str, Path]:
    """Write the chapters that are not there yet; path of each chapter's notebook by its name."""
    names = page_names(read_toc())
    book = notebooks.book_facts(names)
    (folder / "complete").mkdir(parents=True, exist_ok=True)
    paths = {}
    for source in filter(is_notebook, map(source_of, names)):
        paths[source.stem] = folder / f"{source.stem}.ipynb"
        complete = folder / "complete" / f"{source.stem}.ipynb"
        for path, solutions in ((paths[source.stem], False), (complete, True)):
            if not path.exists():
                notebook = notebooks.make_notebook(source, book, solutions=solutions)
                nbformat.write(notebook, path)
    return paths


def main() -> int:
    """Write the notebooks and open one in JupyterLab; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapter", nargs="?", default="start", help="chapter to open")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    parser.add_argument("--allow-root", action="store_true", help="as root, in a container")
    options = parser.parse_args()
    known = [source_of(name).stem for name in page_names(read_toc())]
    if options.chapter not in known or not is_notebook(ROOT / "book" / f"{options.chapter}.md"):
        listed = ", ".join(write_notebooks())
        print(f"expected a chapter, got {options.chapter!r}; there are {listed}", file=sys.stderr)
        return 2
    if not options.allow_root and getattr(os, "geteuid", lambda: 1)() == 0:
        print(
            "expected a user other than root, as whom a notebook may change everything; start it "
            "as one, or in a container: .venv/bin/python book/lab.py CHAPTER --allow-root",
            file=sys.stderr,
        )
        return 2
    path = write_notebooks()[options.chapter]
    print(f"Chapters as notebooks: {FOLDER}. What you change there is kept.")
    command = [sys.executable, "-m", "jupyterlab", str(path)]
    command += ["--no-browser"] * options.no_browser + ["--allow-root"] * options.allow_root
    return subprocess.run(command).returncode


if __name__ == "__main__":
    raise SystemExit(main())
