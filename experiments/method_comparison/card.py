"""The shipped model beside the best tuned filter and the supervised bound, for the model card."""

from pathlib import Path

import pandas as pd

from ctlab.classic import METHODS
from ctlab.files import write_whole
from ctlab.lessons import method_table, share_of_gain
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


def write_card(results: Path) -> None:
    """Put the table of these results into the model card."""
    text = between_marks(CARD.read_text(encoding="utf-8"), MARKS, table(results))
    with write_whole(CARD) as part:
        part.write_text(text, encoding="utf-8")
