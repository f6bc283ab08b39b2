"""The live figure in a page without network or kernel: the engine, its answers, its controls."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ctlab.explain import DenoiserProbe, jacobian_row
from ctlab.explain.adjoint_graph import adjoint_graph
from ctlab.explain.maps.attribution import occlusion
from ctlab.explain.maps.cam import cam_map
from ctlab.explain.probe.regions import region_mask
from ctlab.explain.probe.targets import make_target
from ctlab.learn import load_checkpoint
from ctlab.learn.engines import to_onnx
from ctlab.learn.inference import denoise_slices
from ctlab.lessons.live import networks as live_networks
from ctlab.view.live.scene import STATE, Scene, ask
from ctlab.view.live.viewer import live_viewer
from tests.browser.viewer_page import MODEL

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VENDOR = Path(__file__).resolve().parents[2] / "book" / "_vendor" / "vendor"
NODULE = {"kind": "solid", "y": 22, "x": 70, "diameter_mm": 7.0, "hu": -200.0}
GLASS = {"kind": "ground glass", "y": 60, "x": 30, "diameter_mm": 11.0, "hu": -600.0}
STATES = [
    {},
    {"dose": 0.02},
    {"dose": 1.0, "draw": 1},
    {"dose": 0.05, "draw": 7},
    {"network": "random"},
    {"strength": 0.4, "edits": [NODULE]},
    {"edits": [NODULE, GLASS, {**NODULE, "kind": "erase", "diameter_mm": 10.0}]},
    {"edits": [{**GLASS, "kind": "paint", "hu": 100.0}, GLASS], "dose": 0.3},
    {"turns": 1, "shift_hu": -80.0, "edits": [NODULE]},
    {"turns": 3, "cut_px": 7, "draw": 3, "network": "random"},
]


@pytest.fixture(scope="module")
def networks():
    """The shipped network, and it with its weights shuffled."""
    shipped = load_checkpoint().denoiser()
    shuffled = DenoiserProbe(shipped).randomised(np.random.default_rng(0)).model
    return {"shipped": shipped, "random": shuffled}


@pytest.fixture(scope="module")
def scene():
    """96 x 96 pixels of drawn lung with a border to soft tissue, and correlated noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    truth = np.where(x + y < 130, -850.0, 40.0) + 300 * (np.hypot(y - 40, x - 40) < 4)
    white = torch.from_numpy(rng.normal(0, 120, (3, 1, 96, 96)))
    noise = torch.nn.functional.avg_pool2d(white, 3, 1, 1)[:, 0].numpy()
    return Scene(truth, noise, 0.7)


@pytest.fixture(scope="module")
def static(networks, tmp_path_factory):
    """A folder as ``_static`` is, with the engine and the networks."""
    if not (VENDOR / "onnxruntime.js").is_file():
        pytest.skip("the engine is not fetched yet; run `python book/vendor.py` first")
    folder = tmp_path_factory.mktemp("static")
    (folder / "vendor").symlink_to(VENDOR)
    graphs = {
        name: {
            "forward": base64.b64encode(to_onnx(model)).decode(),
            "adjoint": base64.b64encode(adjoint_graph(model)).decode(),
            "reach_px": DenoiserProbe(model).reach_px,
        }
        for name, model in networks.items()
    }
    (folder / "live").mkdir()
    for name, kept in graphs.items():
        script = f"(window.ctlabNetworks ??= {{}})['{name}'] = {json.dumps(kept)};"
        (folder / "live" / f"{name}.js").write_text(script, "utf-8")
    return folder


@pytest.fixture
def open_live(browser, tmp_path):
    pages = []

    def open_page(viewer, static=None, **options):
        state = {
            name: {"base64": base64.b64encode(value).decode()}
            if isinstance(value, bytes)
            else value
            for name, value in viewer.get_state().items()
            if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")
        }
        script = base64.b64encode(str(viewer._esm).encode()).decode()
        module = MODEL.replace("STATE", json.dumps(state)).replace("SCRIPT", script)
        if static:
            module = f'window.ctlabStatic = "{static.as_uri()}/";\n{module}'
        path = tmp_path / "live.html"
        path.write_text(
            "<!doctype html><html lang='en'><meta charset='utf-8'><title>Live</title>"
            f"<style>{viewer._css}</style><main id='host'></main>"
            f"<script type='module'>{module}</script></html>",
            "utf-8",
        )
        page = browser.new_page(viewport={"width": 1000, "height": 900}, **options)
        page.faults, page.asked = [], []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector(".ctv[aria-label]")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        assert page.faults == []
        assert [url for url in page.asked if url.startswith("http")] == []
        page.close()


