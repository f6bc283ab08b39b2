"""What the viewer is told to show: the same for every arm, made from the bundle alone."""

from typing import Any

from ctlab.ct.hu import WINDOWS
from reader_study.record.bundle import Bundle, ShownTrial


def viewer_traits(bundle: Bundle, words: dict[str, Any]) -> dict[str, Any]:
    """Traits of :class:`ctlab.view.CompareViewer` that stay for the whole study.

    Parameters
    ----------
    words : texts of the room, :func:`reader_study.design.texts.load_texts`
    """
    view = bundle.facts["view"]
    return {
        "modes": list(view["modes"]),
        "probe": False,
        "whole_page": True,
        "words": words["viewer"],
    }


def trial_traits(bundle: Bundle, trial: ShownTrial, marks: list[dict[str, Any]]) -> dict[str, Any]:
    """Traits of the viewer for one trial, seen the way every trial is first seen.

    Parameters
    ----------
    marks : those that the reader has set on this trial
    """
    image, view = bundle.images[trial.left], bundle.facts["view"]
    window = WINDOWS[view["window"]]
    kinds = [kind for item in bundle.items for kind in item["marks"]]
    return {
        "left_bytes": bundle.pixels(trial.left),
        "right_bytes": bundle.pixels(trial.right) if trial.right else b"",
        "shape": list(image.shape),
        "spacing_mm": list(image.spacing_mm[1:]),
        "slice_mm": image.spacing_mm[0],
        "grid": [0, 0, 1],
        "level_hu": window.level_hu,
        "width_hu": window.width_hu,
        "frame": trial.given_marks[0]["z"] if trial.given_marks else image.shape[0] // 2,
        "mode": view["first"],
        "plane": "axial",
        "slab_mm": 0.0,
        "tag": trial.token,
        "marking": bool(kinds),
        "mark_kind": kinds[0] if kinds else "",
        "marks": [_place(mark) for mark in [*trial.given_marks, *marks]],
        "labels": list(trial.labels) or ["", ""],
    }


def _place(mark: dict[str, Any]) -> dict[str, Any]:
    """A stored mark as the viewer wants it."""
    return {name: mark[name] for name in ("side", "z", "y", "x", "kind")}
