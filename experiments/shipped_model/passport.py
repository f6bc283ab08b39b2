"""The passport of the shipped model: ``python -m experiments.shipped_model.passport``.

All checks of ``ctlab passport`` on the 40 packaged slices, at a tenth of the dose. Writes
``experiments/shipped_model/passport.json`` and the table in ``MODEL_CARD.md``, in about two
minutes on one core. The same page with its pictures, for a folder of your own:
``ctlab sample SLICES && ctlab passport SLICES --out PAGE``.
"""

from pathlib import Path
from typing import Any

import torch

from ctlab.ct import load_sample
from ctlab.files import write_json, write_whole
from ctlab.learn import load_checkpoint
from ctlab.passport import make_passport
from experiments.shipped_model.image_quality import CARD, between_marks

RESULTS = Path(__file__).with_name("passport.json")
MARKS = (
    "<!-- measured: python -m experiments.shipped_model.passport -->",
    "<!-- end of passport -->",
)
_WORDS = {True: "passed", False: "**failed**", None: "not made"}


def table(passport: dict[str, Any]) -> str:
    """Every check with its limit, and the equivalent dose of each nodule, as Markdown."""
    lines = ["| check | value | limit | result |", "| --- | --- | --- | --- |"]
    for check in passport["checks"]:
        value = "-" if check["value"] is None else f"{check['value']:.3g}"
        lines.append(
            f"| {check['name']} | {value} | {check['limit']} | {_WORDS[check['passed']]} |"
        )
    lines += [
        "",
        "| nodule | contrast, HU | 10 %, denoised, performs like raw |",
        "| --- | --- | --- |",
    ]
    for row in passport["tables"].get("equivalent dose", []):
        dose, low, high = (_percent(row[k]) for k in ("equivalent_dose", "low", "high"))
        lines.append(
            f"| {row['kind']}, {row['diameter_mm']:g} mm | {row['contrast_hu']:.0f} | "
            f"{dose} % ({low} to {high}) |"
        )
    return "\n".join(lines)


def _percent(dose: float | None) -> str:
    return "-" if dose is None else f"{100 * dose:.1f}"


def main() -> None:
    """Run every check and write the results."""
    torch.set_num_threads(1)
    checkpoint = load_checkpoint()
    passport = make_passport([load_sample()], checkpoint).as_dict()
    head = {
        "command": "python -m experiments.shipped_model.passport",
        "checkpoint_sha256": checkpoint.sha256,
    }
    write_json(RESULTS, head | passport)
    card = between_marks(CARD.read_text(encoding="utf-8"), MARKS, table(passport))
    with write_whole(CARD) as part:
        part.write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
