"""Drawing large panels, by a graphics processor or WebAssembly: the same pixels as filter.js."""

from base64 import b64encode

import numpy as np
import pytest

from ctlab.view import CompareViewer, compare
from tests.browser.conftest import CHROMIUM, FLAGS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BOTH = """async ({ filter, zoom, mode, inverted }) => {
  const painted = async (gpu) => {
    viewer.gpu = () => (gpu ? window.painter : null);
    viewer.invalidate();
    for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
    const { canvas } = viewer.panels.left;
    return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  };
  model.set('display_filter', filter);
  model.set('mode', mode);
  viewer.inverted = inverted;
  viewer.actual = false;
  viewer.zoom = zoom;
  viewer.centre = { x: 31.3, y: 40.2 };
  viewer.drawTools = () => {};
  const a = await painted(true), b = await painted(false);
  let far = 0, off = 0, sum = 0;
  for (let i = 0; i < a.length; i += 4) {
    const d = Math.abs(a[i] - b[i]);
    far += d > 1;
    off += d > 0;
    sum += a[i];
  }
  return { far: far / (a.length / 4), share: off / (a.length / 4), mean: sum / (a.length / 4) };
}"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    flags = [flag for flag in FLAGS if flag != "--disable-gpu"]
    software = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*flags, *software])
        yield chromium
        chromium.close()


def with_painter(page):
    """A painter in ``window.painter``, made as for a large panel but allowed to be software."""
    made = page.evaluate(
        """() => { globalThis.ctvSoftwareGpu = true;
        window.painter = viewer.gpu({ size: { width: 2000, height: 2000 } });
        return Boolean(window.painter); }"""
    )
    if not made:
        pytest.skip("this Chromium has no WebGL, not even in software")


def test_the_graphics_processor_paints_what_the_page_paints(open_viewer, rng):
    """Every filter, enlarged, made smaller and pixel for pixel, in wipe, difference and inverse."""
    y, x = np.mgrid[0:80, 0:64]
    left = rng.normal(-600, 300, (80, 64))
    left[np.hypot(y - 40, x - 32) > 36] = -1024
    right = rng.normal(-500, 300, (80, 64))
    page = open_viewer(
        compare(left, right, spacing_mm=(1, 1), padding_hu=-1024.0, whole_page=True),
        size=(900, 600),
    )
    with_painter(page)
    cases = [
        ("catmull-rom", 1, "pair", False),
        ("mitchell", 2.3, "pair", True),
        ("linear", 0.04, "pair", False),
        ("catmull-rom", 0.03, "pair", False),
        ("nearest", 1.7, "wipe", False),
        ("catmull-rom", 1, "difference", False),
    ]
    for filter_, zoom, mode, inverted in cases:
        found = page.evaluate(
            BOTH, {"filter": filter_, "zoom": zoom, "mode": mode, "inverted": inverted}
        )
        # At the edge of padding a pixel may fall to either side by a rounding of 32 bits.
        assert found["far"] < 5e-3, (filter_, zoom, mode, found)
        assert found["share"] < 0.01, (filter_, zoom, mode, found)
        assert found["mean"] > 0.01, "something was painted"
    # The pointer's HU are those of the stored pixel, whoever paints.
    told = []
    for gpu in ("window.painter", "null"):
        page.evaluate(f"() => {{ viewer.gpu = () => {gpu}; viewer.probe = {{ x: 20, y: 30 }}; }}")
        told.append(page.evaluate("() => viewer.probeText('pair')"))
    assert told[0] == told[1]
    assert f"{round(left[30, 20])} HU".replace("-", "−") in told[0]


def test_a_lost_graphics_processor_leaves_the_page_to_paint(open_viewer):
    image = np.full((32, 32), -600.0)
    page = open_viewer(compare(image, image, spacing_mm=(1, 1), whole_page=True), size=(900, 600))
    with_painter(page)
    page.evaluate(
        """async () => { viewer.gpu = () => viewer.painter; viewer.invalidate();
        for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
        viewer.painter?.gl.getExtension('WEBGL_lose_context').loseContext();
        for (let i = 0; i < 6; i++) await new Promise(requestAnimationFrame); }"""
    )
    page.wait_for_function("() => viewer.painter === null")
    grey = page.evaluate(
        """() => { const { canvas } = viewer.panels.left;
        const at = [canvas.width / 2 | 0, canvas.height / 2 | 0];
        return canvas.getContext('2d').getImageData(...at, 1, 1).data[0]; }"""
    )
    assert grey == pytest.approx(127.5, abs=1)


def test_a_graphics_processor_made_of_software_is_not_used(open_viewer):
    """It takes seconds for a frame of a 4K screen; this Chromium has no other."""
    image = np.full((32, 32), -600.0)
    page = open_viewer(compare(image, image, spacing_mm=(1, 1), whole_page=True), size=(900, 600))
    assert page.evaluate("() => viewer.gpu({ size: { width: 2000, height: 2000 } })") is None


def test_a_graphics_processor_that_stays_slow_is_left(open_viewer):
    image = np.full((32, 32), -600.0)
    page = open_viewer(compare(image, image, spacing_mm=(1, 1), whole_page=True), size=(900, 600))
    with_painter(page)
    left = page.evaluate(
        """() => { globalThis.ctvSoftwareGpu = false;
        const paint = (ms) => { window.painter.draw = () => {
            const end = performance.now() + ms; while (performance.now() < end); };
          window.painter.paint(); return viewer.painter === null; };
        return [90, 90, 1, 90, 90, 90].map(paint); }"""
    )
    assert left == [False] * 5 + [True], "three slow paints one after the other"


COMPARED = """async ([filter, zoom, x, y]) => {
  model.set('display_filter', filter);
  Object.assign(viewer, { zoom, centre: { x, y } });
  viewer.invalidate();
  for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
  const { resampleWide, alongRows, alongColumns } = parts;
  const grid = viewer.laid, pixels = viewer.slice('left'), size = grid.x.length * grid.y.length;
  const [wide, plain] = [0, 1].map(() => new Int16Array(size).fill(-32768));
  const done = resampleWide(wide, pixels, viewer.columns, grid.x, grid.y);
  alongColumns(plain, alongRows(pixels, viewer.columns, grid.x, grid.y), grid.x, grid.y);
  const apart = wide.map((value, i) => Math.abs(value - plain[i]));
  return { wide: done, worst: Math.max(...apart.filter(Boolean), 0),
    off: apart.filter(Boolean).length / size,
    shown: viewer.images.left.hu.every((v, i) => v === wide[i]) };
}"""


def test_webassembly_resamples_as_the_script_does(open_viewer, rng):
    """At every edge and odd width: no pixel differs by more than 1 HU, and hardly any by that."""
    stack = rng.normal(-600, 400, (1, 37, 41))
    stack[0, 0, :3] = 32767  # overshoots what 16 bits hold
    page = open_viewer(compare(stack, stack, spacing_mm=(1, 1), whole_page=True), size=(900, 600))
    names = "resampleWide, alongRows, alongColumns"
    script = b64encode(f"{CompareViewer._esm}\nexport {{ {names} }};".encode()).decode()
    page.evaluate(
        "async (url) => { window.parts = await import(url); }",
        f"data:text/javascript;base64,{script}",
    )
    for filter_, zoom, centre in [
        ("catmull-rom", 1, (20, 18)),
        ("mitchell", 5.3, (0, 0)),
        ("catmull-rom", 7, (41, 37)),
    ]:
        found = page.evaluate(COMPARED, [filter_, zoom, *centre])
        assert found["wide"], "WebAssembly ran"
        assert found["shown"], "and is what the screen shows"
        assert found["worst"] <= 1, (filter_, zoom, found)
        assert found["off"] < 1e-3, (filter_, zoom, found)
