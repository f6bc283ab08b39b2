"""Series on a DICOMweb server (PS3.18): fetched into a folder, and stored from one.

An address is ``dicomweb:URL#SERIES_UID`` for a series that is there, ``dicomweb:URL`` for a place
to store one: ``dicomweb:https://name:password@host/dicom-web#1.2.3``.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PREFIX = "dicomweb:"


def is_web(place: str | Path) -> bool:
    """Whether a place is an address of a server and not a folder.

    Examples
    --------
    >>> is_web("dicomweb:http://localhost:8042/dicom-web#1.2.3"), is_web(Path("scan"))
    (True, False)
    """
    return str(place).startswith(PREFIX)


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
        yield Path(folder)


@contextmanager
def target_folder(place: str | Path) -> Iterator[Path]:
    """The folder itself; of an address, a temporary folder whose images are stored at the end.

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
        _store(sorted(out.glob("*.dcm")), url)


def _url(place: str | Path) -> str:
    """Address of the server; a ``Path`` has made one slash of the two behind ``http:``."""
    url = re.sub(r"^(https?):/+", r"\1://", str(place).removeprefix(PREFIX))
    if not re.match(r"https?://[^/#]", url):
        raise ValueError(f"expected {PREFIX}http://HOST/PATH, got {_shown(url)[:200]}")
    return url


def _shown(url: str) -> str:
    """An address without the password in it."""
    return re.sub(r"//[^/@]*@", "//", url)


def _client(url: str) -> Any:
    from dicomweb_client.api import DICOMwebClient
    from requests import Session
    from requests.utils import get_auth_from_url, urldefragauth

    session = Session()
    if any(login := get_auth_from_url(url)):
        session.auth = login
    client = DICOMwebClient(urldefragauth(url).rstrip("/"), session=session, timeout=60)
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
    client = _client(url)
    found = client.search_for_series(search_filters={"SeriesInstanceUID": series_uid})
    studies = {_value(s, "0020000D") for s in found if _value(s, "0020000E") == series_uid}
    if len(studies) != 1:
        raise Refusal(f"{_shown(url)} has {len(studies) or 'no'} series {series_uid}, expected one")
    (study,) = studies
    wanted: set[str] = set()
    while True:  # page by page; a server that ignores the offset sends the same one again
        page = client.search_for_instances(study, series_uid, offset=len(wanted))
        new = {_value(instance, "00080018") for instance in page} - wanted
        if not new:
            break
        wanted |= new
    as_stored = (("application/dicom", "*"),)
    for k, dataset in enumerate(client.iter_series(study, series_uid, media_types=as_stored)):
        if dataset.get("SeriesInstanceUID") != series_uid:
            raise Refusal(
                f"{_shown(url)} sent an image of series {dataset.get('SeriesInstanceUID')}, "
                f"expected {series_uid} alone"
            )
        wanted.discard(str(dataset.SOPInstanceUID))
        dataset.save_as(folder / f"IM{k + 1:05d}.dcm", enforce_file_format=True)
    if wanted:
        raise Refusal(
            f"{_shown(url)} sent a part of series {series_uid}: {len(wanted)} images are missing; "
            "try again"
        )


def _value(item: dict[str, Any], tag: str) -> str:
    return str((item[tag].get("Value") or [""])[0]) if tag in item else ""


def _store(files: list[Path], url: str) -> None:
    """Store one image after the other (STOW-RS), so that it is known how far it went."""
    from pydicom import dcmread

    client = _client(url)
    for done, file in enumerate(files):
        try:
            with _sentences(url, "address"):
                sent = dcmread(file)
                answer = client.store_instances([sent])
                failed = answer.get("FailedSOPSequence") if answer is not None else None
                if failed:
                    raise Refusal(
                        f"{_shown(url)} refused an image (reason {failed[0].get('FailureReason')})"
                    )
                kept = answer.get("ReferencedSOPSequence", []) if answer is not None else []
                if sent.SOPInstanceUID not in {k.get("ReferencedSOPInstanceUID") for k in kept}:
                    raise Refusal(f"{_shown(url)} did not say that it stored {file.name}")
        except ValueError as error:
            raise ValueError(
                f"{done} of {len(files)} images were stored, then: {error}; the series there is "
                "not whole: delete it and send it again"
            ) from error
