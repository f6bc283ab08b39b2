"""A computed chest with random anatomy: lungs with branching vessels, ribs, spine, heart, nodules.

Every seed is another patient. All shapes are analytic; the share of a shape in a voxel comes
from the distance of the voxel's centre to its surface, so edges are smooth to a voxel.
Coordinates are mm (z, y, x) from the centre of the volume; y grows to the back, x to the
patient's left. Proportions are rough averages of adults, no atlas.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ctlab.ct.simulation.lesion import Lesion
from ctlab.ct.volume import Volume

AIR, FAT, MUSCLE, BLOOD = -1000.0, -100.0, 50.0, 45.0
LUNG_PARENCHYMA, TRABECULAR, CORTICAL = -860.0, 160.0, 500.0
SOLID, GROUND_GLASS = 40.0, -600.0
"""HU of tissues; blood without contrast medium."""

_AIRY_HU = -750.0
"""Below it a voxel is lung without heart, vessel or chest wall; above the lung's own range."""

_MOST_VESSEL = 0.25
_TRIES = 60

Point = tuple[float, float, float]


@dataclass(frozen=True)
class ChestPhantom:
    """The volume, noise-free, and the truth about its nodules (centres in voxels)."""

    volume: Volume
    nodules: tuple[Lesion, ...]


@dataclass
class Canvas:
    """A volume that is painted shape by shape, later shapes over earlier ones."""

    hu: np.ndarray
    axes: list[np.ndarray]  # mm, one each for z, y, x
    pixel_mm: float

    @classmethod
    def blank(cls, shape: Point, spacing_mm: Point) -> "Canvas":
        """Air on a grid of this shape."""
        axes = [
            (np.arange(int(n)) - (n - 1) / 2) * s for n, s in zip(shape, spacing_mm, strict=True)
        ]
        hu = np.full([int(n) for n in shape], AIR, np.float32)
        return cls(hu, axes, spacing_mm[1])

    def box(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice, slice]:
        """Voxels between two corners in mm."""
        z, y, x = (
            slice(int(np.searchsorted(a, lo)), int(np.searchsorted(a, hi)))
            for a, lo, hi in zip(self.axes, low, high, strict=True)
        )
        return z, y, x

    def points(self, box: tuple[slice, slice, slice]) -> list[np.ndarray]:
        """Coordinates in mm of the voxels of a box, to be broadcast."""
        axes = [a[s] for a, s in zip(self.axes, box, strict=True)]
        return list(np.meshgrid(*axes, indexing="ij", sparse=True))

    def paint(
        self,
        box: tuple[slice, slice, slice],
        depth_mm: np.ndarray,
        hu: float,
        within: np.ndarray | None = None,
    ) -> None:
        """Blend ``hu`` in where the depth below a surface is positive, only where ``within``."""
        share = np.clip(depth_mm / self.pixel_mm + 0.5, 0, 1).astype(np.float32)
        if within is not None:
            share = share * within[box]
        part = self.hu[box]
        part += share * (np.float32(hu) - part)

    def ellipsoid(
        self, centre: Point, axes_mm: Point, hu: float, within: np.ndarray | None = None
    ) -> None:
        """An ellipsoid; infinite semi-axes make it a cylinder."""
        middle, semi = np.asarray(centre), np.asarray(axes_mm)
        rim = 2 * self.pixel_mm
        box = self.box(middle - semi - rim, middle + semi + rim)
        self.paint(box, depth_in_ellipsoid(self.points(box), centre, axes_mm), hu, within)

    def capsule(
        self,
        start: Point,
        end: Point,
        radius_mm: float,
        hu: float,
        within: np.ndarray | None = None,
    ) -> None:
        """All points nearer than a radius to the line from ``start`` to ``end``."""
        a, b = np.asarray(start), np.asarray(end)
        rim = radius_mm + self.pixel_mm
        box = self.box(np.minimum(a, b) - rim, np.maximum(a, b) + rim)
        z, y, x = self.points(box)
        if 0 in (z.size, y.size, x.size):
            return
        d = b - a
        along = ((z - a[0]) * d[0] + (y - a[1]) * d[1] + (x - a[2]) * d[2]) / max(d @ d, 1e-9)
        t = np.clip(along, 0, 1)
        away = np.sqrt(
            (z - a[0] - t * d[0]) ** 2 + (y - a[1] - t * d[1]) ** 2 + (x - a[2] - t * d[2]) ** 2
        )
        self.paint(box, radius_mm - away, hu, within)


def depth_in_ellipsoid(points: list[np.ndarray], centre: Point, axes_mm: Point) -> np.ndarray:
    """Depth in mm below the surface of an ellipsoid, to first order; negative outside.

    Examples
    --------
    >>> line = [np.zeros(1), np.zeros(1), np.array([0.0, 9.0, 11.0])]
    >>> depth_in_ellipsoid(line, (0, 0, 0), (10, 10, 10)).round(6)[1:]
    array([ 1., -1.])
    """
    scaled = [(p - c) / a for p, c, a in zip(points, centre, axes_mm, strict=True)]
    radius = np.sqrt(sum(s * s for s in scaled))
    slope = np.sqrt(sum((s / a) ** 2 for s, a in zip(scaled, axes_mm, strict=True)))
    return (1 - radius) * radius / np.maximum(slope, 1e-6)


