"""Maps of a denoiser that shows no layers and no gradients: by trying, one block at a time.

Occlusion takes the detail of a block away, RISE that of random halves of the field; a row of the
Jacobian is measured by finite differences, with its error. All say what moved a region's value;
what a network learnt they cannot tell, so that the verdict is "weak" at best.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import zoom

from ctlab.ct.denoiser import DenoiseImages
from ctlab.explain.audit.audit_map import CHANCE, WEAK, AuditPlan, Steps, faithfulness
from ctlab.explain.audit.restoration_metrics import MapUnderTest, assess_map, other_places
from ctlab.explain.explanation import Explanation
from ctlab.explain.maps.attribution import local_mean
from ctlab.explain.probe.regions import Region, region_mask
from ctlab.explain.probe.targets import RegionTarget, make_target

BLACK_BOX_METHODS = ("occlusion", "gradient", "rise")
TARGETS = ("mean", "noise", "removed", "edge")

FIELD_PX = 24
"""Pixels around the region that are tried; what lies further off is not looked at."""

RISE_MASKS = 400
"""Random masks of RISE; the error of a map falls with the root of their number."""

Score = Callable[[np.ndarray], np.ndarray]
"""From images (n, y, x) in HU to the region's number of each."""


@dataclass(frozen=True)
class FiniteRow:
    """A row of the Jacobian, measured by central differences.

    Attributes
    ----------
    weights : ndarray, float32, shape (y, x)
        Target per HU of each input pixel, the mean over its block; 0 outside the field.
    error : float
        Largest change of a weight where the step is halved.
    """

    weights: np.ndarray
    error: float


def finite_row(
    score: Score,
    image: np.ndarray,
    box: tuple[int, int, int, int],
    *,
    block_px: int = 4,
    step_hu: float = 8.0,
    tell: Callable[[], None] = lambda: None,
) -> FiniteRow:
    """How the number changes with each block of pixels: ``(s(x + h) - s(x - h)) / 2 h``.

    Parameters
    ----------
    image : ndarray, HU, shape (y, x)
    box : top, left, bottom, right of the pixels that are tried
    block_px : side of a block; 1 gives every pixel its own weight
    step_hu : h, for each pixel of a block; h and h / 2 are measured
    tell : called after each block

    Examples
    --------
    >>> row = finite_row(lambda images: images[:, 1, 1] * 3, np.zeros((4, 4)), (0, 0, 4, 4),
    ...                  block_px=1)
    >>> float(row.weights[1, 1]), row.error
    (3.0, 0.0)
    """
    whole, half = (np.zeros(image.shape, np.float32) for _ in range(2))
    for block in _blocks(box, block_px):
        moved = np.repeat(image[None].astype(np.float64), 4, axis=0)
        for k, h in enumerate((step_hu, -step_hu, step_hu / 2, -step_hu / 2)):
            moved[k][block] += h
        a, b, c, d = score(moved)
        pixels = moved[0][block].size
        whole[block] = (a - b) / (2 * step_hu * pixels)
        half[block] = (c - d) / (step_hu * pixels)
        tell()
    return FiniteRow(half, float(np.abs(whole - half).max()))


