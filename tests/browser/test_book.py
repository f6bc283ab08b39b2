"""The book in a browser, opened from disk with the network blocked.

A book of five pages, with maths, a viewer, a figure and a quiz, is released by the book's own
scripts; the pages of the real book are looked at where ``make book`` has built them.
"""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
import yaml

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "book" / "_build" / "html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
PAGES = [TOC["root"]] + [c["file"] for part in TOC["parts"] for c in part["chapters"]]
AXE = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
    "resultTypes": ["violations"],
    "preload": False,
}  # it would fetch the style sheets again, which file:// refuses
# What night and a narrow screen can change, in the text of a page; colours of code are those of the
# small book, where they are looked at once.
TEXT = {"include": [["article"]], "exclude": [[".highlight"]]}
NIGHT = AXE | {
    "runOnly": {"type": "rule", "values": ["color-contrast", "scrollable-region-focusable"]}
}
# The theme's colour-mode button is named after what it shows, not after what it says.
BOOK_PATH = "nobody/nowhere"  # of the small book's repository
KNOWN = {"label-content-name-mismatch"}


@pytest.fixture(scope="session")
def pages(small_book):
    """Folder of the small book's pages."""
    return small_book / "book" / "_build" / "html"


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
        page.set_default_timeout(120_000)  # the machine may be busy
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