def connect(page, viewer):
    """A kernel behind the page: what the widget sends goes through ipywidgets to Python."""
    told = []
    viewer.send = lambda reply, buffers=(): told.append([reply, buffers])

    def hear(_source, content, texts):
        viewer._handle_custom_msg(content, [memoryview(base64.b64decode(text)) for text in texts])
        reply, buffers = told.pop()
        return [reply, [base64.b64encode(part).decode() for part in buffers]]

    page.expose_binding("kernel", hear)
    page.evaluate(
        """() => { const bytes = (t) => Uint8Array.from(atob(t), (c) => c.charCodeAt(0));
        const text = (b) => btoa(Array.from(new Uint8Array(b), (v) => String.fromCharCode(v))
          .join(""));
        const on = model.on, view = (t) => new DataView(bytes(t).buffer);
        let hear;
        model.on = (event, f) => event === "msg:custom" ? (hear = f) : on(event, f);
        model.send = (content, _, buffers) => kernel(content, (buffers ?? []).map(text))
          .then(([reply, parts]) => hear(reply, parts.map(view))); }"""
    )


def figure(scene, **traits):
    labels = {"shipped": "shipped network", "random": "shuffled weights"}
    return live_viewer(scene, labels, alt="Drawn lung", **traits)


def answered(page):
    page.wait_for_function("viewer.root.dataset.live === 'answered'", timeout=60_000)


def put(page, **values):
    """Change the setting, and wait for the answer and its read-outs."""
    page.evaluate("(values) => viewer.change(values)", values)
    answered(page)


def test_the_page_answers_as_the_product_in_ten_states(open_live, scene, static, networks):
    """Within 0.01 HU, read-outs too; what is compared is what the page computed before rounding."""
    page = open_live(figure(scene), static)
    assert page.evaluate("window.ctlabEngine === undefined"), "loaded when first asked for"
    for state in STATES:
        full = {**STATE, **state}
        put(page, **full)
        made = page.evaluate(
            """() => ({given: [...viewer.last.composed.given], out: [...viewer.last.out],
                       numbers: viewer.numbers})"""
        )
        model = networks[full["network"]]
        wanted = ask(scene, full, lambda hu, model=model: denoise_slices(hu[None], model)[0])
        np.testing.assert_allclose(made["given"], wanted.given.ravel(), atol=0.002)
        np.testing.assert_allclose(made["out"], wanted.denoised.ravel(), atol=0.01)
        for name, number in wanted.numbers.items():
            if number is None:
                assert made["numbers"][name] is None
            else:
                assert made["numbers"][name] == pytest.approx(number, abs=2e-3), (name, state)


def test_a_kernel_answers_as_the_page_in_ten_states(open_live, scene, static, networks):
    """Controls, answers and read-outs; the kernel runs the product by ipywidgets' messages."""
    offer = ["network", "brush", "disturb", "why", "own"]

    def denoise(name, hu):
        return denoise_slices(hu[None], networks[name])[0]

    in_notebook = figure(scene, offer=offer, denoise=denoise)
    page, notebook = open_live(figure(scene, offer=offer), static), open_live(in_notebook)
    connect(notebook, in_notebook)
    seen = []
    for one in (page, notebook):
        seen.append([])
        for state in STATES:
            put(one, **{**STATE, **state})
            facts = one.evaluate("() => ({out: [...viewer.last.out], numbers: viewer.numbers})")
            seen[-1].append(facts)
    names = """() => [...viewer.panel.querySelectorAll('button, label, summary, option')]
        .map((node) => node.textContent)"""
    assert page.evaluate(names) == notebook.evaluate(names)
    for state, own, kernels in zip(STATES, *seen, strict=True):
        np.testing.assert_allclose(own["out"], kernels["out"], atol=0.01, err_msg=str(state))
        assert own["numbers"] == pytest.approx(kernels["numbers"], abs=2e-3), state


