"""The doctor tells what is there and what to do about what is not."""

from importlib.metadata import PackageNotFoundError

import pytest

from ctlab import doctor


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


@pytest.mark.parametrize("part", sorted(doctor.PARTS))
def test_parts_follow_the_extras_of_the_project(part):
    from importlib.metadata import metadata

    assert part in (metadata("ctlab").get_all("Provides-Extra") or [])
