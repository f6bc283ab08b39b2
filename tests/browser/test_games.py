"""Figures driven in a page: CycleGAN, gantry and sand compute as Python does; nodule hunt."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from ctlab.ct.simulation.parallel_beam import ParallelBeam, fbp, project
from ctlab.lessons.exercises.nodule_hunt import ASKED, DOSES, PATCH_PX, Hunt, HuntCurve
from ctlab.lessons.exercises.overlay_reading import PLAN, OverlayReading
from ctlab.lessons.material import toy_cyclegan as toy
from ctlab.view.live.gantry import Gantry
from ctlab.view.live.sand import SandHeaps
from ctlab.view.live.toy import ToyGan

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SCRIPT = str(ToyGan._esm).split("export default")[0]
STEPS = """({ start, batches, weights, near }) => {
  const net = (ws, outputs) => new Mlp(outputs, ws.map((w) => Float64Array.from(w)));
  const nets = (all, outputs) => all.map((ws) => net(ws, outputs));
  window.gan = new ToyGan({ makers: nets(start.makers, 2), critics: nets(start.critics, 1), near });
  return batches.map(({ piles, mix }) => {
    gan.step(piles.map((p) => Float64Array.from(p)), mix.map((m) => Float64Array.from(m)), weights);
    return [...gan.makers, ...gan.critics].map((net) => net.weights.map((w) => [...w]));
  });
}"""


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 900, "height": 700})
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.set_content(f"<html lang='en'><title>Toy</title><style>{ToyGan._css}</style><main></main>")
    page.add_script_tag(content=SCRIPT)
    yield page
    assert page.faults == []
    page.close()


def _flat(network, direction):
    return [w[direction].detach().flatten().tolist() for w in network]


def _first(monkeypatch, plan, steps):
    """Weights before, batches of, and weights after each step of :func:`train_toys`."""
    kept = {"batches": [], "after": [], "networks": []}
    network, judge, step = toy._network, toy._judge, toy._step

    def keep_network(*args):
        kept["networks"].append(network(*args))
        return kept["networks"][-1]

    def keep_batch(critics, real, fake, draws):
        if not kept["batches"]:
            makers = kept["networks"][0]
            kept["start"] = {
                "makers": [_flat(makers, d) for d in (0, 1)],
                "critics": [_flat(critics, d) for d in (0, 1)],
            }
        twin = torch.Generator()
        twin.set_state(draws.get_state())
        mix = torch.rand((*real.shape[:2], 1), generator=twin)
        piles = [real[1 - d].flatten().tolist() for d in (0, 1)]
        kept["batches"].append({"piles": piles, "mix": [mix[d].flatten().tolist() for d in (0, 1)]})
        return judge(critics, real, fake, draws)

    calls = itertools.count()

    def keep_step(optimiser, loss):
        step(optimiser, loss)
        if next(calls) % 2:  # the generators come second
            makers, critics = kept["networks"]
            kept["after"].append([_flat(net, d) for net in (makers, critics) for d in (0, 1)])

    monkeypatch.setattr(toy, "_network", keep_network)
    monkeypatch.setattr(toy, "_judge", keep_batch)
    monkeypatch.setattr(toy, "_step", keep_step)
    toy.train_toys({"": plan}, runs=1, steps=steps)
    return kept


@pytest.mark.parametrize(
    "plan",
    [
        toy.ToyPlan(),
        toy.ToyPlan(cycle=1.0, identity=0.5, transport=0.25),
        toy.ToyPlan(cycle=2.0, from_identity=True),
    ],
)
def test_the_page_takes_the_steps_of_python(page, monkeypatch, plan):
    kept = _first(monkeypatch, plan, steps=6)
    weights = {"cycle": plan.cycle, "identity": plan.identity, "transport": plan.transport}
    given = {"start": kept["start"], "batches": kept["batches"], "weights": weights}
    made = page.evaluate(STEPS, {**given, "near": plan.from_identity})
    for step, (ours, theirs) in enumerate(zip(made, kept["after"], strict=True)):
        for mine, other in zip(ours, theirs, strict=True):
            for k, (a, b) in enumerate(zip(mine, other, strict=True)):
                # A step moves a weight by up to 0.003; float32 against float64.
                np.testing.assert_allclose(a, b, atol=2e-4, err_msg=f"step {step}, weight {k}")


def test_transport_keeps_points_where_they_are(page):
    run = """(transport) => { const gan = new ToyGan(); for (let k = 0; k < 120; k++) {
      const mix = [0, 1].map(() => Float64Array.from({ length: BATCH }, Math.random));
      const piles = [drawPile(BATCH, -1), drawPile(BATCH, 1)];
      gan.step(piles, mix, { cycle: 0, identity: 0, transport }); }
      return gan.measure(drawPile(200, -1)); }"""
    heavy, none = page.evaluate(run, 4), page.evaluate(run, 0)
    assert heavy["moved"] < 0.7 < none["moved"] + 0.2


def test_the_figure_trains_pauses_and_says_what_it_sees(page):
    page.evaluate("window.figure = new ToyFigure(document.querySelector('main'))")
    page.get_by_label("Weight of transport").focus()
    page.keyboard.press("End")
    assert page.evaluate("figure.weights.transport") == 4
    page.get_by_role("button", name="Train").press("Enter")
    page.wait_for_function("figure.steps >= 120", timeout=60_000)
    page.get_by_role("button", name="Pause").press("Enter")
    page.evaluate("figure.draw()")
    words = page.inner_text("[role=status]")
    assert words.startswith("Step ")
    assert words.split(".")[0] in page.get_attribute("canvas", "aria-label")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, {"include": [[".toy"]]}).response["violations"]
    assert [fault["id"] for fault in found] == []
    page.get_by_role("button", name="Start again").click()
    assert page.evaluate("figure.steps") == 0


PLACES = tuple((20 + 5 * k, 70 - 4 * k) for k in range(len(ASKED)))


@pytest.fixture
def hunt(open_page, tmp_path):
    rng = np.random.default_rng(0)
    patches = rng.normal(-850, 60, (len(ASKED), len(DOSES), PATCH_PX, PATCH_PX))
    curve = HuntCurve((1.0, 1.0, 0.8, 0.5, 0.2), (1.0, 1.0, 1.0, 0.9, 0.6))
    body = Hunt(patches, PLACES, 0.7)._repr_html_() + curve._repr_html_()
    path = tmp_path / "hunt.html"
    style = "<style>.stage { width: 384px; height: 384px } .stage img { width: 100% }</style>"
    path.write_text(f"<!doctype html><meta charset=utf-8>{style}{body}", "utf-8")
    return open_page(path.as_uri())[0]


def test_hits_and_misses_are_told_apart_and_come_back_as_a_curve(hunt):
    scale = 384 / PATCH_PX
    for number, (row, column) in enumerate(PLACES):
        off = 0 if number % 2 == 0 else 20
        hunt.click(
            ".stage", position={"x": scale * (column - off) + 2, "y": scale * row + 2}, force=True
        )
        said = hunt.inner_text("[role=status] >> nth=0")
        assert said.startswith("Yes" if off == 0 else "No")
        if number + 1 < len(ASKED):
            hunt.click("button")
    assert "You found 5 of 10" in said
    hunt.reload()
    shares = hunt.locator("tr:last-child td").all_inner_texts()
    hits = {dose: [] for dose in range(len(DOSES))}
    for number, dose in enumerate(ASKED):
        hits[dose].append(number % 2 == 0)
    assert shares == [f"{100 * np.mean(hits[d]):.0f} %" for d in range(len(DOSES))]


def test_arrow_keys_and_enter_answer_as_well(hunt):
    hunt.focus(".stage")
    row, column = PLACES[0]
    middle = PATCH_PX // 2
    for key, steps in (("ArrowUp", (middle - row) // 2), ("ArrowRight", (column - middle) // 2)):
        for _ in range(steps):
            hunt.keyboard.press(key)
    hunt.keyboard.press("Enter")
    assert hunt.inner_text("[role=status] >> nth=0").startswith("Yes")
    hunt.focus("input[type=range]")
    before = hunt.get_attribute(".stage img", "src")
    hunt.keyboard.press("ArrowRight")
    assert hunt.get_attribute(".stage img", "src") != before


def _run(browser, widget, call, given):
    """What a call answers in a page that holds the widget's script."""
    page = browser.new_page()
    page.set_content(
        f"<html lang='en'><title>Figure</title><style>{widget._css}</style><main></main>"
    )
    page.add_script_tag(content=str(widget._esm).split("export default")[0])
    answer = page.evaluate(call, given)
    return page, answer


