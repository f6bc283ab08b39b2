"""Pages of the book, in reading order, and what their sources hold."""

import re
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FENCE = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What a chapter must not import if it is to run where there is no torch.
NEEDS_TORCH = re.compile(
    r"^\s*(?:from|import)\s+(?:torch|captum|ctlab\.(?:learn|explain|lessons\.material\.tiny_supervised))\b",
    re.MULTILINE,
)


def read_toc(root: Path = ROOT) -> dict[str, Any]:
    """The table of contents as it is written."""
    return yaml.safe_load((root / "_toc.yml").read_text("utf-8"))


def page_names(toc: dict[str, Any]) -> list[str]:
    """Names of all pages (``book/start``), the first page first.

    Examples
    --------
    >>> page_names({"root": "a", "parts": [{"chapters": [{"file": "b"}, {"file": "c"}]}]})
    ['a', 'b', 'c']
    """
    names = [toc["root"]]
    for part in [*toc.get("parts", []), {"chapters": toc.get("chapters", [])}]:
        for chapter in part["chapters"]:
            names += [chapter["file"], *(s["file"] for s in chapter.get("sections", []))]
    return names


def source_of(name: str, root: Path = ROOT) -> Path:
    """Source file of a page."""
    return root / f"{name}.md"


def is_notebook(path: Path) -> bool:
    """Whether the page has code that is executed."""
    return "```{code-cell}" in path.read_text("utf-8")


def code_cells(text: str) -> list[str]:
    r"""Code of each cell, without its options.

    Examples
    --------
    >>> code_cells("Text\n```{code-cell} python3\n:tags: [hide-input]\n\nx = 1\n```\n")
    ['x = 1']
    """
    cells = []
    for body in FENCE.findall(text):
        lines = body.splitlines()
        while lines and lines[0].startswith(":"):
            lines.pop(0)
        cells.append("\n".join(lines).strip())
    return cells


def needs_torch(text: str) -> bool:
    r"""Whether a chapter imports torch or a subpackage that stands on it.

    Examples
    --------
    >>> needs_torch("```{code-cell} python3\nfrom ctlab.learn import losses\n```\n")
    True
    >>> needs_torch("from ctlab.learn import losses")
    False
    """
    return any(NEEDS_TORCH.search(cell) for cell in code_cells(text))
