"""The scripts that build the book: pins, cache key and configuration."""

import importlib.util
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def load(name, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    spec = importlib.util.spec_from_file_location(f"book_{name}", ROOT / "book" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def build(monkeypatch):
    return load("build", monkeypatch)


@pytest.fixture
def vendor(monkeypatch):
    return load("vendor", monkeypatch)


@pytest.fixture
def library(tmp_path, build):
    for name in build.LIBRARY:
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.suffix:
            place.write_text("numpy==2")
        else:
            place.mkdir()
            (place / "a.py").write_text("x = 1")
    return tmp_path


def test_the_cache_key_changes_with_library_data_pins_and_results(build, library):
    before = build.library_digest(library)
    assert build.library_digest(library) == before
    seen = {before}
    (library / "ctlab" / "a.py").write_text("x = 2")
    seen.add(build.library_digest(library))
    (library / "ctlab" / "sample.dcm").write_bytes(b"\0\1")
    seen.add(build.library_digest(library))
    (library / "constraints.txt").write_text("numpy==3")
    seen.add(build.library_digest(library))
    (library / "experiments" / "results.json").write_text("{}")
    seen.add(build.library_digest(library))
    assert len(seen) == 5


def test_the_cache_key_ignores_compiled_leftovers(build, library):
    before = build.library_digest(library)
    (library / "ctlab" / "__pycache__").mkdir()
    (library / "ctlab" / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert build.library_digest(library) == before


def test_pages_are_mended_for_opening_from_disk(build, tmp_path):
    page = tmp_path / "a.html"
    font = '<link rel="preload" as="font" crossorigin href="x.woff2" />\n'
    link = '<a href="../_sources/book/a.ipynb" target="_blank"\nclass="b">'
    entry = '<div role="list"><div class="citation" role="{}">Author. Title.</div></div>'
    page.write_text(f"{font}<p>stays</p>{link}{entry.format('doc-biblioentry')}")
    build.mend_pages(tmp_path)
    saved = link.replace('target="_blank"', "download")
    assert page.read_text() == f"<p>stays</p>{saved}{entry.format('listitem')}"


def test_nothing_in_the_configuration_comes_from_outside():
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    sphinx = config["sphinx"]["config"]
    assert not sphinx["mathjax_path"].startswith("http")
    assert not any(script.startswith("http") for script in sphinx["nb_ipywidgets_js"])
    # The AMD loader must stand before our paths, and those before the widget manager.
    assert list(sphinx["nb_ipywidgets_js"]) == [
        "vendor/require.js",
        "loader.js",
        "vendor/embed-amd.js",
    ]
    assert config["only_build_toc_files"] is True


def test_a_download_with_another_checksum_is_refused(vendor, monkeypatch, tmp_path):
    def fake_pack(command, **_):
        folder = Path(command[command.index("--pack-destination") + 1])
        (folder / "requirejs-2.3.7.tgz").write_bytes(b"not the package")

    monkeypatch.setattr(vendor.subprocess, "run", fake_pack)
    with pytest.raises(ValueError, match="checksum differs"):
        vendor.fetch("requirejs", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_its_engine_the_book_is_built_and_the_engine_asked_for_again(
    vendor, monkeypatch, tmp_path, capsys
):
    """Offline: what is there stays, a note is printed, and no other package is fetched."""
    import json
    import subprocess

    folder = tmp_path / "vendor"
    folder.mkdir()
    held = {k: v for k, v in vendor.versions().items() if k not in vendor.LIVE}
    (folder / "versions.json").write_text(json.dumps(held))
    monkeypatch.setattr(vendor, "FOLDER", folder)
    asked = []

    def offline(name, _folder):
        asked.append(name)
        raise subprocess.CalledProcessError(1, "npm")

    monkeypatch.setattr(vendor, "fetch", offline)
    vendor.main()
    assert asked == list(vendor.LIVE)[:1]
    assert "live figures will not move" in capsys.readouterr().out
    assert json.loads((folder / "versions.json").read_text()) == held

    def online(name, folder):
        for path in vendor.LIVE[name][2].values():
            (folder / path).write_bytes(b"engine" * 100)

    monkeypatch.setattr(vendor, "fetch", online)
    vendor.main()
    assert json.loads((folder / "versions.json").read_text()) == vendor.versions()
    script = (folder / "onnxruntime.js").read_text()
    assert "MIT License" in script
    parts = json.loads(script.partition("= ")[2].rstrip(";\n"))
    import base64
    import gzip

    assert gzip.decompress(base64.b64decode(parts["wasm"])) == b"engine" * 100


def test_nothing_is_fetched_where_the_versions_are_there(vendor, monkeypatch, tmp_path):
    import json

    monkeypatch.setattr(vendor, "FOLDER", tmp_path)
    (tmp_path / "versions.json").write_text(json.dumps(vendor.versions()))
    monkeypatch.setattr(vendor, "fetch", lambda *_: pytest.fail("must not fetch"))
    vendor.main()
