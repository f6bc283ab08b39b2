"""Fixtures every room may use, and the guards that hold for every test."""

import os

# Before numpy or torch are imported: tests share two cores with whatever else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import fcntl
import random
import shutil

import hypothesis
import numpy as np
import pytest

collect_ignore_glob = ["data/*.py"]  # scripts that made the data; they are no tests


@pytest.fixture(autouse=True)
def _global_randomness_untouched():
    """No function of ours may draw from, or seed, the global generators."""
    before_python, before_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    yield
    after = np.random.get_state()  # noqa: NPY002
    touched = before_python != random.getstate() or not np.array_equal(before_numpy[1], after[1])
    if touched:
        random.setstate(before_python)
        np.random.set_state(before_numpy)  # noqa: NPY002
        pytest.fail("the test changed global random state; pass a seed or generator instead")


def pytest_configure(config):
    """150 examples of what may come in; 25 where slow tests are left out."""
    quick = "not slow" in config.option.markexpr
    hypothesis.settings.register_profile("check", max_examples=150, deadline=None)
    hypothesis.settings.register_profile("quick", max_examples=25, deadline=None)
    hypothesis.settings.load_profile("quick" if quick else "check")


def pytest_collection_modifyitems(items):
    """Long files first, those with a browser before all: two run at a time, short ones fill up."""
    browser, slow = (
        {item.path for item in items if item.get_closest_marker(mark)}
        for mark in ("browser", "slow")
    )
    items.sort(key=lambda item: (item.path not in browser, item.path not in browser | slow))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Function that makes a folder once in a whole run, whichever process comes first; the folder.

    What it holds is shared: a test that would change it works on a copy.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own

    def folder(name, make):
        place, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                make(place)
                done.touch()
        return place

    return folder


@pytest.fixture(scope="session")
def mutations(pytestconfig):
    """How often a file of each format is damaged: 300 times, 30 where slow tests are left out."""
    return 30 if "not slow" in pytestconfig.option.markexpr else 300


@pytest.fixture
def quick_arms(monkeypatch):
    """Arms of a new study by white noise and blurs; the real ones take twenty seconds."""
    from scipy.ndimage import gaussian_filter

    blurs = {"tv": 1.0, "bilateral": 0.7}

    def noisy(volume, _fraction, *, rng):
        return volume.with_hu(volume.hu + rng.normal(0, 60, volume.hu.shape).astype(np.float32))

    def blurred(hu, method, **_):
        return gaussian_filter(hu, (0, blurs[method], blurs[method]))

    monkeypatch.setattr("ctlab.ct.simulate_dose", noisy)
    monkeypatch.setattr("ctlab.classic.denoise_classic", blurred)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261124)
