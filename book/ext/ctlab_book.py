"""What the book adds to Sphinx: glossary links at first use, and downloads that exist.

Nothing here changes what a page says; a build without this extension is the same text with
fewer links.
"""

import html
import json
import re
from pathlib import Path

from docutils import nodes
from numpy.typing import ArrayLike
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import stringify_annotation

# Words with an everyday meaning as well: linked where the author writes {term}, not by themselves.
BY_HAND = frozenset(
    {
        "arm",
        "bundle",
        "case",
        "critic",
        "cycle",
        "dose",
        "item",
        "kernel",
        "mark",
        "power",
        "prior",
        "reader",
        "series",
        "slice",
        "tube",
        "view",
        "window",
    }
)
CLOSED = (
    nodes.literal,
    nodes.literal_block,
    nodes.math,
    nodes.math_block,
    nodes.reference,
    nodes.title,
    nodes.rubric,
    nodes.raw,
    nodes.comment,
    nodes.footnote,
    nodes.label,
    nodes.term,
    addnodes.pending_xref,
    addnodes.glossary,
    addnodes.desc_signature,
)


def pattern(term: str) -> re.Pattern[str]:
    """Matches a term as a whole word, also in the plural; capitals matter in abbreviations.

    Examples
    --------
    >>> bool(pattern("Line integral").search("two line integrals"))
    True
    >>> bool(pattern("NPS").search("nps"))
    False
    >>> [bool(pattern("Lipschitz").search(text)) for text in ("1-Lipschitz", "non-Lipschitz")]
    [True, False]
    """
    words = re.sub(r"\s*\([^)]*\)$", "", term).split()
    word = r"\s+".join(map(re.escape, words))  # a line may end between the words
    shouts = sum(letter.isupper() for letter in term) > 1
    return re.compile(
        rf"(?<!\w)(?<![^\W\d]-){word}(?:s|es)?(?![\w-])", 0 if shouts else re.IGNORECASE
    )


class LinkFirstUse(SphinxPostTransform):
    """The first time a page uses a term of the glossary, the word leads there."""

    default_priority = 5  # before references are resolved

    def run(self, **_) -> None:
        """Link the first use of each term of the glossary."""
        objects = self.env.domaindata["std"]["objects"]
        terms = {name: doc for (kind, name), (doc, _) in objects.items() if kind == "term"}
        here = self.env.docname
        done = {
            ref["reftarget"].lower()
            for ref in self.document.findall(addnodes.pending_xref)
            if ref.get("reftype") == "term"
        }
        open_terms = {
            name: pattern(name)
            for name, doc in sorted(terms.items(), key=lambda pair: -len(pair[0]))
            if doc != here and name.lower() not in done | BY_HAND
        }
        for text in list(self.document.findall(nodes.Text)):
            if open_terms and not _is_closed(text):
                self._link(text, open_terms)

    def _link(self, text: nodes.Text, open_terms: dict[str, re.Pattern[str]]) -> None:
        spans = []
        for name, words in list(open_terms.items()):
            match = words.search(text)
            if match and not any(match.start() < e and s < match.end() for s, e, _ in spans):
                spans.append((*match.span(), name))
                del open_terms[name]
        if not spans:
            return
        pieces, at = [], 0
        for start, end, name in sorted(spans):
            pieces += [nodes.Text(text[at:start]), self._reference(name, text[start:end])]
            at = end
        pieces.append(nodes.Text(text[at:]))
        text.parent.replace(text, [piece for piece in pieces if piece.astext()])

    def _reference(self, name: str, words: str) -> addnodes.pending_xref:
        return addnodes.pending_xref(
            "",
            nodes.inline("", words, classes=["xref", "std", "std-term"]),
            refdomain="std",
            reftype="term",
            reftarget=name,
            refdoc=self.env.docname,
            refexplicit=True,
            refwarn=True,
        )


