"""Bundles of earlier formats, brought to the present one as they are read.

The files stay as they are: the lock has their hash. A bundle of format n passes through every
step from n on, so each step knows its own two formats and no others.

- 1: images are first shown side by side.
- 2: ``view.first`` says how, ``pair`` or ``flicker``.
"""

from collections.abc import Callable
from typing import Any

FORMAT_VERSION = 2


def _first_view(facts: dict[str, Any]) -> dict[str, Any]:
    return {**facts, "view": {**facts["view"], "first": "pair"}}


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _first_view}


def migrated(facts: dict[str, Any], version: int) -> dict[str, Any]:
    """What a bundle of format ``version`` would say in the present one.

    Raises
    ------
    KeyError
        There was no such format, or the bundle lacks what its format holds.

    Examples
    --------
    >>> migrated({"view": {"modes": ["pair"]}}, 1)
    {'view': {'modes': ['pair'], 'first': 'pair'}, 'format_version': 2}
    """
    for number in range(version, FORMAT_VERSION):
        facts = {**_STEPS[number](facts), "format_version": number + 1}
    return facts
