"""Run the report's R script: by Rscript where R is installed, else by R compiled to WebAssembly."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

WEBR = Path(__file__).parent / "r" / "run_webr.mjs"
INSTALL = (
    "install R (https://www.r-project.org), or Node.js and, in a folder of your own, "
    "`npm install webr ws`, and pass that folder as --webr"
)
LONGEST_S = 600


@dataclass(frozen=True)
class RCheck:
    """Whether R repeats the published result, what ran it, and what it printed."""

    repeated: bool
    by: str
    output: str


def verify_r(study: str | Path, *, webr: Path | None = None) -> RCheck:
    """Run ``STUDY/report/primary.R`` and tell whether it repeats the published result.

    Parameters
    ----------
    webr : folder whose ``node_modules`` holds the npm packages ``webr`` and ``ws``; used where
        there is no Rscript on the path, or when it is given

    Raises
    ------
    ValueError
        There is no script (write the report first), or nothing to run it with.
    """
    script = Path(study).resolve() / "report" / "primary.R"
    if not script.is_file():
        raise ValueError(f"{script} is not there; run reader-study report first")
    rscript, node = shutil.which("Rscript"), shutil.which("node")
    if rscript and webr is None:
        line, by, environment = [rscript, str(script), str(script.parent)], "Rscript", {}
    elif node and webr is not None:
        modules = Path(webr).resolve() / "node_modules"
        if not (modules / "webr").is_dir():
            raise ValueError(f"{modules} holds no webr; {INSTALL}")
        line = [node, str(WEBR), str(script.parent)]
        by, environment = "webR", {"WEBR_MODULES": str(modules)}
    else:
        raise ValueError(f"expected Rscript on the path, got none; {INSTALL}")
    try:
        done = subprocess.run(
            line,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"{by} took over {LONGEST_S} s; run {script} by hand") from None
    return RCheck(done.returncode == 0, by, (done.stdout + done.stderr).strip())
