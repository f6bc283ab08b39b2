"""An explanation for people: in words, in the viewer, and on a page that needs no kernel.

None of these can be had without the audit: they take an explanation, which brings it.
"""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from ctlab.console import table
from ctlab.explain.audit.audit_map import Limits
from ctlab.explain.audit.restoration_metrics import MEANING
from ctlab.explain.explanation import Explanation, picture
from ctlab.explain.overlay import signed_colours
from ctlab.files import write_whole
from ctlab.view import MapViewer, compare_with_map, standalone

_LEAST_SHOWN_PX = 256
_UNITS = {"mean": "HU", "removed": "HU", "edge": "HU per pixel", "noise": "HU²"}


def limits_in_words(limits: Limits | None = None) -> str:
    """What a map has to reach, where the limits come from, and what no map can show."""
    limit = limits or Limits()
    return (
        f"Limits, proposed by this project and by no standard: likeness to shuffled weights at "
        f"most {limit.randomised_cosine:g}, wins in {limit.share_of_draws:.1%} of draws, "
        f"stability at least {limit.stability_cosine:g}, locality at least "
        f"{limit.localisation_gain:g} of the receptive field. A map that passes them is true of "
        "the network. Whether the network is true of the patient, no map can tell."
    )


def facts(explanation: Explanation) -> dict[str, Any]:
    """Method, target, layer, value, verdict and audit, for a program."""
    return {
        "method": explanation.method,
        "target": explanation.target,
        "layer": explanation.layer,
        "value": explanation.value,
        "verdict": explanation.verdict,
        "in_words": explanation.in_words(),
        "audit": explanation.audit,
        "limits": limits_in_words(),
    }


def in_words(
    explanation: Explanation, *, out: Path | None = None, dicom: Path | None = None
) -> str:
    """Verdict, the checks with their numbers, the limits, and what was written, for a terminal."""
    rows = check_rows(explanation)
    lines = [fill(explanation.in_words(), 80), "", table(["check", "numbers", "shown"], rows), ""]
    if explanation.layer:
        lines.insert(1, f"layer {explanation.layer}")
    lines.append(fill(limits_in_words(), 80))
    lines += [fill(f"{name}: {MEANING[name]}", 80) for name in explanation.audit.get("tests", {})]
    if "finite_difference_error" in explanation.audit:
        error = explanation.audit["finite_difference_error"]
        lines.append(f"measured by finite differences; error of a weight up to {error:.2g}")
    if out is not None:
        lines += [f"map      {out}", f"picture  {out.with_suffix('.png')}"]
        lines.append(f"page     {out.with_suffix('.html')}")
    if dicom is not None:
        lines.append(f"DICOM    {dicom}: secondary capture and segmentation")
    return "\n".join(lines)


def check_rows(explanation: Explanation) -> list[tuple[str, str, str]]:
    """Every check of the audit with its numbers and whether it was passed, for a table."""
    numbers = _numbers(explanation.audit)
    passed = explanation.audit["passed"].items()
    rows = [(name, numbers.get(name, ""), "yes" if met else "no") for name, met in passed]
    tests = explanation.audit.get("tests", {}).items()
    return rows + [(name, f"{value:.2f}", "no limit") for name, value in tests]


def _numbers(audit: dict[str, Any]) -> dict[str, str]:
    """What was measured for each check, short enough for a line."""
    deletion, insertion = audit["deletion"], audit["insertion"]

    def versus(measured: dict[str, float], rival: str) -> str:
        return f"change {measured['map']:.3g} beside {measured[rival]:.3g}"

    numbers = {
        "beats random pixels": versus(deletion, "random"),
        "beats nearest pixels": versus(deletion, "nearest"),
        "restores the result": versus(insertion, "random"),
    }
    if "randomisation" not in audit:  # a black box: see ctlab.explain.black_box
        numbers["learnt"] = "needs the network's weights"
        return numbers
    return numbers | {
        "learnt": f"likeness {audit['randomisation']['all']:.2f} to shuffled weights",
        "as local as the receptive field": f"gain {audit['localisation']['gain']:.2f}",
        "stable": f"likeness {audit['stability']:.2f} with other noise",
        "adds up": f"gap {audit.get('completeness', {}).get('gap', float('nan')):.1%}",
    }


