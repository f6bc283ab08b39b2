"""The first frame of each viewer of a page: before its script runs, and where none may run."""

import base64
import html
import io
import json
import re
from typing import Any

import numpy as np
from PIL import Image

MOST_PX = 480
"""Largest width of one image of a frame."""
BETWEEN_PX = 4
QUALITY = 80
STATE = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-state\+json">(.*?)</script>', re.DOTALL
)
VIEW = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-view\+json">(\{[^<]*\})</script>'
)
SAID = "Without scripts nothing moves here; this is the first frame."


def with_first_frames(page: str) -> str:
    """A page with a picture after each viewer's place, which the style sheet hides behind it."""
    found = STATE.search(page)
    if not found or 'class="ctlab-first"' in page:
        return page
    models = json.loads(found[1])["state"]

    def framed(view: re.Match[str]) -> str:
        picture = first_frame(models.get(json.loads(view[1])["model_id"], {}))
        return view[0] + picture

    return VIEW.sub(framed, page)


def first_frame(model: dict[str, Any]) -> str:
    """HTML of a viewer's first frame; empty where a widget is no viewer of images."""
    state = model.get("state", {})
    buffers = {part["path"][0]: part["data"] for part in model.get("buffers", [])}
    sides = [_side(state, buffers.get(f"{side}_bytes", "")) for side in ("left", "right")]
    images = [side for side in sides if side is not None]
    if not images:
        return ""
    if state.get("mode") == "wipe" and len(images) == 2:
        half = images[0].shape[1] // 2
        images = [np.hstack([images[0][:, :half], images[1][:, half:]])]
    between = np.zeros((images[0].shape[0], BETWEEN_PX), np.uint8)
    row = [part for image in images for part in (image, between)][:-1]
    with io.BytesIO() as out:
        picture = Image.fromarray(np.hstack(row))
        picture.save(out, "JPEG", quality=QUALITY, optimize=True)
        data = base64.b64encode(out.getvalue()).decode()
    labels = " | ".join(filter(None, state.get("labels", [])))
    told = state.get("alt") or labels or "CT images"
    return (
        f'<figure class="ctlab-first"><img src="data:image/jpeg;base64,{data}" '
        f'width="{picture.width}" height="{picture.height}" alt="{html.escape(told)}">'
        f"<noscript><figcaption>{html.escape(f'{labels}. ' if labels else '')}{SAID}</figcaption>"
        "</noscript></figure>"
    )


def _side(state: dict[str, Any], text: str) -> np.ndarray | None:
    """Grey values of the first frame of one image, with square pixels; None without one."""
    pixels, shape = np.frombuffer(base64.b64decode(text), "<i2"), state.get("shape", [])
    if len(shape) != 3 or not pixels.size or pixels.size != np.prod(shape):
        return None
    low = state["level_hu"] - state["width_hu"] / 2
    hu = pixels.reshape(shape)[state.get("frame", 0)].astype(float)
    grey = np.clip(255 * (hu - low) / state["width_hu"], 0, 255).astype(np.uint8)
    row_mm, column_mm = state["spacing_mm"]
    wide = min(MOST_PX, 3 * shape[2])
    tall = max(1, round(wide * shape[1] * row_mm / (shape[2] * column_mm)))
    return np.asarray(Image.fromarray(grey).resize((wide, tall), Image.Resampling.BICUBIC))
