"""The viewer's script in a real browser, in a page of its own with the network blocked."""

import numpy as np
import pytest

from ctlab.view import compare
from tests.browser.viewer_page import get, grey, stack, state

pytestmark = pytest.mark.browser


def test_grey_values_agree_with_the_window_in_python(open_viewer):
    viewer = compare(stack(-600.0), stack(-1000.0), spacing_mm=(1, 1))
    page = open_viewer(viewer)
    assert grey(page, 0, 0.5, 0.5) == pytest.approx(127.5, abs=1)
    assert grey(page, 1, 0.5, 0.5) == pytest.approx(255 * 350 / 1500, abs=1)
    page.keyboard.press("Tab")
    page.click(".ctv canvas")
    page.keyboard.press("m")
    assert (get(page, "level_hu"), get(page, "width_hu")) == (40, 400)
    assert grey(page, 0, 0.5, 0.5) == 0


def test_both_sides_scroll_together_and_a_single_slice_stays(open_viewer):
    page = open_viewer(compare(stack(-600.0), stack(-1350.0, 150.0), spacing_mm=(1, 1)))
    assert grey(page, 1, 0.5, 0.3) == 0
    page.click(".ctv canvas")
    page.keyboard.press("ArrowDown")
    assert get(page, "frame") == 1
    assert grey(page, 1, 0.5, 0.3) == 255
    assert grey(page, 0, 0.5, 0.3) == pytest.approx(127.5, abs=1)
    page.keyboard.press("ArrowDown")
    assert get(page, "frame") == 1, "the last slice is the last"
    page.mouse.wheel(0, -120)
    page.wait_for_function("model.get('frame') === 0")


def test_drag_changes_the_window_and_reset_brings_it_back(open_viewer):
    page = open_viewer(compare(stack(-600.0), stack(-600.0), spacing_mm=(1, 1)))
    page.mouse.move(200, 300)
    page.mouse.down()
    page.mouse.move(260, 340)
    page.mouse.up()
    assert get(page, "width_hu") == pytest.approx(1500 + 60 * 3.75, rel=0.1)
    assert get(page, "level_hu") > -600
    page.keyboard.press("r")
    assert (get(page, "level_hu"), get(page, "width_hu")) == (-600, 1500)


def test_zoom_is_linked_and_wheel_leaves_an_unclicked_page_alone(open_viewer):
    image = np.full((64, 64), -1350.0)
    image[28:36, 28:36] = 150.0
    page = open_viewer(compare(image, image, spacing_mm=(1, 1)))
    assert grey(page, 1, 0.62, 0.5) == 0
    page.mouse.move(300, 300)
    page.mouse.wheel(0, 100)
    page.wait_for_function("window.scrollY > 0")
    page.evaluate("window.scrollTo(0, 0)")
    page.click(".ctv canvas")
    for _ in range(5):
        page.keyboard.press("+")
    assert grey(page, 0, 0.62, 0.5) == grey(page, 1, 0.62, 0.5) == 255
    assert "zoom 3.1" in page.inner_text(".ctv-state")


def test_flicker_wipe_and_difference(open_viewer):
    page = open_viewer(compare(stack(-1350.0), stack(150.0), spacing_mm=(1, 1)))
    page.click(".ctv canvas")
    page.keyboard.press("f")
    page.locator(".ctv-state", has_text="showing left").wait_for()
    assert grey(page, 0, 0.5, 0.5) == 0
    page.keyboard.press("f")
    assert grey(page, 0, 0.5, 0.5) == 255
    page.keyboard.press("w")
    assert grey(page, 0, 0.4, 0.5) == 0
    assert grey(page, 0, 0.6, 0.5) == 255
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert grey(page, 0, 0.6, 0.5) == 0, "the edge moved past the point"
    page.keyboard.press("d")
    assert grey(page, 0, 0.5, 0.5) == 255, "1500 HU is above the difference window"
    assert "Difference" in page.inner_text(".ctv-state")


def test_where_only_flicker_is_offered_there_is_one_image_and_a_button_that_swaps(open_viewer):
    page = open_viewer(
        compare(stack(-1350.0), stack(150.0), spacing_mm=(1, 1), modes=["flicker"], mode="flicker")
    )
    assert page.locator(".ctv canvas:visible").count() == 1
    assert grey(page, 0, 0.5, 0.5) == 0, "the left image comes first"
    page.click("button:has-text('Flicker')")
    assert grey(page, 0, 0.5, 0.5) == 255
    page.keyboard.press("p")
    assert page.locator(".ctv canvas:visible").count() == 1, "side by side is not offered"


