"""The doctor tells what is there and what to do about what is not."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from ctlab import doctor
from ctlab.ct import read_series

CODECS = Path(__file__).parent / "data" / "codecs"
FILES = {
    "RLE": "rle",
    "JPEG baseline": "jpeg-baseline",
    "JPEG extended": "jpeg-extended",
    "JPEG lossless": "jpeg-lossless-70",
    "JPEG-LS": "jpeg-ls",
    "JPEG 2000": "jpeg-2000",
    "HTJ2K": "htj2k",
}


def test_a_complete_installation_is_ok():
    facts = doctor.diagnose()
    assert facts["ok"]
    assert all(facts["codecs"].values())
    assert facts["python"].startswith("3.")


def test_a_missing_part_is_named_with_its_remedy(monkeypatch):
    real = doctor.version

    def without_voila(package: str) -> str:
        if package == "voila":
            raise PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(doctor, "version", without_voila)
    facts = doctor.diagnose()
    assert facts["parts"]["study"] == ["voila"]
    assert any("voila" in text and ".[study]" in text for text in facts["remedies"])
    assert facts["ok"], "the core works without the reading room"


def test_a_missing_codec_is_not_ok(monkeypatch):
    monkeypatch.setattr(doctor, "available_codecs", lambda: {"JPEG-LS": False, "RLE": True})
    facts = doctor.diagnose()
    assert not facts["ok"]
    assert any("JPEG-LS" in text for text in facts["remedies"])


@pytest.fixture(params=["pyjpegls", "pylibjpeg", "gdcm", "pydicom"])
def without_decoder(request, monkeypatch):
    """One plugin of pydicom hidden, as where its package is not installed."""
    for uid in doctor.CODECS.values():
        monkeypatch.delitem(get_decoder(UID(uid))._available, request.param, raising=False)
    return request.param


def can_read(name):
    try:
        return read_series(CODECS / f"{FILES[name]}.dcm").hu.size > 0
    except ValueError as error:
        if "ctlab doctor" not in str(error):
            raise
        return False


def test_the_doctor_says_what_the_reader_can_do(without_decoder):
    codecs = doctor.available_codecs()
    assert codecs == {name: can_read(name) for name in doctor.CODECS}
    lost = {name for name, works in codecs.items() if not works}
    expected = {
        "pyjpegls": {"JPEG-LS"},
        "pylibjpeg": {"JPEG 2000", "HTJ2K"},
        "pydicom": {"RLE"},
        "gdcm": set(),
    }
    assert lost == expected[without_decoder]


@pytest.mark.parametrize("part", sorted(doctor.PARTS))
def test_parts_follow_the_extras_of_the_project(part):
    from importlib.metadata import metadata

    assert part in (metadata("ctlab").get_all("Provides-Extra") or [])
