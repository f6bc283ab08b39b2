"""Formulas such as ``rating ~ arm + (1|reader) + (1|case)`` as design matrices."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
import patsy

from reader_study.stats.ordinal.link_functions import FAR
from reader_study.stats.tables import as_numbers, check_levels, require_columns

Thresholds = Literal["flexible", "symmetric", "equidistant"]
_TERM = re.compile(r"\(\s*([^()|]+?)\s*(\|\|?)\s*([^()]+?)\s*\)")
_EDGE = 10 * FAR


@dataclass(frozen=True)
class RandomTerm:
    """One random effect: group code of each row and the columns that vary by group."""

    name: str
    codes: np.ndarray
    labels: tuple[str, ...]
    columns: np.ndarray
    column_names: tuple[str, ...]


@dataclass(frozen=True)
class OrdinalData:
    """Everything a fit needs: cut-points are ``cuts_upper @ fixed + edge`` and so on."""

    response: str
    y: np.ndarray
    levels: tuple[float, ...]
    names: tuple[str, ...]
    n_threshold: int
    cuts_upper: np.ndarray
    cuts_lower: np.ndarray
    edge_upper: np.ndarray
    edge_lower: np.ndarray
    threshold_map: np.ndarray
    random: tuple[RandomTerm, ...]
    used: np.ndarray
    n_missing: int


def split_formula(formula: str) -> tuple[str, str, list[tuple[str, str, str]]]:
    """Response, fixed part and random terms (inner, bar, group) of a formula.

    Examples
    --------
    >>> split_formula("rating ~ arm + (1|reader) + (1|case)")
    ('rating', 'arm', [('1', '|', 'reader'), ('1', '|', 'case')])
    """
    if formula.count("~") != 1:
        raise ValueError(f"expected a formula such as 'rating ~ arm + (1|reader)', got {formula!r}")
    response, right = (side.strip() for side in formula.split("~"))
    terms = [(m[1], m[2], m[3]) for m in _TERM.finditer(right)]
    fixed = _TERM.sub("", right)
    if "|" in fixed:
        raise ValueError(f"expected random effects in brackets, as in (1|reader), got {formula!r}")
    parts = [part.strip() for part in fixed.split("+") if part.strip()]
    return response, " + ".join(parts) or "1", terms


def read_formula(
    table: pd.DataFrame,
    formula: str,
    *,
    levels: Mapping[str, Sequence[str]] | None = None,
    thresholds: Thresholds = "flexible",
    nominal: Sequence[str] = (),
) -> OrdinalData:
    """Design of a cumulative link model; rows with an empty cell are left out and counted.

    Parameters
    ----------
    table : DataFrame
    formula : ``response ~ fixed + (1|group) + (1|a/b) + (1|a:b) + (arm|group) + (0+arm|group)``
    levels : order of the levels of a factor; the first is the reference. Default: sorted.
    thresholds : see :func:`threshold_map`
    nominal : fixed columns whose effect differs between cut-points

    Raises
    ------
    ValueError
        For unknown columns, text ratings (by row), a single rating category.
    """
    response, fixed, terms = split_formula(formula)
    groups = [name for _, _, group in terms for name in re.split(r"[/:]", group)]
    words = set(re.findall(r"[A-Za-z_]\w*", " ".join([fixed, *(t[0] for t in terms)])))
    columns = [response, *[w for w in words if w in table.columns], *[g.strip() for g in groups]]
    unknown = sorted(words - set(table.columns) - {"C", "Treatment", "I", "np", "log"})
    require_columns(table, list(dict.fromkeys([*columns, *unknown])))
    data = table.copy()
    data[response] = as_numbers(table, response)
    for name, order in (levels or {}).items():
        require_columns(table, [name])
        check_levels(table, name, list(order), what=f"levels of {name}")
        data[name] = pd.Categorical(data[name], categories=list(order))
    complete = data[list(dict.fromkeys(columns))].notna().all(axis=1)
    data = data[complete].copy()
    if data.empty:
        raise ValueError("expected rows without empty cells, but none is complete")
    values, y = np.unique(data[response].to_numpy(float), return_inverse=True)
    if values.size < 2:
        raise ValueError(
            f"expected at least two rating categories, but every {response} is {values[0]:g}: "
            "there is nothing to model, report that share as it is"
        )
    x, names = _fixed_columns(data, fixed)
    mapping = threshold_map(values.size - 1, thresholds)
    is_nominal = np.array([any(n.split("[")[0] == m for m in nominal) for n in names], dtype=bool)
    design = _cut_design(y, mapping, x, is_nominal)
    random = [t for inner, bar, group in terms for t in _random_terms(data, inner, bar, group)]
    per_cut = [
        f"{n}:{k + 1}"
        for n, flag in zip(names, is_nominal, strict=True)
        if flag
        for k in range(mapping.shape[1])
    ]
    shared = [n for n, flag in zip(names, is_nominal, strict=True) if not flag]
    return OrdinalData(
        response,
        y,
        tuple(float(v) for v in values),
        (*_threshold_names(values, thresholds, mapping.shape[1]), *per_cut, *shared),
        mapping.shape[1],
        *design,
        mapping,
        tuple(random),
        np.flatnonzero(complete.to_numpy()),
        int((~complete).sum()),
    )


def threshold_map(cuts: int, kind: Thresholds) -> np.ndarray:
    """Matrix from threshold parameters to cut-points, shape (cuts, parameters).

    "flexible": one each; "equidistant": first and spacing; "symmetric": centre (two for an
    even number of cut-points) and spacings, as in Christensen's ``ordinal``.

    Examples
    --------
    >>> threshold_map(3, "equidistant").tolist()
    [[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]
    >>> threshold_map(3, "symmetric").tolist()
    [[1.0, -1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    if kind == "flexible" or (cuts == 1 and kind in ("symmetric", "equidistant")):
        return np.eye(cuts)
    if kind == "equidistant":
        return np.column_stack([np.ones(cuts), np.arange(cuts, dtype=float)])
    if kind != "symmetric":
        raise ValueError(f"expected flexible, symmetric or equidistant thresholds, got {kind!r}")
    half = cuts // 2
    odd = cuts % 2
    mapping = np.zeros((cuts, half + odd + (0 if odd else 1)))
    if odd:
        mapping[:, 0] = 1
        for k in range(1, half + 1):
            mapping[half - k, k], mapping[half + k, k] = -1, 1
        return mapping
    mapping[:half, 0], mapping[half:, 1] = 1, 1
    for k in range(1, half):
        mapping[half - 1 - k, 1 + k], mapping[half + k, 1 + k] = -1, 1
    return mapping


def _threshold_names(values: np.ndarray, kind: Thresholds, count: int) -> list[str]:
    if kind == "equidistant" and count == 2:
        return ["threshold.1", "spacing"]
    if kind == "symmetric" and count < values.size - 1:
        centres = 1 if (values.size - 1) % 2 else 2
        names = ["central"] if centres == 1 else ["central.1", "central.2"]
        return [*names, *[f"spacing.{k + 1}" for k in range(count - centres)]]
    return [f"{a:g}|{b:g}" for a, b in pairwise(values)]


def _design(part: str, data: pd.DataFrame) -> pd.DataFrame:
    """Columns of one part of a formula, or one sentence on why patsy cannot make them."""
    try:
        return patsy.dmatrix(part, data, return_type="dataframe")
    except (patsy.PatsyError, NameError, SyntaxError, TypeError) as error:
        why = str(error).split("\n")[0].strip()
        raise ValueError(
            f"expected a formula such as 'rating ~ arm + (1|reader)', got {part!r}, which cannot "
            f"be read: {why}; write terms with +, : and * between names of columns"
        ) from error


def _fixed_columns(data: pd.DataFrame, fixed: str) -> tuple[np.ndarray, list[str]]:
    for name in re.findall(r"[A-Za-z_]\w*", fixed):
        if name in data and isinstance(data[name].dtype, pd.CategoricalDtype):
            data[name] = data[name].cat.remove_unused_categories()
    frame = _design(fixed, data)
    keep = [name for name in frame.columns if name != "Intercept"]
    x = frame[keep].to_numpy(float)
    if x.size and np.linalg.matrix_rank(np.column_stack([np.ones(len(x)), x])) < x.shape[1] + 1:
        raise ValueError(
            f"expected fixed effects that can be told apart; {', '.join(keep)} overlap (one is a "
            "sum of others or does not vary); drop one"
        )
    return x, [name.replace("[T.", "[") for name in keep]


def _cut_design(
    y: np.ndarray, mapping: np.ndarray, x: np.ndarray, nominal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the upper and lower cut-point of each observation, and their infinite edges."""
    cuts = len(mapping)
    padded = np.vstack([mapping, np.zeros((1, mapping.shape[1]))])
    edges = []
    for position, edge in ((y, _EDGE), (y - 1, -_EDGE)):
        outside = (position < 0) | (position >= cuts)
        rows = padded[np.where(outside, cuts, position)]
        parts = [rows, *(-rows * column[:, None] for column in x[:, nominal].T)]
        parts.append(np.where(outside[:, None], 0.0, -x[:, ~nominal]))
        edges.append((np.hstack(parts), np.where(outside, edge, 0.0)))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def _random_terms(data: pd.DataFrame, inner: str, bar: str, group: str) -> list[RandomTerm]:
    nested = [part.strip() for part in group.split("/")]
    terms = []
    for depth in range(1, len(nested) + 1):
        name = ":".join(nested[:depth])
        keys = [part.strip() for part in name.split(":")]
        key = data[keys[0]].astype(str)
        for other in keys[1:]:
            key = key + ":" + data[other].astype(str)
        labels, codes = np.unique(key.to_numpy(dtype=str), return_inverse=True)
        if labels.size < 2:
            raise ValueError(
                f"a random effect of {name!r} needs at least 2 groups, got {labels.size}; make it "
                "a fixed effect or leave it out"
            )
        x, columns = _varying(data, inner)
        parts = [(x, columns)]
        if bar == "||" or inner.strip() == "1":
            parts = [(x[:, [k]], [columns[k]]) for k in range(x.shape[1])]
        for part, part_names in parts:
            label = name if part_names == ["Intercept"] else f"{name}.{'+'.join(part_names)}"
            terms.append(RandomTerm(label, codes, tuple(labels), part, tuple(part_names)))
    return terms


def _varying(data: pd.DataFrame, inner: str) -> tuple[np.ndarray, list[str]]:
    if inner.strip() == "1":
        return np.ones((len(data), 1)), ["Intercept"]
    frame = _design(inner, data)
    return frame.to_numpy(float), [n.replace("[T.", "[") for n in frame.columns]
