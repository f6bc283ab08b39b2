"""Explanations on a device that is not the CPU; see ``tests/second_device.py``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

ROOT = Path(__file__).parents[2]
VARIANTS = ("gate", "invertible", "2.5-D, cbam")


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this PyTorch takes no device written in Python",
)
@pytest.mark.slow
def test_maps_audit_and_image_of_another_device_are_those_of_the_cpu():
    """All methods; nothing is left behind on the CPU, where the second device would refuse it."""
    command = [sys.executable, "-m", "tests.explain.on_second_device", *VARIANTS]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout)
    assert "two devices" in found.pop("mixed")
    assert len(found) >= 13 * len(VARIANTS)
    assert {name: value for name, value in found.items() if not value <= 1e-5} == {}
