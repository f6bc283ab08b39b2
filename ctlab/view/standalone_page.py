"""A viewer in a page of its own: one HTML file, without a kernel, without a network."""

import base64
import json
from html import escape
from typing import Any

from ctlab.view.compare import CompareViewer

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:76rem;margin:1rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0}
th,td{border-bottom:1px solid #999;padding:.35rem .7rem;text-align:left}img{max-width:100%}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}}
"""

# What the viewer asks of a kernel's model, answered by the page itself.
_SCRIPT = """
const state = {}, handlers = {};
for (const [name, value] of Object.entries(STATE)) state[name] = value?.base64 === undefined ? value
  : new DataView(Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer);
const model = { get: (name) => state[name], off() {}, save_changes() {},
  on(event, handler) { (handlers[event] ??= []).push(handler); },
  set(name, value) { if (state[name] !== value) { state[name] = value;
    (handlers[`change:${name}`] ?? []).forEach((handler) => handler()); } } };
const script = await import("data:text/javascript;base64,VIEWER");
script.default.render({ model, el: document.getElementById("viewer") });
"""


def standalone(viewer: CompareViewer, *, title: str, below: str = "") -> str:
    """HTML of a whole page with the viewer and all of its pixels, keys and buttons included.

    Parameters
    ----------
    title : of the page
    below : HTML under the viewer, as it is

    Examples
    --------
    >>> import numpy as np
    >>> from ctlab.view import compare
    >>> page = standalone(compare(np.zeros((4, 6)), spacing_mm=(1, 1)), title="Lung")
    >>> "<h1>Lung</h1>" in page, "http" in page
    (True, False)
    """
    kept = {
        name: _plain(value)
        for name, value in viewer.get_state().items()
        if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")
    }
    # No text can open or close a tag: in a script, <!-- changes where it ends as well.
    state = json.dumps(kept).replace("<", "\\u003c")
    code = base64.b64encode(str(viewer._esm).encode()).decode()
    script = _SCRIPT.replace("VIEWER", code).replace("STATE", state)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}{viewer._css}</style></head><body><main><h1>{escape(title)}</h1>"
        f'<div id="viewer"></div>{below}</main><script type="module">{script}</script>'
        "</body></html>\n"
    )


def _plain(value: Any) -> Any:
    """Bytes as text; the rest is plain already."""
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    return value
