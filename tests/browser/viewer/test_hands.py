"""What a reader does with mouse, fingers and keys: drags, measures, cine; in Chromium."""

import numpy as np
import pytest

from ctlab.view import compare

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def settled(page):
    page.evaluate(
        "async () => { for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame); }"
    )


def get(page, name):
    return page.evaluate("(name) => model.get(name)", name)


def view(page):
    settled(page)
    return page.evaluate("() => viewer.seen()")


def drag(page, dx, dy, button="left", start=(300, 400)):
    page.mouse.move(*start)
    page.mouse.down(button=button)
    page.mouse.move(start[0] + dx / 2, start[1] + dy / 2)
    page.mouse.move(start[0] + dx, start[1] + dy)
    page.mouse.up(button=button)
    settled(page)


def stack(depth=9, size=64):
    return np.arange(float(depth))[:, None, None] * np.ones((depth, size, size))


def room(**traits):
    return compare(stack(), stack(), spacing_mm=(2, 1, 1), whole_page=True, frame=4, **traits)


def test_drags_do_what_the_protocol_says_and_the_browser_shows_no_menu(open_viewer):
    page = open_viewer(room())
    page.evaluate(
        "window.menus = 0; document.addEventListener('contextmenu',"
        " (e) => { window.menus += !e.defaultPrevented; })"
    )
    drag(page, 60, 0)
    assert get(page, "width_hu") > 1500
    before = view(page)
    drag(page, 0, -80, "right")
    after = view(page)
    assert after["screen_px_per_pixel"] > 1.5 * before["screen_px_per_pixel"]
    assert after["width_hu"] == before["width_hu"]
    assert page.evaluate("menus") == 0
    centre = page.evaluate("() => viewer.centre.x")
    drag(page, 50, 0, "middle")
    assert page.evaluate("() => viewer.centre.x") < centre
    assert get(page, "frame") == 4


def test_the_right_drag_zooms_to_where_it_began(open_viewer):
    page = open_viewer(room())
    at = """([x, y]) => viewer.where(
      { clientX: x, clientY: y, target: viewer.panels.left.canvas }).exact"""
    before = page.evaluate(at, [200, 500])
    drag(page, 0, -60, "right", start=(200, 500))
    after = page.evaluate(at, [200, 500])
    assert after["x"] == pytest.approx(before["x"], abs=0.3)
    assert after["y"] == pytest.approx(before["y"], abs=0.3)


def test_the_left_drag_is_what_the_protocol_says_and_what_a_reader_chooses(
    open_viewer,
):
    page = open_viewer(room(mouse={"left": "scroll", "middle": "pan", "right": "window"}))
    drag(page, 0, 60)
    assert get(page, "frame") < 4, "down goes to the feet"
    assert get(page, "width_hu") == 1500
    drag(page, 60, 0, "right")
    assert get(page, "width_hu") > 1500
    page.keyboard.press("?")
    page.select_option(".ctv-help select[aria-label='Left drag']", "zoom")
    page.keyboard.press("Escape")
    frame = get(page, "frame")
    drag(page, 0, -80)
    assert view(page)["screen_px_per_pixel"] > 10
    assert get(page, "frame") == frame
    assert "Drag: zoom" in page.inner_text(".ctv-hint")


def touch(page, *steps):
    """Fingers through the debugging protocol: each step is a list of (x, y), one a finger."""
    session = page.context.new_cdp_session(page)
    kind = "touchStart"
    for step in steps:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(step)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        kind = "touchMove"
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settled(page)


def test_one_finger_scrolls_two_zoom_and_move_and_none_changes_the_window(open_viewer):
    page = open_viewer(room(), has_touch=True)
    touch(page, [(300, 300)], [(300, 340)], [(320, 380)])
    assert get(page, "frame") < 4
    before = view(page)
    touch(page, [(250, 300), (350, 300)], [(230, 300), (370, 300)], [(200, 300), (400, 300)])
    after = view(page)
    assert after["screen_px_per_pixel"] == pytest.approx(2 * before["screen_px_per_pixel"], rel=0.1)
    assert after["slice"] == before["slice"]
    centre = page.evaluate("() => viewer.centre.x")
    touch(page, [(250, 300), (350, 300)], [(290, 300), (390, 300)])
    assert page.evaluate("() => viewer.centre.x") < centre - 2
    assert (get(page, "level_hu"), get(page, "width_hu")) == (-600, 1500)


