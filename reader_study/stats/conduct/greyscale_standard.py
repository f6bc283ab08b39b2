"""What a screen's luminance allows: greyscale standard display function (GSDF) and its ratio.

Source: DICOM PS3.14, section 7.1 (both directions); Bevins et al., AAPM report 270 (TG-270), 2019,
for the luminance ratio and the share of ambient light.
"""

import math
from dataclasses import dataclass

LOWEST_CD_M2, HIGHEST_CD_M2 = 0.05, 4000.0
_NUMERATOR = (-1.3011877, 8.0242636e-2, 1.3646699e-1, -2.5468404e-2, 1.3635334e-3)
_DENOMINATOR = (-2.5840191e-2, -1.0320229e-1, 2.8745620e-2, -3.1978977e-3, 1.2992634e-4)
_INVERSE = (
    71.498068,
    94.593053,
    41.912053,
    9.8247004,
    0.28175407,
    -1.1878455,
    -0.18014349,
    0.14710899,
    -0.017046845,
)
RATIO_RANGE = (250.0, 450.0)  # around the target of 350
LEAST_BLACK_CD_M2 = 1.0  # ambient light included
DIAGNOSTIC_WHITE_CD_M2 = 350.0
_AMBIENT_SHARE = 0.25  # of the black without it


def gsdf_cd_m2(jnd: float) -> float:
    """Luminance in cd/m² of a just-noticeable-difference index, 1 to 1023.

    Examples
    --------
    >>> round(gsdf_cd_m2(1), 4), round(gsdf_cd_m2(500), 2), round(gsdf_cd_m2(1023), 1)
    (0.05, 119.13, 3993.3)
    """
    if not 1 <= jnd <= 1023:
        raise ValueError(f"expected an index from 1 to 1023, got {jnd:g}")
    u = math.log(jnd)
    top = sum(c * u**k for k, c in enumerate(_NUMERATOR))
    bottom = 1 + sum(c * u**k for k, c in enumerate(_DENOMINATOR, start=1))
    return math.pow(10.0, top / bottom)


def jnd_index(luminance_cd_m2: float) -> float:
    """Just-noticeable-difference index of a luminance in cd/m², 0.05 to 4000.

    Examples
    --------
    >>> [round(jnd_index(luminance), 1) for luminance in (1, 10, 250, 350)]
    [71.5, 216.9, 604.1, 653.1]
    """
    if not LOWEST_CD_M2 <= luminance_cd_m2 <= HIGHEST_CD_M2:
        raise ValueError(
            f"expected a luminance of {LOWEST_CD_M2:g} to {HIGHEST_CD_M2:g} cd/m², got "
            f"{luminance_cd_m2:g}"
        )
    x = math.log10(luminance_cd_m2)
    return sum(c * x**k for k, c in enumerate(_INVERSE))


@dataclass(frozen=True)
class ScreenLuminance:
    """Readings of a luminance meter beside the GSDF and TG-270.

    Attributes
    ----------
    ratio : white by black, ambient light included in both
    jnd : just noticeable differences between them
    jnd_per_step : the same for one of 255 steps of grey, on a screen that follows the GSDF
    remarks : what TG-270 would have otherwise
    """

    ratio: float
    jnd: float
    jnd_per_step: float
    remarks: tuple[str, ...]


def screen_luminance(
    black_cd_m2: float, white_cd_m2: float, *, ambient_cd_m2: float | None = None
) -> ScreenLuminance:
    """What two readings say about a screen; the ambient light is added to both where it was read.

    Raises
    ------
    ValueError
        White is not above black, or a reading is outside the GSDF.

    Examples
    --------
    >>> found = screen_luminance(1.0, 350.0)
    >>> round(found.ratio), round(found.jnd), round(found.jnd_per_step, 2), found.remarks
    (350, 582, 2.28, ())
    >>> screen_luminance(0.5, 250.0, ambient_cd_m2=0.2).remarks[0]
    'ambient light above a quarter of the black'
    """
    if not white_cd_m2 > black_cd_m2:
        raise ValueError(
            f"expected white above black, got {white_cd_m2:g} and {black_cd_m2:g} cd/m²"
        )
    ambient = ambient_cd_m2 or 0.0
    black, white = black_cd_m2 + ambient, white_cd_m2 + ambient
    jnd = jnd_index(white) - jnd_index(black)
    ratio = white / black
    remarks = []
    if ambient > _AMBIENT_SHARE * black_cd_m2:
        remarks.append("ambient light above a quarter of the black")
    if not RATIO_RANGE[0] <= ratio <= RATIO_RANGE[1]:
        remarks.append(f"luminance ratio outside {RATIO_RANGE[0]:g} to {RATIO_RANGE[1]:g}")
    if black < LEAST_BLACK_CD_M2:
        remarks.append(f"black below {LEAST_BLACK_CD_M2:g} cd/m²")
    if white_cd_m2 < DIAGNOSTIC_WHITE_CD_M2:
        remarks.append(f"white below {DIAGNOSTIC_WHITE_CD_M2:g} cd/m²")
    return ScreenLuminance(ratio, jnd, jnd / 255, tuple(remarks))
