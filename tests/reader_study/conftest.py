"""A small study whose images are made on the spot, and simulated readers."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

from ctlab.ct.volume import Volume
from reader_study.blinding.lock import lock_study
from reader_study.blinding.sealed_key import unseal
from reader_study.blinding.unblind import unblind
from reader_study.design.protocol import Protocol
from reader_study.record.coordinator import add_reader, close, opened
from reader_study.record.paths import sealed_key
from reader_study.room.session import GUESS

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
def read_body():
    """Series of a body: air around tissue with noise."""

    def read(folder):
        noise = np.random.default_rng(sum(str(folder).encode()))
        hu = np.full((2, 24, 24), -1000.0) + noise.normal(0, 10, (2, 24, 24))
        hu[:, 3:21, 3:21] = noise.normal(40, 20, (2, 18, 18))
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
    monkeypatch.setattr("reader_study.blinding.sealed_key._COST", {"n": 2, "r": 8, "p": 1})


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
    """Answers every question of a reader; ``choose`` gives the answer to a screen."""
    from reader_study.record.coordinator import opened
    from reader_study.room.session import ReadingSession

    def default(item):
        return {
            "preference": "left",
            "scale": 1,
            "slider": 50,
            "length": 9.5,
            "guess": "unsure",
        }.get(item["kind"], (item["answers"] or [""])[0])

    def read(study, reader, choose=default, most=10_000, seconds=lambda: 3.0):
        with opened(study) as (bundle, store):
            session = ReadingSession(bundle, store, reader)
            screen = session.screen()
            while screen["kind"] not in {"thanks", "closed"} and most > 0:
                most -= screen["kind"] == "question"
                screen = session.act(_step(screen, choose, seconds()))
        return screen

    return read


def _step(screen, choose, seconds):
    if screen["kind"] != "question":
        return {
            "action": {"consent": "consent", "display": "display"}.get(screen["kind"], "continue")
        }
    value = choose(screen["item"])
    return {"action": "answer", "id": screen["id"], "value": value, "seconds": seconds}


def draw_answers(trial, key, rng, effect):
    """Simulated answers: ``effect`` is the pull towards alpha, in logits or points."""
    arms = [a["name"] for a in key["protocol"]["arms"]]
    case = key["protocol"]["cases"][trial["case"]]
    shown = {"left": arms[trial["left_arm"]]}
    if trial["right_arm"] is not None:
        shown["right"] = arms[trial["right_arm"]]
    for item in key["protocol"]["items"]:
        if item["kind"] == "preference":
            pull = effect * ((shown["left"] == "alpha") - (shown["right"] == "alpha"))
            yield item["name"], "left" if rng.logistic() < pull else "right"
            continue
        sides = ["left", "right"] if item["about"] == "each" else [""]
        for side in sides:
            arm = shown[side or "left"]
            if item["kind"] == "scale":
                value = int(
                    np.clip(np.rint(3 + effect * (arm == "alpha") + rng.normal(0, 0.7)), 1, 5)
                )
            else:
                signal = 1.0 + effect * (arm == "alpha") if case["lesions"] else 0.0
                value = int(np.clip(40 + 20 * (signal + rng.normal()), 0, 100))
            yield f"{item['name']}@{side}" if side else item["name"], value


def hurry(store):
    """Do not wait for the disk: simulated readers answer thousands of times."""
    with store.engine.connect().execution_options(reading=True) as connection:
        connection.exec_driver_sql("PRAGMA synchronous=OFF")


@pytest.fixture
def read_study(locked, passphrase, monkeypatch):
    """A study read by simulated readers, closed and unblinded; options go to the protocol.

    ``answers(trial, key, rng, effect)`` yields what a simulated reader answers to one trial.
    """
    # Locking draws its seed in secret; simulated results are asserted on, so here it is fixed.
    draws = random.Random(20261124)
    fixed = SimpleNamespace(
        randbits=draws.getrandbits, token_hex=lambda size: draws.randbytes(size).hex()
    )
    monkeypatch.setattr("reader_study.blinding.lock.secrets", fixed)

    def make(
        *,
        effect=1.5,
        readers=4,
        seed=1,
        stop=None,
        before_close=None,
        seconds=6.0,
        answers=draw_answers,
        **options,
    ):
        study = locked(readers=readers, **options)
        with opened(study) as (bundle, _):
            key = unseal(sealed_key(study).read_bytes(), passphrase, commitment=bundle.commitment)
        rng = np.random.default_rng(seed)
        for number in range(1, readers + 1):
            reader, _ = add_reader(study, f"Dr {number}")
            with opened(study) as (bundle, store):
                hurry(store)
                visit = store.open_session(reader.reader, 0)
                trials = [t for t in bundle.trials(reader.slot) if not t.practice]
                if stop and number == readers:
                    trials = trials[:stop]
                for trial in trials:
                    facts = key["trials"][trial.token]
                    for item, value in answers(facts, key, rng, effect):
                        store.save_answer(
                            reader.reader,
                            visit=visit,
                            session=trial.session,
                            trial=trial.token,
                            item=item,
                            value=value,
                            seconds=seconds * float(rng.uniform(0.7, 1.3)),
                        )
                if bundle.facts["guess"]:
                    store.save_answer(
                        reader.reader,
                        visit=visit,
                        session=0,
                        trial=trials[-1].token,
                        item=GUESS,
                        value="left",
                    )
        if before_close:
            before_close(study)
        close(study)
        unblind(study, passphrase=passphrase, who="test", reason="test" if stop else "")
        return study

    return make


@pytest.fixture
def simulated_answers():
    """The usual answers, for those who answer most questions as it does."""
    return draw_answers
