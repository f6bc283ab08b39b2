"""Risk maps of the shipped model on phantom patients: ``python -m experiments.shipped_model.risk``.

44 computed chests at a tenth of the dose pass through the network. 22 of them, the fewest with
which both guarantees can be given, calibrate the bounds on structure added and removed; the
other 22 only verify. Every score of doubt is calibrated, and each is tried on nodules planted in
the network's output or taken out of it, beside the plain difference of input and output. Writes
``experiments/shipped_model/risk.json`` in about nine minutes of processor time, and the table in
``MODEL_CARD.md``.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import binary_erosion

from ctlab.assess import (
    LesionTask,
    calibrate_risk,
    check_coverage,
    compare_scores,
    loss_curve,
    patients_needed,
    tissue_masks,
)
from ctlab.assess.safety.conformal_risk import SIDES
from ctlab.files import write_json, write_whole
from ctlab.learn import (
    Checkpoint,
    HuDenoiser,
    denoise_slices,
    load_checkpoint,
    resume_shipped,
)
from ctlab.passport.phantoms import POPULATION, PhantomPatient, phantom_patient
from ctlab.passport.uncertainty_scores import FLOOR_HU, scores
from experiments.shipped_model.image_quality import CARD, between_marks

RESULTS = Path(__file__).with_name("risk.json")
MARKS = ("<!-- measured: python -m experiments.shipped_model.risk -->", "<!-- end of risk -->")
DOSE = 0.1
ALPHA, DELTA = 0.1, 0.1
FACTORS = np.geomspace(0.01, 1000.0, 400)
MEMBERS, MEMBER_STEPS = 3, 40
NODULE = LesionTask("solid", 6.0, 100.0)
CROP_PX = 33


def members(checkpoint: Checkpoint) -> list[HuDenoiser]:
    """The shipped model trained on by seeds of its own: an ensemble, if a narrow one."""
    found = []
    for seed in range(1, MEMBERS + 1):
        torch.manual_seed(seed)
        state = checkpoint.train_state()
        for _ in resume_shipped(steps=MEMBER_STEPS, state=state):
            pass
        model = checkpoint.denoiser()
        model.network.load_state_dict(state.networks["denoiser"].state_dict())
        found.append(model)
    return found


def planted(patient: PhantomPatient, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A nodule alone (y, x) in HU at a random place of even lung, and its mask."""
    lung = binary_erosion(tissue_masks(patient.truth)["lung"], iterations=8)
    half = CROP_PX // 2
    lung[:half] = lung[-half:] = lung[:, :half] = lung[:, -half:] = False
    places = np.argwhere(lung)
    y, x = places[rng.integers(len(places))]
    signal = np.zeros(patient.truth.shape)
    profile = NODULE.draw((CROP_PX, CROP_PX), patient.pixel_mm)
    signal[y - half : y + half + 1, x - half : x + half + 1] = profile
    return signal.astype(np.float32), signal > 0.5 * NODULE.contrast_hu


def coverage(patients: list[PhantomPatient], maps: dict[str, list], outs: list) -> list[dict]:
    """Each score calibrated on the first half of the patients and verified on the second."""
    half = len(patients) // 2
    rows = []
    for name, score in maps.items():
        for side in ("added", "removed"):
            losses = np.array(
                [
                    loss_curve(p.truth, o, s + FLOOR_HU, FACTORS, side=side, mask=p.body)
                    for p, o, s in zip(patients, outs, score, strict=True)
                ]
            )
            for method in ("crc", "rcps"):
                limit = calibrate_risk(
                    losses[:half],
                    FACTORS,
                    alpha=ALPHA,
                    method=method,
                    delta=DELTA,
                    population=POPULATION,
                )
                at = int(np.flatnonzero(np.isclose(FACTORS, limit.factor))[0])
                seen = check_coverage(limit, losses[half:, at]).to_dict()
                bounds = [
                    limit.factor * np.median((s + FLOOR_HU)[p.body])
                    for p, s in zip(patients[half:], score[half:], strict=True)
                ]
                rows.append(
                    {"score": name, "side": side, "method": method, "factor": limit.factor}
                    | {"median_bound_hu": float(np.mean(bounds)), "n_calibrated": half}
                    | {f"unseen_{key}": value for key, value in seen.items()}
                )
    return rows