# ---------------------------------------------------------------- measures


def test_a_circle_gives_mean_and_sd_of_the_stored_pixels_of_each_image(open_viewer, rng):
    left, right = rng.normal(-500, 20, (64, 64)), rng.normal(-400, 60, (64, 64))
    page = open_viewer(compare(left, right, spacing_mm=(1, 1), whole_page=True))
    page.keyboard.press("k")
    page.evaluate(
        """() => { viewer.startMeasure('circle', { x: 30, y: 30 });
        viewer.measure.to = { x: 40, y: 30 }; viewer.invalidate(); }"""
    )
    y, x = np.mgrid[0:64, 0:64]
    inside = np.hypot(y - 30, x - 30) <= 10
    for side, image in (("left", left), ("right", right)):
        values = np.rint(image)[inside]
        found = page.evaluate("(side) => viewer.circleHu(side, viewer.measures[0])", side)
        assert found["pixels"] == inside.sum()
        assert found["mean"] == pytest.approx(values.mean())
        assert found["sd"] == pytest.approx(values.std(ddof=1))
    settled(page)
    assert "circle left mean" in page.inner_text(".ctv-probe")
    page.mouse.move(300, 400)
    settled(page)
    at = page.evaluate("() => viewer.probe")
    told = f"left {round(left[at['y'], at['x']])} HU".replace("-", "−")
    assert told in page.inner_text(".ctv-probe")


def test_where_the_protocol_forbids_hu_none_are_told(open_viewer):
    page = open_viewer(room(probe=False))
    assert page.locator("button:has-text('Circle')").count() == 0
    page.keyboard.press("k")
    drag(page, 40, 0)
    assert page.evaluate("() => viewer.measures.length") == 0
    page.mouse.move(300, 400)
    settled(page)
    assert "HU" not in page.inner_text(".ctv-probe")
    page.keyboard.press("?")
    assert "mean and SD" not in page.inner_text(".ctv-help")


def test_measures_belong_to_their_slice_and_there_may_be_several(open_viewer):
    page = open_viewer(room())
    page.keyboard.press("c")
    drag(page, 80, 0)
    drag(page, 0, 60)
    assert len(page.evaluate("() => viewer.measuresHere()")) == 2
    page.evaluate("() => viewer.step(1)")
    assert page.evaluate("() => viewer.measuresHere()") == []
    settled(page)
    assert "calliper" not in page.inner_text(".ctv-probe")
    drag(page, 50, 0)
    page.evaluate("() => viewer.step(-1)")
    assert len(page.evaluate("() => viewer.measuresHere()")) == 2
    page.keyboard.press("Delete")
    assert len(page.evaluate("() => viewer.measuresHere()")) == 1
    assert len(page.evaluate("() => viewer.measures")) == 2, "the other slice keeps its own"
    page.mouse.click(300, 300)
    assert len(page.evaluate("() => viewer.measures")) == 2, "a click measures nothing"


# ---------------------------------------------------------------- windows, cine, flicker


def test_windows_of_the_protocol_have_buttons_and_shift_with_a_number(open_viewer):
    presets = [
        {"key": "l", "name": "lung", "level": -600, "width": 1500},
        {"key": "", "name": "liver", "level": 60, "width": 160},
    ]
    page = open_viewer(room(presets=presets))
    page.keyboard.press("Shift+Digit2")
    assert (get(page, "level_hu"), get(page, "width_hu")) == (60, 160)
    settled(page)
    assert page.get_attribute("button:has-text('Liver')", "aria-pressed") == "true"
    page.keyboard.press("Shift+Digit1")
    assert get(page, "level_hu") == -600


def test_inverted_grey_is_the_mirror_of_the_window(open_viewer):
    image = np.full((32, 32), -900.0)
    page = open_viewer(compare(image, image, spacing_mm=(1, 1), whole_page=True))
    grey = """async () => { for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
      const { canvas } = viewer.panels.left, at = [canvas.width / 2 | 0, canvas.height / 2 | 0];
      return canvas.getContext('2d').getImageData(...at, 1, 1).data[0]; }"""
    before = page.evaluate(grey)
    page.keyboard.press("g")
    assert page.evaluate(grey) == pytest.approx(255 - before, abs=1)
    page.keyboard.press("r")
    assert page.evaluate(grey) == before