def map_viewer(
    explanation: Explanation,
    *,
    spacing_mm: Sequence[float],
    labels: tuple[str, str] = ("noisy", "denoised"),
    **traits: Any,
) -> MapViewer:
    """The map over its slice in the shared viewer: H switches it, X shows what was removed.

    The legend says method, scale and verdict. With ``marking=True`` a click is kept in ``marks``,
    for :func:`ctlab.explain.region_of_click` and the next map.

    Parameters
    ----------
    spacing_mm : (y, x) or (z, y, x)
    **traits : as for :func:`ctlab.view.compare_with_map`; ``crop`` takes the field looked at
    """
    traits.setdefault("crop", _field(explanation))
    traits.setdefault("alt", f"{explanation.in_words()} {' beside '.join(labels)}")
    return compare_with_map(
        explanation.image_hu,
        explanation.output_hu,
        signed_colours(explanation.signed),
        spacing_mm=spacing_mm,
        largest=float(np.abs(explanation.signed).max()),
        unit=unit(explanation),
        note=f"{explanation.method}, {explanation.verdict}",
        labels=labels,
        **traits,
    )


def unit(explanation: Explanation) -> str:
    """Unit of the map: that of the target, for most methods; empty where it has no name."""
    if explanation.method in ("difference", "counterfactual"):
        return "HU"
    of_target = _UNITS.get(explanation.target, "")
    if explanation.method in ("scorecam", "ablationcam", "attention", "critic") or not of_target:
        return ""
    return f"{of_target} per HU" if explanation.method == "gradient" else of_target


def write_page(explanation: Explanation, path: str | Path, *, spacing_mm: Sequence[float]) -> None:
    """Writes one HTML file with the viewer, the verdict and the audit, whole or not at all."""
    viewer = map_viewer(explanation, spacing_mm=spacing_mm)
    title = f"{explanation.method} map of a region's {explanation.target}"
    try:
        html = standalone(viewer, title=title, below=_below(explanation))
    finally:
        viewer.close()
    with write_whole(path) as part:
        part.write_text(html, encoding="utf-8")


def _below(explanation: Explanation) -> str:
    """Verdict, audit and limits under the viewer, and a picture for browsers without scripts."""
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in check_rows(explanation)
    )
    layer = f"Layer {escape(explanation.layer)}. " if explanation.layer else ""
    image = base64.b64encode(_png(picture(explanation))).decode()
    return (
        f"<p><strong>{escape(explanation.in_words())}</strong></p><p>{layer}The target's value "
        f"is {explanation.value:.4g}. Keys: H map on or off, [ and ] weaker and stronger, X what "
        "was removed, ? all others.</p><table><thead><tr><th>check</th><th>numbers</th>"
        f"<th>shown</th></tr></thead><tbody>{rows}</tbody></table><p>{escape(limits_in_words())}"
        "</p><p>For teaching and research, not for diagnosis.</p><noscript><img "
        f'src="data:image/png;base64,{image}" alt="{escape(explanation.in_words())}"></noscript>'
    )


def _png(rgb: np.ndarray) -> bytes:
    from PIL import Image

    with io.BytesIO() as kept:
        Image.fromarray(rgb).save(kept, format="PNG")
        return kept.getvalue()


def _field(explanation: Explanation) -> tuple[slice, slice]:
    """Rows and columns looked at, and more around them where they are few."""
    top, left, bottom, right = explanation.field_box
    sides = zip((top, left), (bottom, right), explanation.signed.shape, strict=True)
    field = []
    for low, high, size in sides:
        spare = max(0, _LEAST_SHOWN_PX - (high - low)) // 2
        field.append(slice(max(0, low - spare), min(size, high + spare)))
    return field[0], field[1]
