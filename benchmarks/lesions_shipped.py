"""What the shipped model does to lesions: ``python -m benchmarks.lesions_shipped``.

Nodules of 4 to 10 mm in the noise of the packaged scan at a tenth of its dose, seen by a
channelised Hotelling observer before and after the model and a classic filter; the raw dose that
each is worth; contrast that comes through; lesions invented; resolution at three contrasts and
doses; and, on a phantom patient, the faintest nodule that stays visible at each place. Writes
``benchmarks/results/lesions_shipped.json`` and ``visible_nodules.png`` in about four minutes on two
quiet cores.
"""

import json
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import binary_erosion

from ctlab.assess import (
    NODULE_TASKS,
    LesionTask,
    amplitude_noise_hu,
    confirm_visibility,
    contrast_recovery,
    d_prime_to_auc,
    detectability_table,
    equivalent_dose,
    false_lesion_rate,
    grid_positions,
    ideal_d_prime,
    nps,
    screen_visibility,
    task_transfer_table,
    tissue_masks,
    visibility_image,
)
from ctlab.ct import LUNG, load_sample
from ctlab.ct.files import write_whole
from ctlab.explain import Subject, jacobian_times
from ctlab.learn import Checkpoint, load_checkpoint
from ctlab.passport.candidate import Candidate, filter_candidate, model_candidate
from ctlab.passport.checks import THRESHOLD_D_PRIME
from ctlab.passport.document import plain
from ctlab.passport.phantoms import as_volume, phantom_patient
from ctlab.passport.scene import (
    PATCH_PX,
    Scene,
    clean_patches,
    make_scene,
    one_by_one,
    taking_turns,
)

RESULTS = Path(__file__).parent / "results" / "lesions_shipped.json"
PICTURE = RESULTS.with_name("visible_nodules.png")
DOSE = 0.1
RAW_DOSES = (0.02, 0.04, 0.2, 0.4)
LUNG_LEVEL_HU = -850.0
WIDER = (("solid", 6.0), ("ground-glass", 6.0))  # also at other contrasts and doses


