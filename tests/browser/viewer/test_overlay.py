"""The map over the viewer's images, in a real browser: key, transparency, residual, legend."""

import numpy as np
import pytest
import torch

from ctlab.explain import AuditPlan, explain_region
from ctlab.explain.explanation_page import write_page
from ctlab.explain.overlay import signed_colours
from ctlab.view import compare_with_map

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def explained(tmp_path):
    """A Jacobian row of a filter, and the page that was written of it."""
    network = torch.nn.Conv2d(1, 1, 5, padding=2, bias=False)
    image = np.random.default_rng(0).normal(-700, 40, (48, 64)).astype(np.float32)
    plan = AuditPlan(draws=1, random_networks=1, fractions=(0.02,))
    found = explain_region(network, image, (20, 30, 4), method="gradient", plan=plan)
    write_page(found, tmp_path / "map.html", spacing_mm=(0.7, 0.7))
    return found, tmp_path / "map.html"


def made(**more):
    """32 x 32: noisy of -600 HU, denoised 100 HU higher on the right half; map of two squares."""
    left = np.full((32, 32), -600.0)
    right = left.copy()
    right[:, 16:] += 100
    signed = np.zeros((32, 32))
    signed[4:12, 4:12], signed[20:28, 4:12] = 2.0, -2.0
    return compare_with_map(
        left,
        right,
        signed_colours(signed),
        spacing_mm=(1, 1),
        largest=2.0,
        unit="HU",
        note="verdict: weak",
        labels=("noisy", "denoised"),
        **more,
    )


def colour(page, side, y, x):
    """RGB of a pixel of the image, in the middle of it on the screen."""
    return page.evaluate(
        """([side, y, x]) => { const c = document.querySelectorAll('.ctv canvas')[side];
        const at = (v, n) => Math.round((v + 0.5) / 32 * n);
        const s = Math.min(c.width, c.height), dx = (c.width - s) / 2, dy = (c.height - s) / 2;
        return [...c.getContext('2d').getImageData(dx + at(x, s), dy + at(y, s), 1, 1).data]
          .slice(0, 3); }""",
        [side, y, x],
    )


def settle(page):
    page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")


def test_the_map_is_switched_by_a_key_and_never_hides_the_image(open_viewer):
    page = open_viewer(made(whole_page=True))
    settle(page)
    orange, blue, free = (colour(page, 0, *at) for at in [(8, 8), (24, 8), (16, 24)])
    # -600 HU is mid-grey in the lung window: 128. Orange (230, 97, 1) at 166/255 over it:
    # 128 + 0.651 (230 - 128) = 194, 108, 45; blue (33, 102, 172): 66, 111, 157.
    np.testing.assert_allclose(orange, [194, 108, 45], atol=4)
    np.testing.assert_allclose(blue, [66, 111, 157], atol=4)
    np.testing.assert_allclose(free, [128] * 3, atol=2)
    legend = page.locator(".ctv-legend")
    assert "orange up to +2 HU, blue down to −2 HU" in legend.inner_text()
    assert "verdict: weak" in legend.inner_text()
    page.keyboard.press("[")
    settle(page)
    # At nine tenths of its strength: 128 + 0.9 x 0.651 x 102 = 188.
    np.testing.assert_allclose(colour(page, 0, 8, 8)[0], 188, atol=4)
    page.keyboard.press("h")
    settle(page)
    np.testing.assert_allclose(colour(page, 0, 8, 8), [128] * 3, atol=2)
    assert legend.inner_text() == "Map off (H)"
    assert page.get_by_role("button", name="Map").get_attribute("aria-pressed") == "false"


def test_the_residual_lies_beside_the_map(open_viewer):
    """Left the denoised image with its map, right what changed: 0 and 100 HU, without a map."""
    page = open_viewer(made(whole_page=True))
    page.keyboard.press("x")
    settle(page)
    # 100 HU in a window of 1500: 128 + 255 x 100 / 1500 = 145; in one of 400 about 0: 128 + 64.
    np.testing.assert_allclose(colour(page, 0, 16, 24), [145] * 3, atol=2)
    assert colour(page, 0, 8, 8)[0] > 180
    np.testing.assert_allclose(colour(page, 1, 16, 24), [191] * 3, atol=2)
    np.testing.assert_allclose(colour(page, 1, 8, 8), [128] * 3, atol=2)
    assert page.locator(".ctv-label").nth(1).inner_text().startswith("denoised − noisy")
    page.keyboard.press("x")
    settle(page)
    np.testing.assert_allclose(colour(page, 1, 16, 24), [145] * 3, atol=2)


def test_other_keys_stay_those_of_the_viewer(open_viewer):
    page = open_viewer(made(whole_page=True))
    page.keyboard.press("d")
    settle(page)
    np.testing.assert_allclose(colour(page, 0, 16, 24), [191] * 3, atol=2)
    page.keyboard.press("?")
    assert "map on or off" in page.locator(".ctv-help").inner_text()


def test_a_map_is_a_page_of_its_own(browser, explained):
    """One file, no network: the map by key, the residual, the verdict and every check under it."""
    found, path = explained
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    faults, asked = [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector(".ctv[aria-label]")
    settle(page)
    legend = page.locator(".ctv-legend")
    assert f"gradient, {found.verdict}" in legend.inner_text()
    assert "HU per HU" in legend.inner_text()
    page.locator(".ctv-stage").focus()
    page.keyboard.press("h")
    settle(page)
    assert legend.inner_text() == "Map off (H)"
    page.keyboard.press("x")
    settle(page)
    assert page.locator(".ctv-label").nth(1).inner_text().startswith("denoised − noisy")
    words = page.locator("main").inner_text()
    assert found.in_words() in words
    assert all(name in words for name in found.audit["passed"])
    assert page.locator("tbody tr").count() == len(found.audit["passed"])
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
    assert not faults
    page.close()
