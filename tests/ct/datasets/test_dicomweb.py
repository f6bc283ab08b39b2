"""A DICOMweb server as a source and a target, on loopback; every failure is one sentence."""

import json
import re
import threading
import time
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from ctlab.__main__ import app
from ctlab.ct import Volume, read_series, write_series
from ctlab.ct.datasets import dicomweb
from ctlab.ct.datasets.dicomweb import source_folder, target_folder

pytest.importorskip("dicomweb_client")


class Archive(ThreadingHTTPServer):
    """Instances in memory; ``fault`` is how it fails, if at all."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Room)
        self.instances, self.fault, self.logins, self.counted = {}, "", [], 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/dicom-web"


class Room(BaseHTTPRequestHandler):
    """The part of QIDO-RS, WADO-RS and STOW-RS that the client needs (PS3.18, chapter 10)."""

    def log_message(self, *_):
        return

    def send(self, body, kind, code=200):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuses(self):
        self.server.logins.append(self.headers.get("Authorization"))
        if self.server.fault == "slow":
            time.sleep(0.5)
        if self.server.fault in ("401", "404", "500"):
            self.send(b"", "text/plain", int(self.server.fault))
        elif self.server.fault == "html":
            self.send(b"<html>a router</html>", "text/html")
        return self.server.fault in ("401", "404", "500", "html")

    def found(self, tags, **wanted):
        rows = {}
        for data in self.server.instances.values():
            dataset = pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
            values = {t: str(dataset.get(t, "")) for t in tags}
            if all(values.get(t, v) == v for t, v in wanted.items()):
                rows[tuple(values.values())] = {
                    f"{pydicom.tag.Tag(t):08X}": {"vr": "UI", "Value": [v]}
                    for t, v in values.items()
                }
                if self.server.counted:
                    count = {"vr": "IS", "Value": [self.server.counted]}
                    rows[tuple(values.values())]["00201209"] = count
        self.send(json.dumps(list(rows.values())).encode(), "application/dicom+json")

    def do_GET(self):
        if self.refuses():
            return
        path, _, query = self.path.partition("?")
        series = re.search(r"SeriesInstanceUID=([\d.]+)", query)
        if path.endswith("/instances") and self.server.fault == "unlisted":
            self.send(b"[]", "application/dicom+json")
        elif path.endswith("/instances"):
            uid = path.split("/")[-2]
            self.found(["SOPInstanceUID", "SeriesInstanceUID"], SeriesInstanceUID=uid)
        elif path.endswith("/series"):
            wanted = {"SeriesInstanceUID": series[1]} if series else {}
            self.found(["StudyInstanceUID", "SeriesInstanceUID"], **wanted)
        elif path.endswith("/studies"):
            self.found(["StudyInstanceUID"])
        else:
            self.send_series(path.split("/")[-1])

    def send_series(self, uid):
        files = [
            data
            for data in self.server.instances.values()
            if pydicom.dcmread(BytesIO(data)).SeriesInstanceUID == uid
        ]
        if self.server.fault == "half":
            files = files[: len(files) // 2]
        elif self.server.fault == "none":
            files = []
        elif self.server.fault == "stranger":
            files = list(self.server.instances.values())
        elif self.server.fault == "text":
            files = [b"no image"]
        head = b"--cut\r\nContent-Type: application/dicom\r\n\r\n"
        body = b"".join(head + data + b"\r\n" for data in files) + b"--cut--"
        if self.server.fault == "cut":
            body = body[: len(body) - 3000]
        elif self.server.fault == "broken off":
            self.send_response(200)
            self.send_header("Content-Type", "multipart/related; boundary=cut")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:-3000])
            self.close_connection = True
            return
        self.send(body, 'multipart/related; type="application/dicom"; boundary=cut')

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.refuses():
            return
        if self.server.fault == "full" and len(self.server.instances) == 2:
            self.send(b"", "text/plain", 507)
            return
        kind = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        answer, stored = Dataset(), []
        for part in BytesParser().parsebytes(kind + body).get_payload():
            data = part.get_payload(decode=True)
            stored.append(Dataset())
            stored[-1].ReferencedSOPInstanceUID = pydicom.dcmread(BytesIO(data)).SOPInstanceUID
            self.server.instances[stored[-1].ReferencedSOPInstanceUID] = data
        if self.server.fault != "silent":
            answer.ReferencedSOPSequence = stored
        if self.server.fault == "refused":
            failed = Dataset()
            failed.FailureReason = 272
            answer.FailedSOPSequence = [failed]
            answer.ReferencedSOPSequence = []
        if self.server.fault == "coerced":
            stored[-1].WarningReason = 0xB000
        code = {"refused": 409, "coerced": 202}.get(self.server.fault, 200)
        self.send(answer.to_json().encode(), "application/dicom+json; charset=utf-8", code)


@pytest.fixture(scope="module")
def running():
    with Archive() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def archive(running):
    running.instances, running.fault, running.logins, running.counted = {}, "", [], 0
    return running


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Noisy water in air, JPEG-LS; its series UID and folder."""
    hu = np.full((4, 64, 64), -1000.0)
    hu[:, 6:-6, 6:-6] = 40 + np.random.default_rng(3).normal(0, 40, (4, 52, 52))
    volume = Volume(hu.astype(np.float32), (2.5, 0.7, 0.7))
    folder = tmp_path_factory.mktemp("web") / "scan"
    write_series(volume, folder, description="made up", compression="jpeg-ls")
    return folder


