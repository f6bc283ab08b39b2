"""Pages of the reference, which hang below a chapter, where ``make book`` has built them."""

import pytest

from tests.browser.test_book import REAL, TOC, faults_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REFERENCE = [
    section["file"]
    for part in TOC["parts"]
    for chapter in part["chapters"]
    for section in chapter.get("sections", [])
]


def test_the_reference_fits_a_phone_and_has_no_fault(browser):
    """Signatures must break where a phone ends; the index is as wide as they are."""
    if not (REAL / f"{REFERENCE[0]}.html").is_file():
        pytest.skip("the book is not built; run `make book` first")
    assert len(REFERENCE) >= 10
    for name in [*REFERENCE, "genindex"]:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.route("http*://**", lambda route: route.abort())
        page.goto((REAL / f"{name}.html").as_uri())
        assert faults_of(page) == [], name
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        page.close()
