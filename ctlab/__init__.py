"""CT Lab: from a DICOM series to a denoised series whose changes are explained and measured.

The rooms, in the order data flows through them: :mod:`ctlab.ct` (read, simulate, write),
:mod:`ctlab.classic` (filters), :mod:`ctlab.learn` (train, denoise), :mod:`ctlab.assess`
(measure), :mod:`ctlab.explain` (explain and audit), :mod:`ctlab.view` (look).
Importing this package only defines names, and says where compiled loops are kept where neither
the package nor the home of its user can be written: numba refuses to import there.
"""

import os
from pathlib import Path

__version__ = "0.1.0"


def _keep_caches() -> None:
    """Name folders for the caches of numba and matplotlib on read-only installs without a home."""
    home = Path.home() if "HOME" in os.environ else None
    near = next((p for p in (home / ".cache", home) if p.is_dir()), None) if home else None
    if os.access(Path(__file__).parent, os.W_OK) or (near and os.access(near, os.W_OK)):
        return
    import stat
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"ctlab-{os.getuid() if hasattr(os, 'getuid') else 0}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:  # a file is in its place, or nothing can be written at all
        return
    if not stat.S_ISDIR(facts.st_mode) or (hasattr(os, "getuid") and facts.st_uid != os.getuid()):
        # Compiled loops are code: those that another user put there are never run.
        folder = Path(tempfile.mkdtemp(prefix="ctlab-"))
    os.environ.setdefault("NUMBA_CACHE_DIR", str(folder))
    os.environ.setdefault("MPLCONFIGDIR", str(folder))


_keep_caches()