@pytest.fixture
def address(archive, scan):
    """The scan, stored on the server through the kit."""
    with target_folder(f"dicomweb:{archive.url}") as out:
        out.mkdir()
        for file in scan.iterdir():
            (out / file.name).write_bytes(file.read_bytes())
    return f"dicomweb:{archive.url}#{read_series(scan).acquisition.series_uid}"


def ctlab(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def stored_series(archive):
    files = [pydicom.dcmread(BytesIO(data)) for data in archive.instances.values()]
    return {d.SeriesDescription if "SeriesDescription" in d else "" for d in files}, files


def test_what_is_fetched_is_what_was_stored(address, scan):
    with source_folder(address) as folder:
        again, first = read_series(folder), read_series(scan)
        assert np.array_equal(again.hu, first.hu)
        syntaxes = {pydicom.dcmread(f).file_meta.TransferSyntaxUID for f in folder.iterdir()}
        assert syntaxes == {"1.2.840.10008.1.2.4.80"}  # as it was stored
    assert not folder.exists()


def test_every_series_command_takes_an_address(address, archive, scan, tmp_path):
    told = json.loads(ctlab("inspect", address, "--json").stdout)
    assert told["series"][0]["shape"] == [4, 64, 64]
    target = f"dicomweb:{archive.url}"
    ctlab("denoise", address, target, "--method", "bilateral")
    ctlab("simulate", address, target, "--dose", "1")
    ctlab("deidentify", address, target)
    descriptions, files = stored_series(archive)
    assert {"Denoised (bilateral)", "Simulated 100 % dose", "made up", ""} == descriptions
    assert len(files) == 16
    uid = next(d.SeriesInstanceUID for d in files if "Denoised" in d.get("SeriesDescription", ""))
    told = json.loads(ctlab("evaluate", address, f"{target}#{uid}", "--json").stdout)
    assert told["image"] == str(told["images"][0]["image"])
    assert uid in told["image"]
    assert told["n_slices"] == 4


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("401", r"refuses \(status 401\): log in with"),
        ("404", r"has no (series|address).* \(status 404\)"),
        ("500", r"failed \(status 500\)"),
        ("html", "answers, but not as a DICOMweb server does"),
    ],
)
def test_failures_of_the_server_are_one_sentence(address, archive, fault, sentence):
    archive.fault = fault
    for command in (["inspect", address], ["denoise", "nowhere", f"dicomweb:{archive.url}"]):
        with pytest.raises(ValueError, match=sentence) as refused:
            ctlab(*command)
        assert "\n" not in str(refused.value)


def test_half_a_series_is_refused_both_ways(address, archive, scan):
    archive.fault = "half"
    with pytest.raises(ValueError, match=r"sent a part of series .*: 2 images are missing"):
        ctlab("inspect", address)
    archive.fault, archive.counted = "", 6
    with pytest.raises(ValueError, match=r"sent a part of series .*: 2 images are missing"):
        ctlab("inspect", address)
    archive.fault, archive.instances = "full", {}
    with pytest.raises(ValueError, match=r"2 of 4 images were stored, then: .*status 507.*again"):
        ctlab("deidentify", scan, f"dicomweb:{archive.url}")
    archive.fault = "refused"
    with pytest.raises(ValueError, match=r"0 of 4 .*stored.*reason 272: processing failed"):
        ctlab("deidentify", scan, f"dicomweb:{archive.url}")
    archive.fault = "silent"
    with pytest.raises(ValueError, match=r"0 of 4 images were stored.*did not say that it stored"):
        ctlab("deidentify", scan, f"dicomweb:{archive.url}")