def test_marks_by_click_and_by_keyboard_are_in_voxels_of_the_input(open_viewer):
    viewer = compare(
        stack(-600.0),
        stack(-600.0),
        spacing_mm=(1, 1),
        marking=True,
        mark_kind="added",
        crop=(slice(16, 64), slice(0, 48)),
        step=2,
    )
    page = open_viewer(viewer)
    page.click(".ctv canvas >> nth=1")
    assert get(page, "marks") == [], "a click marks nothing before the tool is chosen"
    page.keyboard.press("v")
    page.click(".ctv canvas >> nth=1")
    assert get(page, "marks") == [{"side": "right", "z": 0, "y": 40, "x": 24, "kind": "added"}]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press(" ")
    assert get(page, "marks")[1] == {"side": "left", "z": 0, "y": 40, "x": 22, "kind": "added"}
    page.keyboard.press("Delete")
    assert len(get(page, "marks")) == 1
    page.click(".ctv canvas >> nth=1")
    assert get(page, "marks") == [], "a click on a mark takes it away"


def test_planes_heads_up_and_slabs_show_the_brightest_voxel(open_viewer):
    """A stack whose every voxel says where it is: -1000 + 100 z + 10 y + x."""
    z, y, x = np.mgrid[0:6, 0:8, 0:8]
    volume = -1000.0 + 100 * z + 10 * y + x
    viewer = compare(volume, volume, spacing_mm=(2.5, 1.0, 0.5), marking=True)
    page = open_viewer(viewer)
    page.click(".ctv canvas")
    buttons = page.locator(".ctv-group[aria-label=Plane] button")
    assert buttons.all_text_contents() == ["Axial", "Coronal", "Sagittal", "MIP"]
    shown = "() => [...window.viewer.slice('left')]"
    assert page.evaluate(shown) == volume[0].ravel().tolist()
    page.keyboard.press("o")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert "coronal 7 of 8" in state(page)
    assert page.evaluate(shown) == volume[::-1, 6].ravel().tolist()
    assert get(page, "frame") == 0, "the axial slice stays where it was"
    page.keyboard.press("o")
    assert page.evaluate(shown) == volume[::-1, :, 4].ravel().tolist()
    # Pixels of a sagittal plane are y (1 mm) across and z (2.5 mm) down.
    assert page.evaluate("() => viewer.spacing") == [2.5, 1.0]
    page.keyboard.press("i")  # 5 mm of slices 0.5 mm apart: ten, more than there are on one side
    assert page.evaluate(shown) == volume[::-1, :, 7].ravel().tolist()
    page.keyboard.press("o")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert "slice 4 of 6" in state(page)
    assert "MIP of 5 mm" in state(page)
    assert page.evaluate(shown) == volume[3].ravel().tolist(), "two slices of 2.5 mm make 5 mm"


def test_nothing_jumps_reset_brings_all_back_and_another_trial_begins_anew(open_viewer):
    volume = np.zeros((4, 64, 64))
    page = open_viewer(compare(volume, volume, spacing_mm=(2, 1, 1), marking=True))
    page.click(".ctv canvas")
    box = "() => { const b = document.querySelector('.ctv-stage').getBoundingClientRect();\
        const all = document.querySelector('.ctv').getBoundingClientRect();\
        return [b.x, b.y, b.width, b.height, all.height]; }"
    before = page.evaluate(box)
    page.keyboard.press("?")
    assert page.is_visible(".ctv-help")
    state(page)
    assert page.evaluate(box) == before, "the keys are explained over the images"
    page.keyboard.press("Escape")
    page.keyboard.press("o")
    assert "coronal" in state(page)
    assert page.evaluate(box) == before, "a thin slab leaves room to zoom"
    page.keyboard.press("i")
    page.keyboard.press("+")
    assert "MIP of 5 mm · zoom" in state(page)
    page.keyboard.press("r")
    assert [get(page, name) for name in ("plane", "slab_mm")] == ["axial", 0]
    assert "MIP" not in state(page)
    page.keyboard.press("v")
    page.keyboard.press("?")
    page.evaluate("() => model.set('tag', 'next')")
    state(page)
    assert page.evaluate("() => viewer.tool") == "window"
    assert not page.is_visible(".ctv-help")


