"""Series on a DICOMweb server (PS3.18): fetched into a folder, and stored from one.

An address is ``dicomweb:URL#SERIES_UID`` for a series that is there, ``dicomweb:URL`` for a place
to store one: ``dicomweb:https://name:password@host/dicom-web#1.2.3``.
"""

import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctlab.console import Note

PREFIX = "dicomweb:"


def is_web(place: str | Path) -> bool:
    """Whether a place is an address of a server and not a folder.

    Examples
    --------
    >>> is_web("dicomweb:http://localhost:8042/dicom-web#1.2.3"), is_web(Path("scan"))
    (True, False)
    """
    return str(place).startswith(PREFIX)


def shown_place(place: str | Path) -> str:
    """A place for people to read: a ``Path`` has made one slash of two; a password is left out.

    Examples
    --------
    >>> shown_place(Path("dicomweb:http://jane:secret@host/web#1.2")), shown_place(Path("a/b"))
    ('dicomweb:http://host/web#1.2', 'a/b')
    """
    return PREFIX + _shown(_two_slashes(place)) if is_web(place) else str(place)


@contextmanager
def source_folder(place: str | Path) -> Iterator[Path]:
    """The folder itself; of an address, a temporary folder with the series that lies there.

    Raises
    ------
    ValueError
        No server answers, it refuses, has no such series, sends something else or a part of it.
    """
    if not is_web(place):
        yield Path(place)
        return
    url, _, series_uid = _url(place).partition("#")
    if not series_uid:
        raise ValueError(
            f"expected {PREFIX}URL#SERIES_UID, got {_shown(url)} without a series; name it behind #"
        )
    with tempfile.TemporaryDirectory(prefix="ctlab-") as folder:
        with _sentences(url, f"series {series_uid}"):
            _fetch(url, series_uid, Path(folder))
        try:
            yield Path(folder)
        except ValueError as error:  # the folder is nothing to whom asked for the address
            if folder not in str(error):
                raise
            raise ValueError(str(error).replace(folder, shown_place(place))) from error


@contextmanager
def target_folder(place: str | Path, note: Note | None = None) -> Iterator[Path]:
    """The folder itself; of an address, a temporary folder whose images are stored at the end.

    ``note`` is called where the server stored an image, but not as it was sent.

    Raises
    ------
    ValueError
        As :func:`source_folder`, or not every image was stored.
    """
    if not is_web(place):
        yield Path(place)
        return
    url = _url(place)
    with _sentences(url, "address"):  # refused before the work
        _client(url).search_for_studies(limit=1)
    with tempfile.TemporaryDirectory(prefix="ctlab-") as folder:
        out = Path(folder) / "series"
        yield out
        for change in _store(sorted(out.glob("*.dcm")), url):
            if note:
                note(change)


def _two_slashes(place: str | Path) -> str:
    return re.sub(r"^(https?):/+", r"\1://", str(place).removeprefix(PREFIX))


def _url(place: str | Path) -> str:
    """Address of the server."""
    url = _two_slashes(place)
    if not re.match(r"https?://[^/#]", url):
        raise ValueError(f"expected {PREFIX}http://HOST/PATH, got {_shown(url)[:200]}")
    return url


def _shown(url: str) -> str:
    """An address without the password in it."""
    return re.sub(r"//[^/@]*@", "//", url)


TIMEOUT_S = 60
"""How long a server may be silent."""


def _session(url: str) -> tuple[Any, str]:
    """A logged-in session, and the address without the login."""
    from requests import Session
    from requests.utils import get_auth_from_url, urldefragauth

    session = Session()
    if any(login := get_auth_from_url(url)):
        session.auth = login
    return session, str(urldefragauth(url)).rstrip("/")


def _client(url: str) -> Any:
    from dicomweb_client.api import DICOMwebClient

    session, address = _session(url)
    client = DICOMwebClient(address, session=session, timeout=TIMEOUT_S)
    client.set_http_retry_params(retry=False)
    return client


@contextmanager
def _sentences(url: str, what: str) -> Iterator[None]:
    """Whatever a server and its client may do, as one sentence."""
    import requests

    where = _shown(url)
    try:
        yield
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else 0
        if code in (401, 403):
            raise ValueError(
                f"{where} refuses (status {code}): log in with {PREFIX}http://NAME:PASSWORD@HOST"
            ) from error
        if code in (404, 204):
            raise ValueError(f"{where} has no {what} (status {code}); check both") from error
        raise ValueError(f"{where} failed (status {code}); ask whoever runs it") from error
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.InvalidURL) as error:
        raise ValueError(
            f"no DICOMweb server answers at {where} ({type(error).__name__}); check the address, "
            "and whether it runs"
        ) from error
    except (Refusal, ImportError):
        raise
    except Exception as error:  # what is no DICOMweb shows in many ways
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{where} answers, but not as a DICOMweb server does: {reason}") from error


class Refusal(ValueError):  # noqa: N818  (a sentence of ours already)
    """What a server sent was understood, and is not enough."""