def test_without_scripts_a_viewer_is_a_picture(pages, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((pages / "book" / "page.html").as_uri())
    picture = page.locator(".ctlab-first img").first
    assert picture.is_visible()
    assert picture.get_attribute("alt") == "Two grey squares, the right one brighter"
    assert picture.bounding_box()["width"] > 50
    context.close()


def test_maths_viewer_figure_and_quiz_live_without_network_and_kernel(pages, open_page):
    page = open_page(pages / "book" / "page.html")
    page.wait_for_selector("mjx-container svg")
    assert raw_tex(page) == ""
    page.wait_for_selector(".ctv canvas")
    page.wait_for_function("document.querySelector('.ctv-state').textContent.includes('slice 1')")
    assert brightest(page)[1] > brightest(page)[0] - 1
    assert min(brightest(page)) > 100
    assert not page.locator(".ctlab-first").first.is_visible(), "the viewer took its place"
    page.click(".ctv canvas")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('.ctv-state').textContent.includes('slice 2')")
    assert page.get_attribute("figure.ctlab-figure img", "alt") == "A curve that rises ever faster"
    first = page.locator(".ctlab-quiz details").first
    assert not first.locator("p").is_visible()
    first.locator("summary").click()
    assert first.locator("p").is_visible()


def test_search_works_from_disk(pages, open_page):
    page = open_page(pages / "search.html")
    page.goto(f"{(pages / 'search.html').as_uri()}?q=zebra")
    page.wait_for_selector("#search-results li")
    assert "zebra" in page.inner_text("#search-results").lower()


def test_search_shows_what_was_found_and_each_place_once(pages, open_page):
    page = open_page(pages / "search.html")
    page.goto(f"{(pages / 'search.html').as_uri()}?q=sinogram")
    page.wait_for_function("document.body.innerText.includes('Search finished')")
    places = page.locator("#search-results li a").evaluate_all("all => all.map((a) => a.href)")
    assert [place.split("book/")[-1] for place in places] == [
        "words.html#term-Sinogram",
        "page.html",
    ]
    titles = page.locator("#search-results li a").all_inner_texts()
    assert titles == ["Words of CT", "A page with a zebra"]  # text, also where a title holds code
    said = page.locator("#search-results p.context").all_inner_texts()
    assert "All line integrals of a slice" in said[0]
    assert "The sinogram has a word in the list" in said[1]
    assert "found 2 page" in page.inner_text("body")


def test_dark_mode_changes_the_page(pages, browser):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto((pages / "book" / "page.html").as_uri())
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
    faults = faults_of(page, NIGHT)
    context.close()
    assert faults == []
    dark, text = (max(int(v) for v in s.strip("rgb()").split(",")[:3]) for s in shades)
    assert dark < 60
    assert text > 120, "captions are light at night"
    first = next(g for g in grounds if g != "rgba(0, 0, 0, 0)")
    assert max(int(v) for v in first.strip("rgb()").split(",")[:3]) < 60, "and stand on dark"


def faults_of(page, options=AXE, context=None) -> list[str]:
    """What axe finds on a page, but for the known fault of the theme."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.evaluate("window.MathJax?.startup?.promise?.then(() => null)")
    page.evaluate("new Promise((go) => requestAnimationFrame(() => setTimeout(go, 50)))")
    found = axe.Axe().run(page, context, options).response["violations"]
    return [json.dumps(v)[:600] for v in found if v["id"] not in KNOWN]


@pytest.mark.parametrize("name", ["page", "second", "inventory-before", "times", "words"])
def test_the_page_passes_axe_but_for_the_known_fault_of_the_theme(pages, open_page, name):
    page = open_page(pages / "book" / f"{name}.html")
    if name == "page":
        page.wait_for_selector(".ctv canvas")
    assert faults_of(page) == []


def test_everything_on_a_page_is_reached_by_keyboard(pages, open_page):
    page = open_page(pages / "book" / "page.html")
    page.wait_for_selector(".ctv canvas")
    wanted = {".ctv-stage", ".ctlab-quiz summary", "a.reference", "search-button", "theme-switch"}
    reached, hidden = set(), []
    page.evaluate("document.activeElement.blur()")
    first = None
    for _ in range(200):
        page.keyboard.press("Tab")
        at = page.evaluate(
            """() => { const n = document.activeElement;
            const where = ['.ctv-stage', '.ctlab-quiz summary', 'a.reference']
              .filter((s) => n.matches(s));
            if (/search-button/.test(n.className)) where.push('search-button');
            if (/theme-switch/.test(n.className)) where.push('theme-switch');
            const style = getComputedStyle(n);
            const ring = style.outlineStyle !== 'none' || style.boxShadow !== 'none'
              || style.textDecorationLine !== 'none';
            return { where, ring, name: n.outerHTML.slice(0, 90) }; }"""
        )
        if at["name"] == first:
            break
        first = first or at["name"]
        reached |= set(at["where"])
        if at["where"] and not at["ring"]:
            hidden.append(at["name"])
    assert reached == wanted
    assert hidden == [], "the focus is seen"


def test_nothing_moves_for_those_who_asked_for_stillness(pages, browser):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto((pages / "book" / "page.html").as_uri())
    page.wait_for_selector(".ctv canvas")
    moving = page.evaluate(
        """() => [...document.querySelectorAll('*')].filter((n) => {
        const s = getComputedStyle(n);
        const long = (v) => v.split(',').some((d) => parseFloat(d) > 0.011);
        return (long(s.transitionDuration) && s.transitionProperty !== 'none')
          || (s.animationName !== 'none' && long(s.animationDuration)); })
        .map((n) => n.outerHTML.slice(0, 80))"""
    )
    context.close()
    assert moving == []


def test_a_release_runs_each_chapter_once_and_gives_everything(small_book):
    runs = (small_book / "book" / "executions.log").read_text().split()
    assert runs == ["once"]
    folder = small_book / "dist" / "release"
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    listed = dict(reversed(line.split("  ")) for line in sums)
    files = {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    assert set(listed) == files
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    kinds = {name.split("-")[-1] for name in files if name.startswith("ctlab-book-")}
    assert {"html.zip", "notebooks.zip", "homework.zip"} <= kinds
    assert {"CITATION.cff", ".zenodo.json", "codemeta.json"} <= files
    bill = json.loads(next(folder.glob("*.cdx.json")).read_text("utf-8"))
    hashed = {
        c["name"]: c["hashes"][0]["content"] for c in bill["components"] if c["type"] == "file"
    }
    assert hashed == {name: listed[name] for name in files if not name.endswith(".cdx.json")}


def test_the_zip_opens_on_another_computer(small_book, open_page, tmp_path):
    (archive,) = (small_book / "dist" / "release").glob("*-html.zip")
    zipfile.ZipFile(archive).extractall(tmp_path)
    (top,) = tmp_path.iterdir()
    page = open_page(top / "index.html")
    page.wait_for_selector("article h1")
    page.wait_for_url("**/book/page.html")
    page.wait_for_selector("mjx-container svg")
    assert str(small_book) not in (top / "book" / "page.html").read_text("utf-8")


def test_the_pdf_is_whole_tagged_and_has_an_outline(small_book, pages):
    (whole,) = (small_book / "dist" / "release").glob("*.pdf")
    data = whole.read_bytes()
    assert data.startswith(b"%PDF")
    assert data.rstrip().endswith(b"%%EOF")
    assert b"/StructTreeRoot" in data
    assert b"/Outlines" in data
    # Cover, contents, and at least one sheet for each of five pages.
    assert data.count(b"/Type /Page\n") + data.count(b"/Type /Page/") >= 7
    for name in ("page", "second"):
        assert (pages / "_pdf" / "book" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def faults_on_paper(page) -> list[str]:
    """What is wider than the 170 mm between the margins of A4, or so tall that it empties a page.

    A block that may not break leaves at most its own height of the page before it empty. Where none
    is taller than two thirds of a page (259 mm), no page is three quarters empty.
    """
    page.set_viewport_size({"width": 642, "height": 1000})
    page.emulate_media(media="print")
    return page.evaluate(
        """() => {
        const sheet = document.querySelector('article').getBoundingClientRect();
        const tallest = 2 / 3 * 259 * 96 / 25.4;
        return [...document.querySelectorAll('article *')].map((node) => {
          const box = node.getBoundingClientRect();
          if (!node.checkVisibility() || !box.width || node.ownerSVGElement
              || node.closest('mjx-assistive-mml, .sr-only')) return '';
          const whole = getComputedStyle(node).breakInside === 'avoid'
            || ['IMG', 'svg', 'CANVAS'].includes(node.tagName);
          const fault = [box.right > sheet.right + 2 && 'wide',
                         whole && box.height > tallest && 'tall'].filter(Boolean).join(' ');
          return fault && `${fault}: ${node.outerHTML.slice(0, 80)}`;
        }).filter(Boolean); }"""
    )


def test_on_paper_nothing_is_wider_than_the_page_or_empties_it(pages, browser, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book")
    import pdf

    for name in ("page", "second"):
        page = pdf.open_still(browser, pages / "book" / f"{name}.html")
        assert faults_on_paper(page) == []
        page.close()


def test_downloads_and_launch_buttons_lead_somewhere(pages):
    text = (pages / "book" / "page.html").read_text("utf-8")
    for kind in (
        "_sources/book/page.ipynb",
        "_sources/book/page-complete.ipynb",
        "_pdf/book/page.pdf",
    ):
        assert f'href="../{kind}"' in text
        assert (pages / kind).is_file()
    notebook = json.loads((pages / "_sources" / "book" / "page.ipynb").read_text("utf-8"))
    prose = "".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
    assert "Four is\n4.0." in prose, "a computed number stands in the notebook"
    owner = BOOK_PATH
    assert f"mybinder.org/v2/gh/{owner}/notebooks?urlpath=lab/tree/book/page.ipynb" in text
    assert f"colab.research.google.com/github/{owner}/blob/notebooks/book/page.ipynb" in text
    assert "hub.example.org/hub/user-redirect/git-pull" in text
    assert f"https://github.com/{owner}/edit/main/book/page.md" in text


def test_a_term_leads_to_the_glossary_where_it_is_first_used(pages):
    text = (pages / "book" / "page.html").read_text("utf-8")
    assert text.count('href="words.html#term-Sinogram"') == 1
    assert text.count('href="words.html#term-NPS"') == 1


@pytest.mark.parametrize("name", PAGES)
def test_a_real_page_is_whole(name, open_page):
    path = REAL / f"{name}.html"
    if not path.is_file():
        pytest.skip("the book is not built; run `make book` first")
    assert path.stat().st_size < 5_000_000
    page = open_page(path)
    text = path.read_text("utf-8")
    if "math notranslate" in text:
        page.wait_for_selector("mjx-container svg")
    assert raw_tex(page) == ""
    if "application/vnd.jupyter.widget-view+json" in text:
        page.wait_for_selector(".ctv canvas, .toy canvas")  # a viewer, or a toy without images
        page.wait_for_function(
            "[...document.querySelectorAll('.ctv-state')].every(n => n.textContent)"
        )
        assert min(brightest(page), default=255) > 100
    without = "nodes => nodes.filter(n => !(n.alt || '').trim()).map(n => n.outerHTML.slice(0, 99))"
    assert page.eval_on_selector_all("article img", without) == []
    assert "Traceback" not in page.inner_text("article")
    assert faults_of(page) == []
    books = page.locator(".ctlab-flip")
    for k in range(books.count()):
        first = books.nth(k).locator("input").first
        first.focus()
        page.keyboard.press("ArrowRight")  # the next page of the flip-book, by keyboard alone
        assert books.nth(k).locator(".page-1").is_visible()
        assert books.nth(k).locator(".page:visible").count() == 1
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    page.wait_for_function(  # the theme gives wide boxes their tab stop a moment after
        "[...document.querySelectorAll('pre, .cell_output > .output')]"
        ".every((n) => n.scrollWidth <= n.clientWidth || n.tabIndex === 0)"
    )
    assert faults_of(page, NIGHT, TEXT) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "fits a phone"
    assert faults_on_paper(page) == []


@pytest.mark.parametrize("night", [False, True])
def test_the_first_screen_holds_the_figure_and_three_routes(browser, night):
    path = REAL / f"{PAGES[0]}.html"
    if not path.is_file():
        pytest.skip("the book is not built; run `make book` first")
    scheme = "dark" if night else "light"
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page.route("http*://**", lambda route: route.abort())
    page.goto(path.as_uri())
    picture = page.locator(".ctlab-hunt .stage img").bounding_box()
    assert picture == page.locator(".ctlab-hunt .stage").bounding_box()  # or clicks miss
    for box in (picture, *(card.bounding_box() for card in page.locator(".sd-card").all())):
        assert 0 <= box["y"] < box["y"] + box["height"] <= 900
    assert page.locator(".sd-card img").count() == 3
    page.close()