def test_a_mark_belongs_to_the_voxel_seen_in_every_plane(open_viewer):
    volume = np.full((6, 32, 32), -800.0)
    volume[4, 10, 20] = 200.0
    page = open_viewer(compare(volume, volume, spacing_mm=(2.5, 1, 1), marking=True))
    page.click(".ctv canvas")
    page.keyboard.press("i")
    page.keyboard.press("i")
    page.keyboard.press("i")  # 10 mm: four slices, so slice 3 shows the dot of slice 5
    for _ in range(2):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("v")
    page.evaluate("() => viewer.toggleMark('left', { x: 20, y: 10 })")
    assert [get(page, "marks")[0][axis] for axis in "zyx"] == [4, 10, 20]
    for plane, frame, where in (("coronal", 10, (20, 1)), ("sagittal", 20, (10, 1))):
        page.evaluate("(plane) => viewer.usePlane(plane)", plane)
        spot = page.evaluate("() => viewer.spot(model.get('marks')[0])")
        assert (spot["frame"], spot["x"], spot["y"]) == (frame, *where)
        page.evaluate("([frame]) => viewer.goTo(frame)", [frame])
        page.evaluate("([x, y]) => viewer.toggleMark('left', { x, y })", list(where))
        assert get(page, "marks") == [], f"a click on the mark in the {plane} plane takes it back"
        page.evaluate("([x, y]) => viewer.toggleMark('left', { x, y })", list(where))
        assert [get(page, "marks")[0][axis] for axis in "zyx"] == [4, 10, 20]


def test_a_stack_of_doses_and_one_of_unknown_thickness_have_no_other_planes(open_viewer):
    doses = compare(
        stack(0, 1, 2, 3), spacing_mm=(1, 1, 1), frame_name="dose", frame_labels=list("abcd")
    )
    for viewer in (doses, compare(stack(0, 1, 2, 3), spacing_mm=(1, 1))):
        page = open_viewer(viewer)
        page.click(".ctv canvas")
        page.keyboard.press("o")
        assert get(page, "plane") == "axial"
        assert page.locator(".ctv-group[aria-label=Plane]").count() == 0


def test_full_screen_and_every_word_can_be_translated(open_viewer):
    import tomllib
    from pathlib import Path

    texts = Path(__file__).parents[3] / "reader_study" / "design" / "languages" / "en.toml"
    known = tomllib.loads(texts.read_text("utf-8"))["viewer"]
    page = open_viewer(
        compare(stack(0, 1, 2, 3), stack(0, 1, 2, 3), spacing_mm=(1, 1, 1), marking=True)
    )
    page.evaluate(
        """() => { window.asked = new Set();
        const get = (_, key) => { asked.add(key); return "@" + key; };
        model.set("words", new Proxy({}, { get })); }"""
    )
    page.click(".ctv canvas")
    for key in ["e", *"fwdpoioivckagglmbz,.yy?", "+", "i", "o", "Shift+ArrowRight"]:
        page.keyboard.press(key)
        page.wait_for_timeout(40)
        if key == "e":
            page.wait_for_function("() => document.fullscreenElement")
    page.keyboard.press("e")
    page.wait_for_function("() => !document.fullscreenElement")
    asked = set(page.evaluate("() => [...asked]"))
    assert len(asked) > 50
    assert asked <= known.keys(), f"not in en.toml: {sorted(asked - known.keys())}"
    said = page.evaluate(
        """() => [...document.querySelectorAll(
          ".ctv button, .ctv dt, .ctv dd, .ctv h2, .ctv [aria-label]")]
        .flatMap((n) => [n.textContent, n.title, n.getAttribute("aria-label") ?? ""])
        .filter((text) => /[a-z]{3}/i.test(text) && !text.includes("@"))"""
    )
    assert set(said) <= {"Viewer", "Keys and mouse"}, (
        "words that no translation reaches"
    )  # set at the start


def test_calliper_measures_millimetres_of_anisotropic_pixels(open_viewer):
    page = open_viewer(compare(stack(-600.0), stack(-600.0), spacing_mm=(2.0, 0.5)))
    page.click(".ctv canvas")
    page.keyboard.press("c")
    page.keyboard.press(" ")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press(" ")
    page.wait_for_function("document.querySelector('.ctv-probe').textContent.includes('20.0 mm')")


