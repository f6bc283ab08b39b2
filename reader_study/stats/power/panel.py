"""Power of a model beside a panel, of a mean of measurements; lesions for one share's limits."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from reader_study.stats.power.closed_form import OrPower, one_sided, positive, two_sided


@dataclass(frozen=True)
class PanelComponents:
    """Of the differences reader minus model, in a pilot of ``cases`` cases."""

    ms_readers: float
    var: float
    cov2: float
    cases: float


def panel_power(
    components: PanelComponents,
    *,
    readers: int,
    cases: int,
    effect: float,
    margin: float = 0.0,
    alpha: float = 0.05,
) -> OrPower:
    """Power to tell a model from a panel, or to show that it is not worse than the panel.

    Parameters
    ----------
    components : as :func:`reader_study.stats.roc.ai_versus_readers.ai_versus_readers` finds them
    effect : true difference, model minus mean of the readers
    margin : as :func:`or_power`

    Notes
    -----
    Variance of readers MS - (Var - Cov2), not below zero; Var and Cov2 shrink with the cases. With
    more and more readers r Cov2 is left: the model's own error over cases.

    Examples
    --------
    >>> pilot = PanelComponents(0.004, 0.0025, 0.0012, cases=90)
    >>> panel_power(pilot, readers=10, cases=300, effect=0.0).power
    0.05
    """
    positive("readers", readers - 1), positive("cases", cases)
    scale = components.cases / cases
    own = max(components.ms_readers - (components.var - components.cov2), 0.0)
    mean_square = own + scale * (components.var - components.cov2)
    error = mean_square + readers * scale * max(components.cov2, 0.0)
    df = float((readers - 1) * (error / mean_square) ** 2) if mean_square > 0 else np.inf
    se = float(np.sqrt(error / readers))
    if margin > 0:
        power, shift, critical = one_sided(effect + margin, se, df, alpha)
    else:
        power, shift, critical = two_sided(effect, se, df, alpha)
    return OrPower(power, shift, df, critical, se, readers, cases)


@dataclass(frozen=True)
class MeasureComponents:
    """Variances of the difference of two measurements, one in each arm, by the same reader."""

    var_reader: float
    var_case: float
    var_error: float
    cases: float = 1.0


def measure_power(
    components: MeasureComponents,
    *,
    readers: int,
    cases: int,
    effect: float,
    margin: float = 0.0,
    alpha: float = 0.05,
) -> OrPower:
    """Power to show a mean difference of measurements, or one above -``margin``.

    Parameters
    ----------
    components : as :func:`reader_study.stats.agreement.mrmc_limits.difference_components` finds
        them, in squared units of the measurement
    effect, margin : in units of the measurement

    Notes
    -----
    Variance of the mean V(reader) / J + V(case) / K + V(error) / (J K) and normal limits (Wen &
    Gallas 2022, doi:10.1080/19466315.2022.2063169), as the analysis takes them.

    Examples
    --------
    Only cases differ, variance 4 over 100 of them: standard error 0.2.

    >>> result = measure_power(MeasureComponents(0.0, 4.0, 0.0), readers=3, cases=100, effect=0.5)
    >>> round(result.se, 6), round(result.power, 3)
    (0.2, 0.705)
    """
    positive("readers", readers), positive("cases", cases)
    parts = components.var_reader, components.var_case, components.var_error
    own, case, rest = (max(part, 0.0) for part in parts)
    # Fewer effective cases than planned, where cases are lesions that are alike.
    effective = cases / components.cases
    se = float(np.sqrt(own / readers + case / effective + rest / (readers * effective)))
    if margin > 0:
        power, shift, critical = one_sided(effect + margin, se, np.inf, alpha)
    else:
        power, shift, critical = two_sided(effect, se, np.inf, alpha)
    return OrPower(power, shift, np.inf, critical, se, readers, cases)


def design_effect(*, icc: float, per_patient: float, spread: float = 0.0) -> float:
    """How many times more lesions than patients of one lesion each: 1 + ((cv^2 + 1) m - 1) icc.

    Parameters
    ----------
    icc : correlation of two lesions of a patient
    per_patient : mean number of lesions m
    spread : its coefficient of variation cv

    Examples
    --------
    >>> round(design_effect(icc=0.2, per_patient=2.5), 6)
    1.3
    """
    if not (0 <= icc <= 1 and per_patient >= 1 and spread >= 0):
        raise ValueError(
            "expected an icc of 0 to 1, one lesion per patient or more and a spread of 0 or more, "
            f"got {icc:g}, {per_patient:g} and {spread:g}"
        )
    return 1 + ((spread**2 + 1) * per_patient - 1) * icc


def lesions_for_share(share: float, *, half_width: float, effect_of_design: float = 1.0) -> float:
    """Lesions that give a share its 95 % interval of +- ``half_width``.

    Examples
    --------
    >>> round(lesions_for_share(0.8, half_width=0.05, effect_of_design=1.3), 4)
    319.6094
    """
    if not (0 < share < 1 and 0 < half_width < 0.5):
        raise ValueError(
            "expected a share between 0 and 1 and a half width between 0 and 0.5, got "
            f"{share:g} and {half_width:g}"
        )
    z = float(stats.norm.ppf(0.975))
    return z**2 * share * (1 - share) / half_width**2 * effect_of_design
