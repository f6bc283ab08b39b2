"""Several denoisers on the same series, and their passports side by side on one page."""

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from html import escape
from pathlib import Path
from textwrap import fill
from typing import Any

import pandas as pd

from ctlab.assess import write_table
from ctlab.console import Note, Progress, note_problems
from ctlab.ct import Volume, load_sample, read_series
from ctlab.ct.denoiser import Denoiser
from ctlab.ct.dicom.read import refuse_unused
from ctlab.files import fresh_folder, plain, refuse_full_folder, write_json
from ctlab.output_folder import FolderLock
from ctlab.passport import page
from ctlab.passport.document import (
    FORMAT_VERSION,
    NOT_ASKED,
    Passport,
    make_passport,
    read_passport,
    write_passport,
)


def side_by_side(passports: Mapping[str, Passport]) -> pd.DataFrame:
    """Every check of every passport, tidy: ``check, passport, value, unit, limit, passed, note``.

    Parameters
    ----------
    passports : from the name to show to the passport, two or more

    Raises
    ------
    ValueError
        Fewer than two, or passports made at different doses or on different series: their
        numbers do not compare.
    """
    if len(passports) < 2:
        raise ValueError(f"pass 2 or more passports to compare, got {len(passports)}")
    first, *rest = passports
    for name in rest:
        _check_alike(first, passports[first], name, passports[name])
    rows = [
        {"check": check["name"], "passport": name}
        | {key: check[key] for key in ("value", "unit", "limit", "passed", "note")}
        for name, passport in passports.items()
        for check in passport.checks
    ]
    table = pd.DataFrame(rows)
    order = {check: k for k, check in enumerate(table["check"].drop_duplicates())}
    return table.sort_values("check", key=lambda c: c.map(order), kind="stable", ignore_index=True)


def passports_of_folders(
    folders: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    checkpoints: Sequence[str | Path] = (),
    methods: Sequence[str] = (),
    models: Sequence[str | Denoiser] = (),
    reading: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
    **options: Any,
) -> dict[str, Passport]:
    """Passports of several denoisers on the same DICOM folders, by the denoiser's name.

    Where ``out`` is named it receives one passport, or a folder for each and their comparison.

    Parameters
    ----------
    folders : one series a patient, at reference dose; none takes the packaged sample
    checkpoints : trained models; none, and no method, takes the one that ships
    methods : ``"model"`` (the one that ships) and filters of :data:`ctlab.classic.METHODS`
    models : lines of ``--model``, see :func:`ctlab.workflows.model_spec.load_denoiser`
    reading : how series are read, as keywords of :func:`ctlab.ct.read_series`; a list of
        ``series_uid`` names the series that are meant in folders that hold several
    note : called with every finding about a series
    options : those of :func:`ctlab.passport.make_passport`
    """
    from ctlab.learn import load_checkpoint
    from ctlab.workflows.model_spec import classic_filter, load_denoiser, own_network

    denoisers = [own_network(load_checkpoint(path)) for path in checkpoints]
    denoisers += [own_network(None) if m == "model" else classic_filter(m) for m in methods]
    denoisers += [m if isinstance(m, Denoiser) else load_denoiser(m) for m in models]
    denoisers = denoisers or [own_network(None)]
    if out is not None:  # refused before minutes of work rather than after
        refuse_full_folder(out, overwrite=overwrite)
    with FolderLock(out) if out is not None else nullcontext():
        passports = _passports(folders, denoisers, reading or {}, progress, note, options)
        if out is not None:
            _write(passports, out, overwrite=overwrite)
    return passports


def _passports(
    folders: Sequence[str | Path],
    denoisers: Sequence[Denoiser],
    how: Mapping[str, Any],
    progress: Progress | None,
    note: Note | None,
    options: Mapping[str, Any],
) -> dict[str, Passport]:
    volumes = volumes_of(folders, how, note=note)
    passports: dict[str, Passport] = {}
    for k, denoiser in enumerate(denoisers):
        passport = make_passport(
            volumes, denoiser, progress=_part_of(progress, k, len(denoisers)), **options
        )
        name = passport.facts["denoiser"]
        if name in passports:
            raise ValueError(f"{name} is named twice; name each denoiser once")
        passports[name] = passport
    return passports


def volumes_of(
    folders: Sequence[str | Path], reading: Mapping[str, Any], *, note: Note | None = None
) -> list[Volume]:
    """The series of folders, one a patient; the packaged sample where there is no folder."""
    if not folders:
        return [load_sample()]
    volumes = [read_series(folder, **reading) for folder in folders]
    for folder, volume in zip(folders, volumes, strict=True):
        note_problems(note, folder, volume.problems)
    refuse_unused(reading.get("series_uid") or (), [v.acquisition.series_uid for v in volumes])
    return volumes


