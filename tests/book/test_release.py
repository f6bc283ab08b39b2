"""Release metadata, archives, launch addresses, workflows: what can be said without a build."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_metadata_files_follow_the_version_and_the_citation(book_script, tmp_path):
    metadata = book_script("metadata")
    for name in ("CITATION.cff", "ctlab/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    released = metadata.read_citation().get("date-released")
    metadata.write_metadata(tmp_path, released)
    for name in metadata.FILES:
        written = (tmp_path / name).read_text("utf-8")
        assert (ROOT / name).read_text("utf-8") == written, f"{name}: run python book/metadata.py"
    assert json.loads((ROOT / "codemeta.json").read_text())["version"] == metadata.version_of()


def test_there_is_no_date_of_release_before_there_is_a_release(book_script):
    metadata = book_script("metadata")
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = f"## {metadata.version_of()} (unreleased)" not in text
    assert ("date-released" in metadata.read_citation()) == released
    dated = {**metadata.read_citation(), "date-released": "2027-01-31"}
    assert metadata.zenodo_metadata(dated)["publication_date"] == "2027-01-31"
    assert metadata.codemeta(dated)["datePublished"] == "2027-01-31"


def test_the_citation_has_what_the_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors", "license"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert all("doi" in reference for reference in citation["references"])


def test_versions_that_differ_are_refused(book_script, tmp_path):
    metadata = book_script("metadata")
    (tmp_path / "ctlab").mkdir()
    (tmp_path / "ctlab" / "__init__.py").write_text('__version__ = "2.0"\n')
    (tmp_path / "CITATION.cff").write_text("version: 1.0.0\n")
    with pytest.raises(ValueError, match=r"expected version 2\.0 .*, got 1\.0\.0"):
        metadata.version_of(tmp_path)


def test_an_archive_repeats_and_checksums_are_those_of_the_files(book_script, tmp_path):
    release = book_script("release")
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "x.html").write_text("<p>x</p>")
    (tmp_path / "out").mkdir()
    for name in ("one", "two"):
        release.zip_folder(tmp_path / "in", tmp_path / "out" / f"{name}.zip", top="book-1")
        (tmp_path / "in" / "a" / "x.html").touch()
    one, two = ((tmp_path / "out" / f"{name}.zip").read_bytes() for name in ("one", "two"))
    assert one == two
    assert zipfile.ZipFile(tmp_path / "out" / "one.zip").namelist() == ["book-1/a/x.html"]
    sums = release.write_checksums(tmp_path / "out").read_text().splitlines()
    assert sums[0] == f"{hashlib.sha256(one).hexdigest()}  one.zip"
    assert len(sums) == 2


def test_launch_buttons_wait_for_the_address_of_the_repository(book_script):
    build = book_script("build")
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    services = {"binderhub_url": "https://b", "colab_url": "https://c", "jupyterhub_url": ""}
    facts = {"repository": "", "branch": "main", **services}
    before = json.dumps(config)
    assert json.dumps(build.with_repository(config, facts)) == before
    known = build.with_repository(config, facts | {"repository": "https://github.com/o/n"})
    options = known["sphinx"]["config"]["html_theme_options"]
    assert options["repository_url"] == "https://github.com/o/n"
    assert set(options["launch_buttons"]) == {"notebook_interface", "binderhub_url", "colab_url"}


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (
            "https://mybinder.org/v2/gh/o/main/main?urlpath=lab/tree/book/a.md",
            "https://mybinder.org/v2/gh/o/main/notebooks?urlpath=lab/tree/book/a.ipynb",
        ),
        (
            "https://hub/hub/user-redirect/git-pull?repo=r&urlpath=lab/tree/n/book/a.md&branch=main",
            "https://hub/hub/user-redirect/git-pull?repo=r&urlpath=lab/tree/n/book/a.ipynb"
            "&branch=notebooks",
        ),
        (
            "https://colab/github/o/n/blob/main/book/a.md",
            "https://colab/github/o/n/blob/notebooks/book/a.ipynb",
        ),
    ],
)
def test_launch_addresses_lead_to_notebooks(book_script, url, wanted):
    assert book_script("ctlab_book").launch_address(url, "main", "notebooks") == wanted


def test_workflows_publish_only_where_the_address_is_known(book_script):
    book = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text("utf-8"))
    for job in ("pages", "notebooks"):
        assert "needs.build.outputs.publish == 'yes'" in book["jobs"][job]["if"]
    assert book["permissions"] == {"contents": "read"}
    checks = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text("utf-8"))
    assert checks["jobs"]["check"]["steps"][-1]["run"] == "bash .ci/run"
    told = subprocess.run(
        [sys.executable, ROOT / "book" / "address.py"], capture_output=True, text=True, check=True
    ).stdout
    known = bool(book_script("address").publication()["repository"])
    assert told == f"publish={'yes' if known else 'no'}\n"


def test_binder_installs_the_lite_route_from_the_pins():
    lines = (ROOT / "binder" / "requirements.txt").read_text("utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert wanted[:2] == ["-c ../constraints.txt", "-e .[study,book]"]
    assert not [line for line in wanted if "torch" in line]
