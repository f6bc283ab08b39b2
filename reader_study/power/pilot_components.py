"""Components for a sample size: from the table of a pilot, or as a published study prints them."""

from dataclasses import fields
from pathlib import Path

import pandas as pd

from reader_study.stats.agreement.mrmc_limits import difference_components
from reader_study.stats.free_response.froc import froc
from reader_study.stats.free_response.search_model import Search, fit_search
from reader_study.stats.power.closed_form import OrComponents, components_of
from reader_study.stats.power.panel import MeasureComponents, PanelComponents
from reader_study.stats.read_table import read_table
from reader_study.stats.roc.ai_versus_readers import ai_versus_readers
from reader_study.stats.roc.mrmc import figure_named, mrmc

Parts = OrComponents | PanelComponents | MeasureComponents
# How papers and packages write them.
ALIASES = {
    "varr": "var_reader",
    "varc": "var_case",
    "vare": "var_error",
    "vartr": "var_arm_reader",
    "var": "var_error",
    "msr": "ms_readers",
    "k": "cases",
}


def read_pilot(
    kind: str, path: str | Path, *, cases: Path | None = None, cut: float = 0.0, ai: str = ""
) -> Parts:
    """Components of the pilot study in a table.

    Parameters
    ----------
    kind : "roc", "sensitivity", "specificity", "correct", "recall" (``reader, case, arm, truth,
        rating``), "ai" (the same, one arm), "wafroc" (``reader, arm, case, mark, lesion, rating``)
        or "limits" (``reader, case, arm, measure``; two arms)
    cases : for "wafroc", the table ``case, truth, n_lesions``
    cut : for sensitivity to recall, the lowest rating that counts as called
    ai : name of the model among the readers

    Raises
    ------
    ValueError
        Where a kind lacks what it needs.
    """
    table = read_table(Path(path))
    if kind == "wafroc":
        if cases is None:
            raise ValueError("expected --pilot-cases, a table case, truth, n_lesions, got none")
        listed = read_table(cases)
        return components_of(froc(table, listed, fom="wafroc"), cases=len(listed))
    if kind == "ai":
        if not ai:
            raise ValueError("expected --ai, the model's name in the column reader, got none")
        parts = ai_versus_readers(table, ai=ai).components
        count = int(table["case"].nunique())
        return PanelComponents(parts["ms_readers"], parts["var"], parts["cov2"], count)
    if kind == "limits":
        if "showing" in table:
            table = table[pd.to_numeric(table["showing"]) == 1]
        arms = [*dict.fromkeys(table["arm"])] if "arm" in table else []
        if len(arms) != 2:
            raise ValueError(
                f"expected a column arm with two arms in {path}, got {len(arms)}; keep two"
            )
        found = difference_components(table, first=str(arms[1]), second=str(arms[0]))
        return MeasureComponents(*found)
    figure = kind if kind == "roc" else f"{kind}:{cut:g}"
    result = mrmc(table, figure=figure_named("auc" if kind == "roc" else figure))
    used = table
    if kind in ("sensitivity", "specificity"):
        used = table[table["truth"].astype(float) == (1 if kind == "sensitivity" else 0)]
    return components_of(result, cases=int(used["case"].nunique()))


def read_parts(
    kind: str,
    components: str,
    pilot: Path | None,
    *,
    cases: Path | None,
    cut: float,
    ai: str,
) -> Parts | None:
    """Components of the pilot, else as written, else None."""
    if pilot is not None:
        return read_pilot(kind, pilot, cases=cases, cut=cut, ai=ai)
    return read_components(kind, components) if components else None


def read_search(text: str, marks: Path | None, cases: Path | None) -> Search:
    """The search model as ``"mu=3.3,lambda=1.7,nu=0.7,lesions=0.69/0.2/0.11"``, or of a pilot.

    Examples
    --------
    >>> read_search("mu=3.3,lambda=1.7,nu=0.7,lesions=0.6/0.4", None, None)
    Search(mu=3.3, false_per_case=1.7, found=0.7, lesions=(0.6, 0.4))
    """
    if not text:
        if marks is None or cases is None:
            raise ValueError(
                "expected --search mu=,lambda=,nu=,lesions= or a pilot (--pilot, --pilot-cases) "
                "with --roc-effect, got neither; give one, or --effect in wAFROC area"
            )
        return fit_search(read_table(marks), read_table(cases))
    said = {
        key.strip().lower(): value
        for key, _, value in (part.partition("=") for part in text.split(","))
    }
    try:
        shares = tuple(float(share) for share in said.get("lesions", "1").split("/"))
        mu, false_per_case, found = (float(said[name]) for name in ("mu", "lambda", "nu"))
    except (KeyError, ValueError):
        raise ValueError(
            f"expected mu=,lambda=,nu= and lesions=SHARE/SHARE, each a number, got {text!r}; take "
            "them from the fit of the published study"
        ) from None
    return Search(mu, false_per_case, found, shares)


def read_components(kind: str, text: str) -> Parts:
    """Components as ``"VarTR=0.0002,Var=0.0008,Cov1=...,Cov2=...,Cov3=...,cases=114"``.

    For "ai": ``"MSR=...,Var=...,Cov2=...,cases=..."``; for "limits": ``"VarR=...,VarC=...,
    VarE=..."``.

    Examples
    --------
    >>> read_components("ai", "MSR=0.004,Var=0.0025,Cov2=0.0012,cases=90")
    PanelComponents(ms_readers=0.004, var=0.0025, cov2=0.0012, cases=90)
    """
    kinds: dict[str, type[Parts]] = {"ai": PanelComponents, "limits": MeasureComponents}
    wanted = kinds.get(kind, OrComponents)
    names = [field.name for field in fields(wanted)]
    free = "cases" if kind == "limits" else "var_reader"
    needed = [name for name in names if name != free]
    found: dict[str, float] = {}
    for part in text.split(","):
        key, sign, value = part.partition("=")
        name = key.strip().lower()
        name = ALIASES.get(name, name) if name not in names else name
        try:
            found[name] = float(value) if sign else float("nan")
        except ValueError:
            raise ValueError(f"expected a number after {key.strip()}=, got {value!r}") from None
    missing = [name for name in needed if name not in found]
    unknown = [name for name in found if name not in names]
    if missing or unknown:
        raise ValueError(
            f"expected {', '.join(names)} as NAME=NUMBER,..., got "
            + (f"no {', '.join(missing)}" if missing else f"{', '.join(unknown)}")
            + "; take them from the study's Obuchowski-Rockette analysis"
        )
    if "cases" in found:
        found["cases"] = int(found["cases"])
    return wanted(**found)