def _part_of(progress: Progress | None, k: int, of: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(k * total + done, of * total)


def _write(passports: Mapping[str, Passport], out: str | Path, *, overwrite: bool) -> None:
    if len(passports) == 1:
        write_passport(next(iter(passports.values())), out, overwrite=overwrite)
        return
    with fresh_folder(out, overwrite=overwrite) as folder:
        write_comparison(passports, folder / "comparison")
        for name, passport in passports.items():
            write_passport(passport, folder / _folder_name(name))


def _folder_name(name: str) -> str:
    """A denoiser's name as that of a folder, never one of the dots that lead elsewhere.

    >>> _folder_name("filter nlm"), _folder_name("..")
    ('filter-nlm', 'denoiser')
    """
    return re.sub(r"[^\w.]+", "-", name).strip(".-") or "denoiser"


def read_passports(folders: Sequence[str | Path]) -> dict[str, Passport]:
    """Passports by a short name: what they examined, or their folder where that is the same."""
    passports = [read_passport(folder) for folder in folders]
    pairs = zip(passports, folders, strict=True)
    names = [str(p.facts.get("denoiser") or Path(f).name) for p, f in pairs]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    if len(set(names)) < len(names):
        raise ValueError(f"the same passport is named twice: {', '.join(names)}")
    return dict(zip(names, passports, strict=True))


def write_comparison(
    passports: Mapping[str, Passport], out: str | Path, *, overwrite: bool = False
) -> pd.DataFrame:
    """Writes ``comparison.json``, ``comparison.csv`` and ``index.html``; returns the table."""
    table = side_by_side(passports)
    with fresh_folder(out, overwrite=overwrite) as folder:
        write_json(folder / "comparison.json", comparison(table))
        write_table(table, folder / "comparison.csv")
        (folder / "index.html").write_text(_page(passports, table), encoding="utf-8")
    return table


def comparison(table: pd.DataFrame) -> dict[str, Any]:
    """The table as plain values: one entry per check, values and results by passport."""
    checks = []
    for name, rows in table.groupby("check", sort=False):
        by_name = rows.set_index("passport")
        checks.append(
            {
                "name": name,
                "limit": rows["limit"].iloc[0],
                "values": by_name["value"].to_dict(),
                "passed": by_name["passed"].to_dict(),
            }
        )
    return {"format_version": FORMAT_VERSION, "checks": plain(checks)}


def in_words(content: Mapping[str, Any]) -> str:
    """A passport's plain content, or a comparison's, for a terminal of 80 columns.

    Examples
    --------
    >>> print(in_words({"checks": [{"name": "speed", "value": 36.0, "passed": True,
    ...     "limit": "at most 60 s"}]}))
    passed    speed: 36, at most 60 s
    """
    lines = []
    for check in content["checks"]:
        if check.get("note") == NOT_ASKED:  # stands in the JSON and on the page
            continue
        if "values" not in check:
            why = check.get("note") if check["passed"] is None else ""
            lines.append(
                _line(check["passed"], check["name"], check["value"], why or check["limit"])
            )
            continue
        lines.append(f"{check['name']}, {check['limit']}")
        for name, value in check["values"].items():
            lines.append("  " + _line(check["passed"].get(name), name, value, ""))
    return "\n".join(lines)


def _line(passed: bool | None, name: str, value: float | None, limit: str) -> str:
    line = f"{page.WORDS[passed]:<10}{name}" + ("" if value is None else f": {value:.3g}")
    return fill(f"{line}, {limit}" if limit else line, 80, subsequent_indent=" " * 10)


def _check_alike(first: str, a: Passport, second: str, b: Passport) -> None:
    doses = a.facts["dose"], b.facts["dose"]
    if doses[0] != doses[1]:
        raise ValueError(
            f"{first} and {second} were made at doses {doses[0]} and {doses[1]}; make one anew"
        )
    data = [[series["sha256"] for series in p.facts["data"]] for p in (a, b)]
    if data[0] != data[1]:
        raise ValueError(
            f"{first} and {second} were made on different series; make one anew on those of the "
            "other"
        )


def _page(passports: Mapping[str, Passport], table: pd.DataFrame) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in passports)
    rows = ""
    for name, checks in table.groupby("check", sort=False):
        by_name = {row.passport: row for row in checks.itertuples()}
        cells = "".join(_cell(by_name.get(n)) for n in passports)
        limit = escape(checks["limit"].iloc[0])
        rows += f"<tr><td>{escape(str(name))}</td><td>{limit}</td>{cells}</tr>"
    first = next(iter(passports.values())).facts
    intro = (
        f"{len(first['data'])} patient(s), {page.in_words(first)}. A value in bold "
        "keeps its limit. Limits without a source are proposals, not standards; a difference "
        "between two columns on few patients is no proof."
    )
    return page.document(
        "Denoiser passports side by side",
        f"<p>{intro}</p><div class='wide'><table><thead><tr><th>check</th><th>limit</th>{heads}"
        f"</tr></thead><tbody>{rows}</tbody></table></div>",
    )


def _cell(row: Any) -> str:
    if row is None or row.value is None or row.value != row.value:
        return f"<td>not made<br><small>{escape(row.note) if row else ''}</small></td>"
    word = "passed" if row.passed else "failed"
    value = f"<strong>{row.value:.3g}</strong>" if row.passed else f"{row.value:.3g}"
    return f"<td>{value}<br><small>{word}</small></td>"