class Patches:
    """Images of a nodule in even lung, in this scan's noise; the same for the same question."""

    def __init__(self, scene: Scene, rng: np.random.Generator, count: int) -> None:
        self.scene, self.count = scene, count
        self.noises = np.stack(list(islice(taking_turns(scene.noise_patches(), rng), 2 * count)))
        self.clean = clean_patches(rng, count // 2)

    def __call__(self, task: LesionTask, dose: float) -> tuple[np.ndarray, np.ndarray]:
        shown = self.at_dose(dose) + LUNG_LEVEL_HU
        return shown[: self.count] + self.signal(task), shown[self.count :]

    def at_dose(self, dose: float) -> np.ndarray:
        """The noise, whose variance goes with one over the dose (quantum noise alone)."""
        return self.noises * np.sqrt(self.scene.dose / dose)

    def signal(self, task: LesionTask) -> np.ndarray:
        return task.draw((PATCH_PX, PATCH_PX), self.scene.pixel_mm)

    def ceiling(self, task: LesionTask, dose: float) -> float:
        """AUC of the ideal observer, who knows nodule, lung and noise spectrum exactly."""
        spectrum = nps(self.at_dose(dose), self.scene.pixel_mm)
        return float(d_prime_to_auc(ideal_d_prime(self.signal(task), spectrum)))

    def at_threshold(self, task: LesionTask) -> LesionTask:
        """The nodule at the contrast where the input is neither hopeless nor easy."""
        seen = detectability_table(self, None, nodules=[task], doses=(DOSE,))
        factor = THRESHOLD_D_PRIME / max(float(seen["d_prime"].iloc[0]), 0.1)
        return replace(task, contrast_hu=task.contrast_hu * factor)


def detectability(patches: Patches, candidates: list[Candidate]) -> dict[str, list[dict]]:
    """AUC before and after by nodule, contrast and dose; the equivalent dose at a tenth."""
    faint = [patches.at_threshold(task) for task in NODULE_TASKS]
    some = [task for task in faint if (task.kind, task.diameter_mm) in WIDER]
    others = [replace(t, contrast_hu=f * t.contrast_hu) for t in some for f in (0.5, 2.0)]
    raw = detectability_table(patches, None, nodules=faint, doses=RAW_DOSES)
    tables, doses = [], []
    for k, candidate in enumerate(candidates):
        single = one_by_one(candidate.denoise)
        at_tenth = detectability_table(patches, single, nodules=faint, doses=(DOSE,))
        found = [at_tenth]
        if k == 0:
            found.append(detectability_table(patches, single, nodules=others, doses=(DOSE,)))
            found.append(detectability_table(patches, single, nodules=some, doses=(0.05, 0.25)))
        tables += [part.assign(denoiser=candidate.name) for part in found]
        worth = equivalent_dose(pd.concat([at_tenth, raw], ignore_index=True))
        doses.append(worth.assign(denoiser=candidate.name))
    table = pd.concat(tables, ignore_index=True)
    table["ceiling_auc"] = [
        patches.ceiling(LesionTask(r.kind, r.diameter_mm, r.contrast_hu), r.dose)
        for r in table.itertuples()
    ]
    table["above_ceiling"] = table["low"] > table["ceiling_auc"]
    return {
        "detectability": table.to_dict("records"),
        "equivalent_dose": pd.concat(doses).to_dict("records"),
    }


def fidelity(patches: Patches, candidates: list[Candidate]) -> dict[str, list[dict]]:
    """Contrast that comes through, lesions invented, and resolution at contrasts and doses."""
    recovered, false, transfer = [], [], []
    unit = patches.signal(LesionTask("solid", 10.0, 1.0))
    flat = np.full((PATCH_PX, PATCH_PX), LUNG_LEVEL_HU)
    noises = patches.noises[: len(patches.clean)]
    for candidate in candidates:
        single, name = one_by_one(candidate.denoise), {"denoiser": candidate.name}
        for task in NODULE_TASKS:
            found = contrast_recovery(single, patches.clean[:24], patches.signal(task), noises[:24])
            row = {"kind": task.kind, "diameter_mm": task.diameter_mm}
            recovered.append(name | row | {"contrast_hu": task.contrast_hu} | found)
        healthy = candidate.denoise((patches.clean + noises).astype(np.float32))
        smallest = patches.signal(NODULE_TASKS[0])[20:-20, 20:-20]
        rate = false_lesion_rate(healthy, patches.clean, smallest, least_contrast_hu=100.0)
        false.append(name | rate)
        curve = task_transfer_table(
            single, flat, unit, lambda dose: patches.at_dose(dose)[:10],
            spacing_mm=patches.scene.pixel_mm,
            contrasts_hu=(100.0, 300.0, 600.0), doses=(0.05, DOSE, 0.25),
        )  # fmt: skip
        transfer += [name | row for row in curve.to_dict("records")]
    return {"contrast_recovery": recovered, "false_lesions": false, "task_transfer": transfer}


def visible_nodules(checkpoint: Checkpoint, candidate: Candidate) -> dict[str, Any]:
    """The smallest contrast of a 6 mm nodule that stays visible, place by place in one lung."""
    patient, other = (phantom_patient(0, DOSE, noise=k) for k in (0, 1))
    pixel_mm = as_volume(patient).spacing_mm[1:]
    unit = LesionTask("solid", 6.0, 1.0).draw((17, 17), pixel_mm)
    lung = binary_erosion(tissue_masks(patient.truth)["lung"], iterations=2)
    places = grid_positions(lung, unit, step_px=10)
    single, subject = one_by_one(candidate.denoise), Subject(checkpoint)
    arms: dict[str, Any] = {}
    for arm, function, jvp in (
        ("input", lambda hu: hu, lambda hu, change: change),
        ("denoised", single, lambda hu, change: jacobian_times(subject, hu, change)),
    ):
        spread = amplitude_noise_hu(function(patient.low), function(other.low), unit)
        table = screen_visibility(jvp, patient.low, unit, positions=places, noise_hu=spread)
        arms[arm] = confirm_visibility(function, patient.low, unit, table, count=8)
    _draw(patient.truth, arms, lung)
    return {arm: _told(table) for arm, table in arms.items()}


def _told(table: pd.DataFrame) -> dict[str, Any]:
    """Quartiles over places, and how far the derivative was from what insertion confirmed."""
    checked = table[table["confirmed"] & np.isfinite(table["visible_hu"])]
    apart = np.log(checked["visible_hu"] / checked["screened_hu"])
    apart = apart[np.isfinite(apart)]
    return {
        "places": len(table),
        "visible_hu_quartiles": table["visible_hu"].quantile([0.25, 0.5, 0.75]).tolist(),
        "never_visible": int(np.isinf(table["visible_hu"]).sum()),
        "confirmed": int(table["confirmed"].sum()),
        "median_confirmed_over_screened": float(np.exp(np.median(apart))) if len(apart) else None,
    }


def _draw(truth: np.ndarray, arms: dict[str, pd.DataFrame], lung: np.ndarray) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained", dpi=100)
    panels = figure.subplots(1, len(arms))
    for axes, (arm, table) in zip(panels, arms.items(), strict=True):
        axes.imshow(LUNG.render(truth), cmap="gray")
        shown = axes.imshow(visibility_image(table, lung), cmap="viridis", vmin=0, vmax=200)
        axes.set_title(f"{arm}, slice in {LUNG}")
        axes.axis("off")
    figure.colorbar(shown, ax=panels, label="smallest visible contrast of a 6 mm nodule, HU")
    with write_whole(PICTURE) as part:
        figure.savefig(part)


def measure(count: int = 120) -> dict[str, Any]:
    """All tables; ``count`` images with a nodule and as many without."""
    checkpoint, sample = load_checkpoint(), load_sample()
    rng = np.random.default_rng(0)
    model = model_candidate(checkpoint)
    _say("scan")
    candidates = [model, filter_candidate("nlm", sample, dose=DOSE, rng=rng)]
    scene = make_scene(sample, lambda images: images, dose=DOSE, slices=12, rng=rng)
    patches = Patches(scene, rng, count)
    _say("observer")
    seen = detectability(patches, candidates)
    _say("contrast and resolution")
    kept = fidelity(patches, candidates)
    _say("faintest visible nodules")
    visible = visible_nodules(checkpoint, model)
    return {
        "command": "python -m benchmarks.lesions_shipped",
        "checkpoint_sha256": checkpoint.sha256,
        "noise": "packaged sample, LIDC-IDRI-0001, lung; low dose simulated",
        "dose": DOSE,
        "images": f"{count} with and {count} without a nodule; half train the observer",
        **seen,
        **kept,
        "visible_nodules": visible,
    }


def _say(stage: str) -> None:
    sys.stderr.write(f"{time.process_time():5.0f} s of CPU: {stage}\n")


def main() -> None:
    torch.set_num_threads(1)
    found = measure()
    with write_whole(RESULTS) as part:
        part.write_text(json.dumps(plain(found), indent=1) + "\n", encoding="utf-8")
    columns = ["denoiser", "kind", "diameter_mm", "dose", "equivalent_dose", "low", "high"]
    table = pd.DataFrame(found["equivalent_dose"])[columns]
    sys.stdout.write(table.round(3).to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
