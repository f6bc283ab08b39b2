"""Minimum visible nodule: the smallest contrast that survives a denoiser, place by place."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.signal import correlate

from ctlab.assess.detection.roc import auc_to_d_prime
from ctlab.assess.resolution.mtf_ttf import DenoiseImage
from ctlab.ct.spectra import same_shape

Jvp = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From an image and a small change of it ``(y, x)`` to the change of the output, to first order."""


def finite_jvp(denoise: DenoiseImage, *, step: float = 1.0) -> Jvp:
    """Jacobian-vector product by central differences, for denoisers without automatic ones.

    Parameters
    ----------
    step : float
        Size of the change relative to the one asked for.

    Examples
    --------
    >>> jvp = finite_jvp(lambda hu: hu**2)
    >>> float(jvp(np.array([[3.0]]), np.array([[1.0]]))[0, 0])
    6.0
    """

    def jvp(image: np.ndarray, change: np.ndarray) -> np.ndarray:
        higher, lower = denoise(image + step * change), denoise(image - step * change)
        return (np.asarray(higher, float) - lower) / (2 * step)

    return jvp


def lesion_template(unit_signal: np.ndarray) -> np.ndarray:
    """Weights whose sum over a region is the least-squares contrast of the lesion in HU.

    Examples
    --------
    >>> spot = np.zeros((5, 5))
    >>> spot[2, 2] = 1.0
    >>> float((lesion_template(spot) * (-800 + 30 * spot)).sum().round(9))
    30.0
    """
    template = unit_signal - np.mean(unit_signal)
    energy = float(np.sum(template * unit_signal))
    if not energy > 0:
        raise ValueError("the lesion is flat over its region; draw it in a region larger than it")
    return np.asarray(template / energy)


def grid_positions(mask: np.ndarray, unit_signal: np.ndarray, *, step_px: int = 16) -> np.ndarray:
    """Centres ``(n, 2)`` (y, x) on a grid at which the lesion's region lies inside the mask.

    Raises
    ------
    ValueError
        The mask holds no such place.

    Examples
    --------
    >>> grid_positions(np.ones((9, 12), bool), np.ones((5, 5)), step_px=4).tolist()
    [[2, 2], [2, 6], [6, 2], [6, 6]]
    """
    half = np.array(np.shape(unit_signal)) // 2
    fits = ndimage.binary_erosion(mask, np.ones(2 * half + 1), border_value=0)
    grid = np.zeros(np.shape(mask), bool)
    grid[half[0] :: step_px, half[1] :: step_px] = True
    positions = np.argwhere(fits & grid)
    if len(positions) == 0:
        raise ValueError(
            f"no place of the mask holds a region of {np.shape(unit_signal)} px; pass a larger "
            f"mask, a smaller step_px or a smaller lesion"
        )
    return positions


def amplitude_noise_hu(
    first: np.ndarray, second: np.ndarray, unit_signal: np.ndarray, *, size_px: int = 65
) -> np.ndarray:
    """Local SD, in HU of lesion contrast, of what a lesion's template finds in noise alone.

    From the difference of two denoised realisations over the root of 2; root mean square in a
    square of ``size_px`` around each pixel, shape ``(y, x)``.

    Examples
    --------
    White noise of SD s: s times the norm of the template.

    >>> spot = np.zeros((5, 5))
    >>> spot[1:4, 1:4] = 1.0
    >>> one, two = np.random.default_rng(0).normal(0, 10, (2, 128, 128))
    >>> expected = 10 * np.linalg.norm(lesion_template(spot))
    >>> bool(abs(amplitude_noise_hu(one, two, spot)[64, 64] / expected - 1) < 0.1)
    True
    """
    same_shape(first, second, "the two realisations")
    difference = np.subtract(first, second, dtype=np.float64) / np.sqrt(2)
    amplitude = correlate(difference, lesion_template(unit_signal), mode="same")
    return np.asarray(np.sqrt(np.maximum(ndimage.uniform_filter(amplitude**2, size_px), 0)))


def screen_visibility(
    jvp: Jvp,
    image: np.ndarray,
    unit_signal: np.ndarray,
    *,
    positions: np.ndarray,
    noise_hu: float | np.ndarray,
    auc: float = 0.95,
) -> pd.DataFrame:
    """Smallest lesion contrast that is visible after the denoiser at each position, screened.

    To first order a lesion of contrast c answers with ``c <w, J s>``, with w the template of
    :func:`lesion_template`; it is visible where that reaches ``d'(auc)`` SDs of the template's
    answer to noise. Lesions far enough apart share one Jacobian-vector product.

    Parameters
    ----------
    jvp : function
        For networks their automatic forward derivative, else :func:`finite_jvp`.
    image : ndarray, shape (y, x), HU
        The input at its own noise.
    unit_signal : ndarray, shape (h, w), odd sides
        The lesion at contrast 1 HU, much smaller than the image.
    positions : ndarray of int, shape (n, 2)
        As :func:`grid_positions` makes them.
    noise_hu : float or ndarray, shape (y, x)
        As :func:`amplitude_noise_hu` measures it, after the denoiser.
    auc : float
        What counts as visible at a known place.

    Returns
    -------
    DataFrame
        ``y, x, recovery`` (linear), ``noise_hu, needed_hu`` (contrast that must come out),
        ``visible_hu`` (infinite where the derivative does not answer) and ``confirmed``, false
        until :func:`confirm_visibility` has inserted lesions.

    Examples
    --------
    A filter that halves everything, in noise of 10 HU: 2 x 2.326 x 10 HU at AUC 0.95.

    >>> spot = np.zeros((5, 5))
    >>> spot[1:4, 1:4] = 1.0
    >>> place = np.array([[16, 16]])
    >>> jvp = finite_jvp(lambda hu: 0.5 * hu)
    >>> table = screen_visibility(jvp, np.zeros((32, 32)), spot, positions=place, noise_hu=10.0)
    >>> table.visible_hu.round(2).tolist()
    [46.52]
    """
    _check_place(image, unit_signal, positions)
    template, half = lesion_template(unit_signal), np.array(unit_signal.shape) // 2
    recovery = np.empty(len(positions))
    for group in _far_apart(positions, 4 * max(unit_signal.shape)):
        change = np.zeros(image.shape)
        for place in positions[group]:
            change[_window(place, half)] += unit_signal
        answer = np.asarray(jvp(image, change), float)
        for i in group:
            recovery[i] = np.sum(template * answer[_window(positions[i], half)])
    spread = np.broadcast_to(np.asarray(noise_hu, float), np.shape(image))[tuple(positions.T)]
    needed = auc_to_d_prime(auc) * spread
    with np.errstate(divide="ignore"):
        screened = np.where(recovery > 1e-3, needed / np.maximum(recovery, 1e-300), np.inf)
    columns = {"recovery": recovery, "noise_hu": spread, "needed_hu": needed}
    table = pd.DataFrame({"y": positions[:, 0], "x": positions[:, 1]} | columns)
    return table.assign(visible_hu=screened, confirmed=False)


