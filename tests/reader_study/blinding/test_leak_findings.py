"""Each kind of leak is refused, or accepted with a reason that record and report keep."""

import numpy as np
import pytest

from ctlab.ct.volume import Volume
from reader_study.analysis.analyse import analyse
from reader_study.blinding.leak_check import text_leaks, texture_leaks
from reader_study.blinding.lock import lock_study
from reader_study.blinding.unblind import unblind
from reader_study.record.coordinator import add_reader, close
from reader_study.record.study_record import read_study


def noisy(folder, shape=(9, 24, 24)):
    noise = np.random.default_rng(sum("/".join(folder.parts[-2:]).encode()))
    return noise.normal(-300, 400, shape)


def letters(hu):
    hu = hu.copy()
    hu[:, 2:6, 2:6] = 1000.0
    return hu


def framed(hu):
    hu = hu.copy()
    hu[:, [0, 0, -1, -1], [0, -1, 0, -1]] = -1000.0
    return hu


def eight_bits(hu):
    """256 grey values of a lung window, stored as whole HU: steps of 5 and 6 HU in turn."""
    return np.clip(np.rint((hu + 1350) / 1500 * 255), 0, 255) / 255 * 1500 - 1350


def nearly_even(hu):
    """A rescale slope of 2, and a single pixel that was changed later."""
    hu = 2 * np.rint(hu / 2)
    hu[4, 12, 12] += 1
    return hu


@pytest.mark.usefixtures("cheap_seal")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: np.clip(hu, None, 400), "highest value .*bravo clipped at 400 HU"),
        (lambda hu: np.clip(hu, -700, 4000), "lowest value .*bravo clipped at -700 HU"),
        (letters, "burned-in text"),
        (framed, "corner value .*bravo -1000 HU"),
        (eight_bits, "smallest grey step differs between arms .*bravo [456] HU"),
        (nearly_even, "smallest grey step differs between arms .*bravo 2 HU"),
    ],
    ids=["clipped above", "clipped below", "letters", "padding", "8 bits", "slope of 2"],
)
def test_an_arm_told_by_its_pixels_is_refused(unlocked, passphrase, change, words):
    study = unlocked(n_cases=4)

    def read(folder):
        hu = noisy(folder)
        hu = change(hu) if folder.parent.name == "bravo" else hu
        return Volume(hu.astype(np.float32), (2.0, 0.7, 0.7))

    with pytest.raises(ValueError, match=rf"{words}.*--accept-leak REASON"):
        lock_study(study, passphrase=passphrase, read=read)
    assert not (study / "bundle").exists()
    assert not list(study.glob(".lock*"))


@pytest.mark.usefixtures("cheap_seal")
def test_an_accepted_leak_stands_in_the_record_and_among_the_deviations(
    unlocked, read_all, passphrase
):
    study = unlocked(n_cases=4, readers=1)

    def read(folder):
        hu = noisy(folder)
        hu = letters(hu) if folder.parent.name == "bravo" else hu
        return Volume(hu.astype(np.float32), (2.0, 0.7, 0.7))

    locked = lock_study(study, passphrase=passphrase, read=read, accept_leaks="a test")
    assert "burned-in text" in locked.accepted_leaks[0]
    kept = read_study(study).locked["accepted_leaks"]
    assert (kept["reason"], kept["found"]) == ("a test", locked.accepted_leaks)
    reader, _ = add_reader(study, "one")
    read_all(study, reader)
    close(study)
    unblind(study, passphrase=passphrase, who="c")
    said = [row for row in analyse(study)["deviations"] if row["what"].startswith("leak accepted")]
    assert len(said) == len(locked.accepted_leaks)
    assert "a test" in said[0]["consequence"]


def test_text_in_single_slices_is_found_over_all_cases(make_protocol, rng):
    """Each case has one slice, too few to judge by; ten cases with the same letters are enough."""
    protocol = make_protocol(n_cases=10)
    clean = [(0, rng.normal(0, 20, (1, 24, 24)).astype("<i2")) for _ in range(10)]
    assert text_leaks(protocol, clean) == []
    marked = [(1, letters(hu)) for _, hu in clean]
    assert "arm bravo" in text_leaks(protocol, [*clean, *marked])[0]


def test_a_telling_texture_is_a_leak_unless_it_was_matched(make_protocol):
    rows = [{"arms": [1, 2], "auc": 0.99, "cases": 20}, {"arms": [1, 2], "auc": None, "cases": 2}]
    found = texture_leaks(make_protocol(), rows)
    assert len(found) == 1
    assert found[0].startswith("noise texture alone tells arm alpha from bravo (AUC 0.99 in 20 ")
    for chosen in ("matched", "as-made"):
        assert texture_leaks(make_protocol(design=f'texture = "{chosen}"\n'), rows) == []
    assert texture_leaks(make_protocol(), [{"arms": [1, 2], "auc": 0.8, "cases": 20}]) == []
