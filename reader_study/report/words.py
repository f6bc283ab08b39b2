"""Numbers and sentences of the report; rounding happens here and nowhere else."""

from typing import Any

from reader_study.stats.conduct.greyscale_standard import screen_luminance

DASH = "–"
MISSING = "—"
SHORT = {
    "share": "share won",
    "odds": "odds ratio",
    "difference": "difference in points",
    "auc": "difference in AUC",
    "wafroc": "difference in wAFROC area",
    "sensitivity": "difference in sensitivity",
    "specificity": "difference in specificity",
    "correct": "difference in share called rightly",
    "recall": "difference in share called",
    "limits": "mean difference, mm",
    "reliance": "difference in share right",
    "change": "difference in net change",
    "brier": "reduction of the Brier score",
    "time": "ratio of reading times",
    "ai": "AUC of the model minus the readers",
    "score": "median score",
    "vgc": "VGC area",
}
# Digits after the point; shares are written as percentages.
_DIGITS = {
    "limits": 2,
    "share": 1,
    "odds": 2,
    "time": 2,
    "difference": 2,
    "auc": 3,
    "wafroc": 3,
    "score": 2,
    "vgc": 3,
}


def number(value: float | None, endpoint: str) -> str:
    """One value in the unit of its endpoint.

    Examples
    --------
    >>> number(0.6789, "share"), number(1.234, "odds"), number(None, "auc")
    ('67.9 %', '1.23', '—')
    """
    if value is None:
        return MISSING
    if endpoint == "share":
        return f"{100 * value:.1f} %"
    text = f"{value:.{_DIGITS.get(endpoint, 3)}f}"
    return text.replace("-", "−")


def interval(row: dict[str, Any]) -> str:
    """``low to high`` of a row, or a dash.

    Examples
    --------
    >>> interval({"low": 0.5, "high": 0.75, "endpoint": "share"})
    '50.0 % to 75.0 %'
    """
    if row.get("low") is None or row.get("high") is None:
        return MISSING
    return f"{number(row['low'], row['endpoint'])} to {number(row['high'], row['endpoint'])}"


_CARD_MM = 85.6  # width of a bank card (ISO/IEC 7810, ID-1)


def screen(display: dict[str, Any]) -> str:
    """What the display check found: size, pixel, and what the reader could tell apart.

    The pixel is that of the page's own units (CSS), whose number to the inch browsers set.

    Examples
    --------
    >>> screen({"screen_width_px": 1920, "screen_height_px": 1080, "card_px": 428.0,
    ...     "dark_patches_seen": 4, "light_patches_seen": 3, "ramp_steps_differ": True})
    '1920 × 1080, pixel 0.20 mm, patches 4 dark and 3 light of 4, every grey step seen'
    >>> screen({"black_cd_m2": 1.0, "white_cd_m2": 350, "step_seen_at_15": 3})
    'smallest step of grey found: 3 at 15, luminance 1 to 350 cd/m², ratio 350, 582 JND'
    >>> screen({"screen_width_px": None, "screen_height_px": None})
    '–'
    """
    parts = []
    size = [display.get(f"screen_{side}_px") for side in ("width", "height")]
    if None not in size:
        parts.append(f"{size[0]} × {size[1]}")
    card_px = display.get("card_px")
    if isinstance(card_px, int | float) and card_px > 0:
        parts.append(f"pixel {_CARD_MM / card_px:.2f} mm")
    seen = [display.get(f"{field}_patches_seen") for field in ("dark", "light")]
    if None not in seen:
        parts.append(f"patches {seen[0]} dark and {seen[1]} light of 4")
    if display.get("ramp_steps_differ"):
        parts.append("every grey step seen")
    if display.get("room_is_dim"):
        parts.append("dim room")
    steps = {grey: display.get(f"step_seen_at_{grey}") for grey in (15, 128, 240)}
    if told := [f"{step} at {grey}" for grey, step in steps.items() if step is not None]:
        parts.append(f"smallest step of grey found: {', '.join(told)}")
    parts += _luminance(display)
    return ", ".join(parts) or DASH


