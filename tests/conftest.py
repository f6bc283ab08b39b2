"""Fixtures every room may use, and the guards that hold for every test."""

import os

# Before numpy or torch are imported: tests share two cores with whatever else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import random

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


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261124)
