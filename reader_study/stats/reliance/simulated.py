"""Simulated readers of overlays whose use of them is known: for planning and for checks."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import optimize, special

from reader_study.stats.paired.crossed_share import crossed_contrast
from reader_study.stats.reliance.change import COUNTED


@dataclass(frozen=True)
class OverlayReaders:
    """How simulated readers answer, on the logit scale.

    Attributes
    ----------
    skill : logit of a right answer without an overlay, median reader and case
    right_helps, wrong_harms : what an overlay adds where it is right, takes where it is wrong
    sd_reader, sd_case : spread of skill over readers and of ease over cases
    sd_trust : spread over readers of the logarithm of how far they follow
    anchored : share of first answers that stay as they are, whatever the overlay shows
    faster : how many times quicker answers are with own maps than with shuffled ones
    """

    skill: float = 0.8
    right_helps: float = 1.0
    wrong_harms: float = 1.0
    sd_reader: float = 0.4
    sd_case: float = 1.0
    sd_trust: float = 0.3
    anchored: float = 0.5
    faster: float = 1.0


def simulate_overlay_study(
    readers: OverlayReaders,
    *,
    n_readers: int,
    n_cases: int,
    own_right: float = 0.8,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """A sequential study in which each case comes with its own or a shuffled map, once a reader.

    Cases are dealt to ``own`` and ``shuffled`` in a Latin square of two groups of readers. A
    case's own map is right in the share ``own_right`` of the cases, a shuffled one never is.

    Returns
    -------
    DataFrame
        ``reader, case, overlay, advice_right, first_right, final_right, confidence, seconds``;
        ``confidence``, from 0.5 in steps of 0.1, states the larger chance: an over-confident reader
        where the overlay misleads.
    """
    skill = readers.skill + readers.sd_reader * rng.standard_normal(n_readers)
    trust = np.exp(readers.sd_trust * rng.standard_normal(n_readers))
    ease = readers.sd_case * rng.standard_normal(n_cases)
    sound = rng.permutation(n_cases) < round(own_right * n_cases)
    reader, case = (i.ravel() for i in np.mgrid[:n_readers, :n_cases])
    own = (reader + case) % 2 == 0
    right = own & sound[case]
    logit = skill[reader] + ease[case]
    moved = logit + trust[reader] * np.where(right, readers.right_helps, -readers.wrong_harms)
    first = rng.random(reader.size) < special.expit(logit)
    chance = special.expit(moved)
    again = rng.random(reader.size) < chance
    final = np.where(rng.random(reader.size) < readers.anchored, first, again)
    return pd.DataFrame(
        {
            "reader": [f"R{r + 1}" for r in reader],
            "case": [f"case {c + 1:03d}" for c in case],
            "overlay": np.where(own, "own", "shuffled"),
            "advice_right": right.astype(int),
            "first_right": first.astype(int),
            "final_right": final.astype(int),
            "confidence": np.maximum(chance, 1 - chance).round(1),
            "seconds": rng.lognormal(2.5, 0.4, reader.size) / np.where(own, readers.faster, 1.0),
        }
    )


def true_contrast(
    readers: OverlayReaders, *, own_right: float = 0.8, draws: int = 200_000, seed: int = 0
) -> float:
    """Right final answers with own maps less with shuffled ones, over all readers and cases."""
    rng = np.random.default_rng(seed)
    logit = readers.skill + np.hypot(readers.sd_reader, readers.sd_case) * rng.standard_normal(
        draws
    )
    trust = np.exp(readers.sd_trust * rng.standard_normal(draws))
    helped = special.expit(logit + trust * readers.right_helps)
    harmed = special.expit(logit - trust * readers.wrong_harms)
    return float((1 - readers.anchored) * own_right * np.mean(helped - harmed))


def readers_with_contrast(
    contrast: float, readers: OverlayReaders | None = None, *, own_right: float = 0.8
) -> OverlayReaders:
    """Readers whose right answers differ by ``contrast`` between own and shuffled maps.

    What right maps add and wrong ones take, alike, is set so; the rest stays.

    Raises
    ------
    ValueError
        No readers who keep so many first answers differ by so much.

    Examples
    --------
    >>> bool(abs(true_contrast(readers_with_contrast(0.1)) - 0.1) < 1e-3)
    True
    """
    base = readers or OverlayReaders()

    def gap(strength: float) -> float:
        made = replace(base, right_helps=strength, wrong_harms=strength)
        return true_contrast(made, own_right=own_right, draws=20_000) - contrast

    strongest = 12.0
    if not contrast >= 0 or gap(strongest) < 0:
        most = gap(strongest) + contrast
        raise ValueError(
            f"expected a difference from 0 to {most:.2f} between own and shuffled maps where "
            f"{base.anchored:.0%} of the first answers stay, got {contrast:g}; plan for less"
        )
    found = float(optimize.brentq(gap, 0.0, strongest, xtol=1e-4)) if contrast else 0.0
    return replace(base, right_helps=found, wrong_harms=found)


def overlay_decision(
    *, measure: str = "reliance", margin: float = 0.0, alpha: float = 0.05
) -> Callable[[pd.DataFrame], bool]:
    """Decide whether own maps are shown better than shuffled ones, by more than ``-margin``.

    Parameters
    ----------
    measure : one of :data:`reader_study.stats.reliance.change.COUNTED`
    """

    def decide(study: pd.DataFrame) -> bool:
        columns = (study[name] for name in ("reader", "case", "overlay"))
        values = COUNTED[measure](study)
        found = crossed_contrast(values, *columns, first="own", second="shuffled", level=1 - alpha)
        return bool(found.low > -margin)

    return decide
