"""Bundles of earlier formats, brought to the present one as they are read.

The files stay as they are: the lock has their hash. A bundle of format n passes through every
step from n on, so each step knows its own two formats and no others.

- 1: images are first shown side by side.
- 2: ``view.first`` says how, ``pair`` or ``flicker``. Slices are numbered and scrolled as stored,
  images are left and right, every drag of the mouse but the middle one changes the window, no HU
  are told, and the display filter is that of Mitchell.
- 3: ``view`` says all this, and images carry their orientation.
- 4: trials may have an overlay; the earlier formats had none.
"""

from collections.abc import Callable
from typing import Any

FORMAT_VERSION = 4


def _first_view(facts: dict[str, Any]) -> dict[str, Any]:
    return {**facts, "view": {**facts["view"], "first": "pair"}}


def _display(facts: dict[str, Any]) -> dict[str, Any]:
    before = {
        "windows": [],
        "display_filter": "mitchell",
        "image_names": "sides",
        "scroll": "stored",
        "mouse": {"left": "window", "middle": "pan", "right": "window"},
        "hu_values": False,
        "keep": [],
        "cine_per_s": 8,
        "flicker_hz": 2,
    }
    return {**facts, "view": {**before, **facts["view"]}}


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _first_view,
    2: _display,
    3: dict,
}


def migrated(facts: dict[str, Any], version: int) -> dict[str, Any]:
    """What a bundle of format ``version`` would say in the present one.

    Raises
    ------
    KeyError
        There was no such format, or the bundle lacks what its format holds.

    Examples
    --------
    >>> view = migrated({"view": {"modes": ["pair"]}}, 1)["view"]
    >>> view["modes"], view["first"], view["display_filter"]
    (['pair'], 'pair', 'mitchell')
    """
    for number in range(version, FORMAT_VERSION):
        facts = {**_STEPS[number](facts), "format_version": number + 1}
    return facts
