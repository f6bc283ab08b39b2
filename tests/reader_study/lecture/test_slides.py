"""Slides of a study: only where its key may be told, and with what the key says."""

import pytest

from reader_study.design.texts import load_texts
from reader_study.examples.demo import NOTE
from reader_study.examples.lesson import demo_lesson, key_of
from reader_study.lecture.lesson import Lesson
from reader_study.lecture.slides import slides_of
from reader_study.record.bundle import open_bundle
from reader_study.record.paths import bundle_folder

ITEMS = """
[[items]]
name = "pref"
kind = "preference"
question = "Which?"
[[items]]
name = "sure"
kind = "slider"
about = "each"
question = "A nodule?"
answers = ["surely none", "surely one"]
[[items]]
name = "size"
kind = "length"
question = "How large?"
"""
# After the items, tables of cases: one more, with a lesion.
EMPTY = """
[[cases]]
name = "found"
patient = "pat-f"
[[cases.lesions]]
centre_zyx = [1, 5, 5]
diameter_mm = 4.0
kind = "solid"
"""


def test_a_study_that_is_still_read_keeps_its_key_and_a_demonstration_opens_it(locked, passphrase):
    study = locked(n_cases=4, items=ITEMS + EMPTY)
    with pytest.raises(ValueError, match="not unblinded; reader-study close and unblind"):
        key_of(study)
    (study / NOTE).write_text(f"code\n{passphrase}\n", "utf-8")
    bundle, key, words = open_bundle(bundle_folder(study)), key_of(study), load_texts()
    slides = slides_of(bundle, key, words, most=99)
    main = [t for t in bundle.trials(1) if key.trials[t.token].kind == "main"]
    assert len(slides) == 3 * len(main), "a length needs the images; the rest can be answered"
    pair, left, right = slides[:3]
    arms = [key.protocol.arms[key.images[t].arm].name for t in (main[0].left, main[0].right)]
    assert pair.key[:2] == (f"Image A: {arms[0]}", f"Image B: {arms[1]}")
    assert (pair.arm, left.arm, right.arm) == ("", *arms)
    assert right.question == "Image B: A nodule?"
    assert (left.ends, left.options) == (("surely none", "surely one"), ())
    truths = {s.truth for s in slides if s.ends}
    assert truths == {True, False}, "known, because one case has a lesion"
    (found,) = {s.key[2:] for s in slides if s.truth}
    assert found == ("solid, 4 mm",)
    assert pair.truth is None, "a preference has no truth"
    a, b = pair.images()
    assert a.shape == b.shape == (3, 12, 10)
    assert len(slides_of(bundle, key, words, most=2)) == 2


@pytest.mark.slow
def test_the_demonstration_holds_as_many_nodules_in_both_arms():
    slides = demo_lesson(load_texts())
    assert [s.truth for s in slides[:4]] == [None] * 4
    told = [(s.truth, s.arm) for s in slides[4:]]
    assert len(told) == 12
    for truth in (True, False):
        for arm in ("total-variation", "bilateral"):
            assert told.count((truth, arm)) == 3
    assert Lesson(slides).slide.images()[0].shape == (1, 160, 160)
