"""A BM3D-type filter: like blocks are stacked, thresholded together, then Wiener filtered.

Written from the paper (Dabov, Foi, Katkovnik, Egiazarian, IEEE TIP 16:2080, 2007,
doi 10.1109/TIP.2007.901238) with an 8 x 8 DCT and a Walsh-Hadamard transform along the stack.
One thing is added: CT noise is correlated, so its strength is estimated for each of the 64 DCT
coefficients from differences of like blocks (the idea of collaborative filtering of correlated
noise, Makinen et al., IEEE TIP 29:8339, 2020, doi 10.1109/TIP.2020.3014721). It is not the
authors' code and does not reproduce it digit by digit.
"""

import numba
import numpy as np
from scipy.fft import dct

BLOCK_PX = 8
STEP_PX = 4
SEARCH_PX = 10  # blocks are sought up to this far away in each direction
STACK = 16  # a power of two, as the Hadamard transform asks for
HARD_THRESHOLD = 2.7  # in noise SD, section IV of the paper


def bm3d(image: np.ndarray, sd_hu: float) -> np.ndarray:
    """Image with noise of standard deviation ``sd_hu`` filtered out; HU, float32, shape (y, x).

    Parameters
    ----------
    image : ndarray, HU, shape (y, x), at least 8 x 8

    Examples
    --------
    >>> bool(np.allclose(bm3d(np.full((16, 16), -500.0), 10.0), -500.0, atol=1e-3))
    True
    """
    image = np.ascontiguousarray(image, dtype=np.float32)
    matrix = dct(np.eye(BLOCK_PX), axis=0, norm="ortho").astype(np.float32)
    kaiser = np.kaiser(BLOCK_PX, 2.0).astype(np.float32)
    window = np.outer(kaiser, kaiser).ravel()
    noisy = _block_spectra(image, matrix)
    sd = np.float32(sd_hu) * noise_shape(image, noisy)
    first = _collaborate(image, noisy, noisy, matrix, window, sd, False)
    guide = _block_spectra(first, matrix)
    return _collaborate(first, noisy, guide, matrix, window, sd, True)


