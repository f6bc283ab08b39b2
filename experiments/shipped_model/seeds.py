"""Whether the shipped model hangs on its seed: its recipe again, with other seeds.

    python -m experiments.shipped_model.seeds [WHEEL] [--seeds 1 2]

Each number is added to the seeds of both configurations in ``ctlab/learn/shipped``; everything else
is as it was. On the packaged sample, simulated at 5, 10, 25 and 50 % of its dose, stand the runs
beside the shipped model. ``seeds.json`` gets a run as soon as it has ended, and a run that is there
is left alone. States of the first of them while it trains become ``training_states.npz``, which the
slider of the chapter on training shows (:mod:`ctlab.lessons.live.training_states`). Forty minutes
of a core each.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctlab.ct import load_sample, simulate_dose
from ctlab.ct.tissue import tissue_masks
from ctlab.files import write_json, write_whole
from ctlab.learn import denoise_slices, load_checkpoint
from ctlab.learn.train.checkpoint import HuDenoiser
from ctlab.lessons.live import training_states
from experiments.shipped_model.image_quality import CARD, TISSUES, between_marks, measure
from experiments.shipped_model.train import SERIES, find_wheel, run_recipe, unpack

RESULTS = Path(__file__).with_name("seeds.json")
MARKS = (
    "<!-- measured: python -m experiments.shipped_model.seeds -->",
    "<!-- end of seeds -->",
)
DOSES = (0.05, 0.1, 0.25, 0.5)
STATES = Path(training_states.__file__).with_suffix(".npz")


def judged(denoiser: HuDenoiser) -> dict[str, dict[str, float]]:
    """By dose, the same measures as in ``image_quality.json``, and the gain in PSNR."""
    reference = load_sample()
    every = tissue_masks(reference.hu)
    masks = {tissue: every[tissue] for tissue in TISSUES}
    found = {}
    for dose in DOSES:
        low = simulate_dose(reference, dose, rng=np.random.default_rng(0))
        image = low.with_hu(denoise_slices(low.hu, denoiser))
        of_input, of_model = (measure(reference, low, one, masks) for one in (low, image))
        found[str(dose)] = of_model | {"gain_db": of_model["psnr_db"] - of_input["psnr_db"]}
    return found


def run(wheel: Path, later_seed: int, kept: Path) -> dict[str, Any]:
    """One training; its results, and its states while it trained in the folder ``kept``."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(wheel, Path(folder) / SERIES)
        for step in run_recipe(Path(folder), later_seed=later_seed):
            done = step.begun + step.state.step
            if done in training_states.STEPS:
                kept.mkdir(parents=True, exist_ok=True)
                averaged = step.state.networks["denoiser_ema"].state_dict()
                torch.save(averaged, kept / f"step-{done}.pt")
            if done % 500 == 0:
                sys.stderr.write(f"seed +{later_seed}, step {done}\n")
        os.chdir("/")  # out of the folder that goes
    network = step.state.networks["denoiser_ema"]
    denoiser = HuDenoiser(network, step.config.scale).eval().requires_grad_(False)
    return {"steps": done, "later_seed": later_seed, "doses": judged(denoiser)}


def spread(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By dose, the least and the most gain in PSNR over the runs, the shipped model among them."""
    gains = {d: [one["doses"][d]["gain_db"] for one in runs] for d in map(str, DOSES)}
    return {d: {"least_db": min(values), "most_db": max(values)} for d, values in gains.items()}


def table(results: dict[str, Any]) -> str:
    """Gain in PSNR by dose and run, as a Markdown table."""
    rows = [["dose", "shipped", *(f"seed +{r['later_seed']}" for r in results["runs"][1:])]]
    rows.append(["---"] * len(rows[0]))
    for dose in map(str, DOSES):
        gains = [f"{r['doses'][dose]['gain_db']:+.2f} dB" for r in results["runs"]]
        rows.append([f"{100 * float(dose):g} %", *gains])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def pack(kept: Path) -> None:
    """The states of a run into the file that the chapter's slider reads."""
    states = {
        step: {n: w.numpy() for n, w in torch.load(kept / f"step-{step}.pt").items()}
        for step in training_states.STEPS
    }
    with write_whole(STATES) as part, part.open("wb") as file:
        training_states.write_states(states, file)


def main() -> None:
    """Train and judge what is missing in the results."""
    parser = argparse.ArgumentParser(prog="python -m experiments.shipped_model.seeds")
    parser.add_argument("wheel", nargs="?")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    torch.set_num_threads(1)
    shipped = load_checkpoint()
    first = {"later_seed": 0, "doses": judged(shipped.denoiser())}
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    same = known.get("checkpoint_sha256") == shipped.sha256
    runs = known["runs"][1:] if same else []
    missing = [seed for seed in given.seeds if seed not in {one["later_seed"] for one in runs}]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        wheel = find_wheel(given.wheel, Path(folder))
        for later_seed in missing:
            kept = Path(folder) / f"seed-{later_seed}"
            runs.append(run(wheel, later_seed, kept))
            results = {
                "command": "python -m experiments.shipped_model.seeds",
                "checkpoint_sha256": shipped.sha256,
                "torch": torch.__version__,
                "runs": [first, *runs],
                "gain_db": spread([first, *runs]),
            }
            write_json(RESULTS, results)
            card = CARD.read_text("utf-8")
            with write_whole(CARD) as part:
                part.write_text(between_marks(card, MARKS, table(results)), "utf-8")
            if later_seed == given.seeds[0]:
                pack(kept)


if __name__ == "__main__":
    main()