def _is_closed(text: nodes.Text) -> bool:
    node = text.parent
    while node is not None:
        if isinstance(node, CLOSED) or "cell" in node.get("classes", ()):
            return True
        node = node.parent
    return False


def offer_notebook(app, pagename, _templatename, context, doctree) -> None:
    """Pages with code offer the notebook that the build writes beside their source."""
    if doctree is not None and "kernelspec" in app.env.metadata.get(pagename, {}):
        context["ipynb_source"] = f"{pagename}.ipynb"


def offer_solutions(app, pagename, _templatename, context, doctree) -> None:
    """Beside the notebook without solutions, the complete one is offered."""
    if doctree is None or "kernelspec" not in app.env.metadata.get(pagename, {}):
        return
    for group in context.get("header_buttons", ()):
        if group.get("label") == "download-buttons":
            complete = {
                "type": "link",
                "url": f"{context['pathto']('_sources', 1)}/{pagename}-complete.ipynb",
                "text": ".ipynb with solutions",
                "icon": "fas fa-code",
                "tooltip": "Download the notebook with its solutions",
                "label": "download-complete-button",
            }
            group["buttons"].insert(1, complete)


def describe_for_links(app, _pagename, _templatename, context, doctree) -> None:
    """A picture and a title for those who share the link, where the book has an address."""
    if doctree is None or not app.config.ctlab_address:
        return
    title = html.escape(f"{context.get('title', '')} — {app.config.project}", quote=True)
    image = f"{app.config.ctlab_address}_static/hero.png"
    context["metatags"] = context.get("metatags", "") + (
        f'\n<meta property="og:title" content="{title}">'
        f'\n<meta property="og:image" content="{image}">'
        '\n<meta name="twitter:card" content="summary_large_image">'
    )


def escape_titles(app, pagename, _templatename, context, _doctree) -> None:
    """The theme puts titles as they are into search, contents and print; here they become text."""
    if pagename == "search":
        context["title"] = html.escape(app.config.html_title)
    for name in ("pagetitle", "root_title"):
        if name in context:
            context[name] = html.escape(context[name])


def offer_pdf(app, pagename, _templatename, context, doctree) -> None:
    """A release links the PDF of each page; other builds leave the print button."""
    if doctree is None or not app.config.ctlab_pdf:
        return
    for group in context.get("header_buttons", ()):
        for button in group.get("buttons", ()):
            if button.get("label") == "download-pdf-button":
                button |= {"type": "link", "tooltip": "Download this page as PDF"}
                button["url"] = f"{context['pathto']('_pdf', 1)}/{pagename}.pdf"
                del button["javascript"]


def launch_notebooks(app, _pagename, _templatename, context, _doctree) -> None:
    """Launch services open the notebook of a chapter, on the branch that holds notebooks."""
    written, launched = app.config.ctlab_branches
    for group in context.get("header_buttons", ()):
        if group.get("label") == "launch-buttons":
            for button in group["buttons"]:
                button["url"] = launch_address(button["url"], written, launched)


def launch_address(url: str, written: str, launched: str) -> str:
    """Address of a launch service, moved from the sources' branch to the notebooks'.

    Examples
    --------
    >>> launch_address("https://c/github/o/n/blob/main/book/a.md", "main", "notebooks")
    'https://c/github/o/n/blob/notebooks/book/a.ipynb'
    """
    written = re.escape(written)
    # Binder names the branch before the question mark, Colab after "blob", a hub by itself.
    url = re.sub(
        rf"(/blob/|\bbranch=){written}(?=[/&]|$)|/{written}(?=\?)",
        lambda match: f"{match[1] or '/'}{launched}",
        url,
        count=1,
    )
    return re.sub(r"\.md(?=$|&)", ".ipynb", url)


def name_array_like(_app, _what, _name, _obj, _options, signature, returns):
    """Signatures say ``ArrayLike`` where Sphinx would print the union that NumPy makes of it."""
    long = stringify_annotation(ArrayLike, "smart")
    return (signature or "").replace(long, "ArrayLike"), returns


