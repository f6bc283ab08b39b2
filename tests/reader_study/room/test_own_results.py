"""What a reader learns of the own reading: worked by hand, and never before the end."""

from reader_study.record.bundle import ShownTrial
from reader_study.record.store import Answer
from reader_study.room.own_results import own_results

PREFERENCE = {"name": "pref", "kind": "preference", "about": "pair"}
NOISE = {"name": "noise", "kind": "scale", "about": "each"}


def trial(token, left, right, practice=False):
    return ShownTrial(token, 0, practice, left, right)


def answer(token, item, value, seconds=4.0):
    fields = {"seq": 1, "trial": token, "item": item, "value": value, "seconds": seconds}
    names = Answer.__dataclass_fields__
    return Answer(**{name: fields.get(name, "" if name != "revision" else 1) for name in names})


TRIALS = [
    trial("p", "a", "b", practice=True),
    trial("1", "a", "b"),
    trial("2", "c", "d"),
    trial("3", "b", "a"),  # the first again, mirrored
    trial("4", "d", "c"),  # the second again
    trial("5", "c", "c"),  # a catch trial is no repeat
]


def test_agreement_is_of_images_not_of_sides():
    choices = {"p": "right", "1": "left", "2": "left", "3": "right", "4": "left", "5": "tie"}
    given = [answer(token, "pref", value) for token, value in choices.items()]
    found = own_results(TRIALS, given, [PREFERENCE])
    assert found["repeats"] == {"count": 1, "of": 2}, "a twice; c, then d"
    assert found["first_image"] == {"count": 3, "of": 4}, "ties and practice do not count"
    assert found["seconds"] == 4.0


def test_scales_of_each_image_are_compared_by_image_and_unanswered_ones_left_out():
    given = [
        answer("1", "noise@left", 1, 2.0),
        answer("1", "noise@right", 3, 3.0),
        answer("3", "noise@left", 3),
        answer("3", "noise@right", 2),
        answer("2", "noise@left", "cannot-judge"),
        answer("4", "noise@right", 4),
    ]
    found = own_results(TRIALS, given, [NOISE])
    assert found["repeats"] == {"count": 1, "of": 2}, "b: 3 and 3; a: 1 and 2"
    assert found["first_image"] == {"count": 0, "of": 0}


def test_the_last_page_tells_it_and_no_page_before(visit):
    enter, store, _ = visit(n_cases=6, design="answer_delay_ms = 0\nrepeats = 0.34")
    session = enter()
    screen = session.screen()
    while screen["kind"] != "thanks":
        assert "own" not in screen
        if screen["kind"] == "question":
            step = {"action": "answer", "id": screen["id"], "value": "left", "seconds": 3.0}
        else:
            step = {"action": {"consent": "consent"}.get(screen["kind"], "continue")}
        screen = session.act(step)
    own = screen["own"]
    assert own["repeats"] == {"count": 0, "of": 2}, "always left is never the same image"
    assert own["first_image"]["count"] == own["first_image"]["of"] == len(store.answers()) - 1
    assert own["seconds"] == 3.0
    assert not {"arm", "alpha", "bravo"} & set(str(own).split("'"))


def test_a_protocol_may_keep_it_to_itself(visit):
    enter, *_ = visit(n_cases=4, design="answer_delay_ms = 0\nown_results = false")
    session = enter()
    screen = session.act({"action": "consent"})
    while screen["kind"] != "thanks":
        asked = screen["kind"] == "question"
        step = {"action": "answer", "id": screen.get("id"), "value": "left", "seconds": 3.0}
        screen = session.act(step if asked else {"action": "continue"})
    assert screen["own"] is None