def test_cine_runs_towards_the_feet_flicker_by_itself_and_both_stop(open_viewer):
    page = open_viewer(room(cine_per_s=30.0, flicker_hz=3.0))
    page.evaluate("window.seen = []; model.on('change:frame', () => seen.push(model.get('frame')))")
    page.keyboard.press("y")
    page.wait_for_function("() => seen.length >= 7")
    page.keyboard.press("y")
    frames = page.evaluate("seen")
    assert frames[:7] == [3, 2, 1, 0, 8, 7, 6], "and begins again at the head"
    page.wait_for_timeout(150)
    assert len(page.evaluate("seen")) == len(frames), "stopped"
    page.keyboard.press("f")
    page.keyboard.press("y")
    page.wait_for_function("() => viewer.shown === 'right'")
    page.wait_for_function("() => viewer.shown === 'left'")
    for _ in range(9):
        page.keyboard.press(".")
    assert page.evaluate("() => viewer.rate()") == 3, "three flashes a second at most"
    page.keyboard.press("p")
    assert page.evaluate("() => viewer.playing") is None


def test_window_and_zoom_stay_from_pair_to_pair_only_where_the_protocol_says(open_viewer):
    for keep in ([], ["window"], ["window", "zoom"]):
        page = open_viewer(room(keep=keep))
        page.keyboard.press("m")
        page.keyboard.press("+")
        page.keyboard.press("+")
        settled(page)
        zoomed = page.evaluate("() => viewer.zoom")
        # The next pair, as the room loads it: window of the protocol, another trial.
        page.evaluate(
            """() => { const view = model.get('left_bytes');
            model.set('level_hu', -600); model.set('width_hu', 1500); model.set('tag', 'next');
            model.set('left_bytes', new DataView(view.buffer.slice(0))); }"""
        )
        settled(page)
        assert get(page, "level_hu") == (40 if "window" in keep else -600)
        assert page.evaluate("() => viewer.zoom") == (zoomed if "zoom" in keep else 1)


def test_the_ring_of_the_focus_does_not_glow(open_viewer):
    page = open_viewer(room())
    page.keyboard.press("Tab")
    colour = page.evaluate("() => getComputedStyle(document.activeElement).outlineColor")
    brightest = max(int(n) for n in colour.strip("rgba()").split(",")[:3])
    assert 90 < brightest < 170, "seen, and darker than what is looked at"


def test_help_explains_every_drag_and_key_without_scrolling_beside_the_question(open_viewer):
    """A window of 1280 x 800 leaves 990 to the viewer."""
    help_ = [["1, 2", "answers"]] * 6
    page = open_viewer(room(marking=True, further_help=help_), size=(990, 800))
    page.keyboard.press("?")
    settled(page)
    text = page.inner_text(".ctv-help")
    for word in ("Left drag", "Wheel", "one finger", "feet", "calliper", "Esc or ?", "answers"):
        assert word in text
    assert page.evaluate("() => viewer.help.scrollHeight <= viewer.help.clientHeight")
    assert page.evaluate("() => viewer.help.scrollWidth <= viewer.help.clientWidth")
    page.keyboard.press("Escape")
    assert not page.is_visible(".ctv-help")


def test_a_page_may_ask_for_a_place_and_gets_one_circle_in_voxels(open_viewer):
    page = open_viewer(room())
    page.evaluate(
        """() => { window.places = []; viewer.askRegion(true);
        document.addEventListener('ctv-region', ({ detail }) => places.push(detail)); }"""
    )
    at = """([x, y]) => viewer.where(
      { clientX: x, clientY: y, target: viewer.panels.left.canvas })"""
    centre = page.evaluate(at, [300, 400])
    page.mouse.click(300, 400)
    assert page.evaluate("places") == [], "a click is no circle"
    drag(page, 50, 0)
    (place,) = page.evaluate("places")
    assert {axis: place[axis] for axis in "zyx"} == {"z": 4, "y": centre["y"], "x": centre["x"]}
    assert place["radius_mm"] == pytest.approx(page.evaluate("50 / viewer.place.x"), abs=1)
    assert get(page, "width_hu") == 1500
    page.evaluate("() => viewer.askRegion(false)")
    drag(page, 50, 0)
    assert len(page.evaluate("places")) == 1
    assert get(page, "width_hu") > 1500
