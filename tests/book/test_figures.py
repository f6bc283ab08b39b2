"""Figures state their window, refuse to go without alternative text, and repeat bit for bit."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from ctlab import figures
from ctlab.ct import LUNG, MEDIASTINUM
from ctlab.figures import images, plots
from ctlab.figures.picture import narrowed

BLANK = np.zeros((20, 20))
ALT = "A grey square on black, and beside it the same square with noise"


@pytest.fixture
def image():
    hu = np.full((40, 60), -1000.0)
    hu[10:30, 20:40] = 0.0
    return hu


def test_the_caption_states_window_bar_and_source(image):
    picture = figures.slices(
        {"one": image}, window=LUNG, spacing_mm=(0.7, 0.7), alt=ALT, credit="Source: a phantom."
    )
    assert "lung level −600, width 1500 HU" in picture.caption
    assert "Bar: 10 mm" in picture.caption
    assert picture.caption.endswith("Source: a phantom.")


def test_pixels_follow_the_window(image):
    at = {}
    for window in (LUNG, MEDIASTINUM):
        picture = figures.slices({"": image}, window=window, spacing_mm=(1, 1), alt=ALT)
        grey = np.asarray(Image.open(io.BytesIO(picture.data)).convert("L"))
        at[window.name] = grey[grey.shape[0] // 2, grey.shape[1] // 8]
    assert at["lung"] == pytest.approx(255 * (-1000 + 1350) / 1500, abs=2)
    assert at["mediastinum"] == 0


@pytest.mark.parametrize("alt", ["", "Figure", "   plot of noise   "])
def test_a_figure_without_a_sentence_of_alternative_text_is_refused(image, alt):
    with pytest.raises(ValueError, match="alt must say"):
        figures.slices({"one": image}, window=LUNG, spacing_mm=(1, 1), alt=alt)
    with pytest.raises(ValueError, match="alt must say"):
        figures.lines({"a": ([1, 2], [3, 4])}, x="x", y="y", alt=alt)


def test_html_carries_alternative_text_escaped():
    alt = 'Values rise from "low" to <high> as dose grows'
    page = figures.lines({"a": ([1, 2], [3, 4])}, x="x", y="y", alt=alt)._repr_html_()
    assert 'alt="Values rise from &quot;low&quot; to &lt;high&gt; as dose grows"' in page
    assert page.startswith('<figure class="ctlab-figure"><picture><source')


def test_the_same_figure_gives_the_same_bytes(image):
    curves = {"a": ([1, 2, 3], [3, 4, 9]), "b": ([1, 2, 3], [1, 1, 2])}
    first, second = (
        figures.lines(curves, x="dose", y="noise", log="xy", alt=ALT).data for _ in range(2)
    )
    assert first == second


def test_a_map_over_a_slice_needs_its_window(image):
    with pytest.raises(ValueError, match="window="):
        figures.maps({"m": image / 1000}, unit="HU", alt=ALT, over=image)
    picture = figures.maps({"m": image / 1000}, unit="HU", alt=ALT, over=image, window=LUNG)
    assert "−600" in picture.caption
    assert "±1 HU" in picture.caption


def test_style_does_not_leak(image):
    import matplotlib as mpl

    before = mpl.rcParams.copy()
    figures.bars({"a": {"x": 1.0, "y": 2.0}}, y="share", alt=ALT)
    figures.histogram({"a": image}, x="HU", alt=ALT)
    figures.intervals({"a": (1.0, 0.5, 1.5)}, x="difference", reference=0.0, alt=ALT)
    figures.scatter({"a": ([1.0], [2.0])}, x="x", y="y", alt=ALT, named=True)
    figures.sinogram(image, alt=ALT)
    assert mpl.rcParams == before


def _ticks(picture):
    """Where the ticks of a plot stand, and what is written at them."""
    text = re.sub(r"\s+", " ", picture.data.decode())
    marks = re.findall(r'<g id="([xy]tick)_\d+">(.*?)</g> </g> </g>', text)
    return [(axis, re.findall(r'x="[\d.]+" y="[\d.]+"|<!-- .*? -->', mark)) for axis, mark in marks]


@pytest.mark.parametrize("held", [True, False])
def test_axes_stay_put_from_page_to_page_where_their_ends_are_given(held):
    def draw(top):
        few = np.linspace(0, top, 9)
        return [
            figures.lines(
                {"a": ([0, 1], [0, top])}, x="x", y="y", alt=ALT, y_range=(0, 9) if held else None
            ),
            figures.histogram(
                {"a": few / top},
                x="x",
                alt=ALT,
                bins=[0, 0.2 * top / 7, 1],
                y_range=(0, 9) if held else None,
            ),
            figures.intervals(
                {"a": (top / 2, 0, top)}, x="x", alt=ALT, x_range=(0, 9) if held else None
            ),
            figures.scatter(
                {"a": ([top], [top])},
                x="x",
                y="y",
                alt=ALT,
                ranges=((0, 9), (0, 9)) if held else None,
            ),
        ]

    for first, second in zip(draw(1.5), draw(7.0), strict=True):
        assert (_ticks(first) == _ticks(second)) is held


def _page(slope):
    return figures.lines(
        {"wave": ([0, 1], [0, slope])}, x="x", y="y", alt="A straight line through the origin"
    )


STEEPER = "The line gets steeper from page to page"


def test_a_flip_book_shows_one_page_and_needs_no_script():
    pages = {"1 < 2": _page(1), "2": _page(2)}
    text = figures.flip(pages, name="slope", alt=STEEPER, first="2")._repr_html_()
    assert "<script" not in text
    assert text.count('type="radio"') == text.count("<label") == text.count("<figure") == 2
    held = re.findall(r"<span><input [^>]*><label [^>]*>[^<]*</label></span>", text)
    assert len(held) == 2, "a button and its label stay in one line on a narrow screen"
    assert text.count(" checked>") == 1
    assert text.split(" checked>")[0].endswith('-1"')  # the second page is the open one
    assert "1 &lt; 2" in text
    assert f'aria-label="{STEEPER}"' in text
    assert text == figures.flip(pages, name="slope", alt=STEEPER, first="2")._repr_html_()
    other = figures.flip(pages, name="rise", alt=STEEPER)._repr_html_()
    assert text.split('id="')[1].split('"')[0] not in other  # two books on a page stay apart


@pytest.mark.parametrize(
    ("first", "printed"), [("1", ["1", "3"]), ("2", ["1", "2"]), ("3", ["1", "3"])]
)
def test_two_pages_of_a_flip_book_are_printed_and_named(first, printed):
    pages = {
        f"{k}": figures.lines({"a": ([0, 1], [0, k])}, x="x", y="y", alt=STEEPER) for k in (1, 2, 3)
    }
    text = figures.flip(pages, name="slope", alt=STEEPER, first=first)._repr_html_()
    named = re.findall(r'class="page page-\d paper"><p class="which">slope (\d)<', text)
    assert named == printed


@pytest.mark.parametrize(
    ("pages", "first", "said"),
    [(1, "", "2 to 12"), (13, "", "2 to 12"), (2, "9", "there are 0, 1")],
)
def test_a_flip_book_without_its_pages_is_refused(pages, first, said):
    made = dict.fromkeys(map(str, range(pages)), _page(1))
    with pytest.raises(ValueError, match=said):
        figures.flip(made, name="k", alt=STEEPER, first=first)


def _width_px(data):
    """Width of an image in pixels of a page, where an inch has 96."""
    if found := re.search(rb'width="([\d.]+)pt"', data):
        return float(found[1]) * 96 / 72
    image = Image.open(io.BytesIO(data))
    return image.width / image.info["dpi"][0] * 96


@pytest.mark.parametrize(
    "picture",
    [
        figures.lines({"a": ([0, 1], [0, 1])}, x="x", y="y", alt=ALT),
        figures.moves(
            {t: {"a": (np.zeros((2, 2)), np.ones((2, 2)))} for t in "pqr"}, x="x", y="y", alt=ALT
        ),
        figures.slices(dict.fromkeys("pqrs", BLANK), window=LUNG, spacing_mm=(1, 1), alt=ALT),
        figures.maps(dict.fromkeys("pqr", BLANK), unit="HU", limit=1.0, alt=ALT),
    ],
    ids=["lines", "moves", "slices", "maps"],
)
def test_words_of_a_plot_stay_legible_on_a_phone(picture):
    widths_px = [_width_px(data) for data in (picture.data, picture.narrow)]
    shown_px = 390 - 32  # a phone's width without the page's margins
    words_px = [10.5 * 96 / 72 * min(1, shown_px / width) for width in widths_px]
    assert words_px[1] >= 10 > words_px[0]
    html = picture._repr_html_()
    assert '<picture><source media="screen and (max-width: 560px)"' in html
    assert html.count("<img") == html.count("alt=") == 1


def _drawn(monkeypatch, draw):
    """The figure of a plot, and the same as a phone shows it."""
    kept = []
    monkeypatch.setattr(plots, "finish", lambda figure, **more: kept.append((figure, more)))
    draw()
    ((figure, more),) = kept
    yield figure
    yield more.get("narrow") or narrowed(figure)


@pytest.mark.parametrize(
    "names",
    [("one", "two"), ("BM3D, slice to judge on", "NLM, another to judge on"), ("long " * 9, "two")],
)
def test_names_of_series_cover_no_data_and_end_within_the_figure(monkeypatch, names):
    curves = {name: ([0, 1, 2], [k, 0, 1]) for k, name in enumerate((*names, "and a third"))}
    for figure in _drawn(monkeypatch, lambda: figures.lines(curves, x="x", y="y", alt=ALT)):
        figure.draw_without_rendering()
        (legend,), box = figure.legends, figure.legends[0].get_window_extent()
        assert box.y0 >= figure.axes[0].bbox.y1
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert [text.get_text() for text in legend.get_texts()] == list(curves)


def test_names_beside_points_cover_neither_points_nor_each_other(monkeypatch):
    points = {"shipped": (1.8, 5.0), "ot1": (3.2, 5.2), "bm3d": (2.1, 4.05), "ot2": (1.7, 3.65)}
    groups = {name: ([x], [y]) for name, (x, y) in points.items()}
    ends = ((0.5, 12.5), (2.0, 8.5))
    for figure in _drawn(
        monkeypatch,
        lambda: figures.scatter(groups, x="x", y="y", alt=ALT, named=True, ranges=ends),
    ):
        figure.draw_without_rendering()
        (ax,) = figure.axes
        boxes = [text.get_window_extent() for text in ax.texts]
        assert [text.get_text() for text in ax.texts] == list(points)
        for k, box in enumerate(boxes):
            assert box.count_overlaps(boxes[k + 1 :]) == 0
            assert not box.count_contains(ax.transData.transform(list(points.values())))


def test_steps_are_counted_in_whole_numbers(monkeypatch):
    curve = {"a": ([0, 1, 2, 3, 4], [1, 0, 1, 0, 1])}
    for figure in _drawn(monkeypatch, lambda: figures.lines(curve, x="step", y="y", alt=ALT)):
        ticks = figure.axes[0].get_xticks()
        assert np.array_equal(ticks, np.round(ticks))


@pytest.mark.parametrize("draw", [figures.slices, figures.maps])
def test_titles_over_panels_do_not_meet(monkeypatch, draw):
    kept = []
    monkeypatch.setattr(images, "finish", lambda figure, **more: kept.extend([figure, more]))
    panels = {"a network that was trained": BLANK, "a network of shuffled weights": BLANK}
    given = {"unit": "HU", "limit": 1.0}
    if draw is figures.slices:
        given = {"window": LUNG, "spacing_mm": (1, 1)}
    draw(panels, alt=ALT, **given)
    for figure in (kept[0], kept[1]["narrow"]):
        figure.draw_without_rendering()
        boxes = [ax.title.get_window_extent() for ax in figure.axes if ax.get_title()]
        assert len(boxes) == 2
        assert not boxes[0].overlaps(boxes[1])
