"""A small study whose images are made on the spot, and robots that read it."""

import numpy as np
import pytest

from ctlab.ct.volume import Volume
from reader_study.lock import lock_study
from reader_study.protocol import Protocol

PASSPHRASE = "correct horse battery staple"


def protocol_text(
    n_cases=6, *, arms=("alpha", "bravo"), readers=2, design="", items="", head="", tail=""
):
    """Protocol with ``n_cases`` patients in two strata and one practice case."""
    tables = [
        'title = "A test"',
        head,
        f"[design]\nreaders = {readers}\ndisplay_check = false\n{design}",
    ]
    tables += [f'[[arms]]\nname = "{arm}"' for arm in arms]
    tables += [
        f'[[cases]]\nname = "case-{i}"\npatient = "pat-{i}"\nstratum = "{"xy"[i % 2]}"'
        for i in range(n_cases)
    ]
    tables.append(
        '[[cases]]\nname = "warm"\npatient = "pat-w"\npractice = true\nfeedback = "Good."'
    )
    tables.append(items or '[[items]]\nname = "pref"\nkind = "preference"\nquestion = "Which?"')
    name = "pref" if not items else items.split('name = "')[1].split('"')[0]
    tables.append(f'[analysis]\nprimary_item = "{name}"\n{tail}')
    return "\n".join(tables) + "\n"


@pytest.fixture
def write_protocol():
    return protocol_text


@pytest.fixture
def make_protocol():
    def make(**changes):
        import tomllib

        return Protocol.model_validate(tomllib.loads(protocol_text(**changes)))

    return make


@pytest.fixture
def fake_reader():
    """Series made from the folder's name: same case same anatomy, arm adds its own noise."""

    def read(folder):
        case = np.random.default_rng(sum(folder.name.encode()))
        noise = np.random.default_rng(sum(str(folder).encode()))
        hu = case.normal(-600, 300, (3, 12, 10)) + noise.normal(0, 40, (3, 12, 10))
        return Volume(hu.astype(np.float32), (2.0, 0.7, 0.7))

    return read


@pytest.fixture
def unlocked(tmp_path, write_protocol):
    """Folder with a protocol and empty arm folders; options go to ``protocol_text``."""

    def make(**options):
        import tomllib

        study = tmp_path / "study"
        study.mkdir(exist_ok=True)
        text = write_protocol(**options)
        (study / "protocol.toml").write_text(text, "utf-8")
        table = tomllib.loads(text)
        for arm in table["arms"]:
            for case in table["cases"]:
                (study / "arms" / arm["name"] / case["name"]).mkdir(parents=True, exist_ok=True)
        return study

    return make


@pytest.fixture
def cheap_seal(monkeypatch):
    """Scrypt at its lowest cost: its strength is tested once, not in every test."""
    from reader_study import seal

    monkeypatch.setattr(seal, "_COST", {"n": 2, "r": 8, "p": 1})


@pytest.fixture
def locked(unlocked, fake_reader, cheap_seal):
    """A locked study; options go to ``protocol_text``."""

    def make(**options):
        study = unlocked(**options)
        lock_study(study, passphrase=PASSPHRASE, read=fake_reader)
        return study

    return make


@pytest.fixture
def passphrase():
    return PASSPHRASE


@pytest.fixture
def read_all():
    """Robot that answers every question of a reader; ``choose`` gives the answer to a screen."""
    from reader_study.coordinator import opened
    from reader_study.session import ReadingSession

    def default(item):
        return {"preference": "left", "scale": 1, "slider": 50, "guess": "unsure"}.get(
            item["kind"], (item["answers"] or [""])[0]
        )

    def read(study, reader, choose=default, most=10_000):
        with opened(study) as (bundle, store):
            session = ReadingSession(bundle, store, reader)
            screen = session.screen()
            while screen["kind"] not in {"thanks", "closed"} and most > 0:
                most -= screen["kind"] == "question"
                screen = session.act(_step(screen, choose))
        return screen

    return read


def _step(screen, choose):
    if screen["kind"] != "question":
        return {"action": "consent" if screen["kind"] == "consent" else "continue"}
    value = choose(screen["item"])
    return {"action": "answer", "id": screen["id"], "value": value, "seconds": 3.0}
