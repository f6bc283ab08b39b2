"""Numbers that say whether a map deserves belief, and the words they allow.

Four questions. Does the map depend on what the network learnt, or only on its architecture?
Does changing what it marks change the result more than changing random pixels, or simply the
nearest ones? Is it more local than the network's own receptive field? Does it survive another
noise realisation?
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from ctlab.explain.maps.gradient import input_gradient
from ctlab.explain.probe.denoiser_probe import DenoiserProbe
from ctlab.explain.probe.imputation import imputed
from ctlab.explain.probe.targets import BranchTarget, Explainer, RegionTarget, Target

BELIEVE, WEAK, CHANCE = "believe", "weak", "no better than chance"


@dataclass(frozen=True)
class Limits:
    """What a map has to reach. Proposals of this project, not taken from a standard.

    Attributes
    ----------
    randomised_cosine : largest likeness to maps of networks with shuffled weights
    share_of_draws : least share of draws in which the map has to win
    stability_cosine : least likeness between maps of two noise realisations
    localisation_gain : least ratio of relevance to receptive field inside the region; a row of the
        Jacobian is the receptive field itself and has 1
    completeness_gap : largest gap between a map's sum and the change it has to add up to, over
        that change; asked only of maps that claim to add up
    """

    randomised_cosine: float = 0.5
    share_of_draws: float = 0.875
    stability_cosine: float = 0.7
    localisation_gain: float = 0.95
    completeness_gap: float = 0.1


@dataclass(frozen=True)
class AuditPlan:
    """How much is computed, from which seed, and the limits to pass.

    ``progress`` is called with (steps done, steps in all). ``more_tests`` adds those of
    :func:`ctlab.explain.assess_map`, on which no verdict hangs.
    """

    draws: int = 8
    random_networks: int = 5
    fractions: tuple[float, ...] = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
    seed: int = 0
    limits: Limits = Limits()
    more_tests: bool = False
    progress: Callable[[int, int], None] | None = None


def audit_map(
    probe: DenoiserProbe,
    image: np.ndarray,
    mask: np.ndarray,
    target: Target,
    explain: Explainer,
    *,
    plan: AuditPlan | None = None,
    start: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[str, object]:
    """Audit of one map: numbers, which of them pass, the verdict and its reasons.

    Parameters
    ----------
    image : ndarray, HU, shape (y, x)
    mask : ndarray of bool, shape (y, x)
        The region the target reads.
    explain : function of probe, image and target to a signed map
    start : function of an image to the image that the map compares with, optional
        For maps that have to add up to the change of the target from there.

    Returns
    -------
    dict
        ``randomisation``: cosines of the signed map with those of networks with shuffled weights
        (``all``: every layer, median; ``cascade``: from the last layer down), and of those among
        each other (``architecture``), for the removed noise alone: the way around the network,
        on which a residual denoiser hands the image through, is the same in all of them.
        ``deletion`` and ``insertion``: mean change of the target over growing shares of pixels,
        for the map, for random pixels and for the pixels nearest to the region, with the share
        of draws the map wins. ``localisation``: share of relevance in the region over the share
        of the receptive field there. ``stability``: median cosine over noise realisations.
        ``completeness``, with ``start`` only: the map's sum, the change of the target, and the
        gap between the two over the change. ``diffusion``: see :func:`diffusion_index`.
        ``passed``, ``verdict``, ``reasons``.
    """
    plan = plan or AuditPlan()
    rng = np.random.default_rng(plan.seed)
    steps = Steps(plan.progress, 4 + 2 * plan.random_networks + 2 * plan.draws)
    signed = explain(probe, image, target)
    steps.one()
    randomisation = _randomisation(probe, image, target, explain, plan, rng, steps)
    deletion, insertion = faithfulness(
        lambda batch: target_values(probe, batch, target), image, mask, signed, plan, rng, steps
    )
    numbers: dict[str, object] = {
        "randomisation": randomisation,
        "deletion": deletion,
        "insertion": insertion,
        "localisation": _localisation(probe, image, mask, target, signed),
        "stability": _stability(image, signed, lambda i: explain(probe, i, target), rng, steps),
        "diffusion": diffusion_index(signed) if np.any(signed) else 0.0,
    }
    if start is not None:
        numbers["completeness"] = _completeness(probe, image, start(image), target, signed)
    steps.finish()
    return numbers | judge(numbers, plan.limits)


def judge(numbers: dict[str, Any], limits: Limits) -> dict[str, object]:
    """Which numbers pass, and the word they allow: believe, weak, no better than chance."""
    passed = {
        "learnt": abs(numbers["randomisation"]["all"]) <= limits.randomised_cosine,
        "beats random pixels": numbers["deletion"]["wins_over_random"] >= limits.share_of_draws,
        "beats nearest pixels": numbers["deletion"]["wins_over_nearest"] >= limits.share_of_draws,
        "restores the result": numbers["insertion"]["wins_over_random"] >= limits.share_of_draws,
        "as local as the receptive field": (
            numbers["localisation"]["gain"] >= limits.localisation_gain
        ),
        "stable": numbers["stability"] >= limits.stability_cosine,
    }
    if "completeness" in numbers:
        passed["adds up"] = numbers["completeness"]["gap"] <= limits.completeness_gap
    if not (passed["learnt"] and passed["beats random pixels"]):
        verdict = CHANCE
    else:
        verdict = BELIEVE if all(passed.values()) else WEAK
    reasons = [f"not shown: {name}" for name, is_met in passed.items() if not is_met]
    return {"passed": passed, "verdict": verdict, "reasons": reasons}


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of the angle between two signed maps; 0 where one of them is empty.

    Examples
    --------
    >>> cosine(np.array([1.0, -1.0]), np.array([-2.0, 2.0])).__round__(6)
    -1.0
    """
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return 0.0 if length == 0 else float(np.sum(first * second, dtype=np.float64) / length)


