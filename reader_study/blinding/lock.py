"""Lock: from protocol and DICOM folders to a bundle, a sealed key and an empty database."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctlab.files import scratch_folder
from reader_study.blinding.amend import reader_facts
from reader_study.blinding.leak_check import bundle_leaks, pixel_leaks
from reader_study.blinding.noise_texture import recognisability, texture_features
from reader_study.blinding.render import (
    Renderer,
    Rendition,
    SeriesReader,
    decode,
    default_reader,
)
from reader_study.blinding.sealed_key import FORMAT_VERSION as KEY_FORMAT
from reader_study.blinding.sealed_key import seal
from reader_study.design.allocation import Allocation, draw_allocation
from reader_study.design.balance_check import check_balance
from reader_study.design.protocol import Protocol
from reader_study.design.protocol_file import read_protocol
from reader_study.design.texts import load_texts
from reader_study.design.trial_order import Trial
from reader_study.record.anchors import ANCHORS, write_anchor
from reader_study.record.bundle import PIXEL_FOLDER, STUDY_FILE, open_bundle
from reader_study.record.migrations import FORMAT_VERSION
from reader_study.record.paths import bundle_folder, database_url, locked_protocol
from reader_study.record.store import Store, canonical, utc_now

_ONE_TIME = 946_684_800  # 1 January 2000; zip archives know no time before 1980


@dataclass(frozen=True)
class Locked:
    """What ``lock`` reports: nothing here unblinds."""

    study_id: str
    commitment: str
    protocol_sha256: str
    balance: dict[str, Any]
    n_trials: int
    texture: dict[str, Any]


def lock_study(
    study: str | Path,
    *,
    passphrase: str,
    read: SeriesReader | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Locked:
    """Render, allocate, seal and freeze a study; all of it or nothing.

    Parameters
    ----------
    study : folder with ``protocol.toml`` and ``arms/``
    passphrase : opens the key again at unblinding; kept nowhere
    read : turns a folder into a volume; :func:`ctlab.ct.read_series` if not given
    progress : called with cases done and cases in all

    Raises
    ------
    ValueError
        The study is locked already, the protocol or a series is refused, the allocation is not
        balanced, or something in the bundle would tell the arms apart.
    """
    study = Path(study)
    if bundle_folder(study).exists():
        raise ValueError(f"{study} is locked already; amend it, or make a new study")
    protocol, protocol_sha256 = read_protocol(study / "protocol.toml")
    load_texts(protocol.language)  # refused now rather than before the first reader
    seed = secrets.randbits(256)
    allocation = draw_allocation(protocol, seed=seed)
    balance = check_balance(protocol, allocation)
    if not balance["ok"]:
        raise ValueError(f"the allocation is not balanced: {balance['faults'][0]}")
    with _staged(study) as stage:
        renderer = Renderer(study, protocol, read or default_reader(), seed=seed)
        tokens, images, texture = _render_all(renderer, stage, protocol, progress)
        secret, shown = _allocate_tokens(protocol, allocation, tokens)
        study_id = secrets.token_hex(8)
        sealed, commitment = seal(
            {
                "format_version": KEY_FORMAT,
                "study_id": study_id,
                "algorithm": allocation.algorithm,
                "seed": str(seed),
                "protocol": protocol.model_dump(mode="json"),
                "protocol_sha256": protocol_sha256,
                "images": {t: {"case": c, "arm": a} for (c, a), t in tokens.items()},
                "trials": secret,
            },
            passphrase,
        )
        facts = _study_facts(protocol, study_id, protocol_sha256, commitment)
        facts |= {"slots": shown, "images": images}
        if found := bundle_leaks(protocol, facts, headers=renderer.headers):
            raise ValueError(found[0])
        (stage / "bundle" / STUDY_FILE).write_text(canonical(facts), "utf-8")
        (stage / "sealed").mkdir()
        (stage / "sealed" / "key.sealed").write_bytes(sealed)
        _publish(study, stage, facts, {"balance": balance, "texture": texture})
    return Locked(study_id, commitment, protocol_sha256, balance, len(secret), texture)


@contextmanager
def _staged(study: Path) -> Iterator[Path]:
    """Folder beside the final places; its parts are moved there at the very end."""
    with scratch_folder(study / "lock") as stage:
        (stage / "bundle" / PIXEL_FOLDER).mkdir(parents=True)
        yield stage


def _render_all(
    renderer: Renderer,
    stage: Path,
    protocol: Protocol,
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[tuple[int, int], str], dict[str, Any], dict[str, Any]]:
    """Pixel files under random names.

    The map from (case, arm) to name, what is public of the images, and how far a program tells
    the arms apart by their noise in the images as readers get them.
    """
    tokens: dict[tuple[int, int], str] = {}
    seen: dict[int, Any] = {}  # texture of each case that is read
    images: dict[str, Any] = {}
    for done, case in enumerate(range(len(protocol.cases)), start=1):
        renditions = renderer.case(case)
        if found := pixel_leaks(protocol, renditions):
            raise ValueError(found[0])
        if not protocol.cases[case].practice:
            seen[case] = texture_features([decode(r) for r in renditions])
        for rendition in renditions:
            token = secrets.token_hex(16)
            tokens[case, rendition.arm] = token
            images[token] = _public(rendition)
            (stage / "bundle" / PIXEL_FOLDER / token).write_bytes(rendition.pixels)
        if progress:
            progress(done, len(protocol.cases))
    folder = stage / "bundle" / PIXEL_FOLDER
    for token in tokens.values():  # the order of writing must not be legible from file times
        os.utime(folder / token, (_ONE_TIME, _ONE_TIME))
    patients = [protocol.cases[case].patient for case in seen]
    texture = {
        "arms": protocol.design.texture,
        "recognised": recognisability(list(seen.values()), patients, len(protocol.arms)),
    }
    return tokens, dict(sorted(images.items())), texture


def _public(rendition: Rendition) -> dict[str, Any]:
    return {
        "shape": list(rendition.shape),
        "spacing_mm": list(rendition.spacing_mm),
        "sha256": rendition.sha256,
    }


def _allocate_tokens(
    protocol: Protocol, allocation: Allocation, tokens: dict[tuple[int, int], str]
) -> tuple[dict[str, Any], list[list[dict[str, Any]]]]:
    """Sealed truth about every trial, and what the reading room gets of it."""
    secret: dict[str, Any] = {}
    slots = []
    for slot, trials in enumerate(allocation.slots, start=1):
        names = [secrets.token_hex(12) for _ in trials]
        shown = []
        for position, (name, trial) in enumerate(zip(names, trials, strict=True)):
            repeated = None if trial.repeat_of is None else names[trial.repeat_of]
            secret[name] = asdict(trial) | {
                "slot": slot,
                "position": position,
                "repeat_of": repeated,
            }
            shown.append(_shown(protocol, name, trial, tokens))
        slots.append(shown)
    return secret, slots


def _shown(
    protocol: Protocol, name: str, trial: Trial, tokens: dict[tuple[int, int], str]
) -> dict[str, Any]:
    right = None if trial.right_arm is None else tokens[trial.case, trial.right_arm]
    practice = trial.kind == "practice"
    return {
        "token": name,
        "session": trial.session,
        "practice": practice,
        "left": tokens[trial.case, trial.left_arm],
        "right": right,
        "feedback": protocol.cases[trial.case].feedback if practice else "",
    }


def _study_facts(
    protocol: Protocol, study_id: str, protocol_sha256: str, commitment: str
) -> dict[str, Any]:
    """All that readers are told; neither arms nor cases."""
    return {
        "format_version": FORMAT_VERSION,
        "study_id": study_id,
        "language": protocol.language,
        "locked_at": utc_now().isoformat(timespec="seconds"),
        "protocol_sha256": protocol_sha256,
        "commitment": commitment,
        **reader_facts(protocol),
        "view": {**protocol.view.model_dump(mode="json"), "first": _first_view(protocol)},
        "items": [item.model_dump(mode="json") for item in protocol.items],
        "guess": {"question": protocol.guess.question} if protocol.guess else None,
    }


def _first_view(protocol: Protocol) -> str:
    return "flicker" if protocol.design.layout == "flicker" else "pair"


def _publish(study: Path, stage: Path, facts: dict[str, Any], found: dict[str, Any]) -> None:
    """Database first, bundle last: a study counts as locked when its bundle is there."""
    bundle = open_bundle(stage / "bundle")
    store = Store(database_url(stage))
    try:
        link = store.create(
            {
                **{name: facts[name] for name in ("study_id", "protocol_sha256", "commitment")},
                "bundle_sha256": bundle.sha256,
                **found,
            }
        )
    finally:
        store.close()
    write_anchor(stage, link.seq, link.hash)
    locked_protocol(stage).write_bytes((study / "protocol.toml").read_bytes())
    parts = (locked_protocol(stage).name, ANCHORS, "study.db", "sealed", "bundle")
    for name in parts:
        if (stage / name).exists():
            (stage / name).rename(study / name)