def chest_phantom(
    *,
    rng: np.random.Generator,
    size: int = 256,
    slices: int = 24,
    slice_mm: float = 2.5,
    nodules: int = 3,
) -> ChestPhantom:
    """A chest of random anatomy in a field of view of 400 mm; the same generator, the same chest.

    Parameters
    ----------
    rng : decides the whole anatomy
    size : rows and columns
    nodules : how many, alternately solid and ground glass, 5 to 14 mm in diameter
    """
    spacing = (slice_mm, 400.0 / size, 400.0 / size)
    canvas = Canvas.blank((slices, size, size), spacing)
    body = _Body.drawn(rng)
    _trunk(canvas, body)
    lungs = _lungs(canvas, body)
    _mediastinum(canvas, body)
    airy = canvas.hu < _AIRY_HU
    for side in (-1, 1):
        _vessels(canvas, body, side, rng, lungs)
    placed = tuple(_nodule(canvas, body, k, rng, airy) for k in range(nodules))
    volume = Volume(hu=canvas.hu, spacing_mm=spacing)
    return ChestPhantom(volume, placed)


@dataclass(frozen=True)
class _Body:
    """Sizes of one patient in mm."""

    half_depth: float
    half_width: float
    fat: float
    lung_depth: float
    lung_width: float
    lung_aside: float
    heart: float
    rib_phase: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "_Body":
        u = rng.uniform
        half_depth, half_width = u(100, 125), u(150, 178)
        return cls(
            half_depth=half_depth,
            half_width=half_width,
            fat=u(6, 22),
            lung_depth=half_depth * u(0.66, 0.74),
            lung_width=half_width * u(0.33, 0.37),
            lung_aside=half_width * u(0.40, 0.44),
            heart=u(38, 52),
            rib_phase=u(0, 2 * np.pi),
        )


def _trunk(canvas: Canvas, body: _Body) -> None:
    """Skin, fat, muscle, ribs, spine and sternum; along z the trunk is a cylinder."""
    far = 1e6
    canvas.ellipsoid((0, 0, 0), (far, body.half_depth, body.half_width), FAT)
    inner = (far, body.half_depth - body.fat, body.half_width - body.fat)
    canvas.ellipsoid((0, 0, 0), inner, MUSCLE)
    back = body.half_depth - body.fat - 30
    canvas.ellipsoid((0, back - 12, 0), (far, 17, 20), CORTICAL)
    canvas.ellipsoid((0, back - 12, 0), (far, 14.5, 17.5), TRABECULAR)
    canvas.ellipsoid((0, back + 12, 0), (far, 8, 9), 20.0)  # spinal canal
    canvas.ellipsoid((0, back + 25, 0), (far, 10, 4), CORTICAL)
    canvas.ellipsoid((0, -(body.half_depth - body.fat) + 9, 0), (far, 5, 17), TRABECULAR)
    _ribs(canvas, body)


def _ribs(canvas: Canvas, body: _Body) -> None:
    """Pairs of hoops around the lungs, falling forwards by 40 mm, 24 mm apart."""
    depth, width = body.half_depth - body.fat - 7, body.half_width - body.fat - 7
    top = abs(canvas.axes[0][0]) + 60
    levels = np.arange(-top, top, 24.0) + 24 * body.rib_phase / (2 * np.pi)
    turns = np.linspace(0.22, np.pi - 0.45, 30)  # from beside the spine to beside the sternum
    for side in (-1, 1):
        for level in levels:
            path = [
                (level + 40 * (t / np.pi), depth * np.cos(t), side * width * np.sin(t))
                for t in turns
            ]
            for start, end in pairwise(path):
                canvas.capsule(start, end, 5.0, CORTICAL)
                canvas.capsule(start, end, 3.2, TRABECULAR)


def _lung_shape(body: _Body, side: int) -> tuple[Point, Point]:
    return (0.0, 0.0, side * body.lung_aside), (190.0, body.lung_depth, body.lung_width)


def _lungs(canvas: Canvas, body: _Body) -> np.ndarray:
    """Paint both lungs; the share of lung in each voxel, for what may only lie inside."""
    share = np.zeros(canvas.hu.shape, np.float32)
    everything = slice(None)
    z, y, x = canvas.points((everything, everything, everything))
    for side in (-1, 1):
        centre, axes = _lung_shape(body, side)
        depth = depth_in_ellipsoid([z, y, x], centre, axes)
        share = np.maximum(share, np.clip(depth / canvas.pixel_mm + 0.5, 0, 1))
    # Lung is denser at the back of a patient who lies on it.
    parenchyma = LUNG_PARENCHYMA + 40.0 * (y / body.lung_depth)
    canvas.hu += share * (parenchyma.astype(np.float32) - canvas.hu)
    return share