def occlusion_map(
    score: Score,
    image: np.ndarray,
    box: tuple[int, int, int, int],
    *,
    block_px: int = 4,
    tell: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """How much the number falls when a block loses its detail, float32, (y, x); 0 outside the box.

    Zeiler, Fergus 2014, arXiv 1311.2901, with the local mean in place of grey.
    """
    smooth, value = local_mean(image), float(score(image[None])[0])
    importance = np.zeros(image.shape, np.float32)
    for block in _blocks(box, block_px):
        without = image.copy()
        without[block] = smooth[block]
        importance[block] = value - float(score(without[None])[0])
        tell()
    return importance


def rise_map(
    score: Score,
    image: np.ndarray,
    box: tuple[int, int, int, int],
    *,
    masks: int = RISE_MASKS,
    cell_px: int = 8,
    seed: int = 0,
    tell: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """How the number goes with the detail shown at each pixel, float32, (y, x); 0 outside the box.

    Each mask shows the image where it is 1 and its local mean where it is 0; the map is the slope
    of the number on the mask's value. Petsiuk, Das, Saenko 2018, arXiv 1806.07421, with the local
    mean in place of black, and centred, so that it is signed.
    """
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    rng, smooth = np.random.default_rng(seed), local_mean(image)
    cells = -(-height // cell_px) + 1, -(-width // cell_px) + 1
    shown = np.empty((masks, height, width), np.float32)
    for k in range(masks):
        coarse = (rng.random(cells) < 0.5).astype(np.float32)
        fine = zoom(coarse, cell_px, order=1, grid_mode=True, mode="nearest")
        y, x = rng.integers(0, cell_px, 2)
        shown[k] = fine[y : y + height, x : x + width]
    values = np.empty(masks)
    inside = np.s_[top:bottom, left:right]
    for k, mask in enumerate(shown):
        given = image.copy()
        given[inside] = mask * image[inside] + (1 - mask) * smooth[inside]
        values[k] = score(given[None])[0]
        tell()
    centred = shown - shown.mean(axis=0)
    found = np.zeros(image.shape, np.float32)
    slope = np.tensordot(values - values.mean(), centred, 1) / (centred**2).sum(axis=0)
    found[inside] = slope
    return found


def explain_black_box(
    denoise: DenoiseImages,
    image_hu: np.ndarray,
    roi: Region,
    *,
    method: str = "occlusion",
    target: str = "mean",
    block_px: int = 4,
    step_hu: float = 8.0,
    plan: AuditPlan | None = None,
) -> Explanation:
    """Signed map of what moved a region's value in a denoiser that only answers.

    Parameters
    ----------
    denoise : DenoiseImages
        From images (n, y, x) in HU to the same, denoised.
    image_hu : ndarray, HU, shape (y, x)
    roi : see :func:`ctlab.explain.region_mask`
    method : one of :data:`BLACK_BOX_METHODS`; ``gradient`` is a row of the Jacobian
    target : one of :data:`TARGETS`
    block_px, step_hu : as for :func:`finite_row`

    Returns
    -------
    Explanation
        Its audit holds ``deletion`` and ``insertion``, with ``gradient`` also
        ``finite_difference_error``; ``learnt`` is not shown, as it needs the weights.

    Raises
    ------
    ValueError
        Unknown method or target, or a region that reaches out of the image.
    """
    for name, known, what in ((method, BLACK_BOX_METHODS, "method"), (target, TARGETS, "target")):
        if name not in known:
            raise ValueError(
                f"--{what}: expected one of {', '.join(known)} for a denoiser that shows no "
                f"layers, got {name!r}; choose one of these"
            )
    plan = plan or AuditPlan()
    image = np.asarray(image_hu, dtype=np.float32)
    mask = region_mask(roi, image.shape)
    score = _score(denoise, make_target(target, mask))
    rows, columns = np.nonzero(mask)
    top, left = max(0, int(rows.min()) - FIELD_PX), max(0, int(columns.min()) - FIELD_PX)
    bottom = min(image.shape[0], int(rows.max()) + FIELD_PX + 1)
    right = min(image.shape[1], int(columns.max()) + FIELD_PX + 1)
    box = top, left, bottom, right
    tries = RISE_MASKS if method == "rise" else len(_blocks(box, block_px))
    steps = Steps(plan.progress, tries + 2 * plan.draws)

    made = _map(method, box, block_px, step_hu, plan.seed, steps.one)
    row = made(score, image)
    signed = row.weights
    extra: dict[str, Any] = {}
    if method == "gradient":
        extra["finite_difference_error"] = row.error
    if plan.more_tests:
        quiet = _map(method, box, block_px, step_hu, plan.seed, lambda: None)
        case = _under_test(quiet, denoise, target, image, mask, is_weights=method == "gradient")
        extra["tests"] = assess_map(case, seed=plan.seed)
    rng = np.random.default_rng(plan.seed)
    deletion, insertion = faithfulness(
        lambda batch: score(batch[:, 0]), image, mask, signed, plan, rng, steps
    )
    steps.finish()
    audit = _judged(deletion, insertion, plan) | extra
    out = denoise(image[None])[0]
    value = float(score(image[None])[0])
    return Explanation(
        method=method,
        target=target,
        layer="",
        signed=signed,
        native=signed,
        mask=mask,
        value=value,
        image_hu=image,
        output_hu=out,
        audit=audit,
        field_box=box,
    )


Make = Callable[[Score, np.ndarray], FiniteRow]


def _map(
    method: str,
    box: tuple[int, int, int, int],
    block_px: int,
    step_hu: float,
    seed: int,
    tell: Callable[[], None],
) -> Make:
    """Function of a number and an image to the method's map, with its error where it has one."""
    if method == "gradient":
        return partial(finite_row, box=box, block_px=block_px, step_hu=step_hu, tell=tell)
    if method == "rise":
        rise = partial(rise_map, box=box, seed=seed, tell=tell)
        return lambda score, image: FiniteRow(rise(score, image), 0.0)
    occlusion = partial(occlusion_map, box=box, block_px=block_px, tell=tell)
    return lambda score, image: FiniteRow(occlusion(score, image), 0.0)


def _explain(make: Make, score: Score) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: make(score, image).weights


def _under_test(
    make: Make,
    denoise: DenoiseImages,
    target: str,
    image: np.ndarray,
    mask: np.ndarray,
    *,
    is_weights: bool,
) -> MapUnderTest:
    places = (mask, *other_places(mask))
    score, *others = (_score(denoise, make_target(target, place)) for place in places)
    explain, *elsewhere = (_explain(make, of) for of in (score, *others))
    return MapUnderTest(score, explain, image, mask, elsewhere, is_weights=is_weights)


def _score(denoise: DenoiseImages, target: RegionTarget) -> Score:
    def score(images: np.ndarray) -> np.ndarray:
        import torch

        given = np.ascontiguousarray(images, dtype=np.float32)
        pair = (torch.from_numpy(a)[:, None] for a in (given, np.array(denoise(given))))
        return np.asarray(target(*pair).numpy(), dtype=np.float64)

    return score


def _judged(
    deletion: dict[str, float], insertion: dict[str, float], plan: AuditPlan
) -> dict[str, object]:
    """What was shown, and the word it allows: weak at best, as no weights can be shuffled."""
    least = plan.limits.share_of_draws
    passed = {
        "learnt": False,
        "beats random pixels": deletion["wins_over_random"] >= least,
        "beats nearest pixels": deletion["wins_over_nearest"] >= least,
        "restores the result": insertion["wins_over_random"] >= least,
    }
    return {
        "deletion": deletion,
        "insertion": insertion,
        "passed": passed,
        "verdict": WEAK if passed["beats random pixels"] else CHANCE,
        "reasons": [f"not shown: {name}" for name, is_met in passed.items() if not is_met],
    }


def _blocks(box: tuple[int, int, int, int], block_px: int) -> list[tuple[slice, slice]]:
    """Squares that cover the box, the last ones cut at its border."""
    top, left, bottom, right = box
    return [
        (slice(y, min(y + block_px, bottom)), slice(x, min(x + block_px, right)))
        for y in range(top, bottom, block_px)
        for x in range(left, right, block_px)
    ]
