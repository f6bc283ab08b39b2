"""What a checkpoint has to reach: limits with their sources, and a file that changes them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ctlab.input_files import read_toml

OURS = "proposal of this project; no standard gives a figure"


@dataclass(frozen=True)
class Limit:
    """A bound on one number.

    Attributes
    ----------
    bound : float
    side : ``"at most"`` or ``"at least"``
    unit : str
    source : str
        Where the bound comes from.
    """

    bound: float
    side: str
    unit: str
    source: str

    def allows(self, value: float) -> bool:
        """Whether a value keeps the bound; NaN never does.

        Examples
        --------
        >>> Limit(5.0, "at most", "HU", "").allows(4.0), Limit(5.0, "at least", "", "").allows(4.0)
        (True, False)
        """
        return value <= self.bound if self.side == "at most" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.side} {self.bound:g} {self.unit}".strip()


_PRODUCT = "shown for an image-domain product (ClariCT.AI, AAPM 2026 abstracts 2344 and 2456)"

DEFAULT_LIMITS: Mapping[str, Limit] = {
    "bias in lung": Limit(5.0, "at most", "HU", OURS),
    "bias in soft tissue": Limit(5.0, "at most", "HU", OURS),
    "noise left": Limit(0.61, "at most", "of the input's", f"39 to 49 % less noise is {_PRODUCT}"),
    "error left": Limit(1.0, "at most", "of the input's", "a denoiser must not add error"),
    "shift of mean noise frequency": Limit(0.16, "at most", "of the input's", _PRODUCT),
    "banding along z": Limit(1.0, "at most", "HU", OURS),
    "loss of resolution (f50 of a 10 mm insert)": Limit(0.05, "at most", "", OURS),
    "contrast recovery, worst nodule": Limit(0.9, "at least", "", OURS),
    "change of detectability (lower 95 % bound, worst nodule)": Limit(
        -0.02, "at least", "AUC", OURS
    ),
    "false lesions": Limit(0.05, "at most", "of lesion-free patches", OURS),
    "structure removed": Limit(0.1, "at most", "of its amplitude", OURS),
    "hidden information": Limit(0.05, "at most", "of the removed variance", OURS),
    "risk coverage": Limit(0.1, "at most", "of pixels outside the band", "alpha of the guarantee"),
    "answer to 10 HU more": Limit(2.0, "at most", "HU", OURS),
    "answer to 5 % more attenuation": Limit(0.02, "at most", "", OURS),
    "change with the field of view": Limit(1.0, "at most", "HU", OURS),
    "leak between slices": Limit(0.05, "at most", "of a disc's contrast", OURS),
    "speed": Limit(60.0, "at most", "s for 100 slices on this machine", OURS),
    "explanation better than chance": Limit(1.0, "at least", "", "see ctlab.explain.Limits"),
}


def read_limits(path: str | Path) -> dict[str, Limit]:
    """The default limits with the bounds of a TOML file in their place.

    The file holds lines such as ``"bias in lung" = 3.0``, and nothing else.

    Raises
    ------
    ValueError
        An unknown name or a value that is no number.
    """
    content = read_toml(path, "holds no limits in TOML")
    unknown = sorted(set(content) - set(DEFAULT_LIMITS))
    if unknown:
        raise ValueError(
            f"{path}: unknown limits {', '.join(unknown)}; known are {', '.join(DEFAULT_LIMITS)}"
        )
    limits = dict(DEFAULT_LIMITS)
    for name, bound in content.items():
        is_number = isinstance(bound, int | float) and not isinstance(bound, bool)
        if not is_number or not math.isfinite(bound):
            raise ValueError(f"{path}: {name!r} must be a number, got {bound!r}")
        limits[name] = replace(limits[name], bound=float(bound), source=f"set in {Path(path).name}")
    return limits