@pytest.fixture(scope="module")
def gantry_image():
    image = np.zeros((32, 32))
    image[6:26, 4:28] = 0.02
    image[10:14, 16:22] = 0.05
    return image


def test_the_gantry_measures_and_rebuilds_as_python_does(browser, gantry_image):
    widget = Gantry(gantry_image, pixel_mm=2.5)
    beam = ParallelBeam.covering((32, 32), 2.5, views=180)
    call = """([mu, side, mm]) => { const scan = new Scan(Float64Array.from(mu), side, mm);
      return { sinogram: [...scan.sinogram], image: [...scan.smear(180, true)] }; }"""
    page, found = _run(browser, widget, call, [gantry_image.ravel().tolist(), 32, 2.5])
    sinogram = project(gantry_image, beam)
    theirs = np.reshape(found["sinogram"], beam.sinogram_shape)
    np.testing.assert_allclose(theirs, sinogram, atol=1e-4)
    rebuilt = np.reshape(found["image"], (32, 32))
    np.testing.assert_allclose(rebuilt, fbp(sinogram, beam), atol=1e-4)
    page.close()


def test_the_gantry_shows_one_ray_in_three_places_and_says_its_integral(browser, gantry_image):
    widget = Gantry(gantry_image, pixel_mm=2.5)
    call = """([mu, side, mm]) => { window.figure = new GantryFigure(document.querySelector("main"),
      new Scan(Float64Array.from(mu), side, mm)); }"""
    page, _ = _run(browser, widget, call, [gantry_image.ravel().tolist(), 32, 2.5])
    page.get_by_role("slider", name="Angle").focus()
    page.keyboard.press("Home")  # straight from the front
    said = page.inner_text("[role=status]")
    p = gantry_image[:, 16].sum() * 2.5  # half a pixel right of the axis
    assert said.startswith("Angle 0°, ray at ")
    assert f"p = {p:.2f}" in said
    assert "1 of 180 views" in said
    assert "unfiltered" in said
    at_once = page.evaluate("figure.canvases.image.toDataURL()")
    page.get_by_label("ramp filter").check()
    assert "filtered with the ramp" in page.inner_text("[role=status]")
    assert page.evaluate("figure.canvases.image.toDataURL()") != at_once
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, {"include": [[".gantry"]]}).response["violations"]
    assert [fault["id"] for fault in found] == []
    page.close()


