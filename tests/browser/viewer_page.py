"""A page with one viewer and nothing else, and what can be read from it."""

import base64
import json
from contextlib import suppress

import numpy as np

MODEL = """
const raw = STATE, state = {}, handlers = {};
for (const [name, value] of Object.entries(raw)) state[name] = value?.base64 === undefined ? value
  : new DataView(Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer);
window.model = { get: (name) => state[name], off() {}, save_changes() {},
  on(event, handler) { (handlers[event] ??= []).push(handler); },
  set(name, value) { if (state[name] !== value) { state[name] = value;
    (handlers[`change:${name}`] ?? []).forEach((handler) => handler()); } } };
const script = await import("data:text/javascript;base64,SCRIPT");
window.cleanup = script.default.render({ model, el: document.getElementById("host") });
window.viewer = document.querySelector(".ctv").viewer;
"""


def write_page(folder, viewer):
    """A page that shows this viewer alone; its path."""
    facts = {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in viewer.get_state().items()
        if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")
    }
    script = base64.b64encode(str(viewer._esm).encode()).decode()
    module = MODEL.replace("STATE", json.dumps(facts)).replace("SCRIPT", script)
    path = folder / "viewer.html"
    path.write_text(
        f"<!doctype html><html lang='en'><title>Viewer</title><style>{viewer._css}</style>"
        f"<main id='host'></main><p style='height:2000px'>below</p>"
        f"<script type='module'>{module}</script></html>",
        "utf-8",
    )
    return path


def grey(page, panel, x, y):
    """Grey value of a panel at a fraction of its width and height, after the next frame."""
    return page.evaluate(
        """async ([panel, x, y]) => { await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        const canvas = document.querySelectorAll('.ctv canvas')[panel];
        return canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1)
          .data[0]; }""",
        [panel, x, y],
    )


def state(page):
    """The words under the images, after the next frame."""
    return page.evaluate(
        """async () => { await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        return document.querySelector('.ctv-state').textContent; }"""
    )


def get(page, name):
    return page.evaluate("(name) => model.get(name)", name)


def stack(*values):
    return np.stack([np.full((64, 64), value, float) for value in values])


class Wire:
    """Everything that crosses to a page: documents, scripts, images, frames both ways, the DOM."""

    def __init__(self, page) -> None:
        self.page, self.texts, self.hosts, self.errors = page, [], set(), []
        self.frame_sizes = []
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        page.on("response", self._response)
        page.on("websocket", self._websocket)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)
        page.route("**/images/*", self._images)

    def _images(self, route) -> None:
        try:
            reply = route.fetch()
            body = reply.body()
        except Exception:  # the server is gone
            route.abort()
            return
        self._keep(body, frame=True)
        with suppress(Exception):  # the page has left, and its requests with it
            route.fulfill(response=reply, body=body)

    def _response(self, response) -> None:
        self._keep(f"{response.url} {response.headers}")
        elsewhere = ("/voila/static/", "/labextensions/", "/images/")
        if not any(part in response.url for part in elsewhere):
            try:
                self._keep(response.body())
            except Exception as error:  # redirects have no body
                self._keep(str(error))

    def _websocket(self, socket) -> None:
        socket.on("framereceived", lambda payload: self._keep(payload, frame=True))
        socket.on("framesent", self._keep)

    def _console(self, message) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _keep(self, payload, *, frame=False) -> None:
        raw = payload if isinstance(payload, bytes) else str(payload).encode()
        if frame:
            self.frame_sizes.append(len(raw))
        self.texts.append(raw)

    def look(self) -> None:
        self._keep(self.page.content())

    def leaks(self, secrets) -> list[str]:
        everything = b"\n".join(self.texts).lower()
        return [secret for secret in secrets if secret.lower().encode() in everything]
