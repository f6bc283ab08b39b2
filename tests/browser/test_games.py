"""Games in a page: the CycleGAN steps as the Python toy does; the nodule hunt keeps its score."""

import itertools

import numpy as np
import pytest
import torch

from ctlab.lessons.exercises.nodule_hunt import ASKED, DOSES, PATCH_PX, Hunt, HuntCurve
from ctlab.lessons.material import toy_cyclegan as toy
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
