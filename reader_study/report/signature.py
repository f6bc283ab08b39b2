"""Who signs the pages of a study: its team, never the makers of the kit.

The facts stand in ``STUDY/book/publication.toml``, a file of the team's own that is asked for with
the first build and never overwritten.
"""

import html
import json
from dataclasses import dataclass
from pathlib import Path

from ctlab.files import write_whole
from ctlab.input_files import read_toml

FILE = "publication.toml"
UNSIGNED = "Authors not named yet"
_ASKED = """\
# Who signs the pages of this study. Fill this in and build again; it is never overwritten.
authors = []              # "Given Family", as on a paper
year = {year}
licence = ""              # of text and figures, for instance "CC BY 4.0"
data_credit = ""          # whose images were read, their licence, and a DOI
contact = ""              # address for questions; empty prints none
"""


@dataclass(frozen=True)
class Signature:
    """Authors, year, licence and credit of a study's pages, as its team states them."""

    authors: tuple[str, ...]
    year: int
    licence: str = ""
    data_credit: str = ""
    contact: str = ""

    @property
    def by(self) -> str:
        """Authors in one line, or a sentence that says that they are missing."""
        return ", ".join(self.authors) or UNSIGNED

    def footer(self) -> str:
        """HTML line below each page; what the team wrote is text and never markup."""
        parts = [f"© {self.year} {self.by}."]
        parts += [f"Text and figures: {self.licence}."] if self.licence else []
        parts += [f"Images: {self.data_credit.rstrip('.')}."] if self.data_credit else []
        parts += [f"Contact: {self.contact}."] if self.contact else []
        parts.append("Pages made with CT Lab. Nothing here is for diagnosis.")
        return f"<p>{html.escape(' '.join(parts))}</p>"

    def citation(self, title: str) -> str:
        """The study as a reader would cite it: authors, year, title."""
        return f"{self.by} ({self.year}). {title.rstrip('.')}."

    def to_cff(self, title: str) -> str:
        """Text of a ``CITATION.cff`` (Citation File Format 1.2.0)."""
        lines = ["cff-version: 1.2.0", "message: Please cite this study as below."]
        lines += ["type: dataset", f"title: {_quoted(title)}", "authors:"]
        lines += [f"  - name: {_quoted(name)}" for name in self.authors or (UNSIGNED,)]
        return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """A YAML string: those of JSON are a part of it."""
    return json.dumps(text, ensure_ascii=False)


def read_signature(study: str | Path, year: int) -> Signature:
    """What the team wrote into ``STUDY/book/publication.toml``; asks for it where it is missing.

    Parameters
    ----------
    study : folder of the study
    year : year of the unblinding, for a file that is written now

    Raises
    ------
    ValueError
        The file cannot be read as TOML, or holds another key or kind of value than was asked for.
    """
    path = Path(study) / "book" / FILE
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with write_whole(path) as part:
            part.write_text(_ASKED.format(year=year), "utf-8")
    stated = read_toml(path, "is not TOML")
    asked = {"authors": list, "year": int, "licence": str, "data_credit": str, "contact": str}
    for name, value in stated.items():
        if name not in asked:
            raise ValueError(
                f"expected the keys {', '.join(asked)} in {path}, got {name!r}; remove it"
            )
        kind = asked[name]
        names = isinstance(value, list) and all(isinstance(part, str) for part in value)
        if type(value) is not kind or (kind is list and not names):
            form = "a list of names" if kind is list else f"a value of type {kind.__name__}"
            raise ValueError(f"expected {form} for {name} in {path}, got {value!r}; mend it")
    return Signature(
        authors=tuple(stated.get("authors", ())),
        year=stated.get("year", year),
        licence=stated.get("licence", ""),
        data_credit=stated.get("data_credit", ""),
        contact=stated.get("contact", ""),
    )
