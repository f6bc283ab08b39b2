"""A study read once: bundle, events, answers and readers; after unblinding key and protocol too.

Everything that reports on a study works from such a record and opens neither file nor database.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlab.input_files import declared, read_json
from reader_study.design.protocol import Protocol
from reader_study.design.protocol_file import read_protocol
from reader_study.record.bundle import Bundle, open_bundle
from reader_study.record.paths import bundle_folder, database_url, locked_protocol
from reader_study.record.store import Answer, Contents, Event, Store


@dataclass(frozen=True)
class ImageOrigin:
    """What is behind the token of an image: indices into the protocol's cases and arms."""

    case: int
    arm: int


@dataclass(frozen=True)
class KeyTrial:
    """What is behind the token of a trial; slots count from 1, positions and sessions from 0."""

    slot: int
    position: int
    session: int
    kind: str
    case: int
    left_arm: int
    right_arm: int | None
    repeat_of: str | None


@dataclass(frozen=True)
class Key:
    """The opened key: seed, protocol as locked, and the truth about images and trials by token."""

    study_id: str
    algorithm: str
    seed: int
    protocol: Protocol
    images: dict[str, ImageOrigin]
    trials: dict[str, KeyTrial]


def key_from(facts: dict[str, Any]) -> Key:
    """The key of what :func:`reader_study.blinding.sealed_key.unseal` gives.

    Raises
    ------
    ValueError
        Something that a key holds is missing from it.
    """
    names = KeyTrial.__dataclass_fields__
    try:
        return Key(
            facts["study_id"],
            facts["algorithm"],
            int(facts["seed"]),
            Protocol.model_validate(facts["protocol"]),
            {token: ImageOrigin(**image) for token, image in facts["images"].items()},
            {
                token: KeyTrial(**{name: trial[name] for name in names})
                for token, trial in facts["trials"].items()
            },
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"expected the key of a reader study, got one without {error}; unblind again"
        ) from None


@dataclass(frozen=True)
class StudyRecord(Contents):
    """A locked study at one moment; nothing in it unblinds."""

    folder: Path
    bundle: Bundle

    def events_of(self, kind: str) -> list[Event]:
        """Events of one kind, oldest first."""
        return [event for event in self.events if event.kind == kind]

    def has(self, kind: str) -> bool:
        """There is an event of that kind."""
        return any(event.kind == kind for event in self.events)

    def answers_of(self, reader: str) -> list[Answer]:
        """Every revision of every answer of a reader, oldest first."""
        return [answer for answer in self.answers if answer.reader == reader]

    @property
    def locked(self) -> dict[str, Any]:
        """What was recorded at the lock."""
        return self.events_of("locked")[0].payload

    @property
    def head(self) -> str:
        """Number and hash of the last event, as receipts carry them."""
        return f"{self.events[-1].seq}:{self.events[-1].hash}"


@dataclass(frozen=True)
class UnblindedStudy(StudyRecord):
    """A study whose key was opened, with the protocol in force and its SHA-256."""

    key: Key
    protocol: Protocol
    protocol_sha256: str


def read_study(study: str | Path) -> StudyRecord:
    """Record of a locked study; the database is opened once.

    Raises
    ------
    ValueError
        The study is not locked, or its database is missing, damaged or of another study.
    """
    bundle = open_bundle(bundle_folder(study))
    store = Store(database_url(study))
    try:
        store.check(bundle.study_id)
        return StudyRecord(**vars(store.contents()), folder=Path(study), bundle=bundle)
    finally:
        store.close()


def read_unblinded(study: str | Path) -> UnblindedStudy:
    """Record, key and protocol in force of an unblinded study.

    Raises
    ------
    ValueError
        As :func:`read_study`; the study is not unblinded, or the protocol of its last amendment
        is not where the amendment left it.
    """
    key = read_key(study)
    record = read_study(study)
    protocol, digest = _protocol_in_force(record, key)
    return UnblindedStudy(**vars(record), key=key, protocol=protocol, protocol_sha256=digest)


def read_key(study: str | Path) -> Key:
    """The opened key of a study.

    Raises
    ------
    ValueError
        The study has not been unblinded.
    """
    path = Path(study) / "unblinded" / "key.json"
    if not path.is_file():
        raise ValueError("the study is not unblinded; reader-study close and unblind come first")
    facts = read_json(path, "is no opened key", "unblind again")
    with declared(path, "is no opened key", "unblind again"):
        return key_from(facts)


def _protocol_in_force(record: StudyRecord, key: Key) -> tuple[Protocol, str]:
    """The locked protocol, or the last amended one, and its SHA-256."""
    amended = record.events_of("amended")
    if not amended:
        return key.protocol, str(record.bundle.facts["protocol_sha256"])
    digest = amended[-1].payload["protocol_sha256"]
    path = locked_protocol(record.folder)
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise ValueError(
            f"{path} is not the protocol of the last amendment (SHA-256 {digest}); put that file "
            "back: the plan in it is the one to analyse"
        )
    return read_protocol(path)