def _luminance(display: dict[str, Any]) -> list[str]:
    """Readings of a meter, if black and white were entered, beside GSDF and TG-270."""
    names = ("black_cd_m2", "white_cd_m2", "ambient_cd_m2")
    black, white, ambient = (display.get(name) for name in names)
    if black is None or white is None:
        return []
    try:
        found = screen_luminance(black, white, ambient_cd_m2=ambient)
    except (ValueError, TypeError):
        return [f"luminance {black} to {white} cd/m², outside the greyscale standard"]
    told = f"luminance {black:g} to {white:g} cd/m², ratio {found.ratio:.0f}, {found.jnd:.0f} JND"
    remarks = f" (TG-270: {'; '.join(found.remarks)})" if found.remarks else ""
    return [told + remarks]


def p_value(p: float | None) -> str:
    """Three decimals, or the bound below which p lies.

    Examples
    --------
    >>> p_value(0.0312), p_value(0.00001), p_value(None)
    ('0.031', '< 0.001', '—')
    """
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def fixed(value: float | None, digits: int = 2) -> str:
    """A plain number with this many decimals, or a dash."""
    return MISSING if value is None else f"{value:.{digits}f}".replace("-", "−")


def plural(count: int, noun: str) -> str:
    """The count with its noun, in the plural unless it is 1.

    Examples
    --------
    >>> plural(1, "reader"), plural(2, "case")
    ('1 reader', '2 cases')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def headline(facts: dict[str, Any]) -> str:
    """The primary result in one line."""
    row = facts["primary"][0]
    if row["value"] is None:
        return f"{row['new']} against {row['reference']}: no estimate ({row['note']})"
    return (
        f"{row['unit'].capitalize()} by {row['new']} over {row['reference']}: "
        f"{number(row['value'], row['endpoint'])} (95 % CI {interval(row)})"
        if row["endpoint"] == "share"
        else f"{row['unit'].capitalize()}, {row['new']} against {row['reference']}: "
        f"{number(row['value'], row['endpoint'])} (95 % CI {interval(row)})"
    )


def methods(facts: dict[str, Any]) -> list[str]:
    """The methods section, ready to be edited into a paper; one string per paragraph."""
    design, course, first = facts["design"], facts["flow"], facts["primary"][0]
    arms = ", ".join(arm["name"] for arm in design["arms"])
    shown = _shown(design)
    trials = course["trials"]
    design_text = (
        f"{plural(course['readers'], 'reader')} ({course['slots']} planned) read "
        f"{plural(course['cases'], 'case')} of {plural(course['patients'], 'patient')}"
        f"{_units(course)}. The arms "
        f"({arms}) were shown as {shown}. Over all reader slots there were {trials['main']} main "
        f"trials, {trials['repeat']} hidden repeats and {trials['catch']} trials with identical "
        "images. Readers worked independently. Images carried no name, "
        "tag or number that could tell the arms apart; the allocation was drawn from a secret seed "
        "when the protocol was locked and stayed sealed until reading had been closed."
        f"{_overlays(design)}{_display(design)}"
    )
    aim = {
        "superiority": "The aim was to show a difference.",
        "noninferiority": f"The aim was non-inferiority with a margin of {facts['margin']}.",
        "equivalence": f"The aim was equivalence within {facts['margin']}.",
    }[facts["aim"]]
    several = len(facts["primary"]) > 1 or len(facts["secondary"]) > 1
    adjust = {
        "holm": "P-values were adjusted by Holm's method within the primary and within the "
        "secondary comparisons."
        if several
        else "With one comparison no p-value needed adjustment.",
        "gatekeeping": "Comparisons were tested in the order fixed in the protocol, secondary ones "
        "by Holm's method behind the primary ones.",
        "none": "P-values were not adjusted for the number of comparisons.",
    }[facts["multiplicity"]]
    few = (
        " With fewer than four readers the results describe these readers only."
        if facts["few_readers"]
        else ""
    )
    return [
        design_text,
        f"The primary endpoint was the {first['unit']} on the item “{first['item']}”. Method: "
        f"{facts['method']}. {aim} {_p_from(first)} {adjust} Intervals are two-sided "
        "95 % intervals. Trials without an answer and “cannot judge” were left out and counted."
        f"{few}",
        f"{_around(facts)}Answers were kept insert-only in a hash chain that was verified before "
        f"the analysis ({facts['integrity']['events']} events).",
    ]


def _shown(design: dict[str, Any]) -> str:
    """How the images of the arms came to the reader."""
    if design["layout"] != "single":
        how = "in one place by turns" if design["layout"] == "flicker" else "side by side"
        return (
            f"pairs of images {how}, left and right balanced exactly within readers and strata "
            "and mirrored between pairs of readers"
        )
    if design["sessions"] == 1:
        return "single images, each case in one arm for a reader, the arms changing over readers"
    return (
        f"single images in {plural(design['sessions'], 'session')} in the order of a Williams "
        f"design, at least {design['washout_days']:g} days apart"
    )


_OVERLAYS = {
    "own": "the case's own map",
    "shuffled": "the map of another case",
    "elsewhere": "the own map moved elsewhere in the body",
    "other": "a second map of the case, made to be wrong",
}


def _overlays(design: dict[str, Any]) -> str:
    """Which maps lay over the images, and when; nothing where there were none."""
    overlay = design.get("overlay")
    if not overlay:
        return ""
    kinds = dict.fromkeys(arm["overlay"] for arm in design["arms"] if arm.get("overlay"))
    when = (
        "Every question was asked twice; the first answer was locked before the map was sent."
        if overlay["design"] == "sequential"
        else "The map was there with the question."
    )
    lay = ", ".join(_OVERLAYS[kind] for kind in kinds)
    return (
        f" Over the images lay {lay}, or none; the maps of "
        "a case held the same values inside the body, and which kind it was stayed sealed with the "
        f"allocation. {when}"
    )


_P = {
    "share": "The p-value is the level at which the interval of the share just reaches {null}",
    "odds": "The p-value is that of the Wald test of the arm on the log odds, normal law",
    "difference": "The p-value is that of a t test of the mean difference, with the standard error "
    "and the degrees of freedom of the interval",
    "time": "The p-value is that of a t test of the difference of logarithms, with the standard "
    "error and the degrees of freedom of the interval",
    "limits": "The p-value is that of the mean difference over its standard error, normal law",
}
_P_AREA = (
    "The p-value is that of a t test of the difference with the standard error and the degrees of "
    "freedom of the interval"
)


def _p_from(row: dict[str, Any]) -> str:
    """How the p-value of the primary comparison is got."""
    null = number(row["null"], row["endpoint"])
    said = _P.get(row["endpoint"], _P_AREA).format(null=null)
    if row["aim"] == "superiority":
        return f"{said}; two-sided."
    bounds = "at the margin" if row["aim"] == "noninferiority" else "at the worse of both margins"
    return (
        f"{said}, taken {bounds}; it is twice the one-sided p, so that it is below 0.05 exactly "
        "when the 95 % interval lies within."
    )


def _around(facts: dict[str, Any]) -> str:
    """Sentences on the analyses around the primary one, those that were made."""
    said = []
    if facts["agreement"]:
        said.append(
            "Agreement between readers was summarised as raw agreement, Gwet's coefficient and "
            "Krippendorff's alpha, intervals over cases."
        )
    if facts["repeats"]:
        said.append(
            "Agreement of readers with themselves on hidden repeats was summarised by kappa, each "
            "reader alone and all pooled."
        )
    if facts["blinding"]:
        said.append("Guesses of the arm were summarised by Bang's index.")
    if facts["effects"]:
        said.append(
            "Position in the list, session and speed of reading were examined descriptively, by t "
            "tests over readers."
        )
    return "".join(f"{sentence} " for sentence in said)


def _display(design: dict[str, Any]) -> str:
    """How images came to the screen."""
    if "display_filter" not in design:
        return ""
    opened = (
        " Stacks opened at the slice where the arms of the case differ most, found at the lock."
        if design["opens_at"] == "difference"
        else ""
    )
    return (
        f" Images were first shown in the {design['window']} window, which readers could change, "
        f"and enlarged with the {design['display_filter']} filter; shown pixel for pixel they were "
        f"as stored.{opened}"
    )


def _units(course: dict[str, Any]) -> str:
    """What stands for "random cases" where patients gave several."""
    if course["patients"] == 1 < course["cases"]:
        return ", so that no result speaks of other patients"
    if course["patients"] < course["cases"]:
        return "; cases of one patient were not taken as independent, patients were the units"
    return ""
