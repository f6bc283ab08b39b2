"""The dry run speaks from the bundled index; disk and completeness are checked before and after."""

import inspect
import shutil
import socket
import sys
import types
import urllib.error
from pathlib import Path

import pytest

from ctlab.ct.datasets.download import (
    check_complete,
    check_disk,
    check_network,
    fetch,
    series_of,
)

pytest.importorskip("idc_index_data", reason="the extra 'fetch' is not installed")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a dry run must not use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_the_chest_set_is_the_published_one(no_network, tmp_path):
    report = fetch("mayo-chest", tmp_path / "out", dry_run=True)
    assert report.patients == 50
    assert len(report.series) == 100
    assert sum(r["slices"] for r in report.series) == 2 * 17313
    assert 17e9 < report.bytes < 19e9
    assert not (tmp_path / "out").exists()
    assert not report.downloaded
    assert {"C121", "C249", "C170", "C135", "C280"} <= {r["patient"] for r in report.series}


def test_fewer_patients_and_both_doses(no_network, tmp_path):
    report = fetch("mayo-abdomen", tmp_path / "out", dry_run=True, patients=2)
    assert report.patients == 2
    assert [r["description"] for r in report.series] == ["Full Dose Images", "Low Dose Images"] * 2
    assert report.as_dict()["bytes"] == sum(r["bytes"] for r in report.series)


def test_lidc_has_its_1010_patients(no_network):
    rows = series_of("lidc")
    assert len({r["patient"] for r in rows}) == 1010
    assert len(rows) == 1018


def test_unknown_collections_and_silly_numbers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="mayo-chest, mayo-abdomen, lidc; got 'mayo'"):
        fetch("mayo", tmp_path, dry_run=True)
    with pytest.raises(ValueError, match="at least 1"):
        fetch("lidc", tmp_path, dry_run=True, patients=0)


def test_a_full_disk_is_noticed_first(tmp_path):
    with pytest.raises(ValueError, match="GB free"):
        check_disk(tmp_path / "not" / "yet", 10**18)
    check_disk(tmp_path, 1)


def test_incomplete_series_are_named(tmp_path):
    rows = [{"patient": "C1", "uid": "1.2", "slices": 2, "bytes": 200}]
    folder = tmp_path / "c" / "C1" / "9.9" / "CT_1.2"
    folder.mkdir(parents=True)
    (folder / "a.dcm").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match=r"1 of 1 series are incomplete.*C1 1\.2: 1 of 2 files"):
        check_complete(rows, tmp_path)
    (folder / "b.dcm").write_bytes(b"x" * 100)
    check_complete(rows, tmp_path)
    (folder / "b.dcm").write_bytes(b"x")
    with pytest.raises(ValueError, match="incomplete"):
        check_complete(rows, tmp_path)


SERIES = [
    {"patient": f"C{k}", "uid": f"1.2.{k}", "description": "", "slices": 3, "bytes": 300}
    for k in range(2)
]


class Downloader:
    """Stands for the client of idc-index: writes whole files, resumes, and may be cut off."""

    cut_after = 99
    calls: list[dict] = []  # noqa: RUF012  (one record for all clients)

    def download_from_selection(self, out, **options):
        Downloader.calls.append(options)
        written = 0
        for row in SERIES:
            if row["uid"] not in options["seriesInstanceUID"]:
                continue
            folder = (
                Path(out) / options["collection_id"] / row["patient"] / "9" / f"CT_{row['uid']}"
            )
            folder.mkdir(parents=True, exist_ok=True)
            for k in range(row["slices"]):
                file = folder / f"{k}.dcm"
                if options["use_s5cmd_sync"] and file.exists() and file.stat().st_size == 100:
                    continue
                if written == self.cut_after:
                    file.write_bytes(b"x" * 40)  # what a broken connection leaves
                    raise ConnectionError("connection reset\nby peer")
                file.write_bytes(b"x" * 100)
                written += 1
        self.written = Downloader.last = written