def noise_shape(image: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    """Relative noise SD of the 64 DCT coefficients, float32, root mean square 1.

    From the median absolute difference between like blocks, which structure hardly moves; the
    constant coefficient is left out of the estimate and given its largest neighbour's value.
    """
    size = np.median(np.abs(_differences(image, spectra)), axis=0)
    size[0] = max(size[1], size[BLOCK_PX])
    rms = np.sqrt(np.mean(size**2))
    flat = np.ones_like(size) if rms == 0 else np.clip(size / rms, 0.05, None)
    return np.asarray(flat / np.sqrt(np.mean(flat**2)), dtype=np.float32)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _transform(
    block: np.ndarray, matrix: np.ndarray, scratch: np.ndarray, out: np.ndarray
) -> None:  # pragma: no cover - compiled
    """Out = matrix @ block @ matrix.T for flat 8 x 8 blocks."""
    for i in range(BLOCK_PX):
        for j in range(BLOCK_PX):
            total = np.float32(0)
            for k in range(BLOCK_PX):
                total += matrix[i, k] * block[k * BLOCK_PX + j]
            scratch[i * BLOCK_PX + j] = total
    for i in range(BLOCK_PX):
        for j in range(BLOCK_PX):
            total = np.float32(0)
            for k in range(BLOCK_PX):
                total += scratch[i * BLOCK_PX + k] * matrix[j, k]
            out[i * BLOCK_PX + j] = total


@numba.njit(cache=True, nogil=True, fastmath=True)
def _block_spectra(
    image: np.ndarray, matrix: np.ndarray
) -> np.ndarray:  # pragma: no cover - compiled
    """DCT of the block at every position, shape (rows, columns, 64)."""
    rows, columns = image.shape[0] - BLOCK_PX + 1, image.shape[1] - BLOCK_PX + 1
    spectra = np.empty((rows, columns, BLOCK_PX * BLOCK_PX), np.float32)
    block = np.empty(BLOCK_PX * BLOCK_PX, np.float32)
    scratch = np.empty_like(block)
    for y in range(rows):
        for x in range(columns):
            for i in range(BLOCK_PX):
                for j in range(BLOCK_PX):
                    block[i * BLOCK_PX + j] = image[y + i, x + j]
            _transform(block, matrix, scratch, spectra[y, x])
    return spectra


@numba.njit(cache=True, nogil=True, fastmath=True)
def _match(
    image: np.ndarray, y: int, x: int, places: np.ndarray, distance: np.ndarray
) -> int:  # pragma: no cover - compiled
    """Positions of the blocks most like the one at (y, x), itself first; how many were kept."""
    rows, columns = image.shape[0] - BLOCK_PX + 1, image.shape[1] - BLOCK_PX + 1
    places[0, 0], places[0, 1] = y, x
    distance[0] = -1.0
    count = 1
    for v in range(max(0, y - SEARCH_PX), min(rows, y + SEARCH_PX + 1)):
        for u in range(max(0, x - SEARCH_PX), min(columns, x + SEARCH_PX + 1)):
            if v == y and u == x:
                continue
            total = np.float32(0)
            for i in range(BLOCK_PX):
                for j in range(BLOCK_PX):
                    step = image[y + i, x + j] - image[v + i, u + j]
                    total += step * step
                # Given up row by row: within a row the loop has to vectorise.
                if count == STACK and total >= distance[STACK - 1]:
                    break
            if count == STACK and total >= distance[STACK - 1]:
                continue
            place = min(count, STACK - 1)
            while distance[place - 1] > total:
                distance[place] = distance[place - 1]
                places[place, 0], places[place, 1] = places[place - 1, 0], places[place - 1, 1]
                place -= 1
            distance[place] = total
            places[place, 0], places[place, 1] = v, u
            count = min(count + 1, STACK)
    power = 1
    while 2 * power <= count:
        power *= 2
    return power


@numba.njit(cache=True, nogil=True, fastmath=True)
def _differences(
    image: np.ndarray, spectra: np.ndarray
) -> np.ndarray:  # pragma: no cover - compiled
    """Stack coefficients other than the sum, from a coarse grid of blocks, shape (n, 64)."""
    rows, columns = spectra.shape[0], spectra.shape[1]
    step = 3 * STEP_PX
    n = ((rows + step - 1) // step) * ((columns + step - 1) // step)
    out = np.zeros((n * (STACK - 1), spectra.shape[2]), np.float32)
    places = np.empty((STACK, 2), np.int64)
    distance = np.empty(STACK, np.float32)
    stack = np.empty((STACK, spectra.shape[2]), np.float32)
    filled = 0
    for y in range(0, rows, step):
        for x in range(0, columns, step):
            count = _match(image, y, x, places, distance)
            for k in range(count):
                stack[k] = spectra[places[k, 0], places[k, 1]]
            _hadamard(stack, count)
            for k in range(1, count):
                out[filled] = stack[k]
                filled += 1
    return out[: max(filled, 1)]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _hadamard(stack: np.ndarray, count: int) -> None:  # pragma: no cover - compiled
    """Orthonormal Walsh-Hadamard transform along the stack, in place; its own inverse."""
    half = 1
    while half < count:
        for start in range(0, count, 2 * half):
            for k in range(start, start + half):
                for c in range(stack.shape[1]):
                    a, b = stack[k, c], stack[k + half, c]
                    stack[k, c], stack[k + half, c] = a + b, a - b
        half *= 2
    scale = np.float32(1 / np.sqrt(count))
    for k in range(count):
        for c in range(stack.shape[1]):
            stack[k, c] *= scale


@numba.njit(cache=True, nogil=True, fastmath=True)
def _shrink(
    stack: np.ndarray, guide: np.ndarray, count: int, sd: np.ndarray, wiener: bool
) -> np.floating:  # pragma: no cover - compiled
    """Threshold or Wiener-weigh the stack in place; returns the aggregation weight."""
    energy = np.float32(0)
    for k in range(count):
        for c in range(stack.shape[1]):
            if wiener:
                power = guide[k, c] * guide[k, c]
                gain = power / (power + sd[c] * sd[c])
            elif abs(stack[k, c]) > HARD_THRESHOLD * sd[c]:
                gain = np.float32(1)
            else:
                gain = np.float32(0)
            if k == 0 and c == 0:
                gain = np.float32(1)  # the mean of the stack is kept, so that HU stay unbiased
            stack[k, c] *= gain
            energy += gain * gain * sd[c] * sd[c]
    return np.float32(1) / max(energy, np.float32(1e-6))


@numba.njit(cache=True, nogil=True, fastmath=True)
def _collaborate(
    image: np.ndarray,
    noisy: np.ndarray,
    guide: np.ndarray,
    matrix: np.ndarray,
    window: np.ndarray,
    sd: np.ndarray,
    wiener: bool,
) -> np.ndarray:  # pragma: no cover - compiled
    """One pass over all reference blocks: match, transform, shrink, put back."""
    rows, columns = noisy.shape[0], noisy.shape[1]
    total = np.zeros(image.shape, np.float32)
    weights = np.zeros(image.shape, np.float32)
    places = np.empty((STACK, 2), np.int64)
    distance = np.empty(STACK, np.float32)
    stack = np.empty((STACK, BLOCK_PX * BLOCK_PX), np.float32)
    model = np.empty_like(stack)
    block = np.empty(BLOCK_PX * BLOCK_PX, np.float32)
    scratch = np.empty_like(block)
    inverse = matrix.T.copy()
    for row in range(0, rows + STEP_PX - 1, STEP_PX):
        for column in range(0, columns + STEP_PX - 1, STEP_PX):
            # The last row and column of blocks are always visited, so that nothing is left out.
            count = _match(image, min(row, rows - 1), min(column, columns - 1), places, distance)
            for k in range(count):
                stack[k] = noisy[places[k, 0], places[k, 1]]
                model[k] = guide[places[k, 0], places[k, 1]]
            _hadamard(stack, count)
            if wiener:
                _hadamard(model, count)
            weight = _shrink(stack, model, count, sd, wiener)
            _hadamard(stack, count)
            for k in range(count):
                _transform(stack[k], inverse, scratch, block)
                for i in range(BLOCK_PX):
                    for j in range(BLOCK_PX):
                        w = weight * window[i * BLOCK_PX + j]
                        y, x = places[k, 0] + i, places[k, 1] + j
                        total[y, x] += w * block[i * BLOCK_PX + j]
                        weights[y, x] += w
    return total / weights
