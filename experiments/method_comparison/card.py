"""The shipped model beside the best tuned filter and the supervised bound, for the model card."""

from pathlib import Path

import pandas as pd

from ctlab.classic import METHODS
from ctlab.files import write_whole
from ctlab.lessons import method_table, share_of_gain
from ctlab.lessons.material.method_table import read_comparison
from experiments.shipped_model.image_quality import CARD, between_marks

MARKS = (
    "<!-- measured: python -m experiments.method_comparison evaluate -->",
    "<!-- end of baselines -->",
)
HEADS = (
    "slices of",
    "dose",
    "RMSE, HU: model / best filter",
    "PSNR, dB: model / best filter / supervised",
    "SSIM: model / best filter",
    "share of the supervised gain",
    "texture, HU: model / supervised",
    "spectrum: model / supervised",
)


def table(results: Path) -> str:
    """Markdown, a row for the sample and one for the other patients' mean, dose by dose."""
    rows = [HEADS, ["---"] * len(HEADS)]
    for dose in (0.1, 0.05):
        for who, patients in (("the sample", ["sample"]), ("{n} others", None)):
            comparison = method_table(dose, patients, path=results)
            name = who.format(n=comparison.attrs["patients"])
            rows.append([name, f"{100 * dose:g} %", *_row(comparison)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(comparison: pd.DataFrame) -> list[str]:
    filters = comparison.loc[list(METHODS)]
    rmse, psnr, ssim = comparison["RMSE (HU)"], comparison["PSNR (dB)"], comparison["SSIM"]
    least, most = filters["RMSE (HU)"].idxmin(), filters["PSNR (dB)"].idxmax()
    alike = filters["SSIM"].idxmax()
    pairs = [
        (comparison[m]["shipped"], comparison[m]["supervised"])
        for m in ("texture (HU)", "spectrum")
    ]
    return [
        f"{rmse['shipped']:.1f} / {rmse[least]:.1f} ({least})",
        f"{psnr['shipped']:.2f} / {psnr[most]:.2f} ({most}) / {psnr['supervised']:.2f}",
        f"{ssim['shipped']:.3f} / {ssim[alike]:.3f} ({alike})",
        f"{100 * share_of_gain(comparison, 'shipped'):.0f} %",
        "{:.1f} / {:.1f}".format(*pairs[0]),
        "{:.3f} / {:.3f}".format(*pairs[1]),
    ]


SHARE_AIM, BIAS_AIM_HU = 0.85, 2.0
BOUNDS = {
    "supervised": "the supervised gain",
    "supervised-equal": "the gain of a supervised network trained for as many steps",
}


def aims(results: Path) -> str:
    """Which aims are reached, case by case (a patient at a dose), in Markdown."""
    methods = read_comparison(results)["methods"]
    by_case = {
        name: {(row["patient"], row["dose"]): row for row in method["rows"]}
        for name, method in methods.items()
    }
    lines = []
    for measure, words, sign in (
        ("rmse_body_hu", "RMSE", -1),
        ("psnr_db", "PSNR", 1),
        ("ssim", "SSIM", 1),
    ):
        behind = [
            f"{patient} at {100 * dose:g} %"
            for (patient, dose), row in by_case["shipped"].items()
            if sign * row[measure]
            <= max(sign * by_case[name][patient, dose][measure] for name in METHODS)
        ]
        count = len(by_case["shipped"])
        lines.append(
            f"- {words}: ahead of every tuned filter in {count - len(behind)} of {count} cases"
            + (f"; behind in {', '.join(behind)}." if behind else ".")
        )
    lines += [_share(results, bound, words) for bound, words in BOUNDS.items() if bound in methods]
    beyond = [
        abs(row[f"bias_{tissue}_hu"] - by_case["input"][case][f"bias_{tissue}_hu"])
        for case, row in by_case["shipped"].items()
        for tissue in ("lung", "soft", "bone")
        if row[f"bias_{tissue}_hu"] is not None
    ]
    verdict = "reached" if max(beyond) <= BIAS_AIM_HU else "**missed**"
    lines.append(
        f"- Bias beyond that of the input: at most {max(beyond):.1f} HU in lung, soft tissue and "
        f"bone of any case (aim {BIAS_AIM_HU:g} HU: {verdict})."
    )
    return "\n".join(lines)


def _share(results: Path, bound: str, words: str) -> str:
    """What the shipped model has of a bound's gain, least and most over doses and patients."""
    shares = [
        share_of_gain(method_table(dose, patients, path=results), "shipped", bound)
        for dose in (0.1, 0.05)
        for patients in (["sample"], None)
    ]
    verdict = "reached" if min(shares) >= SHARE_AIM else "**missed**"
    return (
        f"- Share of {words}: {100 * min(shares):.0f} to {100 * max(shares):.0f} % "
        f"(aim {100 * SHARE_AIM:.0f} %: {verdict})."
    )


def write_card(results: Path) -> None:
    """Put the table of these results, and which aims they reach, into the model card."""
    text = f"{table(results)}\n\n{aims(results)}"
    text = between_marks(CARD.read_text(encoding="utf-8"), MARKS, text)
    with write_whole(CARD) as part:
        part.write_text(text, encoding="utf-8")