def _mediastinum(canvas: Canvas, body: _Body) -> None:
    far = 1e6
    canvas.ellipsoid((0, -10, 0), (far, body.lung_depth * 0.9, 24), FAT + 60)
    low = canvas.axes[0][0] - 20  # the heart lies towards the feet
    canvas.ellipsoid((low, -25, 18), (95, body.heart, body.heart * 1.15), BLOOD)
    canvas.ellipsoid((0, 35, 20), (far, 12, 12), BLOOD)  # descending aorta
    canvas.ellipsoid((80, -20, -14), (90, 15, 15), BLOOD)  # ascending aorta
    canvas.ellipsoid((0, 8, 0), (far, 9, 8), BLOOD - 5)  # wall of the trachea
    canvas.ellipsoid((0, 8, 0), (far, 7.5, 6.5), AIR)


def _vessels(
    canvas: Canvas, body: _Body, side: int, rng: np.random.Generator, lungs: np.ndarray
) -> None:
    """Trees from the hilum; daughters have 2^(-1/3) of the mother's radius (Murray, 1926)."""
    reach = abs(canvas.axes[0][0]) + 20
    for level in np.arange(-reach, reach, 22.0):
        root = (level, rng.uniform(-5, 20), side * (body.lung_aside - 0.8 * body.lung_width))
        for _ in range(3):
            heading = np.array([rng.normal(0, 0.35), rng.normal(0, 0.8), side * 1.0])
            _branch(canvas, np.array(root), heading, rng.uniform(2.6, 4.2), rng, lungs)


def _branch(
    canvas: Canvas,
    start: np.ndarray,
    heading: np.ndarray,
    radius_mm: float,
    rng: np.random.Generator,
    lungs: np.ndarray,
) -> None:
    """One vessel and its daughters, down to 0.5 mm."""
    if radius_mm < 0.5:
        return
    heading = heading / np.linalg.norm(heading)
    end = start + heading * radius_mm * rng.uniform(4.5, 8.0)
    canvas.capsule(tuple(start), tuple(end), radius_mm, BLOOD, within=lungs)
    aside = np.cross(heading, rng.normal(size=3))
    aside /= np.linalg.norm(aside)
    for way in (-1, 1):
        spread = rng.uniform(0.35, 0.8)
        _branch(canvas, end, heading + way * spread * aside, radius_mm * 2 ** (-1 / 3), rng, lungs)


def _nodule(
    canvas: Canvas, body: _Body, number: int, rng: np.random.Generator, airy: np.ndarray
) -> Lesion:
    """A sphere wholly in lung, never in the heart, and mostly beside vessels and other nodules.

    A solid nodule has the HU of blood: within a vessel it would be there and not be seen.
    """
    diameter = float(rng.uniform(5, 14))
    hu = SOLID if number % 2 == 0 else GROUND_GLASS
    best, least = None, np.inf
    for _ in range(_TRIES):
        place = _place_in_lung(canvas, body, diameter, rng)
        covered = _covered(canvas, place, diameter, airy)
        if covered < least:
            best, least = place, covered
        if least <= _MOST_VESSEL:
            break
    if best is None:
        raise ValueError(
            f"no place in the lungs holds a nodule of {diameter:.0f} mm; ask for fewer nodules"
        )
    canvas.ellipsoid(best, (diameter / 2,) * 3, hu)
    voxel = tuple(
        float((p - a[0]) / (a[1] - a[0]) if len(a) > 1 else 0.0)
        for p, a in zip(best, canvas.axes, strict=True)
    )
    return Lesion((voxel[0], voxel[1], voxel[2]), diameter, hu)


def _place_in_lung(
    canvas: Canvas, body: _Body, diameter_mm: float, rng: np.random.Generator
) -> Point:
    """A centre in the outer half of a lung, not too near the first and last slice."""
    side = 1 if rng.random() < 0.5 else -1
    centre, axes = _lung_shape(body, side)
    last = max(canvas.axes[0][-1] - diameter_mm / 2, 0.0)
    angle, away = rng.uniform(0, 2 * np.pi), 0.8 * np.sqrt(rng.uniform(0.1, 1.0))
    return (
        float(rng.uniform(-last, last)),
        (axes[1] - diameter_mm) * away * np.sin(angle),
        centre[2] + side * (axes[2] - diameter_mm) * away * abs(np.cos(angle)),
    )


def _covered(canvas: Canvas, place: Point, diameter_mm: float, airy: np.ndarray) -> float:
    """Share of a sphere that vessels and nodules hold; infinite where it is not all in lung."""
    radius = diameter_mm / 2
    middle, rim = np.asarray(place), radius + canvas.pixel_mm
    box = canvas.box(middle - rim, middle + rim)
    depth = depth_in_ellipsoid(canvas.points(box), place, (radius,) * 3)
    if depth.size == 0 or not airy[box][depth > -canvas.pixel_mm].all():
        return np.inf
    inside = depth > 0
    return float((canvas.hu[box][inside] > _AIRY_HU).mean()) if inside.any() else 0.0
