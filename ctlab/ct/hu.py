"""Hounsfield units: display windows, and the affine map between HU and network units."""

from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

_Numbers = TypeVar("_Numbers", bound=Any)  # an array or a tensor in, the same kind out

HU_MIN, HU_MAX = -1024.0, 3071.0
"""Range that 12-bit CT stores: air just below -1000 HU, metal clipped at 3071 HU."""


@dataclass(frozen=True)
class Window:
    """Display window: the HU interval ``level +- width / 2`` shown from black to white.

    Examples
    --------
    >>> LUNG.low_hu, LUNG.high_hu
    (-1350.0, 150.0)
    >>> LUNG.scale(np.array([-1350.0, -600.0, 150.0, 900.0]))
    array([0. , 0.5, 1. , 1. ])
    """

    level_hu: float
    width_hu: float
    name: str = ""

    def __post_init__(self) -> None:
        if not self.width_hu > 0:
            raise ValueError(f"window width must be above 0 HU, got {self.width_hu}")

    @property
    def low_hu(self) -> float:
        """HU shown black."""
        return self.level_hu - self.width_hu / 2

    @property
    def high_hu(self) -> float:
        """HU shown white."""
        return self.level_hu + self.width_hu / 2

    def scale(self, hu: np.ndarray) -> np.ndarray:
        """Grey values from 0 (at or below the window) to 1 (at or above it), same shape."""
        return np.clip((np.asarray(hu) - self.low_hu) / self.width_hu, 0.0, 1.0)

    def render(self, hu: np.ndarray) -> np.ndarray:
        """8-bit grey values (uint8, same shape), rounded to nearest.

        Examples
        --------
        >>> Window(0, 255).render(np.array([-200.0, -127.5, 127.5]))
        array([  0,   0, 255], dtype=uint8)
        """
        return np.rint(255.0 * self.scale(hu)).astype(np.uint8)

    def __str__(self) -> str:
        return f"{self.name or 'window'} {self.level_hu:g}/{self.width_hu:g} HU"


LUNG = Window(-600.0, 1500.0, "lung")
MEDIASTINUM = Window(40.0, 400.0, "mediastinum")
BONE = Window(400.0, 1800.0, "bone")
WINDOWS = {w.name: w for w in (LUNG, MEDIASTINUM, BONE)}
WINDOW_KEYS = {"lung": "l", "mediastinum": "m", "bone": "b"}
"""Key of each window in every viewer."""

CHEST = Window(-600.0, 1500.0, "chest")
PROTOCOL_WINDOWS = {
    w.name: w for w in (CHEST, Window(50.0, 400.0, "abdomen"), Window(40.0, 80.0, "head"))
}
"""Windows of the LDCT benchmark (Eulig et al., Med Phys 51, 2024, doi 10.1002/mp.17379)."""


def named_window(name: str) -> Window:
    """A display window, or one of the LDCT benchmark, by its name.

    Raises
    ------
    ValueError
        There is none of that name; the message lists those there are.
    """
    known = WINDOWS | PROTOCOL_WINDOWS
    if name not in known:
        raise ValueError(f"expected a window among {', '.join(sorted(known))}, got {name!r}")
    return known[name]


@dataclass(frozen=True)
class HuScale:
    """Affine map between HU and network units: ``net = (hu - centre_hu) / unit_hu``.

    Stored in every checkpoint, so that a model cannot be applied in the wrong units.

    Examples
    --------
    >>> scale = HuScale(centre_hu=-300.0, unit_hu=50.0)
    >>> float(scale.to_net(np.float32(-250.0))), float(scale.to_hu(np.float32(1.0)))
    (1.0, -250.0)
    """

    centre_hu: float
    unit_hu: float

    def __post_init__(self) -> None:
        if not self.unit_hu > 0:
            raise ValueError(f"unit_hu must be above 0 HU, got {self.unit_hu}")

    def to_net(self, hu: _Numbers) -> _Numbers:
        """Network units of HU values; any array or tensor type, same shape."""
        return cast(_Numbers, (hu - self.centre_hu) / self.unit_hu)

    def to_hu(self, net: _Numbers) -> _Numbers:
        """HU of network values; any array or tensor type, same shape."""
        return cast(_Numbers, net * self.unit_hu + self.centre_hu)
