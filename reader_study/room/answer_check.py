"""Answer validation: what a browser sends, checked before it is kept."""

from typing import Any

CANNOT_JUDGE = "cannot-judge"

_DISPLAY_FACTS = (
    "card_px",
    "pixel_ratio",
    "screen_width_px",
    "screen_height_px",
    "dark_patches_seen",
    "light_patches_seen",
    "ramp_steps_differ",
    "room_is_dim",
    "step_seen_at_15",
    "step_seen_at_128",
    "step_seen_at_240",
    *(_LUMINANCES := ("black_cd_m2", "white_cd_m2", "ambient_cd_m2")),
)


def display_facts(message: dict[str, Any]) -> dict[str, Any]:
    """What the display check found; anything but plain values is refused, the rest left out."""
    facts = {name: message.get(name) for name in _DISPLAY_FACTS}
    if not all(isinstance(v, int | float | str | bool | None) for v in facts.values()):
        raise ValueError("display facts must be plain values")
    for name in _LUMINANCES:
        value = facts[name]
        if value is not None and not (type(value) in (int, float) and 0 <= value <= 4000):
            raise ValueError("a luminance lies between 0 and 4000 cd/m²")
    return facts


_VIEW_NUMBERS = ("level_hu", "width_hu", "slice", "slab_mm", "screen_px_per_pixel")
_VIEW_NUMBERS += ("overlay_s", "overlay_toggles", "overlay_strength")
_VIEW_WORDS = ("mode", "plane", "display_filter")


def view_facts(seen: Any) -> dict[str, Any]:
    """How the images were seen when an answer was given; what is no plain fact is left out.

    Examples
    --------
    >>> view_facts({"level_hu": 40, "mode": "pair", "inverted": False, "arm": "x"})
    {'level_hu': 40.0, 'mode': 'pair', 'inverted': False}
    """
    if not isinstance(seen, dict):
        return {}
    facts: dict[str, Any] = {}
    for name in _VIEW_NUMBERS:
        value = seen.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6:
            facts[name] = float(value)
    texts = {n: seen.get(n) for n in _VIEW_WORDS}
    facts |= {n: v for n, v in texts.items() if isinstance(v, str) and len(v) <= 20}
    claims = {n: seen.get(n) for n in ("inverted", "overlay_on")}
    return facts | {n: v for n, v in claims.items() if isinstance(v, bool)}


def seconds_of(message: dict[str, Any]) -> float | None:
    """Seconds that the browser measured, if they can be true."""
    value = message.get("seconds")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 86_400 else None


def checked_value(item: dict[str, Any], value: Any) -> Any:
    """The answer if the item offers it.

    Preference: ``left``, ``right``, ``tie``. Scale: 1 to n. Choice: the written answer. Slider:
    0 to 100. Length: mm, kept to a tenth. Guess: ``left``, ``right``, ``unsure``. Where:
    ``nowhere``, or a circle in voxels.
    """
    if value == CANNOT_JUDGE and item["kind"] != "guess":
        return value
    if item["kind"] == "where":
        return value if value == "nowhere" else _place(value)
    if item["kind"] == "length":
        return _length(value)
    offered: dict[str, list[Any]] = {
        "preference": ["left", "right", *(["tie"] if item.get("ties") else [])],
        "scale": list(range(1, len(item.get("answers") or ()) + 1)),
        "choice": list(item.get("answers") or ()),
        "slider": list(range(101)),
        "guess": ["left", "right", "yes", "no", "unsure"],
    }
    if isinstance(value, bool) or value not in offered[item["kind"]]:
        raise ValueError(f"this question does not offer the answer {value!r}")
    return value


LONGEST_MM = 500  # a field of view


def _length(value: Any) -> float:
    """A length in mm, to a tenth as the calliper says it."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0.05 <= value <= LONGEST_MM:
        raise ValueError(
            f"expected a length above 0 and up to {LONGEST_MM} mm, got {value!r}; measure again"
        )
    return round(float(value), 1)


def _place(value: Any) -> dict[str, float]:
    """A circle on a slice as four plain numbers."""
    names = ("z", "y", "x", "radius_mm")
    spot = {
        name: round(float(c), 2)
        for name, c in (value.items() if isinstance(value, dict) else ())
        if name in names and isinstance(c, int | float) and not isinstance(c, bool) and 0 <= c < 1e5
    }
    if len(spot) != len(names):
        raise ValueError("a mark was sent that is none: a place has z, y, x and radius_mm")
    return {name: spot[name] for name in names}


def checked_marks(marks: Any) -> list[dict[str, Any]]:
    """Marks as voxel positions with a side, a kind and a confidence, nothing else."""
    if not isinstance(marks, list) or len(marks) > 200:
        raise ValueError("a mark was sent that is none: marks are a list of up to 200")
    kept = []
    for mark in marks:
        if not isinstance(mark, dict) or mark.get("side") not in {"left", "right"}:
            raise ValueError("a mark was sent that is none: it has a side, left or right")
        spot = {axis: mark.get(axis) for axis in "zyx"}
        if not all(isinstance(c, int | float) and 0 <= c < 1e5 for c in spot.values()):
            raise ValueError("a mark was sent that is none: it has voxel positions z, y, x")
        confidence = mark.get("confidence")
        if not (confidence is None or (isinstance(confidence, int) and 0 <= confidence <= 100)):
            raise ValueError("a mark was sent that is none: its confidence is 0 to 100")
        kind = str(mark.get("kind") or "")[:40]
        kept.append({"side": mark["side"], **spot, "kind": kind, "confidence": confidence})
    return kept
