"""A study's results as chapters of a book: text, figures, tables, checklists, methods, data.

The numbers come from ``analysis.json`` alone. Readers appear under the numbers that the study gave
them. The authors' own words stand in ``STUDY/book`` and are never overwritten.
"""

import base64
import re
import shutil
from pathlib import Path
from typing import Any

from ctlab.files import fresh_folder
from reader_study.report import words
from reader_study.report.checklist_facts import read_model
from reader_study.report.markdown import markdown_text
from reader_study.report.page import (
    analysis_read,
    markdown_page,
    pictures,
    read_analysis,
)
from reader_study.report.signature import Signature, read_signature

CHAPTERS = {
    "results": ("Results", ("Result", "Sensitivity")),
    "readers": (
        "Readers, agreement, blinding",
        ("Flow", "Readers", "Agreement", "Blinding", "Position, time, missing answers"),
    ),
    "methods": ("Methods", ("Methods", "Deviations from the protocol", "Integrity")),
    "checklists": ("Reporting checklists", ("Checklists",)),
}
OWN = {
    "introduction": "Introduction",
    "discussion": "Discussion",
    "declarations": "Declarations",
}
_ASKED = {
    "introduction": "Why this study, what is known, what would have mattered. Replace this text.",
    "discussion": "What was found, for whom it holds, what limits it. Replace this text.",
    "declarations": "Ethics committee and reference number, consent, funding, interests, who did "
    "what, where data and code are. Replace this text.",
}
_DATA = ("analysis.json", "primary.csv", "primary.R")


def write_chapters(study: str | Path, out: str | Path) -> list[str]:
    """Write the chapters of an analysed study to ``out``; their names in reading order.

    Texts of the authors are taken from ``STUDY/book/NAME.md``; where one is missing, a page that
    asks for it is put there first.

    Parameters
    ----------
    study : folder of the study, with ``report/analysis.json``
    out : folder of the pages; what an earlier call wrote there is replaced

    Raises
    ------
    ValueError
        The study has not been analysed.
    """
    facts = read_analysis(study)
    own = Path(study) / "book"
    own.mkdir(exist_ok=True)
    with analysis_read(study):
        year = int(facts["integrity"]["unblinded_at"][:4])
        sections = _sections(markdown_page(facts, model=read_model(study)))
        figures = _figures(facts)
    signed = read_signature(study, year)
    with fresh_folder(out, overwrite=True) as part:
        data = _copy_data(Path(study) / "report", part)
        (part / "index.md").write_text(_front(facts, signed), "utf-8")
        (part / "CITATION.cff").write_text(signed.to_cff(facts["title"]), "utf-8")
        for name, (title, headings) in CHAPTERS.items():
            body = [f"# {title}"]
            for heading in headings:
                # A section that is named as its page stands below the page's own heading.
                body += [] if heading == title else [f"## {heading}"]
                body += [sections[heading], *figures.get(heading.lower(), [])]
            body += data if name == "methods" else []
            (part / f"{name}.md").write_text("\n\n".join(body).strip() + "\n", "utf-8")
        for name, title in OWN.items():
            if not (own / f"{name}.md").exists():
                (own / f"{name}.md").write_text(f"# {title}\n\n{_ASKED[name]}\n", "utf-8")
            shutil.copy(own / f"{name}.md", part)
    return ["index", "introduction", *CHAPTERS, "discussion", "declarations"]


def _sections(page: str) -> dict[str, str]:
    """Text below each second-level heading of the report, deeper headings one level down."""
    pieces = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return {
        name.strip(): text.strip() for name, text in zip(pieces[1::2], pieces[2::2], strict=True)
    }


def _front(facts: dict[str, Any], signed: Signature) -> str:
    """Title, authors, what was asked, the conclusion in one paragraph, and how to cite it."""
    lines = [f"# {markdown_text(facts['title'])}", f"*{markdown_text(signed.by)}*"]
    lines.append(markdown_text(words.headline(facts)) + ".")
    lines += [f"**{markdown_text(sentence)}**" for sentence in facts["conclusion"]]
    if facts["few_readers"]:
        lines.append(
            "Fewer than four readers: this describes these readers only, not readers in general."
        )
    proof = facts["integrity"]
    lines.append(
        f"Protocol locked {proof['locked_at'][:10]}, study closed {proof['closed_at'][:10]}, "
        f"unblinded {proof['unblinded_at'][:10]}. Pages made from the record of study "
        f"{markdown_text(facts['study'])}; the analysis was fixed by the protocol."
    )
    citation = markdown_text(signed.citation(facts["title"]))
    lines.append(f"Cite as: {citation} ({{download}}`CITATION.cff <CITATION.cff>`)")
    if signed.data_credit:
        lines.append(f"Images: {markdown_text(signed.data_credit)}")
    return "\n\n".join(lines) + "\n"


def _figures(facts: dict[str, Any]) -> dict[str, list[str]]:
    """Figures of each section, drawing inside, so that a page is whole by itself."""
    figures: dict[str, list[str]] = {}
    for picture in pictures(facts):
        data = base64.b64encode(picture["svg"].encode()).decode()
        alt = markdown_text(picture["alt"]).replace('"', "&quot;")
        caption = markdown_text(picture["caption"])
        figures.setdefault(picture["section"], []).append(
            f'<figure class="ctlab-figure"><img src="data:image/svg+xml;base64,{data}" '
            f'alt="{alt}"><figcaption>{caption}</figcaption></figure>'
        )
    return figures


def _copy_data(report: Path, folder: Path) -> list[str]:
    """Data and script beside the pages, and the lines that offer them."""
    lines = ["## Data and script", "The primary result can be repeated with R from these files."]
    rows = []
    for name in _DATA:
        if (report / name).is_file():
            shutil.copy(report / name, folder)
            rows.append(f"- {{download}}`{name} <{name}>`")
    return [*lines, "\n".join(rows)] if rows else []
