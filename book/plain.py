"""MyST Markdown made plain, so that a chapter reads well in any Jupyter, also on Colab.

Boxes become quotations, cross references become links, and a computed number in a sentence
becomes the number that was computed when the book was built.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

OPENING = re.compile(r"^(:{3,}|`{3,})\{([\w:-]+)\}\s*(.*)$")
ROLE = re.compile(r"\{([\w:-]+)\}`([^`]+)`")
# A box whose name says what it is; others carry their own title.
NAMED = {
    "note": "Note",
    "warning": "Warning",
    "tip": "Tip",
    "important": "Important",
    "hint": "Hint",
    "caution": "Caution",
    "seealso": "See also",
}
HEADED = {"exercise": "Exercise", "solution": "Solution"}
INVISIBLE = frozenset({"exercise-end", "solution-end", "bibliography", "index", "tableofcontents"})
SEE_THROUGH = frozenset({"grid", "tab-set", "div", "container", "glossary", "table"})


@dataclass
class Directive:
    """A fenced block: its name, what stands beside the name, its options and its lines."""

    name: str
    argument: str
    options: dict[str, str] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)


@dataclass
class Book:
    """What a page may refer to.

    Attributes
    ----------
    titles : page name -> title
    notebooks : names of pages that are notebooks
    sources : citation key -> (short text, address)
    numbers : name of a computed value -> its text
    """

    titles: dict[str, str] = field(default_factory=dict)
    notebooks: frozenset[str] = frozenset()
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)


def blocks(lines: list[str]) -> list[str | Directive]:
    """Lines and directives of a Markdown text, the outermost ones only."""
    parts: list[str | Directive] = []
    at = 0
    while at < len(lines):
        opening = OPENING.match(lines[at])
        if not opening:
            parts.append(lines[at])
            at += 1
            continue
        fence, name, argument = opening.groups()
        end = next((k for k in range(at + 1, len(lines)) if lines[k].rstrip() == fence), len(lines))
        inner = lines[at + 1 : end]
        directive = Directive(name, argument.strip())
        while inner and (option := re.match(r"^:([\w-]+):\s*(.*)$", inner[0])):
            directive.options[option[1]] = option[2]
            inner.pop(0)
        directive.body = inner
        parts.append(directive)
        at = end + 1
    return parts


def plain(text: str, book: Book) -> str:
    r"""Markdown that needs no MyST.

    Examples
    --------
    >>> box = ":::{admonition} Mind\n:class: pitfalls\n\nNoise is {glue:text}`n:.1f` HU.\n:::"
    >>> print(plain(box, Book(numbers={"n": "2.04"})))
    > **Mind**
    >
    > Noise is 2.0 HU.
    """
    out: list[str] = []
    for block in blocks(text.splitlines()):
        if isinstance(block, Directive):
            out += ["", *_render(block, book), ""]
        elif not re.match(r"^(\([\w-]+\)=|%.*|\+\+\+.*)$", block.strip()):
            out.append(_inline(block, book))
    joined = re.sub(r"\n{3,}", "\n\n", "\n".join(out))
    return joined.strip()


def _quote(title: str, body: str) -> list[str]:
    lines = [f"**{title}**", "", *body.splitlines()] if title else body.splitlines()
    return [f"> {line}".rstrip() for line in lines]


def _render(block: Directive, book: Book) -> list[str]:
    name, body = block.name, plain("\n".join(block.body), book)
    title = _inline(block.argument, book)
    if name in INVISIBLE:
        return []
    if name in SEE_THROUGH:
        return body.splitlines()
    if heading := HEADED.get(name.removesuffix("-start")):
        named = f": {title}" if title and heading == "Exercise" else ""  # a solution's is a label
        return [f"### {heading}{named}", "", *body.splitlines()]
    if name == "dropdown":
        head = f"<details><summary>{title}</summary>"
        return [head, "", *body.splitlines(), "", "</details>"]
    if name in ("grid-item-card", "card", "tab-item"):
        return [f"**{title}**", "", *body.splitlines()]
    if name == "math":
        return ["$$", *block.body, "$$"]
    if name in ("code-block", "code", "code-cell"):
        return [f"```{block.argument}", *block.body, "```"]
    if name in ("figure", "image"):
        return [f"![{block.options.get('alt', '')}]({block.argument})", "", *body.splitlines()]
    if name.startswith("prf:"):
        return _quote(name[4:].capitalize() + (f" ({title})" if title else ""), body)
    return _quote(title or NAMED.get(name, ""), body)


def _inline(line: str, book: Book) -> str:
    return ROLE.sub(lambda match: _role(match[1], match[2], book), line)


def _role(name: str, content: str, book: Book) -> str:
    split = re.match(r"^(.*?)\s*<([^>]+)>$", content)
    words, target = (split[1], split[2]) if split else ("", content)
    if name.startswith("glue"):
        return _number(target, book)
    if name.startswith("cite"):
        return _citation(name, target, book)
    if name in ("doc", "download"):
        page = Path(target).name
        title = words or book.titles.get(page, page)
        return f"[{title}]({page}.ipynb)" if page in book.notebooks else f"*{title}*"
    if name == "math":
        return f"${content}$"
    if name in ("kbd", "sub", "sup"):
        return f"<{name}>{content}</{name}>"
    return words or target


def _number(target: str, book: Book) -> str:
    name, _, spec = target.partition(":")
    if name not in book.numbers:
        return "…"
    value = book.numbers[name]
    if not spec:
        return value
    return format(float(value), spec)


def _citation(name: str, target: str, book: Book) -> str:
    links = []
    for key in target.split(","):
        text, address = book.sources.get(key.strip(), (key.strip(), ""))
        links.append(f"[{text}]({address})" if address else text)
    return "; ".join(links) if name.endswith(":t") else f"({'; '.join(links)})"


def numbers_of(outputs: list[dict]) -> dict[str, str]:
    """Computed values that a chapter's cells glued, by name.

    Examples
    --------
    >>> numbers_of([{"metadata": {"scrapbook": {"name": "n"}},
    ...              "data": {"application/papermill.record/text/plain": "2.5"}}])
    {'n': '2.5'}
    """
    numbers = {}
    for output in outputs:
        name = output.get("metadata", {}).get("scrapbook", {}).get("name")
        texts = [v for mime, v in output.get("data", {}).items() if mime.endswith("text/plain")]
        if name and texts:
            numbers[name] = _unquoted(texts[0])
    return numbers


def _unquoted(text: str) -> str:
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return re.sub(r"^np\.\w+\((.*)\)$", r"\1", text)
    return value if isinstance(value, str) else text


def without_glue(code: str) -> str:
    r"""Code without the lines that hand numbers to the book; those need the book's own tools.

    Examples
    --------
    >>> without_glue("import time\nfrom myst_nb import glue\nx = 1\nglue('x', x, display=False)")
    'x = 1'
    >>> print(without_glue("for k in a:\n    b = k\n    glue(k, b)\nfor k in a: glue(k, 1)\n"))
    for k in a:
        b = k
    """
    if "glue" not in code:
        return code
    tree = ast.parse(code)
    gone = _glue_in(tree.body)
    inside = {id(part) for node in gone for part in ast.walk(node)}
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in inside}
    gone += [
        node
        for node in tree.body
        if isinstance(node, ast.Import)
        and not {a.asname or a.name.partition(".")[0] for a in node.names} & used
    ]
    lines = code.splitlines()
    drop = {k for node in gone for k in range(node.lineno - 1, node.end_lineno or node.lineno)}
    kept = "\n".join(line for k, line in enumerate(lines) if k not in drop)
    return re.sub(r"\n{3,}", "\n\n", kept).strip("\n")


def _glue_in(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Statements that do nothing but glue, at any depth; a loop of nothing else goes whole."""
    gone: list[ast.stmt] = []
    for node in statements:
        body = getattr(node, "body", [])
        inner = _glue_in(body)
        if _is_glue(node) or (body and {*map(id, body)} <= {*map(id, inner)}):
            gone.append(node)
        else:
            gone += inner + _glue_in(getattr(node, "orelse", []))
    return gone


