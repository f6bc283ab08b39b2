"""What stands on the screen of a reader: filter, padding, orientation, layout; in Chromium."""

import io

import numpy as np
import pytest

from ctlab.ct.hu import Window
from ctlab.view import compare

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STANDARD = [1.0, 0, 0, 0, 1.0, 0]  # rows to the patient's left, columns to the back


def settled(page):
    page.evaluate(
        "async () => { for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame); }"
    )


def words(page, part=".ctv-state"):
    settled(page)
    return page.inner_text(part)


def screen(page, panel=0):
    """Grey values of a panel as they stand on the screen, shape (y, x), in pixels of the screen."""
    image = pytest.importorskip("PIL.Image", reason="Pillow reads the screenshot")
    settled(page)
    shot = image.open(io.BytesIO(page.locator(".ctv canvas").nth(panel).screenshot()))
    return np.asarray(shot.convert("L"), float)


def edges(page):
    settled(page)
    return [
        page.locator(f".ctv-edge-{edge}").first.text_content()
        for edge in ("left", "right", "top", "bottom")
    ]


# ---------------------------------------------------------------- display filter


@pytest.mark.parametrize("ratio", [1, 2])
def test_pixel_for_pixel_the_screen_shows_what_is_stored(open_viewer, rng, ratio):
    """White noise keeps its SD, because every pixel is the window's grey value of its own HU."""
    noise = rng.normal(0, 40, (200, 200))
    window = Window(0, 400, "narrow")
    page = open_viewer(
        compare(noise, noise, spacing_mm=(1, 1), window=window, whole_page=True),
        device_scale_factor=ratio,
    )
    page.keyboard.press("z")
    assert "pixel for pixel" in words(page)
    shown = screen(page)
    expected = window.render(np.rint(noise)).astype(float)
    middle = slice(60, 140)  # away from letters and scale
    top, left = ((n - 200) // 2 for n in shown.shape)
    part = shown[top + 60 : top + 140, left + 60 : left + 140]
    off = min(
        np.abs(shown[y + 60 : y + 140, x + 60 : x + 140] - expected[middle, middle]).max()
        for y in (top, top + 1)
        for x in (left, left + 1)
    )
    assert off <= 1, "half a grey value is rounding"
    assert part.std() == pytest.approx(40 / 400 * 255, rel=0.03)


def spread(kernel, phases):
    """SD of white noise of SD 1 behind a separable filter (Mitchell & Netravali 1988, eq. 8)."""
    gains = []
    for phase in phases:
        taps = np.array([kernel(abs(k - phase)) for k in range(-2, 4)])
        gains.append(((taps / taps.sum()) ** 2).sum())
    return np.mean(gains)


def cubic(b, c):
    def kernel(d):
        if d < 1:
            return (12 - 9 * b - 6 * c) * d**3 + (-18 + 12 * b + 6 * c) * d**2 + 6 - 2 * b
        if d < 2:
            return (
                ((-b - 6 * c) * d**3 + (6 * b + 30 * c) * d**2 + (-12 * b - 48 * c) * d)
                + 8 * b
                + 24 * c
            )
        return 0.0

    return kernel


FILTERS = {
    "catmull-rom": cubic(0, 0.5),
    "mitchell": cubic(1 / 3, 1 / 3),
    "linear": lambda d: max(0.0, 1 - d),
    "nearest": lambda d: float(d <= 0.5),
}


def test_enlarged_noise_is_that_of_the_filter_that_the_protocol_names(open_viewer, rng):
    """Twice as large, white noise keeps the share of its SD that each filter's weights give."""
    noise = rng.normal(0, 100, (150, 150))
    page = open_viewer(compare(noise, noise, spacing_mm=(1, 1), whole_page=True))
    page.keyboard.press("z")
    settled(page)
    page.evaluate("() => viewer.zoomBy(2)")
    for name, kernel in FILTERS.items():
        page.evaluate("name => model.set('display_filter', name)", name)
        settled(page)
        sd = page.evaluate(
            """() => { const { x, y } = viewer.laid, { hu } = viewer.images.left;
            let n = 0, sum = 0, squares = 0;
            for (let j = y.from + 8; j < y.to - 8; j++)
              for (let i = x.from + 8; i < x.to - 8; i++) {
                const value = hu[j * x.length + i];
                n += 1; sum += value; squares += value * value; }
            return Math.sqrt(squares / n - (sum / n) ** 2); }"""
        )
        # The mean over phases of both axes; a grid of half pixels has the phases 1/4 and 3/4.
        assert sd == pytest.approx(100 * spread(kernel, (0.25, 0.75)), rel=0.03), name


def test_smaller_than_its_pixels_is_said_and_only_then(open_viewer):
    image = np.zeros((900, 900))
    page = open_viewer(compare(image, image, spacing_mm=(0.7, 0.7), whole_page=True))
    assert "smaller than its pixels" in words(page, ".ctv-small")
    page.keyboard.press("z")
    page.wait_for_function("() => viewer.seen().screen_px_per_pixel === 1")
    page.wait_for_function("() => !document.querySelector('.ctv-small')?.textContent")
    page.keyboard.press("z")
    page.wait_for_function("() => viewer.seen().screen_px_per_pixel < 0.8")
    assert "smaller than its pixels" in words(page, ".ctv-small")


def test_padding_is_black_in_both_images_and_noise_of_air_is_none(open_viewer, rng):
    y, x = np.mgrid[0:128, 0:128]
    outside = np.hypot(y - 63.5, x - 63.5) > 62
    air = np.clip(rng.normal(-1000, 30, (128, 128)), -1024, None)
    padded = np.where(outside, -1024.0, air)
    page = open_viewer(
        compare(
            padded,
            air,
            spacing_mm=(1, 1),
            window=Window(-900, 1000, "air"),
            padding_hu=-1024.0,
            whole_page=True,
        )
    )
    page.keyboard.press("z")
    for panel in (0, 1):
        shown = screen(page, panel)
        top, left = ((n - 128) // 2 for n in shown.shape)
        image = shown[top : top + 128, left : left + 128]
        assert image[4:14, 4:14].max() == 0, "the corner, which only one of them has"
        assert image[44:84, 44:84].min() >= 60, "no speck where noise went below -1024 HU"
    page.keyboard.press("g")
    assert screen(page, 1)[top + 6, left + 6] == 0, "black in inverted grey too"


# ---------------------------------------------------------------- which way is which


@pytest.mark.parametrize(
    ("orientation", "letters", "upwards"),
    [
        (STANDARD, ["R", "L", "A", "P"], True),
        ([-1.0, 0, 0, 0, -1.0, 0], ["L", "R", "P", "A"], True),  # prone
        ([-1.0, 0, 0, 0, 1.0, 0], ["L", "R", "A", "P"], False),  # seen from the head
        ([0.94, 0.34, 0, -0.34, 0.94, 0], ["R", "L", "A", "P"], True),  # turned by 20 degrees
        ([0.87, 0.5, 0, -0.5, 0.87, 0], ["RA", "LP", "AL", "PR"], True),
    ],
)
def test_letters_and_slice_numbers_follow_the_orientation(
    open_viewer, orientation, letters, upwards
):
    stack = np.arange(5.0)[:, None, None] * np.ones((5, 16, 16))
    page = open_viewer(
        compare(stack, stack, spacing_mm=(2, 1, 1), orientation=orientation, whole_page=True)
    )
    assert edges(page) == letters
    page.keyboard.press("Home")
    head = 4 if upwards else 0
    assert page.evaluate("() => model.get('frame')") == head, "slice 1 is at the head"
    assert "slice 1 of 5" in words(page)
    page.keyboard.press("ArrowDown")
    page.mouse.move(200, 300)
    page.mouse.wheel(0, 100)
    assert abs(page.evaluate("() => model.get('frame')") - head) == 3, "towards the feet"
    assert page.evaluate("() => viewer.slice('left')[0]") == page.evaluate(
        "() => model.get('frame')"
    ), "voxels stay where they are stored"
    page.keyboard.press("o")
    assert edges(page)[2:] == ["H", "F"]
    top = page.evaluate("() => viewer.voxel({ x: 0, y: 0 }).z")
    assert top == head, "the head is up in a coronal plane"


def test_without_a_known_orientation_nothing_is_claimed_and_old_studies_scroll_as_before(
    open_viewer,
):
    stack = np.zeros((5, 16, 16))
    page = open_viewer(compare(stack, stack, spacing_mm=(2, 1, 1), scroll="stored"))
    assert edges(page) == ["", "", "", ""]
    page.click(".ctv canvas")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("() => model.get('frame')") == 1
    assert "slice 2 of 5" in words(page)


# ---------------------------------------------------------------- layout


@pytest.mark.parametrize(
    ("size", "ratio", "stacked"),
    [
        ((1280, 800), 1, False),
        ((1920, 1080), 1, False),
        ((1536, 2048), 1, True),
        ((1280, 800), 2, False),
    ],
)
def test_images_take_the_space_there_is(open_viewer, size, ratio, stacked):
    image = np.zeros((512, 512))
    page = open_viewer(
        compare(image, image, spacing_mm=(0.7, 0.7), whole_page=True),
        size=size,
        device_scale_factor=ratio,
    )
    settled(page)
    a, b = (page.locator(".ctv canvas").nth(k).bounding_box() for k in (0, 1))
    assert (b["y"] > a["y"] + a["height"] - 1) == stacked
    assert (b["x"] > a["x"] + a["width"] - 1) != stacked
    # The whole viewer fits the window, and leaves no more than its buttons and words.
    box = page.locator(".ctv").bounding_box()
    assert box["y"] + box["height"] <= size[1]
    assert box["height"] > size[1] - 40
    assert [a["width"], a["height"]] == [b["width"], b["height"]]
    side = page.evaluate("() => viewer.place.x * viewer.columns")
    assert side > (0.42 if stacked else 0.4) * min(size[0], size[1])