def test_prices_of_the_sand_are_the_dual_and_no_steeper(browser):
    rng = np.random.default_rng(2)
    piles = [(rng.normal(0, 1, 12), rng.normal(k, 2, 12)) for k in range(3)]
    call = """(piles) => piles.map(([x, y]) => [cheapest(x, y).cost,
      ...[0.5, 1, 1.5].map((slope) => pricing(x, y, slope))])"""
    page, found = _run(browser, SandHeaps(), call, [[x.tolist(), y.tolist()] for x, y in piles])
    for (x, y), (cost, flat, right, steep) in zip(piles, found, strict=True):
        w1 = wasserstein_distance(x, y)
        assert cost == pytest.approx(w1)
        assert right["gap"] == pytest.approx(w1)
        assert right["refused"] == 0
        assert flat["gap"] == pytest.approx(w1 / 2)
        assert flat["refused"] == 0
        assert steep["gap"] > w1
        assert steep["refused"] > 0
    page.close()


def test_the_sand_says_when_prices_are_too_steep_and_grains_can_be_dragged(browser):
    call = "() => { window.figure = new SandFigure(document.querySelector('main')); }"
    page, _ = _run(browser, SandHeaps(), call, None)
    page.get_by_label("Steepest price").focus()
    assert "leaves money" in page.inner_text("[role=status]")
    page.keyboard.press("End")
    assert "Too steep" in page.inner_text("[role=status]")
    before = page.evaluate("[figure.found.cost, Math.min(...figure.x)]")
    box = page.locator("canvas").bounding_box()
    scale = box["width"] / 720
    x, y = box["x"] + scale * 720 * (0.5 + before[1] / 12), box["y"] + scale * 121
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60 * scale, y)
    page.mouse.up()
    after = page.evaluate("[figure.found.cost, Math.min(...figure.x)]")
    assert after[1] == pytest.approx(before[1] - 1, abs=0.05)
    assert after[0] > before[0]
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, {"include": [[".sand"]]}).response["violations"]
    assert [fault["id"] for fault in found] == []
    page.close()


