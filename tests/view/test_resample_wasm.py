"""The binary of the viewer's filter is what its text says."""

import shutil
import subprocess
from pathlib import Path

import pytest

import ctlab.view

HERE = Path(ctlab.view.__file__).parent


@pytest.mark.skipif(shutil.which("wat2wasm") is None, reason="wat2wasm (wabt) is not installed")
def test_the_binary_is_made_from_the_text(tmp_path):
    made = tmp_path / "made.wasm"
    subprocess.run(["wat2wasm", str(HERE / "resample.wat"), "-o", str(made)], check=True)
    assert made.read_bytes() == (HERE / "resample.wasm").read_bytes()
