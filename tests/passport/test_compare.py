"""Passports side by side, and the command that makes and compares them."""

import json
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ctlab.__main__ import app
from ctlab.ct import Volume, load_sample, write_series
from ctlab.ct.range_check import NO_RANGE
from ctlab.passport import (
    DEFAULT_LIMITS,
    Passport,
    passports_of_folders,
    read_passport,
    read_passports,
    side_by_side,
    write_comparison,
    write_passport,
)


def passport(name: str, values: dict[str, float | None], dose=0.1, data="d") -> Passport:
    checks = [
        {
            "name": check,
            "value": value,
            "limit": str(DEFAULT_LIMITS[check]),
            "passed": None if value is None else DEFAULT_LIMITS[check].allows(value),
            "unit": DEFAULT_LIMITS[check].unit,
            "note": "why",
            "source": "",
        }
        for check, value in values.items()
    ]
    facts = {"denoiser": name, "dose": dose, "data": [{"sha256": data}], "claim": []}
    return Passport(checks, facts, {}, {})


GOOD = passport("model good", {"speed": 5.0, "bias in lung": 1.0})
BAD = passport("filter <bad>", {"bias in lung": 9.0, "speed": None})


def test_every_check_of_every_passport_keeps_its_own_row():
    table = side_by_side({"good": GOOD, "bad": BAD})
    assert table[["check", "passport"]].to_numpy().tolist() == [
        ["speed", "good"],
        ["speed", "bad"],
        ["bias in lung", "good"],
        ["bias in lung", "bad"],
    ]
    assert table["value"].tolist()[2:] == [1.0, 9.0]
    assert np.isnan(table["value"][1])


def test_what_does_not_compare_is_refused():
    with pytest.raises(ValueError, match="2 or more passports to compare, got 1"):
        side_by_side({"good": GOOD})
    with pytest.raises(ValueError, match=r"good and other were made at doses 0\.1 and 0\.2"):
        side_by_side({"good": GOOD, "other": passport("o", {"speed": 1.0}, dose=0.2)})
    with pytest.raises(ValueError, match="made on different series"):
        side_by_side({"good": GOOD, "other": passport("o", {"speed": 1.0}, data="e")})


def test_the_page_names_the_failures_and_escapes_names(tmp_path):
    write_comparison({"good": GOOD, "filter <bad>": BAD}, tmp_path / "c")
    html = (tmp_path / "c" / "index.html").read_text()
    assert "filter &lt;bad&gt;" in html
    assert "<strong>1</strong>" in html
    assert "9<br><small>failed" in html
    assert "not made" in html
    content = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert content["checks"][0]["values"] == {"good": 5.0, "filter <bad>": None}
    assert len(pd.read_csv(tmp_path / "c" / "comparison.csv")) == 4


def test_passports_are_named_by_denoiser_or_else_by_folder(tmp_path):
    for name, made in (("a", GOOD), ("b", BAD), ("c", GOOD)):
        write_passport(made, tmp_path / name)
    assert set(read_passports([tmp_path / "a", tmp_path / "b"])) == {"model good", "filter <bad>"}
    twice = [tmp_path / "a", tmp_path / "c"]
    assert set(read_passports(twice)) == {str(path) for path in twice}
    with pytest.raises(ValueError, match="named twice"):
        read_passports([tmp_path / "a", tmp_path / "a"])


@pytest.fixture
def command(monkeypatch):
    """The command line in this process, without its progress bar, which draws random numbers."""
    monkeypatch.setattr(
        "ctlab.cli.passport.working", lambda what: nullcontext(lambda done, total: None)
    )
    return lambda *words: CliRunner().invoke(app, ["passport", *map(str, words)])


def ctlab(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ctlab", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_compares_and_its_exit_code_tells_of_a_failed_limit(tmp_path):
    write_passport(GOOD, tmp_path / "a")
    write_passport(BAD, tmp_path / "b")
    done = ctlab("passport", "--compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c")
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[:3] == [
        "speed, at most 60 s for 100 slices on this machine",
        "  passed    model good: 5",
        "  not made  filter <bad>",
    ]
    assert max(map(len, done.stdout.replace(str(tmp_path), "").splitlines())) <= 80
    assert (tmp_path / "c" / "index.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--compare", "a"], "passport.json"),
        (["a", "--dose", "1"], "0 < dose < 1"),
        (["a", "--method", "median"], "unknown method 'median'"),
        (["a", "--limits", "limits.toml"], "unknown limits tallness"),
        (["empty"], "empty"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, command, words, said):
    from ctlab.console import sentence

    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "limits.toml").write_text("tallness = 3\n")
    write_series(load_sample().slices(20, 23), tmp_path / "a", description="sample")
    done = command(*words, "--out", "out")
    assert isinstance(done.exception, ValueError | OSError), done.output
    assert said in sentence(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_filter_and_a_stranger_on_real_slices(tmp_path, monkeypatch, command, drawn_phantoms):
    """The path of the command, with few patches and drawn phantoms: to run, not to conclude."""
    monkeypatch.setattr("ctlab.passport.checks.PATCHES", 30)
    (tmp_path / "my_blur.py").write_text(
        "from scipy.ndimage import gaussian_filter\n"
        "def blur(hu, spacing_mm):\n"
        "    return gaussian_filter(hu, (0, 1, 1)) * 0.5\n"  # half of every HU: other units
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    few = load_sample().slices(18, 22)
    middle = few.hu[:, 128:384, 80:336]
    write_series(Volume(middle, few.spacing_mm), tmp_path / "scan", description="sample")
    done = command(
        tmp_path / "scan",
        "--model",
        "my_blur:blur",
        "--method",
        "tv",
        "--slices",
        2,
        "--out",
        tmp_path / "out",
        "--json",
    )
    assert done.exit_code in (0, 1), done.exception
    content = json.loads(done.stdout)
    assert {c["name"] for c in content["checks"]} == set(DEFAULT_LIMITS)
    said = f"{tmp_path / 'scan'}: derived images, not the scanner's own reconstruction"
    assert said in content["problems"]
    for check in content["checks"]:
        assert set(check["values"]) == {"function my_blur:blur", "filter tv"}
    error = next(c for c in content["checks"] if c["name"] == "error left")
    assert error["values"]["filter tv"] < 1 < error["values"]["function my_blur:blur"]
    stranger = read_passport(tmp_path / "out" / "function-my_blur-blur").facts
    assert any("other units? check its scale" in said for said in stranger["behaviour"])
    html = (tmp_path / "out" / "function-my_blur-blur" / "index.html").read_text()
    assert "Behaviour on images whose answer is known" in html
    explained = next(c for c in content["checks"] if c["name"] == "explanation better than chance")
    assert set(explained["values"].values()) <= {0.0, 1.0, None}  # None where it takes too long
    one = read_passport(tmp_path / "out" / "filter-tv")
    assert one.facts["range_of_use"] == [NO_RANGE]
    assert (tmp_path / "out" / "comparison" / "index.html").exists()
    with pytest.raises(ValueError, match="not empty"):
        passports_of_folders([tmp_path / "scan"], tmp_path / "out", methods=["tv"])
