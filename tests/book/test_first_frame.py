"""The picture in each viewer's place before its script runs, and where no script may run."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from ctlab.view import compare
from tests.book.test_vendor import load


@pytest.fixture
def first_frame(monkeypatch):
    return load("first_frame", monkeypatch)


def page_of(viewer, **changes):
    """A page as Sphinx writes it, with one viewer and one widget that is none."""
    state = viewer.get_state()
    plain = {k: v for k, v in state.items() if not isinstance(v, bytes | memoryview)}
    buffers = [
        {"path": [k], "encoding": "base64", "data": base64.b64encode(v).decode()}
        for k, v in state.items()
        if k not in plain
    ]
    models = {
        "a": {"state": {**plain, **changes}, "buffers": buffers},
        "b": {"state": {"value": 3}},
    }
    kind = "application/vnd.jupyter.widget"
    views = "".join(
        f'<div><script type="{kind}-view+json">{{"model_id": "{key}"}}</script></div>'
        for key in models
    )
    text = json.dumps({"state": models})
    return f'<script type="{kind}-state+json">{text}</script>{views}'


def frame_of(page):
    (data,) = re.findall(r"image/jpeg;base64,([^\"]+)", page)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)


@pytest.fixture
def viewer():
    """Left darker than right, at the upper frame of two; pixels twice as tall as wide."""
    left = np.stack([np.full((20, 30), -1200.0), np.full((20, 30), -900.0)])
    return compare(
        left, left + 600, spacing_mm=(2, 2, 1), frame=1, alt='A "pair"', labels=("L", "R")
    )


def test_a_viewer_gets_its_first_frame_and_other_widgets_none(first_frame, viewer):
    page = page_of(viewer)
    made = first_frame.with_first_frames(page)
    grey = frame_of(made)
    assert grey.shape == (120, 2 * 90 + 4), "square pixels"
    # Lung window: -600, 1500 wide.
    assert grey[60, 40] == pytest.approx(255 * 450 / 1500, abs=2)
    assert grey[60, 140] == pytest.approx(255 * 1050 / 1500, abs=2)
    assert 'alt="A &quot;pair&quot;"' in made
    assert "<noscript><figcaption>L | R. Without scripts" in made
    assert made.count("<figure") == 1
    assert made.index("<figure") < made.index('"model_id": "b"')
    assert first_frame.with_first_frames(made) == made, "a page is mended once"


def test_a_wipe_begins_as_a_wipe(first_frame, viewer):
    grey = frame_of(first_frame.with_first_frames(page_of(viewer, mode="wipe")))
    assert grey.shape == (120, 90)
    assert grey[60, 10] < grey[60, 80] - 50


def test_pages_without_viewers_and_pixels_of_another_shape_stay(first_frame, viewer):
    page = page_of(viewer, shape=[3, 20, 30])
    assert first_frame.with_first_frames(page) == page
    assert first_frame.with_first_frames("<p>words</p>") == "<p>words</p>"
