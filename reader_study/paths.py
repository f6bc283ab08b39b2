"""Where the parts of a study lie."""

import os
from pathlib import Path


def bundle_folder(study: str | Path) -> Path:
    return Path(study) / "bundle"


def sealed_key(study: str | Path) -> Path:
    return Path(study) / "sealed" / "key.sealed"


def locked_protocol(study: str | Path) -> Path:
    """The protocol in force: as locked, or as last amended."""
    return Path(study) / "protocol.locked.toml"


def database_url(study: str | Path) -> str:
    """Address of the study's database: DATABASE_URL where set, a file in the study otherwise."""
    return os.environ.get("DATABASE_URL") or f"sqlite:///{Path(study) / 'study.db'}"