def _fetch(url: str, series_uid: str, folder: Path) -> None:
    """Every instance of a series into a folder, as it was stored (QIDO-RS, then WADO-RS)."""
    client, where = _client(url), _shown(url)
    asked = {"SeriesInstanceUID": series_uid}
    answer = client.search_for_series(
        search_filters=asked, fields=["NumberOfSeriesRelatedInstances"]
    )
    found = [s for s in answer if _value(s, "0020000E") == series_uid]
    studies = {_value(s, "0020000D") for s in found}
    if len(studies) != 1:
        raise Refusal(f"{where} has {len(studies) or 'no'} series {series_uid}, expected one")
    (study,) = studies
    wanted: set[str] = set()
    while True:  # page by page; a server that ignores the offset sends the same one again
        page = client.search_for_instances(study, series_uid, offset=len(wanted))
        new = {_value(instance, "00080018") for instance in page} - wanted
        if not new:
            break
        wanted |= new
    counted = max(int(_value(s, "00201209") or 0) for s in found)
    if not (wanted or counted):
        raise Refusal(f"{where} does not say how many images series {series_uid} has; ask it")
    came: set[str] = set()
    as_stored = (("application/dicom", "*"),)
    for k, dataset in enumerate(client.iter_series(study, series_uid, media_types=as_stored)):
        _check_sent(dataset, series_uid, where)
        came.add(str(dataset.SOPInstanceUID))
        dataset.save_as(folder / f"IM{k + 1:05d}.dcm", enforce_file_format=True)
    missing = max(len(wanted - came), counted - len(came))
    if missing > 0:
        raise Refusal(
            f"{where} sent a part of series {series_uid}: {missing} images are missing; try again"
        )


def _check_sent(dataset: Any, series_uid: str, where: str) -> None:
    """Raise where an image is of another series, or ends before its pixels do."""
    if dataset.get("SeriesInstanceUID") != series_uid:
        raise Refusal(
            f"{where} sent an image of series {dataset.get('SeriesInstanceUID')}, "
            f"expected {series_uid} alone"
        )
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated or "PixelData" not in dataset:
        return
    facts = ("Rows", "Columns", "BitsAllocated", "NumberOfFrames", "SamplesPerPixel")
    rows, columns, bits, frames, samples = (int(dataset.get(name) or 1) for name in facts)
    needed = rows * columns * frames * samples * bits // 8
    if len(dataset.PixelData) < needed:
        raise Refusal(
            f"{where} sent a part of series {series_uid}: image {dataset.SOPInstanceUID} is cut "
            f"short, expected {needed} bytes of pixels, got {len(dataset.PixelData)}; try again"
        )


def _value(item: dict[str, Any], tag: str) -> str:
    return str((item[tag].get("Value") or [""])[0]) if tag in item else ""


_REASONS = {
    0x0110: "processing failed",
    0x0111: "it has that image already",
    0x0122: "it takes no images of this class",
    0xA700: "it is out of space",
    0xA900: "the data set does not fit its class",
    0xB000: "values were replaced",
    0xB006: "elements were discarded",
    0xB007: "the data set does not fit its class",
    0xC000: "it cannot understand the data set",
    0xC122: "it does not take this transfer syntax",
}
"""Failure Reason and Warning Reason (PS3.18, tables 10.5.3-1 and I.2-2)."""


def _reason(code: Any) -> str:
    number = int(code or 0)
    return f"reason {number}" + (f": {_REASONS[number]}" if number in _REASONS else "")


def _store(files: list[Path], url: str) -> list[str]:
    """Store one image after the other (STOW-RS), so that it is known how far it went.

    Returns what the server changed, in words.
    """
    changed: dict[str, int] = {}
    for done, file in enumerate(files):
        try:
            with _sentences(url, "address"):
                warning = _store_one(file, url)
        except ValueError as error:
            raise ValueError(
                f"{done} of {len(files)} images were stored, then: {error}; the series there is "
                "not whole: delete it and send it again"
            ) from error
        if warning:
            changed[warning] = changed.get(warning, 0) + 1
    return [
        f"{_shown(url)} stored {count} of {len(files)} images, but not as they were sent "
        f"({warning}): compare them"
        for warning, count in changed.items()
    ]


def _store_one(file: Path, url: str) -> str:
    """Store the bytes of a file; what the server warns of, empty where it does not."""
    from pydicom import dcmread

    sent = dcmread(file, stop_before_pixels=True).SOPInstanceUID
    answer = _posted(file.read_bytes(), url)
    if failed := answer.get("FailedSOPSequence"):
        raise Refusal(f"{_shown(url)} refused an image ({_reason(failed[0].get('FailureReason'))})")
    kept = {k.get("ReferencedSOPInstanceUID"): k for k in answer.get("ReferencedSOPSequence") or []}
    if sent not in kept:
        raise Refusal(f"{_shown(url)} did not say that it stored {file.name}")
    code = kept[sent].get("WarningReason")
    return _reason(code) if code is not None else ""


def _posted(data: bytes, url: str) -> Any:
    """What a server says of one image that is sent as it is (PS3.18, 10.5)."""
    from pydicom import Dataset

    session, address = _session(url)
    cut = uuid.uuid4().hex
    head = f"--{cut}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    with session:
        answer = session.post(
            f"{address}/studies",
            data=head + data + f"\r\n--{cut}--\r\n".encode(),
            headers={
                "Content-Type": f'multipart/related; type="application/dicom"; boundary={cut}',
                "Accept": "application/dicom+json",
            },
            timeout=TIMEOUT_S,
        )
    if answer.status_code not in (200, 202, 409) or not answer.content:
        answer.raise_for_status()
    if not answer.content:
        return Dataset()
    told = answer.json()
    return Dataset.from_json(told[0] if isinstance(told, list) else told)
