"""Installs that cannot be written, of a user without a name or a home: as in containers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STRANGER = "54321"
CAPABILITIES = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
"""Reads where root keeps its Python; writes nothing of root's."""

needs_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0 or not shutil.which("setpriv"),
    reason="only root can become another user",
)


def as_stranger(words, temporary):
    """Run Python as a user who has no name, no home and nothing to write to but ``temporary``."""
    temporary.chmod(0o777)
    for folder in temporary.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o011)
    user = ["setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--clear-groups", *CAPABILITIES]
    package = str(Path(__file__).parents[1])
    settings = {"PATH": os.environ["PATH"], "TMPDIR": str(temporary), "PYTHONPATH": package}
    settings |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*user, sys.executable, *words],
        env=settings,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@needs_root
def test_a_stranger_on_a_read_only_install_denoises(tmp_path):
    sample = Path(__file__).parents[1] / "ctlab" / "ct" / "datasets" / "sample" / "slices"
    words = ["-m", "ctlab", "denoise", str(sample), str(tmp_path / "out"), "--method", "tv"]
    ended = as_stranger(words, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "Matplotlib" not in ended.stderr
    assert len(list((tmp_path / "out").iterdir())) == 40


@needs_root
def test_compiled_loops_that_another_user_put_there_are_not_run(tmp_path):
    planted = tmp_path / f"ctlab-{STRANGER}"
    planted.mkdir()
    code = "import os, ctlab.assess.fidelity._ssim_kernels; print(os.environ['NUMBA_CACHE_DIR'])"
    ended = as_stranger(["-c", code], tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert Path(ended.stdout.strip()).parent == tmp_path
    assert Path(ended.stdout.strip()) != planted