def _is_glue(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "myst_nb"
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "glue"
    )


def sources_of(bibliography: str) -> dict[str, tuple[str, str]]:
    """Short text ("Yu et al. 2012") and address of every entry of a BibTeX file."""
    sources = {}
    for key, body in re.findall(r"@\w+\{([^,]+),(.*?)^\}", bibliography, re.MULTILINE | re.DOTALL):
        authors = re.search(r"author = \{(.*?)\}\s*,?\s*$|author = \{(.*?)\},", body, re.MULTILINE)
        names = [part.partition(",")[0] for part in (authors[1] or authors[2]).split(" and ")]
        names = [re.sub(r"[{}\\\"']", "", name.strip()) for name in names]
        year = re.search(r"year = \{(\d+)\}", body)
        who = (
            names[0]
            if len(names) == 1
            else " and ".join(names)
            if len(names) == 2
            else (f"{names[0]} et al.")
        )
        doi = re.search(r"doi = \{([^}]+)\}", body)
        eprint = re.search(r"eprint = \{([^}]+)\}", body)
        address = (
            f"https://doi.org/{doi[1]}"
            if doi
            else (f"https://arxiv.org/abs/{eprint[1]}" if eprint else "")
        )
        sources[key.strip()] = (f"{who} {year[1] if year else ''}".strip(), address)
    return sources
