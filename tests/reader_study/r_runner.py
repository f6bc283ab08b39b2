"""R for the tests: Rscript where it is installed, else webR in the folder ``CTLAB_WEBR``."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from reader_study.report.verify_r import WEBR as RUN_WEBR

RSCRIPT = shutil.which("Rscript")
WEBR = os.environ.get("CTLAB_WEBR")
needs_r = pytest.mark.skipif(
    RSCRIPT is None and WEBR is None,
    reason="neither Rscript is installed nor does CTLAB_WEBR name a folder with webr",
)


def run_primary(folder: Path) -> subprocess.CompletedProcess:
    """``primary.R`` of a folder, run there."""
    line, environment = [RSCRIPT, "primary.R"], dict(os.environ)
    if RSCRIPT is None:
        line = ["node", str(RUN_WEBR), str(folder)]
        environment["WEBR_MODULES"] = str(Path(WEBR) / "node_modules")
    return subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