def number_by_chapter(_app, env) -> None:
    """Exercises count from one in each chapter: the second of the third chapter is 3.2."""
    chapter = 0
    for page in _in_reading_order(env, env.config.root_doc):
        numbers = env.toc_fignumbers.get(page, {}).get("exercise")
        if numbers:
            chapter += 1
            ordered = sorted(numbers, key=lambda name: numbers[name])
            env.toc_fignumbers[page]["exercise"] = {
                name: (chapter, count) for count, name in enumerate(ordered, 1)
            }


def _in_reading_order(env, page: str) -> list[str]:
    pages = [page]
    for below in env.toctree_includes.get(page, ()):
        pages += _in_reading_order(env, below)
    return pages


def keep_texts(app, pagename, _templatename, _context, doctree) -> None:
    """Words of each section of a page, by its anchor, for the extracts of a search."""
    if doctree is None:
        return
    sections: dict[str, list[str]] = {}
    for node in doctree.findall(lambda n: isinstance(n, nodes.paragraph | nodes.term)):
        above = node.parent
        while above is not None and not isinstance(above, nodes.section):
            above = above.parent
        if above is not None:
            sections.setdefault(above["ids"][0], []).append(" ".join(node.astext().split()))
    app.env.ctlab_texts = getattr(app.env, "ctlab_texts", {})
    app.env.ctlab_texts[pagename] = [[name, " ".join(said)] for name, said in sections.items()]


def write_texts(app, failure) -> None:
    """The texts as a script, which a page from disk may load."""
    texts = getattr(app.env, "ctlab_texts", None)
    if failure is None and texts:
        script = "window.CTLAB_TEXTS = " + json.dumps(texts, ensure_ascii=False) + ";\n"
        path = Path(app.outdir) / "_static" / "search_texts.js"
        path.write_text(script, "utf-8")


def load_texts(app, pagename, _templatename, _context, _doctree) -> None:
    """Only the page of results needs them."""
    if pagename == "search":
        app.add_js_file("search_texts.js")
        app.add_js_file("search.js")


def name_signature_lines(_app, _pagename, _templatename, context, _doctree) -> None:
    """Parameters of a signature as lines of it.

    Sphinx writes a list of definitions without terms, which screen readers announce as broken.
    """
    if "sig-param" in context.get("body", ""):
        context["body"] = PARAMETERS.sub(_as_lines, context["body"])


PARAMETERS = re.compile(r"<dl>\s*((?:<dd><em class=\"sig-param\">.*?</dd>\s*)+)</dl>", re.DOTALL)


def _as_lines(found: re.Match) -> str:
    lines = found[1].replace("<dd>", '<span class="line">').replace("</dd>", "</span>")
    return f'<span class="lines">{lines}</span>'


def setup(app):
    """Register the additions with Sphinx."""
    app.connect("autodoc-process-signature", name_array_like)
    app.connect("env-check-consistency", number_by_chapter)
    app.add_config_value("ctlab_pdf", False, "html")
    app.add_config_value("ctlab_address", "", "html")
    app.add_config_value("ctlab_branches", ["main", "notebooks"], "html")
    app.add_post_transform(LinkFirstUse)
    app.connect("html-page-context", offer_notebook, priority=400)
    app.connect("html-page-context", offer_solutions, priority=900)
    app.connect("html-page-context", describe_for_links, priority=900)
    app.connect("html-page-context", escape_titles, priority=900)
    app.connect("html-page-context", offer_pdf, priority=900)
    app.connect("html-page-context", launch_notebooks, priority=900)
    app.connect("html-page-context", name_signature_lines, priority=900)
    app.connect("html-page-context", keep_texts, priority=900)
    app.connect("html-page-context", load_texts)
    app.connect("build-finished", write_texts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