class Steps:
    """Counts steps for a progress bar."""

    def __init__(self, tell: Callable[[int, int], None] | None, total: int) -> None:
        self.tell, self.total, self.done = tell, total, 0

    def one(self) -> None:
        """One more step is done."""
        self.done += 1
        if self.tell is not None:
            self.tell(min(self.done, self.total), self.total)

    def finish(self) -> None:
        """All steps are done."""
        self.done = self.total - 1
        self.one()


def _randomisation(
    probe: DenoiserProbe,
    image: np.ndarray,
    target: Target,
    explain: Explainer,
    plan: AuditPlan,
    rng: np.random.Generator,
    steps: Steps,
) -> dict[str, object]:
    """Signed maps after shuffling the weights (Adebayo et al. 2018, arXiv 1810.03292)."""
    branch = branch_of(target)
    signed = explain(probe, image, branch)
    others = []
    for _ in range(plan.random_networks):
        others.append(explain(probe.randomised(rng), image, branch))
        steps.one()
    layers = probe.layers[::-1]
    cascade = {}
    for count in sorted({max(1, round(len(layers) * q)) for q in (0.1, 0.35, 0.6, 0.85)}):
        twin = probe.randomised(rng, names=layers[:count])
        cascade[layers[count - 1]] = cosine(signed, explain(twin, image, branch))
        steps.one()
    likeness = [cosine(signed, other) for other in others]
    pairs = [cosine(a, b) for i, a in enumerate(others) for b in others[:i]]
    return {
        "all": float(np.median(likeness)),
        "range": [min(likeness), max(likeness)],
        "architecture": float(np.median(pairs)) if pairs else 0.0,
        "architecture_range": [min(pairs), max(pairs)] if pairs else [0.0, 0.0],
        "cascade": cascade,
    }


def branch_of(target: Target) -> Target:
    """The target without the way around the network; a region's stays one, and is fast to map."""
    if isinstance(target, RegionTarget):
        return BranchTarget.of(target)
    return lambda low, out: target(low, out) - target(low, low)


