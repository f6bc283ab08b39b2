"""Texts that would run, or look like something else, where a page forgets that they are texts."""

HOSTILE = (
    "<script>window.hit=1</script><img src=x onerror='window.hit=2'><b id=hostile>b</b> \"' "
    "--><!--<script> </title></style> **bold** _em_ \\# `code` $\\frac{$ {raw}`html` "
    "{{ 7*7 }} [link](javascript:window.hit=3) :::{note} <svg onload='window.hit=4'> | ~~~ &lt;"
)
SHORT_HOSTILE = "<b id=hostile>$\\frac{$ _b_"  # what a name or a kind of mark has room for
NAMES = {"new", "reference", "reader", "arm", "item", "case", "label", "name", "unit"}


def everywhere(value, kept=frozenset(), said=HOSTILE):
    """Plain data whose texts all carry hostile words behind their own; fields in ``kept`` stay."""
    if isinstance(value, str):
        return f"{value} {said}"
    if isinstance(value, dict):
        return {
            field: part
            if field in kept
            else everywhere(part, kept, SHORT_HOSTILE if field in NAMES else HOSTILE)
            for field, part in value.items()
        }
    return [everywhere(part, kept, said) for part in value] if isinstance(value, list) else value


def check_inert(page, *, shown=1):
    """Nothing ran, nothing became an element, and the words stand there as they were written."""
    page.wait_for_timeout(100)  # an image that fails to load says so later
    hit = page.evaluate("window.hit")
    assert hit is None, hit
    found = page.evaluate(
        """() => [...document.querySelectorAll("#hostile, img[src='x'], svg[onload], "
            + "a[href^='javascript']")].map((n) => n.outerHTML)"""
    )
    assert found == []
    text = page.evaluate("document.body.textContent")
    assert text.count("<script>window.hit=1</script>") >= shown, text[:2000]
