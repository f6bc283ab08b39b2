"""What should not change an answer: the level of HU, their scale, the field of view, other slices.

Each is a question to a denoiser that only answers: the input is changed in a known way, and the
change of the output is compared with what it has to be.
"""

import numpy as np

from ctlab.assess import LesionTask
from ctlab.ct import LUNG_ROI_HU, find_rois
from ctlab.passport.bench import Bench, Finding

SHIFT_HU = 10.0
SCALE = 1.05
DISC_HU = 300.0
NAMES = ("answer to 10 HU more", "answer to 5 % more attenuation", "change with the field of view")


def invariance(bench: Bench) -> Finding:
    """Errors after a shift by 10 HU and a scale of 1.05, and the change where the border is cut.

    Means are taken over lung and soft tissue, and the worse one counts. Attenuation is HU + 1000:
    a denoiser should scale with it, within what the noise, scaled too, does to its strength.
    """
    scan = bench.scans[0]
    k = len(scan.low) // 2
    image, truth = scan.low[k].astype(np.float32), scan.full.hu[k]
    border = min(32, min(image.shape) // 8)
    middle = tuple(slice(n // 2 - border // 2, n // 2 + border // 2) for n in image.shape)
    inner = np.s_[border:-border, border:-border]
    cut = np.full_like(image, np.nan)
    less = image - np.float32(SHIFT_HU / 2)  # the image itself is asked among its neighbours
    plain, more, scaled = bench.denoise(
        np.stack([less, less + np.float32(SHIFT_HU), (less + 1000) * np.float32(SCALE) - 1000])
    ).astype(float)
    cut[inner] = bench.denoise(np.ascontiguousarray(less[inner])[None])[0]
    tissues = [(truth > -950) & (truth < -700), (truth > -100) & (truth < 150)]
    masks = [m for m in tissues if m.sum() >= 100]
    if not masks:
        raise ValueError("needs 100 pixels of lung or soft tissue in the middle slice, got fewer")
    shifts = [float((more - plain)[m].mean()) - SHIFT_HU for m in masks]
    wanted = [SCALE * float((plain[m] + 1000).mean()) for m in masks]
    ratios = [float((scaled[m] + 1000).mean()) / w - 1 for m, w in zip(masks, wanted, strict=True)]
    extent = float(np.abs(cut - plain)[middle].max())
    values = (max(map(abs, shifts)), max(map(abs, ratios)), extent)
    notes = (
        "mean of lung and of soft tissue, the worse of both",
        "mean of HU + 1000 in lung and in soft tissue, the worse of both",
        f"largest change in the middle of a slice where {border} px of each border are cut off",
    )
    return Finding(dict(zip(NAMES, values, strict=True)), dict(zip(NAMES, notes, strict=True)))


def leak(bench: Bench) -> Finding:
    """Share of a disc's contrast, put into one slice alone, that comes out in another slice."""
    name, run = "leak between slices", bench.scans[0].run
    if run is None or len(run.low) < 3:
        raise ValueError(f"needs 3 neighbouring slices, got {0 if run is None else len(run.low)}")
    k = len(run.low) // 2
    corners = find_rois(run.full.hu[k], LUNG_ROI_HU, size_px=32)
    if len(corners) == 0:
        raise ValueError("needs lung of 32 px in the middle slice, got none")
    y, x = corners[len(corners) // 2]
    disc = LesionTask("solid", 10.0, DISC_HU).draw((32, 32), run.pixel_mm)
    core = disc >= 0.5 * disc.max()
    here = np.s_[:, int(y) : int(y) + 32, int(x) : int(x) + 32]
    without = run.low.astype(np.float32)
    with_disc = without + np.float32(SHIFT_HU)  # so that no slice of it is one of the others
    with_disc[here][k] += disc
    together = bench.together or bench.denoise
    change = together(with_disc).astype(float) - together(without) - SHIFT_HU
    shares = np.abs(change[here][:, core].mean(axis=1)) / disc[core].mean()
    others = np.delete(shares, k)
    note = f"a 10 mm disc of {DISC_HU:g} HU in one of {len(shares)} slices, which keeps "
    return Finding({name: float(others.max())}, {name: f"{note}{shares[k]:.2f} of its contrast"})
