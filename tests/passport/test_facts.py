"""What a passport states and says of strangers: facts, neighbours, training that nobody knows."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctlab.ct.denoiser import Denoiser
from ctlab.passport import make_passport
from ctlab.passport.page import page
from tests.passport.test_probes import patient


def along_z(hu, spacing_mm):
    return gaussian_filter(hu, (1.0, 0, 0))


def in_plane(hu, spacing_mm):
    return gaussian_filter(hu, (0, 1.0, 1.0))


def made(function, **facts):
    denoiser = Denoiser("function f.py:f", function, "function", **facts)
    return make_passport([patient()], denoiser, slices=3, only=("noise", "accuracy", "resolution"))


@pytest.fixture(scope="module")
def of_stack():
    return made(along_z, slices=None, version="1.2")


def test_a_filter_along_z_is_measured_with_its_neighbours(of_stack):
    """Alone it would do nothing: noise left would be 1, of a denoiser that nobody uses."""
    rows = {check["name"]: check for check in of_stack.checks}
    assert rows["noise left"]["value"] < 0.8
    alone = [n for n, row in rows.items() if "without the neighbours" in row["note"]]
    assert alone == [n for n in rows if n.startswith("loss of resolution")]
    rows = {check["name"]: check for check in made(in_plane, slices=None).checks}
    assert not any("without the neighbours" in row["note"] for row in rows.values())


def test_facts_of_the_denoiser_are_stated_and_shown(of_stack):
    about = of_stack.facts["about"]
    assert about["version"] == "1.2"
    assert about["deterministic"] == "yes"
    assert about["depends on image extent"] == "no"
    assert about["depends on neighbouring slices"].startswith("yes, by ")
    assert "s a slice of " in about["speed"]
    html = page(of_stack.as_dict(), [])
    assert "<h2>The denoiser</h2>" in html
    assert "<td>1.2</td>" in html


def test_nothing_is_said_of_a_training_that_nobody_knows(of_stack):
    claim = dict(of_stack.facts["claim"])
    topics = ("Data for training", "Low-dose images", "Partition", "Training")
    assert {claim[topic].partition(":")[0] for topic in topics} == {"not stated"}
    assert np.isfinite(of_stack.facts["dose"])
