"""From ``analysis.json`` to the report: HTML, Markdown, R script."""

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jinja2

from ctlab.files import fresh_folder, write_csv, write_whole
from ctlab.input_files import declared, read_json
from reader_study.report import checklists, figures, words
from reader_study.report.checklist_facts import read_model
from reader_study.report.markdown import as_markdown, markdown_text
from reader_study.report.result_figures import curve_figures, forests, per_reader
from reader_study.report.rscript import r_script

FORMAT_VERSION = 1
TEMPLATES = Path(__file__).parent / "templates"


def read_analysis(study: str | Path) -> dict[str, Any]:
    """Contents of ``STUDY/report/analysis.json``.

    Raises
    ------
    ValueError
        The study has not been analysed, or by a newer version.
    """
    path = Path(study) / "report" / "analysis.json"
    if not path.is_file():
        raise ValueError(f"{path} is not there; run reader-study analyse first")
    facts = read_json(path, *_ANALYSIS)
    version = facts.get("format_version")
    if not isinstance(version, int):
        raise ValueError(f"{path} is damaged; run reader-study analyse again")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path.name} has format_version {version}; this program reads up to "
            f"{FORMAT_VERSION}: install a newer ctlab"
        )
    # Analyses of before texture was measured at the lock.
    return {"texture": {"arms": "as-made", "recognised": []}, **facts}


_ANALYSIS = "is damaged", "run reader-study analyse again"


def analysis_read(study: str | Path) -> AbstractContextManager[None]:
    """Around what uses an analysis: what is missing or wrong in it becomes one sentence."""
    return declared(Path(study) / "report" / "analysis.json", *_ANALYSIS)


