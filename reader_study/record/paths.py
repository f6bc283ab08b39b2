"""Where the parts of a study lie."""

import os
from pathlib import Path


def bundle_folder(study: str | Path) -> Path:
    """All that the reading room needs."""
    return Path(study) / "bundle"


def sealed_key(study: str | Path) -> Path:
    """The sealed key, until it is carried to a safe place."""
    return Path(study) / "sealed" / "key.sealed"


def refuse_used_folder(folder: str | Path) -> None:
    """Raise ``ValueError`` for a folder with something in it: a study is never written over."""
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name a new folder")


def reader_names(study: str | Path) -> Path:
    """Who stands behind a reader number: the coordinator's own file, which nothing else reads."""
    return Path(study) / "reader-names.csv"


def locked_protocol(study: str | Path) -> Path:
    """The protocol in force: as locked, or as last amended."""
    return Path(study) / "protocol.locked.toml"


def database_url(study: str | Path) -> str:
    """Address of the study's database: DATABASE_URL where set, a file in the study otherwise."""
    return os.environ.get("DATABASE_URL") or f"sqlite:///{Path(study) / 'study.db'}"
