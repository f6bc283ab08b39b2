"""Pages as PDF, one by one and as one book, printed by Chromium: ``python book/pdf.py``.

Each page is opened from disk and waits until maths and viewers are drawn. Solutions and answers
are unfolded, since paper cannot be clicked. The PDFs are tagged, so that a screen reader finds
headings, lists and the texts of figures.
"""

import argparse
import html
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pages import HERE, page_names, read_toc

HTML = HERE / "_build" / "html"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 600_000  # a loaded machine may take minutes for a page
PAPER = {
    "format": "A4",
    "print_background": True,
    "tagged": True,
    "outline": True,
    "margin": {"top": "18mm", "bottom": "20mm", "left": "20mm", "right": "20mm"},
    "display_header_footer": True,
    "header_template": "<span></span>",
    "footer_template": "<div style='font:8px sans-serif;width:100%;text-align:center'>"
    "<span class='pageNumber'></span></div>",
}
READY = """() => (!window.MathJax?.startup?.promise || window.mathsDone)
  && [...document.querySelectorAll('.ctv-state')].every((node) => node.textContent)
  && document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]').length
     <= document.querySelectorAll('.ctv, .toy').length"""
# Answers and solutions open, controls gone, every drawing a picture with its words.
STILL = """() => {
  for (const box of document.querySelectorAll('details:not(.hide)')) box.open = true;
  for (const box of document.querySelectorAll('.toggle-hidden'))
    box.classList.remove('toggle-hidden');
  for (const canvas of document.querySelectorAll('.ctv canvas, .toy canvas')) {
    if (!canvas.getClientRects().length) { canvas.remove(); continue; }
    const image = new Image();
    image.src = canvas.toDataURL();
    image.alt = [canvas.closest('.ctv, .toy').getAttribute('aria-label'),
                 canvas.getAttribute('aria-label')].filter(Boolean).join(', ');
    image.style.width = `${canvas.getBoundingClientRect().width}px`;
    image.style.maxWidth = '100%';  // the sheet is narrower than the window it was drawn in
    canvas.replaceWith(image);
  }
  for (const gone of document.querySelectorAll(
    '.ctv-bar, .toy-controls, .ctv-help, .ctv-hint, .ctv-slider, .headerlink, .copybtn, '
    + '.toggle-button, .prev-next-area, .pst-skip-link, #pst-skip-link, script, details.hide'))
    gone.remove();
}"""
# The article with names of its own, so that pages can stand in one document.
ARTICLE = """(page) => {
  const article = document.querySelector('article');
  const cache = document.querySelector('#MJX-SVG-global-cache')?.outerHTML ?? '';
  const own = (name) => `${page}--${name}`;
  for (const image of article.querySelectorAll('img')) image.setAttribute('src', image.src);
  for (const node of article.querySelectorAll('[id]')) node.id = own(node.id);
  for (const link of article.querySelectorAll('a[href]')) {
    const [file, part] = link.getAttribute('href').split('#');
    if (/^[a-z]+:/.test(file)) continue;
    const target = file ? file.split('/').pop().replace(/\\.html$/, '') : page;
    link.setAttribute('href', part ? `#${target}--${part}` : `#${target}`);
  }
  for (const box of article.querySelectorAll('mjx-assistive-mml')) box.remove();
  for (const image of article.querySelectorAll('.ctv-panel img'))
    image.style.width = '100%';
  return cache + article.innerHTML;
}"""
SHEET = """
@page { size: A4; } body { font-size: 11pt; background: #fff; color: #1d2429; }
main { max-width: none; padding: 0; } section.page { break-before: page; }
.cover { text-align: center; padding-top: 30vh; } h1, h2, h3 { break-after: avoid; }
figure, .ctv, pre, fieldset, .admonition > .admonition-title { break-inside: avoid; }
.admonition-title::before, .admonition-title::after { display: none !important; }
mjx-assistive-mml { display: none; } h1 { text-align: left; }
"""
VIEWER = HERE.parent / "ctlab" / "view" / "compare.css"


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium without a network: the machine's own, or Playwright's.

    Raises
    ------
    ValueError
        There is none.
    """
    from playwright.sync_api import Error, sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        except Error as error:
            raise ValueError(
                "PDFs need Chromium: install it, or run `python -m playwright install chromium`"
            ) from error
        yield browser
        browser.close()


def open_still(browser: Any, path: Path) -> Any:
    """The page, drawn and unfolded, ready to be printed."""
    page = browser.new_page(viewport={"width": 900, "height": 1200}, color_scheme="light")
    page.set_default_timeout(PATIENCE_MS)
    page.route("http*://**", lambda route: route.abort())
    page.goto(path.as_uri())
    page.evaluate("window.MathJax?.startup?.promise?.then(() => { window.mathsDone = true; })")
    page.wait_for_function(READY)
    page.evaluate(STILL)
    return page


def print_pages(html_folder: Path, names: list[str], *, title: str, notice: str) -> Path:
    """Print each page to ``_pdf/NAME.pdf`` and all of them to ``_pdf/book.pdf``; the latter."""
    folder = html_folder / "_pdf"
    with chromium() as browser:
        articles = {}
        for name in names:
            page = open_still(browser, html_folder / f"{name}.html")
            target = folder / f"{name}.pdf"
            target.parent.mkdir(parents=True, exist_ok=True)
            page.emulate_media(media="print")
            page.pdf(path=target, **PAPER)
            heading = page.inner_text("article h1").rstrip("#").strip()
            articles[name] = (heading, page.evaluate(ARTICLE, Path(name).name))
            page.close()
        whole = folder / "book.html"
        whole.write_text(one_document(articles, title=title, notice=notice), "utf-8")
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(whole.as_uri())
        page.pdf(path=folder / "book.pdf", **PAPER)
        page.close()
        whole.unlink()
    return folder / "book.pdf"


def one_document(articles: dict[str, tuple[str, str]], *, title: str, notice: str) -> str:
    """All pages in one HTML document, behind a cover and a list of contents."""
    rows = "".join(
        f'<li><a href="#{Path(name).name}">{html.escape(heading)}</a></li>'
        for name, (heading, _) in articles.items()
    )
    body = "".join(
        f'<section class="page" id="{Path(name).name}">{article}</section>'
        for name, (_, article) in articles.items()
    )
    sheets = "".join(
        f'<link rel="stylesheet" href="../_static/{sheet}">'
        for sheet in (
            "styles/pydata-sphinx-theme.css",
            "styles/sphinx-book-theme.css",
            "pygments.css",
            "ctlab.css",
        )
    )
    return (
        f'<!doctype html><html lang="en" data-theme="light" data-mode="light"><head>'
        f'<meta charset="utf-8"><title>{html.escape(title)}</title>{sheets}'
        f"<style>{SHEET}{VIEWER.read_text('utf-8')}</style></head><body><main class='bd-article'>"
        f"<div class='cover'><h1>{html.escape(title)}</h1><p>{html.escape(notice)}</p></div>"
        f"<nav class='page' aria-label='Contents'><h2>Contents</h2><ol>{rows}</ol></nav>{body}"
        "</main></body></html>"
    )


def main() -> int:
    """Print the built pages; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", nargs="+", help="names such as book/start; all, if not given")
    options = parser.parse_args()
    names = options.pages or page_names(read_toc())
    missing = [name for name in names if not (HTML / f"{name}.html").is_file()]
    if missing:
        print(f"not built: {', '.join(missing)}; run `make book` first", file=sys.stderr)
        return 2
    try:
        print(print_pages(HTML, names, title="CT Lab", notice="Not for diagnosis."))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