def write_report(study: str | Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``supplement.html`` (a page), and more; the paths.

    The HTML page is one file that needs no network and no script; the Markdown shows the same
    figures from ``STUDY/report/figures``. Checklists are filled from the analysis and from what
    lies in ``STUDY/model``, into ``checklists.csv`` too; ``primary.R`` repeats the result.

    Raises
    ------
    ValueError
        The study has not been analysed.
    """
    facts, model = read_analysis(study), read_model(study)
    folder = Path(study) / "report"
    with analysis_read(study):
        script = r_script(facts)
        shown = pictures(in_order(facts))
        texts = {
            "report.html": html_page(facts, script, shown=shown, model=model),
            "report.md": markdown_page(facts, shown=shown, model=model),
            "supplement.html": supplement_page(facts, shown=shown),
            "primary.R": script,
        }
        rows = checklists.as_table(facts, model)
    paths = []
    with fresh_folder(folder / "figures", overwrite=True) as part:
        for picture in shown:
            (part / f"{picture['name']}.svg").write_text(picture["svg"], "utf-8")
    for name, text in texts.items():
        with write_whole(folder / name) as part:
            part.write_text(text, "utf-8")
        paths.append(folder / name)
    write_csv(folder / "checklists.csv", rows)
    return [*paths, folder / "checklists.csv"]


def html_page(
    facts: dict[str, Any],
    script: str,
    *,
    shown: list[dict[str, str]] | None = None,
    model: dict[str, Any] | None = None,
) -> str:
    """The whole report as one HTML page; ``shown`` are its pictures, where already drawn.

    ``model`` is what :func:`reader_study.report.checklist_facts.read_model` found.
    """
    facts = in_order(facts)
    template = environment(autoescape=True).get_template("page.html.jinja")
    drawn = pictures(facts) if shown is None else shown
    return template.render(**_context(facts, model), script=script, pictures=drawn)


def supplement_page(facts: dict[str, Any], *, shown: list[dict[str, str]]) -> str:
    """The study on one printed page: result, methods, flow, where to repeat it."""
    facts = in_order(facts)
    template = environment(autoescape=True).get_template("supplement.html.jinja")
    return template.render(**_context(facts, None), pictures=shown)


def markdown_page(
    facts: dict[str, Any],
    *,
    shown: list[dict[str, str]] | None = None,
    model: dict[str, Any] | None = None,
) -> str:
    """The report as Markdown that a book can include, with links to the pictures ``shown``."""
    template = environment(autoescape=False).get_template("page.md.jinja")
    # A file's name and section are ours; the drawing itself is a file beside the page.
    said = [p | {name: markdown_text(p[name]) for name in ("alt", "caption")} for p in shown or []]
    context = _context(in_order(as_markdown(facts)), as_markdown(model))
    return template.render(**context, pictures=said)


def in_order(facts: dict[str, Any]) -> dict[str, Any]:
    """A copy whose tables have readers as people count them: R2 before R10, "all" last."""
    first = facts["primary"][0]
    ordered: dict[str, Any] = {
        name: _counted(facts[name]) for name in ("position", "catch", "missing")
    }
    ordered["repeats"] = sorted(_counted(facts["repeats"]), key=lambda row: row["item"])
    ordered["sensitivity"] = _counted(facts["sensitivity"], name="label", of="without reader ")
    time = facts["time"]
    ordered["time"] = {**time, "speeding": _counted(time["speeding"])}
    top = {**first, "readers": _counted(first["readers"])}
    return {**facts, **ordered, "primary": [top, *facts["primary"][1:]]}


def _counted(
    rows: list[dict[str, Any]], *, name: str = "reader", of: str = ""
) -> list[dict[str, Any]]:
    """Rows by the number in their reader's name, those without one where they stood, after it."""

    def key(row: dict[str, Any]) -> tuple[int, int, str]:
        text = str(row[name])
        if not text.startswith(of):
            return (0, 0, "")
        digits = re.search(r"[0-9]+$", text)
        return (2, 0, "") if text == "all" else (1, int(digits[0]) if digits else 0, "")

    return sorted(rows, key=key)


def environment(*, autoescape: bool) -> jinja2.Environment:
    """Templates with the filters that round and word the numbers."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "p": words.p_value,
        "fixed": words.fixed,
        "interval": words.interval,
        "cell": _cell,
        "screen": words.screen,
    }
    environment.globals |= {"number": words.number, "plural": words.plural, "short": words.SHORT}
    return environment


def _cell(text: Any) -> str:
    """Text inside a Markdown table: no bar and no line break of its own."""
    return " ".join(str(text).split()).replace("|", "\\|")


def _context(facts: dict[str, Any], model: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "facts": facts,
        "first": facts["primary"][0],
        "headline": words.headline(facts),
        "methods": words.methods(facts),
        "checklists": [checklists.fill(name, facts, model) for name in checklists.chosen(facts)],
        "dash": words.MISSING,
    }


# ---------------------------------------------------------------- figures


def pictures(facts: dict[str, Any]) -> list[dict[str, str]]:
    """Figures with the section they belong to, a caption, and words that say what they show."""
    drawn = [*forests(facts), *per_reader(facts), *curve_figures(facts), _flow(facts)]
    if marked := facts.get("difference_map"):
        drawn += _difference_figures(marked)
    rows = [(row["reader"], row["done"], row["of"] - row["done"]) for row in facts["readers"]]
    if rows:
        text = "; ".join(f"{name} {done:g} of {done + left:g}" for name, done, left in rows)
        drawn.append(
            {
                "section": "readers",
                "name": "progress",
                "svg": figures.flow_counts(rows, name="progress"),
                "caption": "Trials answered by each reader.",
                "alt": f"Trials answered: {text}.",
            }
        )
    return drawn


_MAPS_A_FIGURE = 12


def _difference_figures(cases: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Where readers say that the images differ, some cases in a figure."""
    parts = [cases[i : i + _MAPS_A_FIGURE] for i in range(0, len(cases), _MAPS_A_FIGURE)]
    return [
        {
            "section": "differences",
            "name": f"differences-{number}",
            "svg": figures.maps(part, name=f"differences-{number}"),
            "caption": "Where the images differ, as readers marked it: from red (few of the "
            "readings) to yellow (all), over a slice of the first arm; the number of readings in "
            "brackets.",
            "alt": "; ".join(
                f"{c['case']}: {c['readings'] - c['nowhere']} of {c['readings']} readings marked "
                "a place"
                for c in part
            ),
        }
        for number, part in enumerate(parts, start=1)
    ]


def _flow(facts: dict[str, Any]) -> dict[str, str]:
    """The course of the study as boxes, for the Markdown page; the HTML page draws its own."""
    course, first, plural = facts["flow"], facts["primary"][0], words.plural
    trials, ties = course["trials"], first["extra"].get("ties")
    steps = [
        (
            f"{plural(course['patients'], 'patient')}, {plural(course['cases'], 'case')}, "
            f"{len(facts['design']['arms'])} arms",
            f"{trials['main']} main trials, {trials['repeat']} hidden repeats, {trials['catch']} "
            f"with identical images, {trials['practice']} practice",
        ),
        (
            f"{plural(course['readers'], 'reader')} joined, "
            f"{plural(course['slots'], 'slot')} planned",
            f"{course['withdrawn']} withdrawn, {course['replaced']} replaced",
        ),
        (
            f"{course['asked']} main answers asked",
            f"{course['missing']} missing, {course['withheld']} “cannot judge”",
        ),
        (f"{course['answered']} answered", ""),
        (
            f"{course['analysed']} in the primary estimate",
            "" if ties is None else f"{plural(ties, 'tie')} left out of the share",
        ),
    ]
    said = "; ".join(f"{heading} ({line})" if line else heading for heading, line in steps)
    return {
        "section": "flow",
        "name": "flow",
        "svg": figures.flow(steps, name="flow"),
        "caption": "From the cases prepared to the readings in the primary estimate.",
        "alt": f"Flow diagram. {said}.",
    }
