"""Assisted reading: maps over the images of an arm, and when readers see them."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from reader_study.design.strict import Name, Strict

OverlayKind = Literal["own", "shuffled", "elsewhere", "other"]
"""The case's own map; the map of another case, in the body of this one and with the values of its
own; the own map moved away from where it belongs; a second map of the case, of a network with
shuffled weights or with a planted loss, say. All but the own one count as wrong advice."""

FIRST = "+first"
"""Ends the name of an item where its answer was given, and locked, before the overlay."""


class Overlay(Strict):
    """How readers meet the maps of ``overlays/<case>``: one design for all arms.

    In a sequential design every question is asked twice, also in arms without a map: the first
    answer is locked before the map is sent. In an independent design the map is there at once.

    With ``design.sessions = 1`` a reader meets every case once, in one arm, and the arms change
    places from reader to reader; with as many sessions as arms, once in each arm.
    """

    design: Literal["sequential", "independent"] = "sequential"
    strength: float = Field(default=0.6, ge=0.1, le=1)  # opacity of the largest value
    confidence_item: Name | None = None  # a slider: chance in per cent that the answer is right


def check_overlay(
    overlay: Overlay | None, with_map: bool, layout: str, sliders: Sequence[str]
) -> None:
    """Refuse a protocol whose parts about overlays do not fit together."""
    if (overlay is None) == with_map:
        raise ValueError(
            "a table [overlay] and arms with overlay = ... belong together; add the other, or "
            "remove this one"
        )
    if overlay is None:
        return
    if layout != "single":
        raise ValueError(
            'maps lie over single images; set layout = "single", and one arm for each overlay kind'
        )
    if overlay.confidence_item and overlay.confidence_item not in sliders:
        raise ValueError(
            f"overlay.confidence_item must be one of the sliders ({', '.join(sliders) or 'none'}), "
            f"got {overlay.confidence_item!r}"
        )
