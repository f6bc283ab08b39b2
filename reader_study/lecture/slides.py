"""What a lecture shows: images, a question with its answers, and what the key says about them."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ctlab.ct.hu import LUNG, Window
from reader_study.record.bundle import Bundle, ShownTrial
from reader_study.record.study_record import Key
from reader_study.room.phone import answers_of
from reader_study.room.questions import questions_of
from reader_study.room.viewer_settings import first_window, room_words

MOST_PX = 384  # of the longer side on a telephone
Images = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Slide:
    """One question about one image or pair.

    Attributes
    ----------
    options : ``value`` and ``text`` of each answer; empty for a slider
    ends : words at 0 and 100 of a slider
    images : function that gives the left and the right image, HU, shape (z, y, x) each
    spacing_mm : z, y, x
    frame : slice first shown, and the one that telephones get
    key : lines told when the key is opened
    arm : how a single image was made; empty for a pair
    truth : whether the finding is there, where that is known
    """

    question: str
    options: tuple[dict[str, Any], ...]
    images: Callable[[], Images]
    spacing_mm: tuple[float, float, float]
    frame: int
    key: tuple[str, ...]
    labels: tuple[str, str] = ("", "")
    ends: tuple[str, ...] = ()
    window: Window = LUNG
    arm: str = ""
    truth: bool | None = None

    def offers(self, value: Any) -> bool:
        """Whether this is an answer to the question."""
        if isinstance(value, bool):
            return False
        if self.ends:
            return isinstance(value, int) and 0 <= value <= 100
        return any(type(value) is type(o["value"]) and value == o["value"] for o in self.options)


def crops(slide: Slide) -> list[bytes]:
    """PNG of each image of a slide, windowed, at most 384 px wide: a telephone is no monitor."""
    from PIL import Image

    pictures = []
    for hu in slide.images():
        if hu is None:
            continue
        grey = Image.fromarray(slide.window.render(hu[slide.frame]))
        if max(grey.size) > MOST_PX:
            grey.thumbnail((MOST_PX, MOST_PX), Image.Resampling.BOX)
        out = io.BytesIO()
        grey.save(out, "PNG")
        pictures.append(out.getvalue())
    return pictures


def slides_of(bundle: Bundle, key: Key, words: dict[str, Any], *, most: int) -> list[Slide]:
    """Slides of a study whose key is open: the first trials of its first reader, without repeats.

    Parameters
    ----------
    words : texts of the room
    most : slides at most

    Raises
    ------
    ValueError
        No question of the study can be answered on a telephone.
    """
    slides = list(_slides(bundle, key, room_words(bundle, words)))[:most]
    if not slides:
        raise ValueError(
            "no question of this study can be answered on a telephone; expected a preference, "
            "scale, choice or slider"
        )
    return slides


def _slides(bundle: Bundle, key: Key, words: dict[str, Any]) -> Iterator[Slide]:
    any_lesion = any(case.lesions for case in key.protocol.cases)
    window = first_window(bundle)
    for trial in bundle.trials(1):
        if trial.practice or key.trials[trial.token].kind != "main":
            continue
        image = bundle.images[trial.left]
        case = key.protocol.cases[key.images[trial.left].case]
        for question in questions_of(bundle, trial, closes_session=False):
            options = answers_of(question.facts, words, pair=trial.right is not None)
            ends = question.facts.get("answers", ()) if question.facts["kind"] == "slider" else ()
            if options is None and not ends:
                continue
            side = question.facts.get("side")
            asked = question.facts["question"]
            about = trial.right if side == "right" else trial.left
            single = bool(side) or trial.right is None
            rated = question.facts["kind"] in {"scale", "slider"} and single
            yield Slide(
                question=f"{words[f'{side}_image']}: {asked}" if side else asked,
                options=tuple(options or ()),
                ends=tuple(ends),
                images=partial(_images, bundle, trial),
                spacing_mm=image.spacing_mm,
                frame=image.shape[0] // 2 if image.opens_at is None else image.opens_at,
                key=_key_lines(trial, key, words),
                labels=(words["left"], words["right"]) if trial.right else ("", ""),
                window=window,
                arm=key.protocol.arms[key.images[str(about)].arm].name if single else "",
                truth=bool(case.lesions) if any_lesion and rated else None,
            )


def _images(bundle: Bundle, trial: ShownTrial) -> Images:
    def read(token: str) -> np.ndarray:
        return np.frombuffer(bundle.pixels(token), "<i2").reshape(bundle.images[token].shape)

    return read(trial.left), read(trial.right) if trial.right else None


def _key_lines(trial: ShownTrial, key: Key, words: dict[str, Any]) -> tuple[str, ...]:
    """Arm of each image, and the lesions of the case."""
    arms = [key.protocol.arms[key.images[t].arm].name for t in (trial.left, trial.right) if t]
    names = [words["left_image"], words["right_image"]] if trial.right else [words["image"]]
    lines = [f"{name}: {arm}" for name, arm in zip(names, arms, strict=True)]
    case = key.protocol.cases[key.images[trial.left].case]
    found = [
        f"{lesion.kind or words['lecture_lesion']}, {lesion.diameter_mm:g} mm"
        for lesion in case.lesions
    ]
    return (*lines, *found)
