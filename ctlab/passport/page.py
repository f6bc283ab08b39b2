"""The readable side of a passport: one HTML page without scripts, and its pictures."""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ctlab.ct import LUNG, Window
from ctlab.passport.patient_scan import PatientScan

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{border-bottom:1px solid #999;padding:.35rem .5rem;text-align:left;vertical-align:top}
img{max-width:100%}.wide{overflow-x:auto}code{overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}a{color:#8cf}}
"""
WORDS = {True: "passed", False: "failed", None: "not made"}
_CAPTIONS = {
    "slices": "Reference, simulated low dose and denoised slice, lung -600/1500 HU; what was "
    "removed, 0/200 HU.",
    "before and after": "Reference where there is one, before and after, lung -600/1500 HU; what "
    "was removed, 0/200 HU.",
    "coronal": "Neighbouring slices from the side (coronal), as above: bands would show here.",
    "explanation": "Map of a lung region with its scale and verdict.",
    "nps": "Noise power spectra before (grey) and after (orange), each tissue at its own maximum.",
    "ttf": "Task transfer of a 10 mm insert: before (grey), after (orange).",
    "z": "Correlation of the noise with that of slices further on: before (grey), after (orange).",
}
_STATED = (
    "denoiser",
    "checkpoint_sha256",
    "split_hash",
    "code_version",
    "code_sha256",
    "machine",
    "low_dose",
    "dose",
    "slices",
    "seed",
    "steps",
)


def document(title: str, body: str) -> str:
    """A whole HTML page without scripts."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>{body}"
        "</main></body></html>\n"
    )


def page(content: dict[str, Any], pictures: list[str]) -> str:
    """The whole page for a passport's plain content."""
    facts = content["facts"]
    rows = "".join(_check_row(check) for check in content["checks"])
    shown = "".join(
        f'<figure><img src="{name}.png" alt="{escape(_CAPTIONS.get(name, name))}">'
        f"<figcaption>{escape(_CAPTIONS.get(name, name))}</figcaption></figure>"
        for name in sorted(pictures, key=list(_CAPTIONS).index)
    )
    claim = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in facts["claim"])
    about = "".join(
        f"<tr><th>{escape(k)}</th><td><code>{_cell(facts[k])}</code></td></tr>"
        for k in _STATED
        if k in facts
    )
    known = "".join(
        f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>"
        for k, v in facts.get("about", {}).items()
    )
    if known:
        known = f"<h2>The denoiser</h2><table>{known}</table>"
    data = "".join(f"<li><code>{escape(d['sha256'])}</code></li>" for d in facts["data"])
    fits = "".join(f"<li>{escape(sentence)}</li>" for sentence in facts.get("range_of_use", []))
    behaves = "".join(f"<li>{escape(sentence)}</li>" for sentence in facts.get("behaviour", []))
    if behaves:
        behaves = f"<h2>Behaviour on images whose answer is known</h2><ul>{behaves}</ul>"
    verdict = "no check failed" if content["passed"] else "at least one check failed"
    return document(
        "Denoiser passport",
        f"<p>{len(facts['data'])} patient(s), {in_words(facts)}: {verdict}. "
        "Limits without a source are proposals, not standards.</p>"
        "<table><thead><tr><th>check</th><th>value</th><th>limit</th><th>result</th>"
        f"<th>note</th></tr></thead><tbody>{rows}</tbody></table>{shown}"
        f"{_tables(content['tables'])}{known}{behaves}<h2>Range of use, for this low dose</h2>"
        f"<ul>{fits}</ul>"
        "<h2>Reporting items (topics of CLAIM, doi 10.1148/ryai.2020200029)</h2>"
        f"<table>{claim}</table><h2>What was measured</h2><table>{about}</table>"
        f"<p>Series, by the hash of their HU:</p><ul>{data}</ul>",
    )


def claim_items(
    card: dict[str, Any], *, steps: int, n_patients: int, is_stranger: bool = False
) -> list[tuple[str, str]]:
    """Answers to the topics of CLAIM that a card and a passport can answer.

    Of a stranger's training nothing is known beyond the card that it may bring.
    """
    doses = ", ".join(f"{d:g}" for d in card.get("doses", []))
    series = ", ".join(card.get("series", []))
    unknown = "not stated: the denoiser was not trained here, or not at all"
    trained = [
        ("Data for training", f"series {series}; slices per domain {card.get('slices')}"),
        ("Low-dose images", f"simulated at dose fractions {doses}, never measured"),
        ("Partition", "by slabs of slices, split hash above; patients are not separated"),
        ("Training", f"unpaired, {steps} steps; the configuration is in the checkpoint"),
    ]
    if is_stranger:
        kept = trained[:2] if series and doses else []
        trained = kept + [(topic, unknown) for topic, _ in trained[len(kept) :]]
    return [
        *trained[:3],
        ("Reference standard", "the reference-dose scan, itself noisy; phantoms where stated"),
        *trained[3:],
        ("Evaluation", f"{n_patients} patient(s); intervals over patients from 10 on"),
        ("Robustness", "range of use on the card; nothing is claimed outside it"),
        ("Explainability", "maps with audits; a map alone establishes no trust"),
        ("Clinical evaluation", "none in a passport; see the reader study"),
        ("Limits", "one scanner model of the noise; lesions are simulated"),
    ]


