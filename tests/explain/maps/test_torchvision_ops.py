"""The remedy for torchvision beside a CPU torch, each case in a process of its own."""

import subprocess
import sys

import pytest

CASES = {
    "grad-cam imports, once is enough, torchvision can be found afterwards": """
import importlib.util
from ctlab.explain.maps import torchvision_ops
assert torchvision_ops.import_with_torchvision("pytorch_grad_cam").HiResCAM
assert torchvision_ops.torchvision_imports() and len(torchvision_ops._declared) <= 1
assert importlib.util.find_spec("torchvision").origin
""",
    "another failure is not hidden": """
import importlib, sys
from ctlab.explain.maps import torchvision_ops
def fail(name): raise RuntimeError("operator torchvision::roi_align does not exist")
importlib.import_module = fail
try:
    torchvision_ops.torchvision_imports()
except RuntimeError as error:
    assert "roi_align" in str(error) and not torchvision_ops._declared
else:
    raise SystemExit("hidden")
""",
    "absent is said": """
import sys
sys.modules["torchvision"] = None
from ctlab.explain.maps.torchvision_ops import import_with_torchvision, torchvision_imports
assert torchvision_imports() is False
try:
    import_with_torchvision("pytorch_grad_cam")
except ModuleNotFoundError as error:
    assert "ctlab[explain]" in str(error)
else:
    raise SystemExit("no error")
""",
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_in_a_fresh_process(case):
    command = [sys.executable, "-W", "error", "-c", CASES[case]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
