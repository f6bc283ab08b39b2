"""What the viewer is told: named windows, names of images, the first slice; alike for every arm."""

import numpy as np
import pytest

from ctlab.ct.volume import Volume
from reader_study.blinding.lock import lock_study
from reader_study.design.protocol import View
from reader_study.design.texts import load_texts
from reader_study.record.bundle import open_bundle
from reader_study.record.paths import bundle_folder
from reader_study.room.viewer_settings import room_words, trial_traits, viewer_traits

VIEW = """[view]
window = "liver"
windows = [{ name = "liver", level_hu = 60, width_hu = 160 }]
mouse = { left = "scroll", right = "window" }
display_filter = "linear"
hu_values = false
keep = ["window"]
opens_at = "difference"
"""


def lesion_reader(folder):
    """Six slices; arm bravo lacks what alpha shows in slice 4, and is noisier everywhere."""
    rng = np.random.default_rng(sum(str(folder).encode()))
    bravo = folder.parent.name == "bravo"
    hu = rng.normal(-600, 40 if bravo else 5, (6, 64, 64))
    if not bravo:
        hu[4, 20:30, 20:30] += 400
    cosines = (1.0, 0, 0, 0, 1.0, 0)
    if bravo:
        cosines = (1.0, 0, 1e-4, 0, 1.0, 0)  # a header that is not quite the same
    return Volume(hu.astype(np.float32), (2.0, 0.7, 0.7), orientation=cosines)


@pytest.fixture
def shown(unlocked, cheap_seal, passphrase):
    study = unlocked(n_cases=4, tail=VIEW)
    lock_study(study, passphrase=passphrase, read=lesion_reader, accept_leaks="made of noise")
    return open_bundle(bundle_folder(study))


def test_the_protocol_reaches_the_viewer(shown):
    traits = viewer_traits(shown, room_words(shown, load_texts()))
    assert [preset["name"] for preset in traits["presets"]] == [
        "lung",
        "mediastinum",
        "bone",
        "liver",
    ]
    assert traits["mouse"] == {"left": "scroll", "middle": "pan", "right": "window"}
    assert (traits["display_filter"], traits["probe"], traits["keep"]) == (
        "linear",
        False,
        ["window"],
    )
    assert (traits["scroll"], traits["padding_hu"]) == ("feet", -1024)


def test_every_trial_opens_at_the_slice_of_its_case_whatever_arms_it_shows(shown):
    """Catch trials show one image twice; a slice of their own would give them away."""
    traits = [trial_traits(shown, trial, []) for trial in shown.trials(1)]
    assert {t["frame"] for t in traits} == {4}
    assert any(t["left_bytes"] == t["right_bytes"] for t in traits), "a catch trial is among them"
    assert {(t["level_hu"], t["width_hu"]) for t in traits} == {(60, 160)}
    assert {tuple(t["labels"]) for t in traits} == {("Image A", "Image B")}
    # What differs between the headers of two arms would tell them apart.
    public = {
        tuple(sorted((k, str(v)) for k, v in image.items() if k != "sha256"))
        for image in shown.facts["images"].values()
    }
    assert len(public) == 1


def test_without_the_switch_the_middle_slice_comes_first(locked):
    bundle = open_bundle(bundle_folder(locked(n_cases=4)))
    assert {trial_traits(bundle, t, [])["frame"] for t in bundle.trials(1)} == {1}


@pytest.mark.parametrize(
    ("question", "said", "names"),
    [
        ("Which image is sharper?", None, "letters"),
        ("Is the left image sharper?", None, "sides"),
        ("Is the left lung seen?", None, "letters"),
        ("Is the left image sharper?", "letters", "letters"),
    ],
)
def test_images_are_named_as_the_questions_name_them(make_protocol, question, said, names):
    items = f'[[items]]\nname = "q"\nkind = "scale"\nquestion = "{question}"\nanswers = ["a", "b"]'
    tail = f'[view]\nimage_names = "{said}"' if said else ""
    assert make_protocol(items=items, tail=tail).image_names == names


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"window": "liver"}, "must be one of lung, mediastinum, bone"),
        ({"windows": [{"name": "lung", "level_hu": 0, "width_hu": 9}]}, "twice: lung"),
        ({"flicker_hz": 9}, "less than or equal to 3"),
        ({"mouse": {"left": "draw"}}, "Input should be"),
    ],
)
def test_a_view_that_cannot_be_shown_is_refused(view, words):
    with pytest.raises(ValueError, match=words):
        View.model_validate(view)
