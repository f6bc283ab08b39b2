"""Execute and build the book: ``python book/build.py [--force]``.

Chapters are executed once and cached. The cache is keyed by the library, the data and the pins,
because Jupyter Book looks only at a page's own text: without the key, a page would go on showing
what an older library computed. Warnings are errors.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import vendor
import yaml

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


def write_config(*, force: bool) -> Path:
    """Copy of ``_config.yml`` that names the execution cache of this library; older ones go."""
    cache = BUILD / "cache" / library_digest()
    for old in (BUILD / "cache").glob("*"):
        if old != cache or force:
            shutil.rmtree(old)
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    config["execute"]["cache"] = str(cache)
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "config.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return path


def build(config: Path) -> int:
    """Run Jupyter Book with warnings as errors; its exit code."""
    threads = str(min(2, os.cpu_count() or 1))
    environment = {
        "OMP_NUM_THREADS": threads,
        "NUMBA_NUM_THREADS": threads,
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **os.environ,
    }
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(ROOT), "--path-output", str(HERE), "--config", str(config)]
    # Every page is written anew: menus and search know all pages, and outputs come from the cache.
    command += ["--all", "--warningiserror", "--keep-going", "--quiet"]
    return subprocess.run(command, env=environment, cwd=ROOT).returncode


def mend_pages() -> None:
    """Take out what fails on a page that was opened from disk.

    The theme preloads its icon fonts across origins; from ``file://`` a browser refuses that and
    reports an error, though the style sheet loads the same fonts without trouble.
    """
    preload = re.compile(r'<link rel="preload" as="font"[^>]*/?>\s*')
    for page in (BUILD / "html").rglob("*.html"):
        text = page.read_text("utf-8")
        page.write_text(preload.sub("", text), "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="execute every chapter again")
    force = parser.parse_args().force
    vendor.main()
    status = build(write_config(force=force))
    if status:
        print("The book has errors: see the messages above.", file=sys.stderr)
        return status
    mend_pages()
    page = BUILD / "html" / "index.html"
    print(f"The book is built. Open it in a browser:\n  {page}\n  {page.as_uri()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
