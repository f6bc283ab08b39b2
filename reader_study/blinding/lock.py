"""Lock: from protocol and DICOM folders to a bundle, a sealed key and an empty database."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.files import canonical, scratch_folder
from reader_study.blinding import sealed_key
from reader_study.blinding.amend import reader_facts
from reader_study.blinding.difference_slice import slice_of_largest_difference
from reader_study.blinding.leak_check import bundle_leaks, pixel_leaks, text_leaks, texture_leaks
from reader_study.blinding.noise_texture import recognisability, texture_features
from reader_study.blinding.overlay_bundle import ONE_TIME, OverlayFiles
from reader_study.blinding.overlay_files import FOLDER as OVERLAYS
from reader_study.blinding.preflight import Preflight, fingerprint, preflight
from reader_study.blinding.render import (
    Renderer,
    Rendition,
    SeriesReader,
    decode,
    default_reader,
)
from reader_study.blinding.stage import RenderedCase, Stage
from reader_study.design.allocation import Allocation, draw_allocation
from reader_study.design.balance_check import check_balance
from reader_study.design.protocol import Protocol
from reader_study.design.protocol_file import read_protocol
from reader_study.design.texts import unreviewed
from reader_study.design.trial_order import Trial
from reader_study.record.anchors import ANCHORS, write_anchor
from reader_study.record.bundle import OVERLAY_FOLDER, PIXEL_FOLDER, STUDY_FILE, open_bundle
from reader_study.record.migrations import FORMAT_VERSION
from reader_study.record.paths import bundle_folder, database_url, locked_protocol
from reader_study.record.store import Store, utc_now


@dataclass(frozen=True)
class Locked:
    """What ``lock`` reports: nothing here unblinds."""

    study_id: str
    commitment: str
    protocol_sha256: str
    balance: dict[str, Any]
    n_trials: int
    texture: dict[str, Any]
    accepted_leaks: list[str]


def lock_study(
    study: str | Path,
    *,
    passphrase: str,
    accept_leaks: str = "",
    read: SeriesReader | None = None,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> Locked:
    """Render, allocate, seal and freeze a study; all of it or nothing.

    Everything that headers can tell is checked before the first image is rendered. A lock that
    was killed goes on with the images it had rendered.

    Parameters
    ----------
    study : folder with ``protocol.toml`` and ``arms/``
    passphrase : opens the key again at unblinding; kept nowhere
    accept_leaks : the reason why findings of the leak check are accepted; kept in the record
    read : turns a folder into a volume; :func:`ctlab.ct.read_series` if not given
    progress : called with cases done and cases in all
    say : told how much there is to do

    Raises
    ------
    ValueError
        The study is locked already, the protocol or a series is refused, the allocation is not
        balanced, or something in the bundle would tell the arms apart.
    """
    study = Path(study)
    protocol, protocol_sha256 = _protocol_to_lock(study, say)
    seed = secrets.randbits(256)
    allocation, balance = _balanced(protocol, seed)
    checked = preflight(study, protocol) if read is None else Preflight()
    _refuse_words(protocol, _study_facts(protocol, "", "", ""), checked.words)
    if checked.n_bytes:
        say(f"{checked.n_images} images, {checked.n_bytes / 1e9:.2f} GB, {_about(checked.seconds)}")
    stage = Stage(study, protocol_sha256)
    try:
        rendered = _render_all(study, protocol, stage, read or default_reader(), progress)
        texture = _texture(protocol, rendered)
        overlays = OverlayFiles(protocol, stage, rendered, seed=seed)
        leaks = [*checked.burned_in, *_leaks(protocol, stage, rendered, texture), *overlays.leaks]
        if leaks and not accept_leaks.strip():
            _refuse_leaks(leaks)
        pairs = product(range(len(protocol.cases)), range(len(protocol.arms)))
        tokens = {pair: secrets.token_hex(16) for pair in pairs}
        secret, shown = _allocate_tokens(protocol, allocation, tokens, overlays.tokens)
        study_id = secrets.token_hex(8)
        truth = {
            "format_version": sealed_key.FORMAT_VERSION,
            "study_id": study_id,
            "algorithm": allocation.algorithm,
            "seed": str(seed),
            "noise_seed": str(stage.noise_seed),
            "protocol": protocol.model_dump(mode="json"),
            "protocol_sha256": protocol_sha256,
            "images": {t: {"case": c, "arm": a} for (c, a), t in tokens.items()},
            "trials": secret,
            **overlays.sealed,
        }
        sealed, commitment = sealed_key.seal(truth, passphrase)
        facts = _study_facts(protocol, study_id, protocol_sha256, commitment)
        facts |= {"slots": shown, "images": _images(tokens, rendered), **overlays.facts}
        _refuse_words(protocol, facts, {word for case in rendered for word in case.words})
        recorded: dict[str, Any] = {"balance": balance, "texture": texture}
        if leaks:
            recorded["accepted_leaks"] = {"reason": accept_leaks.strip(), "found": leaks}
        with _scratch(study) as part:
            _copy_in_token_order(stage, tokens, part / "bundle" / PIXEL_FOLDER)
            overlays.write(part / "bundle" / OVERLAY_FOLDER)
            (part / "bundle" / STUDY_FILE).write_text(canonical(facts), "utf-8")
            _write_sealed(part, sealed)
            _publish(study, part, facts, recorded)
    except Exception:
        stage.remove()  # refused: nothing stays; killed or interrupted: the stage does
        raise
    stage.remove()
    return Locked(study_id, commitment, protocol_sha256, balance, len(secret), texture, leaks)


def _write_sealed(part: Path, sealed: bytes) -> None:
    (part / "sealed").mkdir()
    (part / "sealed" / "key.sealed").write_bytes(sealed)


def _protocol_to_lock(study: Path, say: Callable[[str], None]) -> tuple[Protocol, str]:
    """Protocol of a study that is not locked yet, and its SHA-256; its language is there."""
    if bundle_folder(study).exists():
        raise ValueError(f"{study} is locked already; amend it, or make a new study")
    protocol, protocol_sha256 = read_protocol(study / "protocol.toml")
    if note := unreviewed(protocol.language):
        say(note)
    return protocol, protocol_sha256


def _balanced(protocol: Protocol, seed: int) -> tuple[Allocation, dict[str, Any]]:
    """Who reads what, and the counts that show it balanced."""
    allocation = draw_allocation(protocol, seed=seed)
    balance = check_balance(protocol, allocation)
    if not balance["ok"]:
        raise ValueError(f"the allocation is not balanced: {balance['faults'][0]}")
    return allocation, balance


def _refuse_leaks(leaks: list[str]) -> None:
    more = f" (and {len(leaks) - 1} more findings)" if len(leaks) > 1 else ""
    raise ValueError(f"{leaks[0]}{more}; mend the series, or accept it with --accept-leak REASON")


def _about(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds > 90 else "less than two minutes"


def _refuse_words(protocol: Protocol, facts: dict[str, Any], words: Iterable[str]) -> None:
    if leaks := bundle_leaks(protocol, facts, headers=words):
        raise ValueError(leaks[0])


@contextmanager
def _scratch(study: Path) -> Iterator[Path]:
    """Folder beside the final places; its parts are moved there at the very end."""
    with scratch_folder(study / "lock") as part:
        (part / "bundle" / PIXEL_FOLDER).mkdir(parents=True)
        yield part


def _render_all(
    study: Path,
    protocol: Protocol,
    stage: Stage,
    read: SeriesReader,
    progress: Callable[[int, int], None] | None,
) -> list[RenderedCase]:
    """Every case in every arm, in the stage; what a killed run rendered is taken from there."""
    renderer = Renderer(study, protocol, read, seed=stage.noise_seed)
    rendered = []
    for number, case in enumerate(protocol.cases):
        folders = [study / "arms" / arm.folder / case.folder for arm in protocol.arms]
        folders += [study / OVERLAYS] if protocol.overlay else []
        source = fingerprint(folders)
        kept = stage.kept(number, source)
        if kept is None:
            renditions = renderer.case(number)
            kept = _described(protocol, source, renditions, renderer.headers)
            for other in protocol.map_sets:
                stage.keep_map(number, renderer.overlay(number, other=other), other=other)
            stage.keep(number, kept, renditions)
        rendered.append(kept)
        if progress:
            progress(number + 1, len(protocol.cases))
    return rendered


def _described(
    protocol: Protocol, source: str, renditions: list[Rendition], words: set[str]
) -> RenderedCase:
    first = renditions[0]
    leaks = pixel_leaks(protocol, renditions)
    features = None
    if not protocol.cases[first.case].practice:
        features = texture_features([decode(r) for r in renditions])
    texture = None if features is None else features.tolist()
    opens_at = None
    if protocol.view.opens_at == "difference":
        opens_at = slice_of_largest_difference([decode(r) for r in renditions], first.spacing_mm)
    hashes = [r.sha256 for r in renditions]
    return RenderedCase(
        source,
        first.shape,
        first.spacing_mm,
        hashes,
        sorted(words),
        texture,
        leaks,
        first.orientation,
        opens_at,
    )


def _texture(protocol: Protocol, rendered: list[RenderedCase]) -> dict[str, Any]:
    """How far a program tells the arms apart by their noise in the images as readers get them."""
    read = [
        (case.patient, None if kept.texture is None else np.array(kept.texture))
        for case, kept in zip(protocol.cases, rendered, strict=True)
        if not case.practice
    ]
    patients, features = [p for p, _ in read], [f for _, f in read]
    return {
        "arms": protocol.design.texture,
        "recognised": recognisability(features, patients, len(protocol.arms)),
    }


def _leaks(
    protocol: Protocol, stage: Stage, rendered: list[RenderedCase], texture: dict[str, Any]
) -> list[str]:
    images = (
        (arm, stage.hu(number, arm, kept.shape))
        for number, kept in enumerate(rendered)
        for arm in range(len(protocol.arms))
    )
    each = [leak for kept in rendered for leak in kept.leaks]
    return [*each, *text_leaks(protocol, images), *texture_leaks(protocol, texture["recognised"])]


def _images(
    tokens: dict[tuple[int, int], str], rendered: list[RenderedCase]
) -> dict[str, dict[str, Any]]:
    """What is public of the images, in the order of their tokens."""
    return {
        token: {
            "shape": list(rendered[case].shape),
            "spacing_mm": list(rendered[case].spacing_mm),
            "orientation": list(rendered[case].orientation),
            **_first_slice(rendered[case]),
            "sha256": rendered[case].sha256[arm],
        }
        for (case, arm), token in sorted(tokens.items(), key=lambda entry: entry[1])
    }


def _first_slice(rendered: RenderedCase) -> dict[str, int]:
    return {} if rendered.opens_at is None else {"opens_at": rendered.opens_at}


def _copy_in_token_order(stage: Stage, tokens: dict[tuple[int, int], str], folder: Path) -> None:
    """Pixel files made in the order of their random names.

    Inode numbers and times of creation, which copies keep in order, then tell no more than names.
    The stage stays until all are there, or new files would take the inodes of its files in turn.
    """
    in_order = sorted(tokens.items(), key=lambda entry: entry[1])
    for (case, arm), token in in_order:
        shutil.copyfile(stage.pixels(case, arm), folder / token)
    for _, token in in_order:
        os.utime(folder / token, (ONE_TIME, ONE_TIME))


def _allocate_tokens(
    protocol: Protocol,
    allocation: Allocation,
    tokens: dict[tuple[int, int], str],
    overlays: dict[tuple[int, int], str],
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
            shown.append(_shown(protocol, name, trial, tokens) | _overlay(trial, overlays))
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


def _overlay(trial: Trial, overlays: dict[tuple[int, int], str]) -> dict[str, str]:
    name = overlays.get((trial.case, trial.left_arm))
    return {} if name is None else {"overlay": name}


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
        "view": {
            **protocol.view.model_dump(mode="json"),
            "first": _first_view(protocol),
            "image_names": protocol.image_names,
            "scroll": "feet",
        },
        "items": [item.model_dump(mode="json") for item in protocol.items],
        "guess": {"question": protocol.guess.question} if protocol.guess else None,
        **_trust(protocol),
    }


def _trust(protocol: Protocol) -> dict[str, Any]:
    """Statements of the end of a session; nothing in studies that ask none."""
    if (trust := protocol.trust) is None:
        return {}
    return {"trust": {"answers": trust.asked.answers, "questions": trust.questions}}


def _first_view(protocol: Protocol) -> str:
    return "flicker" if protocol.design.layout == "flicker" else "pair"


def _publish(study: Path, stage: Path, facts: dict[str, Any], lock_facts: dict[str, Any]) -> None:
    """Database first, bundle last: a study counts as locked when its bundle is there."""
    bundle = open_bundle(stage / "bundle")
    store = Store(database_url(stage))
    try:
        link = store.create(
            {
                **{name: facts[name] for name in ("study_id", "protocol_sha256", "commitment")},
                "bundle_sha256": bundle.sha256,
                **lock_facts,
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