@pytest.fixture
def downloader(monkeypatch):
    module = types.ModuleType("idc_index.index")
    module.IDCClient = Downloader
    monkeypatch.setitem(sys.modules, "idc_index", types.ModuleType("idc_index"))
    monkeypatch.setitem(sys.modules, "idc_index.index", module)
    monkeypatch.setattr("ctlab.ct.datasets.download.series_of", lambda *_: SERIES)
    monkeypatch.setattr("ctlab.ct.datasets.download.check_network", lambda: None)
    monkeypatch.setattr(Downloader, "cut_after", 99)
    monkeypatch.setattr(Downloader, "calls", [])
    return Downloader


def test_a_download_is_checked_and_reported(downloader, tmp_path):
    report = fetch("lidc", tmp_path / "out")
    assert report.downloaded
    assert (report.bytes, report.patients) == (600, 2)
    assert downloader.calls[0]["seriesInstanceUID"] == ["1.2.0", "1.2.1"]
    assert downloader.calls[0]["use_s5cmd_sync"] is False
    assert "%SeriesInstanceUID" in downloader.calls[0]["dirTemplate"]
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 6


def test_an_interrupted_download_resumes(downloader, tmp_path, monkeypatch):
    monkeypatch.setattr(downloader, "cut_after", 4)
    with pytest.raises(ValueError, match=r"failed \(connection reset by peer\); run it again"):
        fetch("lidc", tmp_path)
    monkeypatch.setattr(downloader, "cut_after", 99)
    assert fetch("lidc", tmp_path).downloaded
    assert downloader.calls[1]["use_s5cmd_sync"] is True
    assert downloader.last == 2  # the file that was cut, and the one behind it; not all six


def test_files_that_never_came_are_named(downloader, tmp_path, monkeypatch):
    whole = downloader.download_from_selection

    def lose_one(self, out, **options):
        whole(self, out, **options)
        next(Path(out).rglob("CT_1.2.1/2.dcm")).unlink()

    monkeypatch.setattr(downloader, "download_from_selection", lose_one)
    with pytest.raises(ValueError, match=r"C1 1\.2\.1: 2 of 3 files, .*run the same command again"):
        fetch("lidc", tmp_path)


def test_disk_is_asked_for_before_the_network_and_less_for_what_is_there(
    downloader, tmp_path, monkeypatch
):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=350))
    with pytest.raises(ValueError, match="GB free"):
        fetch("lidc", tmp_path / "out")
    assert downloader.calls == []
    assert not (tmp_path / "out").exists()
    for k in range(3):  # one of the two series has come before
        folder = tmp_path / "out" / "lidc_idri" / "C0" / "9" / "CT_1.2.0"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{k}.dcm").write_bytes(b"x" * 100)
    assert fetch("lidc", tmp_path / "out").downloaded
    assert downloader.last == 3


def test_without_the_package_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "idc_index", None)
    monkeypatch.setattr("ctlab.ct.datasets.download.check_network", lambda: None)
    monkeypatch.setattr("ctlab.ct.datasets.download.series_of", lambda *_: SERIES)
    with pytest.raises(ValueError, match=r"pip install 'ctlab\[fetch\]'"):
        fetch("lidc", tmp_path)


def test_without_a_network_one_sentence_says_so_and_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr("ctlab.ct.datasets.download.series_of", lambda *_: SERIES)
    monkeypatch.setattr(
        "ctlab.ct.datasets.download.STORE", "https://127.0.0.1:9"
    )  # nobody listens there
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(ValueError, match=r"cannot be reached .*the download needs a network"):
        fetch("lidc", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_any_answer_of_the_store_will_do(monkeypatch):
    def refused(*_, **__):
        raise urllib.error.HTTPError("", 403, "Forbidden", {}, None)

    monkeypatch.setattr("urllib.request.urlopen", refused)
    check_network()


def test_the_real_client_takes_what_it_is_given():
    client = pytest.importorskip("idc_index").IDCClient
    taken = set(inspect.signature(client.download_from_selection).parameters)
    assert taken >= {"collection_id", "seriesInstanceUID", "use_s5cmd_sync", "dirTemplate"}
