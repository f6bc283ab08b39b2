"""Overlays of every kind, made at lock from the maps of the cases, so that none gives itself away.

All lie inside the body and hold the same values: kinds differ in where they point, and in nothing
that a reader, or the size of a file, could tell them by.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from reader_study.design.overlay import OverlayKind
from reader_study.design.protocol import Case, Protocol
from reader_study.design.random_streams import Stream

_KINDS = 4  # first part of the random stream's key
_BODY_HU = -500
_TOP = 127
_TRIES = 200
_MASS_KEPT = 0.9
_TOP_SHARE = 0.05  # of the body: where a map points

Map = Callable[[int], np.ndarray]


def body_of(hu: np.ndarray) -> np.ndarray:
    """Voxels of the patient, lungs included: slice by slice what tissue encloses; bool (z, y, x).

    Examples
    --------
    >>> hu = np.full((1, 5, 5), -1000)
    >>> hu[0, 1:4, 1:4] = 0
    >>> hu[0, 2, 2] = -900
    >>> int(body_of(hu).sum())
    9
    """
    filled = [ndimage.binary_fill_holes(part) for part in np.asarray(hu) > _BODY_HU]
    body = np.stack(filled)
    return body if body.any() else np.ones_like(body)


def encode_overlay(values: np.ndarray) -> bytes:
    """One byte a voxel, (z, y, x): 128 is 0, 1 to 255 the sign and size beside the largest.

    Examples
    --------
    >>> list(encode_overlay(np.array([[[-2.0, 0.0, 1.0]]])))
    [1, 128, 192]
    """
    largest = float(np.abs(values).max()) or 1.0
    return np.rint(128 + _TOP * values / largest).astype(np.uint8).tobytes()


def make_overlay(
    kind: OverlayKind,
    case: int,
    protocol: Protocol,
    *,
    body: Map,
    maps: Map,
    seed: int,
    others: Map | None = None,
) -> np.ndarray:
    """Overlay of a kind for a case, float32, (z, y, x).

    Parameters
    ----------
    body, maps, others : voxels of the patient, own and other map of a case, by its number in the
        protocol

    Raises
    ------
    ValueError
        No other case has a map of the same size, or the map fits nowhere else in the body.
    """
    inside = body(case)
    own = np.where(inside, maps(case), 0).astype(np.float32)
    if kind == "own":
        return own
    stream = Stream(seed, _KINDS, case)
    if kind == "other":
        assert others is not None  # a protocol with this kind has them
        return _with_values_of(own, others(case), inside)
    if kind == "shuffled":
        return _with_values_of(own, maps(_partner(case, protocol, body, seed)), inside)
    return _moved(own, inside, protocol.cases[case], stream)


def _partner(case: int, protocol: Protocol, body: Map, seed: int) -> int:
    """Another case of the same size whose body lies most like this one's; ties are drawn.

    Cases of another patient come first, and of those the one whose body overlaps best.
    """
    here, inside = protocol.cases[case], body(case)
    order = Stream(seed, _KINDS).shuffled(range(len(protocol.cases)))
    best: tuple[tuple[bool, float], int] | None = None
    for other in order:
        there = protocol.cases[other]
        if other == case or (there.practice and not here.practice):
            continue
        lies = body(other)
        if lies.shape != inside.shape:
            continue
        overlap = round(float((inside & lies).sum() / (inside | lies).sum()), 1)
        rank = (there.patient != here.patient, overlap)
        if best is None or rank > best[0]:
            best = (rank, other)
    if best is None:
        raise ValueError(
            f"case {here.name}: no other case has as many slices, rows and columns, so its map "
            'cannot be shuffled; cut cases to equal slices, or use overlay = "elsewhere"'
        )
    return best[1]


def _with_values_of(own: np.ndarray, pattern: np.ndarray, body: np.ndarray) -> np.ndarray:
    """The places of ``pattern`` with the values of ``own``, inside the body."""
    made = np.zeros_like(own)
    ranked = np.empty(int(body.sum()), np.float32)
    ranked[np.argsort(pattern[body], kind="stable")] = np.sort(own[body])
    made[body] = ranked
    return made


def _moved(own: np.ndarray, body: np.ndarray, case: Case, stream: Stream) -> np.ndarray:
    """The map moved within its slices to where it points to nothing that it pointed to."""
    rows, columns = own.shape[1:]
    mass = float(np.abs(own).sum())
    told = _points_to(own, body)
    lesions = _lesions(case, own.shape)
    for _ in range(_TRIES):
        shift = (0, stream.below(rows), stream.below(columns))
        moved = np.where(body, np.roll(own, shift, axis=(0, 1, 2)), 0).astype(np.float32)
        there = _points_to(moved, body)
        kept = float(np.abs(moved).sum()) >= _MASS_KEPT * mass
        if kept and not (there & lesions).any() and (there & told).sum() < 0.2 * told.sum():
            return _with_values_of(own, moved, body)
    raise ValueError(
        f"case {case.name}: its map is too large to be moved elsewhere in the body; use a map of a "
        'smaller region, or overlay = "shuffled"'
    )


def _points_to(values: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Voxels of the largest twentieth of the body, those at 0 never among them."""
    size = np.abs(values)
    top: np.ndarray = (size > 0) & (size >= np.quantile(size[body], 1 - _TOP_SHARE))
    return top


def _lesions(case: Case, shape: tuple[int, ...]) -> np.ndarray:
    """Voxels of the known lesions' centres and what lies two voxels around."""
    first = case.slices[0] if case.slices else 0
    marked = np.zeros(shape, bool)
    for lesion in case.lesions:
        z, y, x = (round(c) for c in lesion.centre_zyx)
        if 0 <= z - first < shape[0]:
            marked[z - first, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = True
    return marked


def overlay_leaks(case: Case, body: np.ndarray, made: dict[str, np.ndarray]) -> list[str]:
    """What would tell the kinds of overlay of a case apart but where they point.

    Parameters
    ----------
    made : overlay of each kind
    """
    leaks = [
        f"case {case.name}: the overlay {kind} leaves the body"
        for kind, values in made.items()
        if values[~body].any()
    ]
    sorted_values = {kind: np.sort(values[body]) for kind, values in made.items()}
    first, *others = sorted_values.items()
    leaks += [
        f"case {case.name}: overlays {first[0]} and {kind} hold other values"
        for kind, values in others
        if not np.allclose(values, first[1], atol=1e-6)
    ]
    return leaks


def overlay_facts(protocol: Protocol) -> dict[str, Any] | None:
    """What the reading room is told of overlays; no kind and no case."""
    told = protocol.overlay
    return None if told is None else {"design": told.design, "strength": told.strength}
