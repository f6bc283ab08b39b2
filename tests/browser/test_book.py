"""The book in a browser, opened from disk with the network blocked.

A small page with maths, a viewer, a figure and a quiz is built with the book's own configuration;
the pages of the real book are looked at where ``make book`` has built them.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "book" / "_build" / "html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
PAGES = [TOC["root"]] + [c["file"] for part in TOC["parts"] for c in part["chapters"]]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGE = """\
---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {name: python3, display_name: Python 3, language: python}
---
# A page with a zebra

Maths inline $\\sigma^2$ and alone:

$$ p = \\ln \\frac{I_0}{I} $$

```{code-cell} python3
import numpy as np
from ctlab.view import compare
left = np.full((3, 64, 64), -600.0)
compare(left, left + 300.0, spacing_mm=(1, 1), alt="Two grey squares, the right one brighter")
```

```{code-cell} python3
from ctlab import figures
figures.lines({"a": ([1, 2, 3], [1, 4, 9])}, x="x", y="y", note="A parabola.",
              alt="A curve that rises ever faster")
```

```{code-cell} python3
from ctlab.lessons import quiz
quiz("physics")
```
"""


@pytest.fixture(scope="module")
def small_book(tmp_path_factory):
    """Built from the book's configuration, theme and browser libraries; one page."""
    if not (ROOT / "book" / "_vendor" / "vendor" / "versions.json").is_file():
        pytest.skip("the browser libraries are not fetched yet; run `make book` first")
    source = tmp_path_factory.mktemp("book")
    (source / "book").mkdir()
    for name in ("theme", "_vendor"):
        shutil.copytree(ROOT / "book" / name, source / "book" / name)
    shutil.copy(ROOT / "_config.yml", source)
    shutil.copy(ROOT / "book" / "references.bib", source / "book")
    (source / "_toc.yml").write_text("format: jb-book\nroot: book/page\n")
    (source / "book" / "page.md").write_text(PAGE)
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(source), "--warningiserror", "--keep-going", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "_build" / "html"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        try:
            launched = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        except playwright.Error as error:
            pytest.skip(f"Chromium is not available: {error}")
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser):
    """Function that opens a file with every request to a network counted and refused."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    outside, faults = [], []

    def refuse(route):
        outside.append(route.request.url)
        route.abort()

    context.route("http*://**", refuse)

    def go(path):
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda note: note.type == "error" and faults.append(note.text))
        page.goto(path.as_uri())
        page.wait_for_load_state("load")
        return page

    yield go
    context.close()
    assert outside == [], "the page asked the network for something"
    # Chromium reports the theme's font preloads, which the build takes out of the real pages.
    assert [f for f in faults if "font" not in f and "ERR_FAILED" not in f] == []


def raw_tex(page) -> str:
    """Text of the page that looks like TeX nobody rendered."""
    return page.evaluate(
        """() => { const walk = document.createTreeWalker(document.querySelector('article'), 4);
        const found = []; while (walk.nextNode()) { const node = walk.currentNode;
          if (!node.parentElement.closest('pre, code, script, style, mjx-container')
              && /\\\\(frac|ln|sigma|mathbb|text|begin|\\(|\\[)/.test(node.textContent))
            found.push(node.textContent.trim()); } return found.join(' | '); }"""
    )


def brightest(page) -> list[int]:
    """Largest grey value of each viewer canvas on the page."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.ctv canvas')]
        .filter((c) => c.offsetParent !== null).map((c) => {
          const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
          let top = 0; for (let i = 0; i < data.length; i += 4) top = Math.max(top, data[i]);
          return top; })"""
    )


def test_maths_viewer_figure_and_quiz_live_without_network_and_kernel(small_book, open_page):
    page = open_page(small_book / "book" / "page.html")
    page.wait_for_selector("mjx-container svg")
    assert raw_tex(page) == ""
    page.wait_for_selector(".ctv canvas")
    page.wait_for_function("document.querySelector('.ctv-state').textContent.includes('slice 1')")
    assert brightest(page)[1] > brightest(page)[0] - 1
    assert min(brightest(page)) > 100
    page.click(".ctv canvas")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('.ctv-state').textContent.includes('slice 2')")
    assert page.get_attribute("figure.ctlab-figure img", "alt") == "A curve that rises ever faster"
    first = page.locator(".ctlab-quiz details").first
    assert not first.locator("p").is_visible()
    first.locator("summary").click()
    assert first.locator("p").is_visible()


def test_search_works_from_disk(small_book, open_page):
    page = open_page(small_book / "search.html")
    page.goto(f"{(small_book / 'search.html').as_uri()}?q=zebra")
    page.wait_for_selector("#search-results li")
    assert "zebra" in page.inner_text("#search-results").lower()


def test_dark_mode_changes_the_page(small_book, browser):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto((small_book / "book" / "page.html").as_uri())
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    caption = page.locator("figure.ctlab-figure").first
    shades = page.evaluate(
        """() => ['body', 'figcaption'].map((n) => getComputedStyle(document.querySelector(n)))
        .map((s, i) => i ? s.color : s.backgroundColor)"""
    )
    grounds = caption.evaluate(
        """(node) => { const all = []; for (let n = node; n; n = n.parentElement)
        all.push(getComputedStyle(n).backgroundColor); return all; }"""
    )
    context.close()
    dark, text = (max(int(v) for v in s.strip("rgb()").split(",")[:3]) for s in shades)
    assert dark < 60
    assert text > 120, "captions are light at night"
    first = next(g for g in grounds if g != "rgba(0, 0, 0, 0)")
    assert max(int(v) for v in first.strip("rgb()").split(",")[:3]) < 60, "and stand on dark"


def test_the_page_passes_axe_but_for_known_faults_of_the_theme(small_book, open_page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(small_book / "book" / "page.html")
    page.wait_for_selector(".ctv canvas")
    # Without preload axe does not fetch the style sheets again, which file:// would refuse.
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    tags = {"runOnly": levels, "preload": False}
    found = axe.Axe().run(page, options=tags).response["violations"]
    known = {"label-content-name-mismatch"}
    assert [json.dumps(v)[:600] for v in found if v["id"] not in known] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_real_page_is_whole(name, open_page):
    path = REAL / f"{name}.html"
    if not path.is_file():
        pytest.skip("the book is not built; run `make book` first")
    assert path.stat().st_size < 5_000_000
    page = open_page(path)
    text = path.read_text("utf-8")
    page.wait_for_timeout(300)
    if "math notranslate" in text:
        page.wait_for_selector("mjx-container svg")
    assert raw_tex(page) == ""
    if "application/vnd.jupyter.widget-view+json" in text:
        page.wait_for_selector(".ctv canvas", timeout=20_000)
        page.wait_for_function(
            "[...document.querySelectorAll('.ctv-state')].every(n => n.textContent)"
        )
        assert min(brightest(page)) > 100
    without = "nodes => nodes.filter(n => !(n.alt || '').trim()).map(n => n.outerHTML.slice(0, 99))"
    assert page.eval_on_selector_all("article img", without) == []
    assert "Traceback" not in page.inner_text("article")
