"""What the viewer is told to show: the same for every arm, made from the bundle alone."""

from typing import Any

from ctlab.ct.hu import HU_MIN, WINDOW_KEYS, WINDOWS, Window
from reader_study.design.texts import load_texts
from reader_study.record.bundle import Bundle, Image, ShownTrial


def room_words(bundle: Bundle, texts: dict[str, Any]) -> dict[str, Any]:
    """Texts of the room, with the names that the study gives its images.

    Answers are stored as ``left`` and ``right`` whatever they are called.
    """
    if bundle.facts["view"]["image_names"] == "sides":
        return texts
    a, b = texts["image_a"], texts["image_b"]
    names = {"left": a, "right": b, "left_image": a, "right_image": b}
    viewer = {"left": a, "right": b, "left image": a, "right image": b}
    return {**texts, **names, "viewer": {**texts["viewer"], **viewer}}


def viewer_traits(bundle: Bundle, words: dict[str, Any]) -> dict[str, Any]:
    """Traits of :class:`reader_study.room.widget.OverlayViewer` that stay for the whole study.

    Parameters
    ----------
    words : texts of the room, :func:`room_words`
    """
    view = bundle.facts["view"]
    return {
        "modes": list(view["modes"]),
        "presets": [
            {"key": WINDOW_KEYS.get(name, ""), "name": name, "level": level, "width": width}
            for name, (level, width) in _windows(view).items()
        ],
        "probe": view["hu_values"],
        "display_filter": view["display_filter"],
        "padding_hu": HU_MIN,
        "scroll": view["scroll"],
        "mouse": view["mouse"],
        "keep": list(view["keep"]),
        "cine_per_s": view["cine_per_s"],
        "flicker_hz": view["flicker_hz"],
        "further_help": _answering(bundle, words),
        "whole_page": True,
        "words": words["viewer"],
        "overlay_strength": (bundle.facts.get("overlay") or {}).get("strength", 1.0),
        "overlay_words": {name: words[name] for name in ("overlay", "overlay_legend")},
    }


def _windows(view: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Level and width of the windows offered, by name."""
    own = {w["name"]: (w["level_hu"], w["width_hu"]) for w in view["windows"]}
    return {name: (w.level_hu, w.width_hu) for name, w in WINDOWS.items()} | own


def first_window(bundle: Bundle) -> Window:
    """The window that images are first shown in."""
    name = bundle.facts["view"]["window"]
    level_hu, width_hu = _windows(bundle.facts["view"])[name]
    return Window(level_hu, width_hu, name)


def _answering(bundle: Bundle, words: dict[str, Any]) -> list[list[str]]:
    """Lines of the viewer's help on answering: keys, and what they do."""
    lines = [("1, 2, 3 ...", "help_answer"), ("N", "cannot_judge"), ("U", "help_undo")]
    lines += [("T", "comment"), ("X", "pause"), ("Q", "help_question")]
    if bundle.facts["design"]["undo"] == "none":
        lines.remove(("U", "help_undo"))
    return [[key, words[word]] for key, word in lines]


def trial_traits(bundle: Bundle, trial: ShownTrial, marks: list[dict[str, Any]]) -> dict[str, Any]:
    """Traits of the viewer for one trial, seen the way every trial is first seen.

    Parameters
    ----------
    marks : those that the reader has set on this trial
    """
    image, view = bundle.images[trial.left], bundle.facts["view"]
    level_hu, width_hu = _windows(view)[view["window"]]
    kinds = [kind for item in bundle.items for kind in item["marks"]]
    return {
        "left_bytes": bundle.pixels(trial.left),
        "right_bytes": bundle.pixels(trial.right) if trial.right else b"",
        "shape": list(image.shape),
        "spacing_mm": list(image.spacing_mm[1:]),
        "slice_mm": image.spacing_mm[0],
        "orientation": list(image.orientation),
        "grid": [0, 0, 1],
        "level_hu": level_hu,
        "width_hu": width_hu,
        "frame": _first_slice(trial, image),
        "mode": view["first"],
        "plane": "axial",
        "slab_mm": 0.0,
        "tag": trial.token,
        "marking": bool(kinds),
        "mark_kind": kinds[0] if kinds else "",
        "marks": [_place(mark) for mark in [*trial.given_marks, *marks]],
        "overlay": "",
        "labels": list(trial.labels) or _labels(bundle, trial),
    }


def _first_slice(trial: ShownTrial, image: Image) -> int:
    if trial.given_marks:
        return int(trial.given_marks[0]["z"])
    return image.shape[0] // 2 if image.opens_at is None else image.opens_at


def _labels(bundle: Bundle, trial: ShownTrial) -> list[str]:
    """What stands over the images: their letters, or nothing."""
    if trial.right is None or bundle.facts["view"]["image_names"] == "sides":
        return ["", ""]
    texts = load_texts(bundle.facts["language"])
    return [texts["image_a"], texts["image_b"]]


def _place(mark: dict[str, Any]) -> dict[str, Any]:
    """A stored mark as the viewer wants it."""
    return {name: mark[name] for name in ("side", "z", "y", "x", "kind")}