def in_words(facts: dict[str, Any]) -> str:
    """The dose of a passport's series, in words."""
    return "before and after" if facts["dose"] is None else f"dose {facts['dose']:g}, simulated"


def views(scan: PatientScan, name: str = "slices") -> dict[str, np.ndarray]:
    """The middle slice, and neighbouring slices from the side, as RGB uint8."""
    k = len(scan.low) // 2
    panels = {name: _panels(*(a[k] for a in (scan.full.hu, scan.low, scan.out)))[::2, ::2]}
    run = scan.run
    if run is not None:
        row = run.low.shape[1] // 2
        tall = max(1, round(run.full.spacing_mm[0] / run.full.spacing_mm[2]))
        sides = [a[::-1, row].repeat(tall, axis=0) for a in (run.full.hu, run.low, run.out)]
        panels["coronal"] = _panels(*sides, axis=0)
    return {name: grey[..., None].repeat(3, axis=-1) for name, grey in panels.items()}


def _panels(full: np.ndarray, low: np.ndarray, out: np.ndarray, *, axis: int = 1) -> np.ndarray:
    images = (low, out) if np.array_equal(full, low) else (full, low, out)
    panels = [LUNG.render(image) for image in images]
    return np.concatenate([*panels, Window(0, 200).render(low - out)], axis=axis)


def curves(tables: dict[str, list[dict[str, Any]]]) -> dict[str, np.ndarray]:
    """Plots of the spectra, the transfer and the correlation along z, where they were measured."""
    plots = {}
    f = "frequency, 1/mm"
    if "nps" in tables:
        spectra = ("frequency_per_mm", "nps_hu2_mm2")
        plots["nps"] = _plot(tables["nps"], *spectra, f, "noise power, share of the highest")
    if "ttf" in tables:
        plots["ttf"] = _plot(tables["ttf"], "frequency_per_mm", "normalised", f, "transfer")
    if "z correlation" in tables:
        pair = ("lag_mm", "correlation")
        plots["z"] = _plot(tables["z correlation"], *pair, "distance along z, mm", "correlation")
    return plots


def save_png(rgb: np.ndarray, path: Path) -> None:
    """Writes RGB uint8 as PNG."""
    from PIL import Image

    Image.fromarray(rgb).save(path, format="PNG", optimize=True)


def _plot(rows: list[dict[str, Any]], x: str, y: str, x_label: str, y_label: str) -> np.ndarray:
    """Both arms of each tissue, or of the one there is; spectra as shares of their highest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys(row.get("tissue", "") for row in rows))
    figure = Figure(figsize=(4.5 * len(groups), 3), layout="constrained", dpi=100)
    canvas: Any = FigureCanvasAgg(figure)
    for k, group in enumerate(groups):
        axes = figure.add_subplot(1, len(groups), k + 1)
        for arm, colour in (("input", "0.5"), ("denoised", "#e66101")):
            part = [r for r in rows if r["arm"] == arm and r.get("tissue", "") == group]
            heights = np.array([row[y] for row in part])
            scale = heights.max() if y.startswith("nps") else 1.0
            axes.plot([r[x] for r in part], heights / scale, color=colour, label=arm)
            axes.set_ylim(min(0.0, 1.15 * heights.min() / scale, axes.get_ylim()[0]), 1.15)
        axes.set(xlabel=x_label, ylabel=y_label, title=group)
        axes.legend()
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _check_row(check: dict[str, Any]) -> str:
    value = "-" if check["value"] is None else f"{check['value']:.3g}"
    note = escape(check["note"]) + "<br>" * bool(check["note"])
    return (
        f"<tr><td>{escape(check['name'])}</td><td>{value}</td><td>{escape(check['limit'])}</td>"
        f"<td><strong>{WORDS[check['passed']]}</strong></td><td>{note}"
        f"<small>limit: {escape(check['source'])}</small></td></tr>"
    )


def _tables(tables: dict[str, list[dict[str, Any]]]) -> str:
    """Short tables in full; the long ones stay in the JSON."""
    shown = ""
    for name, rows in tables.items():
        if not rows or len(rows) > 20:
            continue
        head = "".join(f"<th>{escape(str(k))}</th>" for k in rows[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{_cell(v)}</td>" for v in row.values()) + "</tr>" for row in rows
        )
        shown += (
            f'<h2>{escape(name.capitalize())}</h2><div class="wide"><table><thead><tr>{head}</tr>'
            f"</thead><tbody>{body}</tbody></table></div>"
        )
    return shown


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else escape(str(value))