def test_digits_and_enter_are_left_to_the_page_and_other_keys_are_kept_from_it(open_viewer):
    page = open_viewer(compare(stack(-600.0), stack(-600.0), spacing_mm=(1, 1)))
    page.evaluate("window.seen = []; document.addEventListener('keydown', (e) => seen.push(e.key))")
    page.click(".ctv canvas")
    for key in ("1", "5", "Enter", "l", "m"):
        page.keyboard.press(key)
    assert page.evaluate("seen") == ["1", "5", "Enter"]


def test_in_a_reading_room_keys_act_without_a_click_but_never_in_a_text_field(open_viewer):
    page = open_viewer(compare(stack(-600.0), stack(-600.0), spacing_mm=(1, 1), whole_page=True))
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.keyboard.press("m")
    assert get(page, "level_hu") == 40
    page.focus("textarea")
    page.keyboard.press("b")
    assert get(page, "level_hu") == 40


def test_every_control_has_a_name_and_nothing_is_announced_that_unblinds(open_viewer):
    page = open_viewer(compare(stack(-600.0), stack(-600.0), spacing_mm=(1, 1)))
    names = page.eval_on_selector_all(
        ".ctv canvas, .ctv-stage, .ctv", "nodes => nodes.map(n => n.getAttribute('aria-label'))"
    )
    assert all(names)
    assert page.eval_on_selector_all(
        ".ctv button",
        "nodes => nodes.every(n => n.textContent && n.hasAttribute('aria-pressed') "
        "|| n.closest('[aria-label=View]'))",
    )
    assert page.inner_text(".ctv-label >> nth=0") == ""
    assert names[2:] == ["left image", "right image"] or "left image" in names


def test_two_full_slices_are_redrawn_many_times_a_second(open_viewer, rng):
    image = rng.normal(-600, 200, (512, 512))
    page = open_viewer(compare(image, image, spacing_mm=(1, 1)))
    draws = page.evaluate(
        """async () => { let n = 0; const start = performance.now();
        while (performance.now() - start < 1000) { model.set('level_hu', -600 + n++ % 99);
          await new Promise(requestAnimationFrame); } return n; }"""
    )
    assert draws > 1, "60 on an idle machine; how many a busy one makes is no test"


SHOWN_HU = """async () => {
  await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame);
  const { hu } = viewer.images.left, { x, y } = viewer.laid, ratio = window.devicePixelRatio;
  const at = [];
  for (const v of [0.3, 0.5, 0.8]) for (const u of [0.3, 0.5, 0.8]) {
    const i = Math.floor(u * x.length), j = Math.floor(v * y.length);
    at.push([(i + 0.5 - ratio * viewer.place.left) / (ratio * viewer.place.x),
      (j + 0.5 - ratio * viewer.place.top) / (ratio * viewer.place.y), hu[j * x.length + i]]);
  }
  return at;
}"""


@pytest.mark.parametrize("zoom", [1, 3.7])
def test_what_is_shown_lies_where_it_belongs_and_slopes_stay_slopes(open_viewer, zoom):
    """Filters with B + 2 C = 1 (Mitchell & Netravali 1988) reproduce straight lines exactly."""
    y, x = np.mgrid[0:64, 0:48]
    ramp = 10.0 * x + 7.0 * y - 300  # centres of pixels lie at x + 0.5
    page = open_viewer(compare(ramp[None], ramp[None], spacing_mm=(0.7, 0.7)))
    page.evaluate("zoom => viewer.zoomBy(zoom)", zoom)
    for across, down, hu in page.evaluate(SHOWN_HU):
        assert hu == pytest.approx(10 * (across - 0.5) + 7 * (down - 0.5) - 300, abs=0.6)


def test_noise_finer_than_the_screen_fades_instead_of_making_patterns(open_viewer):
    checks = 500.0 * (-1.0) ** np.add.outer(np.arange(800), np.arange(800))
    page = open_viewer(compare(checks[None] + 40, checks[None] + 40, spacing_mm=(1, 1)))
    page.set_viewport_size({"width": 420, "height": 700})  # about two pixels in one
    page.wait_for_function("() => viewer.panels.left.canvas.width < 420")
    assert all(abs(hu - 40) < 25 for *_, hu in page.evaluate(SHOWN_HU))
