"""The slice where the arms of a case differ most: one number a case, the same for every arm."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.ndimage import gaussian_filter

_SMOOTHED_MM = 1.5  # sigma in the plane: what is left of noise of single pixels is little


def slice_of_largest_difference(images: Sequence[np.ndarray], spacing_mm: Sequence[float]) -> int:
    """Index of the slice with the largest local difference between any two arms.

    Local: the 99.9th percentile of the absolute difference in HU, smoothed in the plane, so that
    a vessel or nodule that one arm lacks counts more than noise all over the slice. All arms of a
    case give this one number; a reader cannot tell from it which two are shown, or that both
    sides are the same image.

    Parameters
    ----------
    images : HU of each arm, (z, y, x), of one shape
    spacing_mm : (z, y, x)

    Examples
    --------
    >>> a = np.zeros((4, 32, 32))
    >>> b = a.copy()
    >>> b[3, 10:16, 10:16] = 200
    >>> [slice_of_largest_difference([a, other], (2, 1, 1)) for other in (b, a)]
    [3, 2]
    """
    sigma = [_SMOOTHED_MM / mm for mm in spacing_mm[1:]]
    depth = len(images[0])
    largest = np.zeros(depth)
    for one, other in combinations(images, 2):
        for z in range(depth):
            change = one[z].astype(np.float32) - other[z]
            smooth = np.abs(gaussian_filter(change, sigma))
            largest[z] = max(largest[z], float(np.percentile(smooth, 99.9)))
    return int(largest.argmax()) if largest.any() else depth // 2