def test_the_screen_shows_the_answer_and_the_numbers(open_live, scene, static):
    page = open_live(figure(scene), static)
    assert "Move anything" in page.inner_text(".ctl-say")
    page.get_by_label("Dose", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    answered(page)
    same = page.evaluate(
        """() => viewer.pixels.right.every((v, i) => Math.abs(v - viewer.last.out[i]) <= 0.51)"""
    )
    assert same
    assert "shipped network, now" in page.locator(".ctv-label").nth(1).inner_text()
    words = page.inner_text(".ctl-numbers")
    assert "Noise" in words
    assert "…" not in words


def test_a_nodule_is_stamped_and_taken_back_by_keyboard(open_live, scene, static):
    goal = {"text": "most is kept", "number": "kept", "above": 0.3, "network": "shipped"}
    page = open_live(figure(scene, goals=[goal]), static)
    page.locator(".ctv-stage").focus()
    page.keyboard.press("t")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press(" ")
    answered(page)
    edit = {"kind": "solid", "diameter_mm": 8, "hu": -100, "y": 18, "x": 48}
    assert page.evaluate("model.get('setting').edits") == [edit]
    assert "Contrast kept" in page.inner_text(".ctl-numbers")
    assert page.inner_text(".ctl-goals").startswith("✓ found")
    page.keyboard.press("u")
    answered(page)
    assert page.evaluate("model.get('setting').edits") == []


def test_a_click_stamps_where_it_points_also_in_a_turned_image(open_live, scene, static):
    page = open_live(figure(scene), static)
    put(page, turns=1)
    page.select_option("select >> nth=1", "ground glass")
    box = page.locator(".ctv canvas").first.bounding_box()
    side = min(box["width"], box["height"])
    left, top = (box["x"] + (box["width"] - side) / 2), (box["y"] + (box["height"] - side) / 2)
    page.mouse.click(left + side * 20.5 / 96, top + side * 40.5 / 96)
    answered(page)
    (edit,) = page.evaluate("model.get('setting').edits")
    # rot90 puts the pixel (y, x) at (95 - x, y).
    assert (edit["y"], edit["x"]) == (20, 95 - 40)
    left_image = page.evaluate("viewer.pixels.left[40 * 96 + 20]")
    before = page.evaluate("(viewer.change({edits: []}), viewer.pixels.left[40 * 96 + 20])")
    assert left_image > before + 50


def test_without_an_engine_the_figure_says_so_and_still_moves(open_live, scene, static, tmp_path):
    """Without engine and kernel, without its file, and without WebAssembly."""
    for place in (None, tmp_path, static):
        page = open_live(figure(scene), place)
        page.evaluate("delete window.WebAssembly")
        page.evaluate("viewer.change({dose: 0.5})")
        page.wait_for_function("viewer.root.dataset.live === 'failed'", timeout=20_000)
        assert "The network cannot answer here" in page.inner_text(".ctl-say")
        assert page.locator(".ctv-label").nth(1).inner_text() == "Full dose"
        assert "50 % dose" in page.locator(".ctv-label").first.inner_text()


def test_the_networks_work_blocks_no_frame_and_only_the_last_of_many_moves_is_answered(
    open_live, scene, static
):
    page = open_live(figure(scene), static)
    put(page, dose=0.03)
    asked = page.evaluate(
        """async () => { const denoise = viewer.engine.denoise.bind(viewer.engine); let asked = 0;
        viewer.engine.denoise = async (...all) => { asked++;
          await new Promise((done) => setTimeout(done, 200)); return denoise(...all); };
        for (let k = 1; k <= 20; k++) viewer.change({ draw: k });
        while (viewer.root.dataset.live !== 'answered') await new Promise((g) => setTimeout(g, 9));
        return asked; }"""
    )
    assert asked <= 4, "one under way, the last one, and its read-outs"
    assert page.evaluate("viewer.last.state.draw") == 20
    assert page.evaluate("viewer.engine.worker instanceof Worker")


@pytest.mark.parametrize("where", ["page", "notebook"])
def test_a_pixel_asked_why_gets_the_maps_of_pytorch(open_live, scene, static, networks, where):
    """Each within 1e-4 of its largest value, beside those of the shuffled weights."""
    calls = {"denoise": live_networks.denoise_live, "explain": live_networks.explain_live}
    viewer = figure(scene, offer=["network", "brush", "why"], **calls)
    page = open_live(viewer, static if where == "page" else None)
    if where == "notebook":
        connect(page, viewer)
    put(page, dose=0.2)
    page.evaluate("() => void viewer.askWhy({ y: 41, x: 46 })")
    page.wait_for_selector(".ctl-maps figure", timeout=120_000)
    made = page.evaluate(
        """() => ({given: [...viewer.last.composed.given], own: maps(viewer.why.found.own),
                   bare: maps(viewer.why.found.bare)});
        function maps(found) { return Object.fromEntries(Object.entries(found)
          .map(([kind, map]) => [kind, [...map.data]])); }"""
    )
    given = np.array(made["given"], np.float32).reshape(96, 96)
    target = make_target("mean", region_mask((41, 46, 0), given.shape))
    for name, found in (("shipped", made["own"]), ("random", made["bare"])):
        probe = DenoiserProbe(networks[name])
        layer = probe.default_layer()
        wanted = {
            "row": jacobian_row(probe, given, (41, 46, 0)).weights,
            "cam": cam_map(probe, given, target, method="hirescam", layer=layer),
            "occlusion": occlusion(probe, given, target),
        }
        for kind, map_ in wanted.items():
            error = np.abs(np.array(found[kind]) - map_.ravel()).max()
            assert error <= 1e-4 * np.abs(map_).max(), (name, kind)
    assert page.locator(".ctl-maps figure").count() == 3
    assert "shuffled weights" in page.inner_text(".ctl-maps")


def test_fingers_stamp_and_turn_the_dose(open_live, scene, static):
    page = open_live(figure(scene), static, has_touch=True)
    page.get_by_label("Diameter").fill("12")
    assert page.evaluate("viewer.tool") == "brush", "whoever sets the brush wants to use it"
    page.locator(".ctv canvas").first.tap()
    answered(page)
    (edit,) = page.evaluate("model.get('setting').edits")
    assert (edit["kind"], edit["diameter_mm"]) == ("solid", 12)
    assert max(abs(edit["y"] - 48), abs(edit["x"] - 48)) <= 1
    box = page.get_by_label("Dose", exact=True).bounding_box()
    page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    answered(page)
    assert page.evaluate("viewer.last.state.dose") > 0.5


def test_the_numbers_are_read_out_once_all_is_settled(open_live, scene, static):
    page = open_live(figure(scene), static)
    put(page, dose=0.05, edits=[NODULE])
    spoken = page.locator(".ctl-spoken[role='status']").inner_text()
    said = page.locator(".ctl-numbers > div").all_inner_texts()
    assert spoken == "; ".join(text.replace("\n", ": ") for text in said)
    assert "Noise: " in spoken
    assert "Contrast kept" in spoken


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark", "reduced_motion": "reduce"}])
def test_axe_finds_nothing_in_any_panel(open_live, scene, static, options):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    every = ["network", "brush", "disturb", "why", "own"]
    goal = {"text": "some is kept", "number": "kept", "above": -9}
    page = open_live(figure(scene, offer=every, goals=[goal]), static, **options)
    page.set_viewport_size({"width": 360, "height": 800})
    put(page, edits=[NODULE])
    page.evaluate("() => void viewer.askWhy({ y: 41, x: 46 })")
    page.wait_for_selector(".ctl-maps figure", timeout=120_000)
    page.evaluate("document.querySelectorAll('.ctl details').forEach((d) => { d.open = true; })")
    page.get_by_role("button", name="Brush").click()
    found = axe.Axe().run(page, {"include": [[".ctv"]]}).response["violations"]
    assert [fault["id"] for fault in found] == []
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360


def test_a_slider_goes_through_the_states_of_a_training(open_live, scene, static):
    labels = {"random": "0 steps", "shipped": "9 steps"}
    viewer = live_viewer(scene, labels, alt="Drawn lung", networks_slider="Training")
    page = open_live(viewer, static)
    slider = page.get_by_label("Training")
    assert slider.get_attribute("aria-valuetext") == "0 steps"
    slider.focus()
    page.keyboard.press("ArrowRight")
    answered(page)
    assert page.evaluate("viewer.last.state.network") == "shipped"
    assert slider.get_attribute("aria-valuetext") == "9 steps"
    assert "9 steps, now" in page.locator(".ctv-label").nth(1).inner_text()
