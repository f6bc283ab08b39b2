"""Importing a package only defines names; what imports what is checked by import-linter."""

import subprocess
import sys

import pytest

TORCH_WORLD = {"torch", "torchvision", "captum", "pytorch_grad_cam", "lightning_fabric"}
HEAVY = TORCH_WORLD | {"statsmodels", "pandas", "pydicom", "numba"}
SERVING = [
    "reader_study.room.widget",
    "reader_study.room.session",
    "reader_study.record.store",
    "reader_study.room.login",
    "reader_study.room.server",
    "reader_study.room.web",
    "reader_study.room.voila.room",
    "ctlab.view.compare",
]


@pytest.mark.parametrize(
    "package",
    [
        "ctlab",
        "reader_study",
        "ctlab.ct",
        "ctlab.learn",
        "ctlab.assess",
        "ctlab.explain",
        "ctlab.view",
        "reader_study.stats",
    ],
)
def test_importing_a_package_loads_nothing_heavy(package):
    assert loaded_by(package) & (HEAVY | {"matplotlib"}) == set()


@pytest.mark.parametrize("module", SERVING)
def test_the_serving_path_stays_light(module):
    assert loaded_by(module) & (HEAVY | {"matplotlib", "scipy", "skimage"}) == set()


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