def detection(patients: list[PhantomPatient], model: HuDenoiser, others: list) -> list[dict]:
    """Which scores find nodules planted in, or taken out of, the shipped network's output.

    Dropout passes and symmetries are of the failing network and fail with it. An ensemble sees a
    failure of one member; ``ensemble, all fail alike`` is the other case: what the members share,
    such as the images they were trained on, makes them fail together.
    """
    rng = np.random.default_rng(1)
    rows = []
    makers = scores(model, others)
    for side in ("added", "removed"):
        maps: dict[str, list[np.ndarray]] = {n: [] for n in (*makers, "ensemble, all fail alike")}
        masks, lungs = [], []
        for patient in patients:
            signal, mask = planted(patient, rng)
            plain = denoise_slices(patient.low[None], model)[0]
            shown = patient.low if side == "added" else patient.low + signal
            out = plain + signal if side == "added" else plain
            masks.append(mask)
            lungs.append(tissue_masks(patient.truth)["lung"] | mask)
            for name, make in makers.items():
                maps[name].append(make(shown, out))
            # The same signal added to, or missing from, every member leaves their spread alone.
            maps["ensemble, all fail alike"].append(makers["ensemble"](patient.low, plain))
        table = compare_scores(maps, masks, masks=lungs)
        rows += table.assign(planted=side).to_dict("records")
    return rows


def measure(count: int = 44, *, size_px: int | None = None) -> dict[str, Any]:
    """All tables; ``size_px`` and ``count`` are made smaller only to try the code."""
    checkpoint = load_checkpoint()
    model, others = checkpoint.denoiser(), members(checkpoint)
    patients = []
    for seed in range(count):
        patients.append(phantom_patient(seed, DOSE, size_px=size_px))
        sys.stderr.write(f"\rpatient {seed + 1} of {count}")
    sys.stderr.write("\n")
    outs = [denoise_slices(p.low[None], model)[0] for p in patients]
    maps = {
        name: [make(p.low, o) for p, o in zip(patients, outs, strict=True)]
        for name, make in scores(model, others).items()
    }
    pairs = zip(patients, outs, strict=True)
    error = [np.sqrt(np.mean((o - p.truth)[p.body] ** 2)) for p, o in pairs]
    return {
        "command": "python -m experiments.shipped_model.risk",
        "checkpoint_sha256": checkpoint.sha256,
        "population": POPULATION,
        "dose": DOSE,
        "alpha": ALPHA,
        "delta": DELTA,
        "patients_needed": {
            m: patients_needed(ALPHA, method=m, delta=DELTA) for m in ("crc", "rcps")
        },
        "ensemble": f"shipped model and {MEMBERS} continuations of {MEMBER_STEPS} steps",
        "rmse_body_hu": float(np.mean(error)),
        "coverage": coverage(patients, maps, outs),
        "planted_nodules": detection(patients[count // 2 :], model, others),
        "nodule": f"{NODULE.kind}, {NODULE.diameter_mm:g} mm, {NODULE.contrast_hu:g} HU",
    }


def table(found: dict[str, Any]) -> str:
    """Bounds, what lay outside on unseen patients, and planted nodules found, as Markdown."""
    lines = [
        "| score | bound added / removed, HU | outside, unseen patients | AUC added | AUC removed "
        "| beside the residual |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    crc = {(r["score"], r["side"]): r for r in found["coverage"] if r["method"] == "crc"}
    planted = {(r["score"], r["planted"]): r for r in found["planted_nodules"]}
    for name in dict.fromkeys(score for score, _ in planted):
        bounds = [crc[name, s]["median_bound_hu"] for s in SIDES if (name, s) in crc]
        outside = [crc[name, s]["unseen_mean_risk"] for s in SIDES if (name, s) in crc]
        added, removed = (planted[name, side] for side in SIDES)
        verdicts = dict.fromkeys(row["verdict"] for row in (added, removed))
        lines.append(
            f"| {name} | {' / '.join(f'{b:.0f}' for b in bounds) or '-'} | "
            f"{' / '.join(f'{100 * o:.1f} %' for o in outside) or '-'} | {added['auc']:.3f} | "
            f"{removed['auc']:.3f} | {' / '.join(verdicts)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and write the results."""
    torch.set_num_threads(1)
    found = measure()
    write_json(RESULTS, found)
    card = between_marks(CARD.read_text(encoding="utf-8"), MARKS, table(found))
    with write_whole(CARD) as part:
        part.write_text(card, encoding="utf-8")
    shown = pd.DataFrame(found["coverage"]), pd.DataFrame(found["planted_nodules"])
    sys.stdout.write("\n\n".join(t.round(3).to_string(index=False) for t in shown) + "\n")


if __name__ == "__main__":
    main()
