"""The dry run speaks from the bundled index; disk and completeness are checked before and after."""

import socket

import pytest

from ctlab.ct.fetch import check_complete, check_disk, fetch, series_of

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
