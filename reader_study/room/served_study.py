"""What a reading room serves: a locked study, its words, and who may come in."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reader_study.design.texts import load_texts
from reader_study.record.bundle import Bundle, open_bundle
from reader_study.record.paths import bundle_folder, database_url
from reader_study.record.store import Store
from reader_study.room.login import Logins


@dataclass(frozen=True)
class ServedStudy:
    """What a room serves: bundle, database, words, and who may come in."""

    folder: Path
    bundle: Bundle
    store: Store
    texts: dict[str, Any]
    logins: Logins
    places: int
    cookie_secret: bytes


def open_study(folder: Path, *, proxies: Collection[str], places: int) -> ServedStudy:
    """A locked study, checked image by image.

    Raises
    ------
    ValueError
        It is not locked, closed, of another database, or images are damaged.
    """
    bundle = open_bundle(bundle_folder(folder))
    if damaged := bundle.damaged():
        raise ValueError(
            f"{len(damaged)} of {len(bundle.images)} images in the bundle are missing or changed; "
            "copy the bundle again"
        )
    store = Store(database_url(folder))
    store.check(bundle.study_id)
    if store.is_closed():
        raise ValueError("the study is closed; no further reading is possible")
    idle_s = 60.0 * bundle.facts["design"].get("idle_minutes", 30)
    logins = Logins(store, proxies, ended=bundle.folder / ".ended-logins", idle_s=idle_s)
    texts = load_texts(bundle.facts["language"])
    secret = _cookie_secret(bundle.folder)
    return ServedStudy(folder, bundle, store, texts, logins, places, secret)


def _cookie_secret(bundle: Path) -> bytes:
    """Secret that signs cookies, kept so that a restart does not ask readers for their code."""
    path = bundle / ".cookie-secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()