def test_addresses_that_lead_nowhere(address, archive):
    with pytest.raises(ValueError, match=r"no DICOMweb server answers at http://127\.0\.0\.1:9"):
        ctlab("inspect", "dicomweb:http://127.0.0.1:9#1.2.3")
    with pytest.raises(ValueError, match=r"has no series 9\.9, expected one"):
        ctlab("inspect", f"dicomweb:{archive.url}#9.9")
    with pytest.raises(ValueError, match="without a series; name it behind #"):
        ctlab("inspect", f"dicomweb:{archive.url}")
    with pytest.raises(ValueError, match="expected dicomweb:http://HOST/PATH"):
        ctlab("inspect", "dicomweb:ftp://x#1")


def test_a_login_is_sent_and_never_shown(address, archive):
    secret = address.replace("//", "//jane:s3cret@")
    ctlab("inspect", secret)
    assert archive.logins[-1].startswith("Basic ")
    archive.fault = "401"
    with pytest.raises(ValueError, match="refuses") as refused:
        ctlab("inspect", secret)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("none", "4 images are missing|not as a DICOMweb server does"),
        ("unlisted", "does not say how many images"),
        ("stranger", r"sent an image of series 1\.2\.99, expected"),
        ("text", "answers, but not as a DICOMweb server does"),
        ("cut", "sent a part of series|not as a DICOMweb server does"),
        ("broken off", "not as a DICOMweb server does|no DICOMweb server answers"),
    ],
)
def test_what_is_sent_in_part_or_in_place_of_the_series_is_refused(
    address, archive, fault, sentence
):
    (data, *_) = archive.instances.values()
    other = pydicom.dcmread(BytesIO(data))
    other.SOPInstanceUID, other.SeriesInstanceUID = "1.2.98", "1.2.99"
    made = BytesIO()
    other.save_as(made, enforce_file_format=True)
    archive.instances["1.2.98"] = made.getvalue()
    archive.fault = fault
    with pytest.raises(ValueError, match=sentence) as refused:
        ctlab("inspect", address)
    assert archive.url in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_that_is_silent_is_given_up(address, archive, monkeypatch):
    monkeypatch.setattr(dicomweb, "TIMEOUT_S", 0.2)
    archive.fault = "slow"
    with pytest.raises(ValueError, match=r"no DICOMweb server answers at .*Timeout"):
        ctlab("inspect", address)


def test_what_a_server_changed_is_told(archive, scan):
    archive.fault = "coerced"
    done = ctlab("deidentify", scan, f"dicomweb:{archive.url}")
    said = " ".join(done.stdout.split())
    assert "stored 4 of 4 images, but not as they were sent" in said
    assert "45056: values were replaced" in said


def test_bytes_are_stored_as_they_were_written(address, archive, scan):
    assert set(archive.instances.values()) == {file.read_bytes() for file in scan.iterdir()}


def test_messages_name_the_address_and_no_password(address, archive, scan):
    target = f"dicomweb:{archive.url}".replace("//", "//jane:s3cret@")
    said = ctlab("denoise", scan, target, "--method", "bilateral").stdout
    assert f"in dicomweb:{archive.url}," in said
    assert "s3cret" not in said
    with pytest.raises(ValueError, match="no series in dicomweb:http://") as refused:
        ctlab("denoise", address, "nowhere", "--method", "bilateral", "--series", "777")
    assert "ctlab-" not in str(refused.value)


def test_commands_that_write_no_series_take_no_address(tmp_path, archive, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ctlab("sample", f"dicomweb:{archive.url}")
    assert len(archive.instances) == 40
    with pytest.raises(ValueError, match="expected a folder to write to, got an address"):
        ctlab("export", f"dicomweb:{archive.url}")
    assert list(tmp_path.iterdir()) == []
