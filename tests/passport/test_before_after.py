"""Before and after: what two folders can answer is answered; the rest says what it needs."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from ctlab.__main__ import app
from ctlab.assess.safety.failure_gallery import ct_noise
from ctlab.ct import Volume, write_series
from ctlab.passport import DEFAULT_LIMITS, passport_before_after, read_passport, write_passport


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A patient at reference dose, with 60 HU of noise, and blurred with an offset of 12 HU."""
    root = tmp_path_factory.mktemp("pair")
    rng = np.random.default_rng(0)
    clean = np.full((6, 160, 160), -850.0)
    clean[:, :60] = 40.0
    low = clean + ct_noise(rng, clean.shape, sd_hu=60.0)
    arms = {
        "reference": clean + ct_noise(rng, clean.shape, sd_hu=10.0),
        "before": low,
        "after": gaussian_filter(low, (0, 1.0, 1.0)) + 12.0,
    }
    for name, hu in arms.items():
        volume = Volume(hu.round().astype(np.float32), (2.5, 0.7, 0.7))
        write_series(volume, root / name, description=name)
    return root


def rows(passport):
    return {check["name"]: check for check in passport.checks}


def test_with_a_reference_the_offset_is_found(folders, tmp_path):
    made = passport_before_after(
        [folders / "before"], [folders / "after"], [folders / "reference"], slices=6
    )
    found = rows(made)
    assert set(found) == set(DEFAULT_LIMITS)
    assert found["bias in lung"]["value"] == pytest.approx(12.0, abs=1.0)
    assert found["bias in lung"]["passed"] is False
    assert found["error left"]["value"] < 1
    assert found["banding along z"]["value"] < 1
    assert found["hidden information"]["value"] is not None
    assert found["risk coverage"]["note"].startswith("needs 10 patients with a reference, got 1")
    write_passport(made, tmp_path / "out")
    html = (tmp_path / "out" / "index.html").read_text()
    assert "before and after" in html
    assert "simulated low dose" not in html
    assert read_passport(tmp_path / "out").facts["dose"] is None


def test_the_command_says_what_inspect_would_say_of_every_series(folders):
    words = ["passport", "--before", str(folders / "before"), "--after", str(folders / "after")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 1), done.exception
    told = " ".join(done.output.split())
    for name in ("before", "after"):
        assert f"{folders / name}: derived images" in told


def test_without_one_no_other_number_stands_in_its_place(folders):
    found = rows(passport_before_after([folders / "before"], [folders / "after"], slices=6))
    made = {name for name, row in found.items() if row["value"] is not None}
    assert made == {"banding along z", "hidden information"}
    assert found["bias in lung"]["note"] == "needs a reference series (--reference)"
    assert found["noise left"]["note"] == "needs two noise realisations of the same slices"
    assert found["speed"]["note"] == "needs a denoiser that can be run here (--model or --exec)"
    assert all(found[name]["passed"] is None for name in set(found) - made)


def test_folders_that_do_not_belong_together_are_refused(folders, tmp_path):
    with pytest.raises(ValueError, match="got 1 before, 2 after and 0 references"):
        passport_before_after([folders / "before"], [folders / "after"] * 2)
    other = Volume(np.zeros((6, 64, 64), np.float32), (2.5, 0.7, 0.7))
    write_series(other, tmp_path / "small", description="other")
    with pytest.raises(ValueError, match=r"small beside .*before: .*bring both to one grid"):
        passport_before_after([folders / "before"], [tmp_path / "small"])
