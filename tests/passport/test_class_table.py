"""A class's filters: the one that harms least is first, one that crashes last, in words."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from ctlab.__main__ import app
from ctlab.assess.safety.failure_gallery import ct_noise
from ctlab.ct.volume import Volume
from ctlab.passport import rank_filters
from ctlab.passport.class_table import STARTER

FILTERS = {
    "anna": STARTER,
    "ben": STARTER.replace("hu, (0, 0.8, 0.8))", "hu, (0, 0.8, 0.8)) + 20"),
    "carl": "def denoise(hu, spacing_mm):\n    return hu[0]\n",
    "dora": "import no_such_module\n",
}


@pytest.fixture(scope="module")
def volume():
    rng = np.random.default_rng(5)
    hu = np.full((2, 128, 128), -850.0)
    hu[:, :48] = 40.0
    hu += ct_noise(rng, hu.shape, sd_hu=15.0)
    return Volume(hu.astype(np.float32), (2.5, 0.7, 0.7))


@pytest.fixture
def folder(tmp_path):
    for name, text in FILTERS.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def test_fewer_failures_rank_higher_and_faults_are_told(folder, volume):
    found = rank_filters(folder, [volume], seeds=[3, 8], slices=2, only=("accuracy",))
    assert found["name"].tolist() == ["anna", "ben", "carl", "dora"]
    assert found["rank"].tolist() == [1, 2, 3, 3]
    notes = found.set_index("name")["note"]
    assert "bias in lung" in notes["ben"]
    assert "bias in lung" not in notes["anna"]
    assert "expected slices of shape" in notes["carl"]
    assert notes["dora"].startswith("--model dora.py:denoise: dora.py cannot be imported")
    left = found.set_index("name")["error_left"]
    assert left["anna"] < left["ben"]  # the same filter but for 20 HU
    assert np.isnan(left["carl"])


def test_without_files_or_seeds_it_says_what_to_do(tmp_path_factory, folder, volume):
    with pytest.raises(ValueError, match="got 0 files and 1 seeds; collect"):
        rank_filters(tmp_path_factory.mktemp("none"), [volume], seeds=[1])
    with pytest.raises(ValueError, match="got 4 files and 0 seeds"):
        rank_filters(folder, [volume], seeds=[])


def test_the_command_prints_one_table(folder, volume, monkeypatch):
    for name in ("ben", "carl"):
        (folder / f"{name}.py").unlink(missing_ok=True)
    monkeypatch.setattr("ctlab.passport.volumes_of", lambda *_: [volume])
    monkeypatch.setattr("ctlab.passport.class_table.GRADED", ("accuracy",))
    args = ["rank", str(folder), "--seeds", "5", "--slices", "1"]
    run = CliRunner().invoke(app, [*args, "--json"])
    assert run.exit_code == 0, run.output
    said = json.loads(run.stdout)
    assert said["seeds"] == [5]
    assert [row["name"] for row in said["filters"]] == ["anna", "dora"]
    text = CliRunner().invoke(app, args).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "- anna: " in text