def confirm_visibility(
    denoise: DenoiseImage,
    image: np.ndarray,
    unit_signal: np.ndarray,
    table: pd.DataFrame,
    *,
    count: int = 12,
    largest_hu: float = 1000.0,
) -> pd.DataFrame:
    """The screened table with some positions settled by inserting lesions.

    A denoiser is not linear, so the derivative only says where to look. At the positions of
    highest and lowest screened contrast and at even steps of rank between them, the contrast is
    bisected (to 2 %) until ``<w, f(x + c s) - f(x)>`` just reaches ``needed_hu``; visibility is
    taken to grow with contrast.

    Parameters
    ----------
    denoise : function
    image, unit_signal
        As for :func:`screen_visibility`.
    table : DataFrame
        From :func:`screen_visibility`.
    count : int
        Positions to settle.
    largest_hu : float
        A lesion that this contrast does not make visible counts as infinite.

    Returns
    -------
    DataFrame
        The table with ``screened_hu`` beside ``visible_hu``; the latter is measured where
        ``confirmed`` is true and screened elsewhere. Compare the two before trusting the rest.

    Examples
    --------
    A denoiser that takes 20 HU off whatever stands out, whose derivative promises 46.5 HU.

    >>> spot = np.zeros((5, 5))
    >>> spot[1:4, 1:4] = 1.0
    >>> image, place = np.zeros((32, 32)), np.array([[16, 16]])
    >>> table = screen_visibility(lambda _, hu: hu, image, spot, positions=place, noise_hu=20.0)
    >>> found = confirm_visibility(lambda hu: np.maximum(hu - 20, 0), image, spot, table)
    >>> bool(abs(found.visible_hu[0] / (found.screened_hu[0] + 20) - 1) < 0.02)
    True
    """
    table = table.assign(screened_hu=table.visible_hu)
    base = np.asarray(denoise(image), float)
    template, half = lesion_template(unit_signal), np.array(unit_signal.shape) // 2
    order = np.argsort(table.visible_hu.to_numpy(), kind="stable")
    chosen = order[np.unique(np.linspace(0, len(table) - 1, min(count, len(table))).astype(int))]

    def answer_hu(place: np.ndarray, contrast_hu: float) -> float:
        inserted = np.array(image, float)
        inserted[_window(place, half)] += contrast_hu * unit_signal
        change = np.asarray(denoise(inserted), float) - base
        return float(np.sum(template * change[_window(place, half)]))

    for i in chosen:
        row = table.iloc[i]
        place = np.array([row.y, row.x], int)
        low, high = 0.0, float(largest_hu)
        if answer_hu(place, high) < row.needed_hu:
            low = high = np.inf
        while high - low > 0.02 * high and np.isfinite(high):
            middle = (low + high) / 2 if low else high / 4
            visible = answer_hu(place, middle) >= row.needed_hu
            low, high = (low, middle) if visible else (middle, high)
        table.loc[table.index[i], ["visible_hu", "confirmed"]] = high, True
    return table


def _window(place: np.ndarray, half: np.ndarray) -> tuple[slice, slice]:
    y, x = place
    return slice(y - half[0], y + half[0] + 1), slice(x - half[1], x + half[1] + 1)


def _far_apart(positions: np.ndarray, apart_px: int) -> list[np.ndarray]:
    """Groups of positions whose members lie at least so far from each other."""
    groups: list[list[int]] = []
    for i, place in enumerate(positions):
        for group in groups:
            if np.abs(positions[group] - place).max(axis=1).min() >= apart_px:
                group.append(i)
                break
        else:
            groups.append([i])
    return [np.array(g) for g in groups]


def _check_place(image: np.ndarray, unit_signal: np.ndarray, positions: np.ndarray) -> None:
    if np.ndim(image) != 2 or any(n % 2 == 0 for n in unit_signal.shape):
        raise ValueError(
            f"an image (y, x) and a lesion with odd sides are needed, got {np.shape(image)} and "
            f"{unit_signal.shape}"
        )
    half, positions = np.array(unit_signal.shape) // 2, np.asarray(positions)
    if positions.ndim != 2 or positions.shape[1] != 2 or len(positions) == 0:
        raise ValueError(f"positions must have shape (n, 2) with n above 0, got {positions.shape}")
    if np.any(positions < half) or np.any(positions + half >= image.shape):
        raise ValueError("a lesion at these positions reaches over the border; move them inwards")