@pytest.fixture
def overlays(open_page, tmp_path):
    patches = np.full((len(PLAN), 32, 32), -800.0)
    maps = np.zeros_like(patches)
    maps[:, 10:14, 10:14] = 9.0
    places = tuple((12, 12) if present else None for present, _ in PLAN)
    kinds = tuple(kind for _, kind in PLAN)
    right = tuple(kind == "own" for kind in kinds)
    body = OverlayReading(patches, maps, places, kinds, right)._repr_html_()
    path = tmp_path / "overlays.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{body}", "utf-8")
    return open_page(path.as_uri())[0]


COLOUR = """() => { const [r, g, b] = document.querySelector("canvas").getContext("2d")
  .getImageData(12, 12, 1, 1).data; return r > b + 40; }"""


def test_the_map_comes_after_the_first_answer_and_changes_of_mind_are_counted(overlays):
    first_wrong = {0, 3}  # maps that are right: both errors are mended
    spoilt = {1}  # a map that is wrong
    for number, (present, _) in enumerate(PLAN):
        overlays.wait_for_selector(f"canvas[data-shown='{number}false']")
        assert not overlays.evaluate(COLOUR), "no map before an answer is locked"
        said = present if number not in first_wrong else not present
        overlays.click(f"button:text-is('{'Nodule' if said else 'No nodule'}')")
        overlays.wait_for_selector(f"canvas[data-shown='{number}true']")
        assert overlays.evaluate(COLOUR)
        said = present if number not in spoilt else not present
        overlays.click(f"button:text-is('{'Nodule' if said else 'No nodule'}')")
    rows = [row.inner_text().split("\t") for row in overlays.locator("tr").all()[1:]]
    assert rows == [["own", "3", "5", "2", "0"], ["shuffled", "5", "4", "0", "1"]]
    assert "followed 5 of 5 right maps and 1 of 5 wrong ones" in overlays.inner_text(
        "[role=status]"
    )
    table = overlays.evaluate("decodeURIComponent(document.querySelector('a').href)").split(",", 1)[
        1
    ]
    lines = table.strip().splitlines()
    assert lines[0] == "reader,case,overlay,advice_right,first_right,final_right"
    assert len(lines) == 11
    assert lines[1] == "me,1,own,1,0,1"
    overlays.click("text=Read again")
    assert "Patch 1 of 10" in overlays.inner_text(".question")