def faithfulness(
    score: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    mask: np.ndarray,
    signed: np.ndarray,
    plan: AuditPlan,
    rng: np.random.Generator,
    steps: Steps,
) -> tuple[dict[str, float], dict[str, float]]:
    """Deletion and insertion of pixels with noise-matched imputation, in three orders.

    ``score`` gives the target of each image of a batch (n, c, y, x).
    """
    stack = image.reshape(-1, *mask.shape)  # (c, y, x): one slice, or it and its neighbours
    sizes = [max(1, round(f * mask.size)) for f in plan.fractions]
    value = score(stack[None])[0]
    near = distance_transform_edt(~mask)
    results = np.zeros((2, 3, plan.draws))
    for draw in range(plan.draws):
        other = imputed(stack, rng)
        ties = rng.random(mask.shape)
        keys = (-np.abs(signed), near, np.zeros(mask.shape))  # the map, nearest pixels, random
        for k, key in enumerate(keys):
            order = np.lexsort((ties.ravel(), key.ravel()))
            moved = np.zeros((len(sizes), mask.size), dtype=bool)
            for row, size in zip(moved, sizes, strict=True):
                row[order[:size]] = True
            moved = moved.reshape(-1, 1, *mask.shape)
            for kind, (inside, outside) in enumerate(((other, stack), (stack, other))):
                scores = score(np.where(moved, inside, outside))
                results[kind, k, draw] = np.abs(scores - value).mean()
        steps.one()
        steps.one()
    return _versus(results[0], 1), _versus(results[1], -1)


def _versus(results: np.ndarray, sign: int) -> dict[str, float]:
    """Means of (map, nearest, random) over draws and how often the map wins."""
    own, nearest, chance = results
    return {
        "map": float(own.mean()),
        "nearest": float(nearest.mean()),
        "random": float(chance.mean()),
        "wins_over_nearest": float(np.mean(sign * (own - nearest) > 0)),
        "wins_over_random": float(np.mean(sign * (own - chance) > 0)),
    }


@torch.no_grad()
def target_values(probe: DenoiserProbe, images: np.ndarray, target: Target) -> np.ndarray:
    """Target of each image of a batch (n, c, y, x)."""
    batch = probe.tensor(images)
    return target(probe.middle(batch), probe.forward(batch)).cpu().numpy().astype(np.float64)


def _completeness(
    probe: DenoiserProbe, image: np.ndarray, start: np.ndarray, target: Target, signed: np.ndarray
) -> dict[str, float]:
    """Sum of a map beside the change of the target from the start to the image."""
    before, after = target_values(
        probe, np.stack([start, image]).reshape(2, -1, *signed.shape), target
    )
    total, change = float(signed.sum(dtype=np.float64)), float(after - before)
    return {"sum": total, "change": change, "gap": abs(total - change) / max(abs(change), 1e-9)}


def diffusion_index(attribution: np.ndarray) -> float:
    """How widely a map spreads, 0 (one pixel) to 100 (even): ``100 (1 - Gini)``.

    Gu, Dong 2021 (arXiv 2011.11036), equation 8.

    Examples
    --------
    >>> diffusion_index(np.ones((10, 10))), round(diffusion_index(np.eye(1, 1000)), 3)
    (100.0, 0.1)
    """
    sizes = np.sort(np.abs(np.asarray(attribution, dtype=np.float64)).ravel())
    if sizes.sum() == 0:
        raise ValueError("the map is empty; there is nothing whose spread could be measured")
    n = sizes.size
    gini = (2 * np.sum(np.arange(1, n + 1) * sizes) / sizes.sum() - (n + 1)) / n
    return float(100 * (1 - gini))


def _localisation(
    probe: DenoiserProbe, image: np.ndarray, mask: np.ndarray, target: Target, signed: np.ndarray
) -> dict[str, float]:
    """Share of relevance in the region beside the same share of the effective receptive field."""
    field = np.abs(input_gradient(probe, image, target))
    shares = [
        float(np.abs(m)[mask].sum() / total) if (total := np.abs(m).sum()) > 0 else 0.0
        for m in (signed, field)
    ]
    return {
        "relevance": shares[0],
        "receptive_field": shares[1],
        "area": float(mask.mean()),
        "gain": shares[0] / shares[1] if shares[1] > 0 else 0.0,
    }


def _stability(
    image: np.ndarray,
    signed: np.ndarray,
    explain: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
    steps: Steps,
) -> float:
    """Median cosine with maps of the image under a third of its noise, added anew."""
    likeness = []
    for _ in range(3):
        fresh = (imputed(image, rng) - imputed(image, rng)) / np.sqrt(2)  # noise, no structure
        likeness.append(cosine(signed, explain(image + fresh / 3)))
        steps.one()
    return float(np.median(likeness))
