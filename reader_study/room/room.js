// The page of the reading room. Panel and viewer are those of the notebook; where a notebook has a
// kernel they find here a socket for what they say, and one request for the images of a trial.

import viewer from "./viewer.js";
import panel from "./panel.js";

const ELSEWHERE = 4001, LOGGED_OUT = 4002, FULL = 4003, FAILED = 4004;
const SLOW_MS = 8_000, GIVEN_UP_MS = 45_000, MOST_TRIES = 4;
const part = (id) => document.getElementById(id);
const lost = part("lost"), progress = document.querySelector("#opening progress");

// What a widget sees of a kernel's model.
class Model {
  constructor(name, traits) {
    this.name = name;
    this.state = traits;
    this.changed = new Set();
    this.handlers = {};
  }

  get(trait) { return this.state[trait]; }

  set(trait, value) {
    if (this.state[trait] === value) return;
    this.state[trait] = value;
    this.changed.add(trait);
    this.fire(`change:${trait}`);
  }

  save_changes() {
    const set = Object.fromEntries([...this.changed].map((trait) => [trait, this.state[trait]]));
    this.changed.clear();
    if (Object.keys(set).length) talk({ to: this.name, set });
  }

  send(say) { talk({ to: this.name, say }); }

  on(events, handler) { for (const event of events.split(" ")) (this.handlers[event] ??= []).push(handler); }

  off(events, handler) {
    for (const event of events.split(" ")) this.handlers[event] = (this.handlers[event] ?? []).filter((h) => h !== handler);
  }

  fire(event) { for (const handler of this.handlers[event] ?? []) handler(); }

  // What the server says: all of it is there before anybody hears of a part.
  take(traits) {
    const changed = Object.keys(traits).filter((trait) => this.state[trait] !== traits[trait]);
    Object.assign(this.state, traits);
    for (const trait of changed) this.changed.delete(trait);
    for (const trait of changed) this.fire(`change:${trait}`);
  }
}

// ---------------------------------------------------------------- images

// Both sides of a trial, one after the other in one answer.
async function fetchSides(token, signal, seen, what = "images") {
  const reply = await fetch(`${what}/${token}`, { cache: "no-store", signal });
  if (!reply.ok) throw new Error(`${what}: ${reply.status}`);
  const bytes = new Uint8Array(Number(reply.headers.get("Content-Length")));
  const reader = reply.body.getReader();
  let at = 0;
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    bytes.set(value, at);
    at += value.length;
    seen(at / bytes.length);
  }
  if (at !== bytes.length) throw new Error(`${what}: cut off`);
  return bytes.buffer;
}

const loading = {};  // promise of the images that each viewer shows next

// The map over a trial's images; the server sends it once the answer without it is locked.
async function overlay({ overlay: token }, signal) {
  return { overlay_bytes: new DataView(token ? await fetchSides(token, signal, () => {}, "overlays") : new ArrayBuffer(0)) };
}

// Images are here already: the map follows, and the question waits for it.
function layOver(model, traits) {
  const { signal } = model.abort, attempt = async (tries) => {
    try {
      model.take({ ...traits, ...await overlay(traits, signal) });
    } catch {
      if (signal.aborted || ended) return;
      if (tries <= 1) {
        again();
        await new Promise(() => {});
      }
      await new Promise((done) => setTimeout(done, 1500));
      await attempt(tries - 1);
    }
  };
  loading[model.name] = (loading[model.name] ?? Promise.resolve()).then(() => attempt(MOST_TRIES));
}

function load(model, traits) {
  model.abort?.abort();
  const abort = model.abort = new AbortController();
  const [z, y, x] = traits.shape, size = 2 * z * y * x, seen = (share) => { progress.value = share; };
  const attempt = async (tries) => {
    try {
      const sides = await fetchSides(traits.tag, abort.signal, seen), over = await overlay(traits, abort.signal);
      const rest = Math.max(0, sides.byteLength - size);
      if (!abort.signal.aborted) {
        model.take({ ...traits, ...over, left_bytes: new DataView(sides, 0, Math.min(size, sides.byteLength)),
          right_bytes: new DataView(sides, sides.byteLength - rest, rest) });
      }
    } catch (error) {
      if (abort.signal.aborted || ended) return;
      if (tries <= 1) {
        again();
        await new Promise(() => {});  // no question is shown without its images
      }
      lost.hidden = false;
      await new Promise((done) => setTimeout(done, 1500));
      await attempt(tries - 1);
      lost.hidden = !again.coming;
    }
  };
  loading[model.name] = attempt(MOST_TRIES);
}

function tell(name, traits) {
  if (name.startsWith("view-")) {
    if (traits.tag !== undefined) load(models[name], traits);
    else if (traits.overlay) layOver(models[name], traits);
    else models[name].take(traits);
    return;
  }
  // A question waits for its images, and whatever is said to the panel keeps its order.
  const { front } = traits.screen ?? {};
  const images = Number.isInteger(front) ? loading[`view-${front}`] : undefined;
  told = told.then(() => images).then(() => models[name].take(traits));
}

// ---------------------------------------------------------------- the socket

const models = {};
let told = Promise.resolve(), ended = false, socket;

function talk(message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  else if (ended) queueMicrotask(complain);  // after the panel has said that it saves
}

// Another window has taken over: nothing is saved from here, and the panel says so.
function complain() {
  const screen = models.panel?.get("screen");
  const problem = models.panel?.get("texts").problems["reading continues in another window; close this one"];
  if (screen) models.panel.take({ screen: { ...screen, problem } });
}

function open(state) {
  for (const [name, traits] of Object.entries(state)) models[name] = new Model(name, { ...traits });
  for (const place of [0, 1]) {
    const model = models[`view-${place}`], { tag } = model.state;
    if (tag) {  // pixels come by themselves; until then the viewer is empty
      const traits = { ...model.state };
      Object.assign(model.state, { shape: [0, 0, 0], tag: "", marks: [] });
      load(model, traits);
    }
    viewer.render({ model, el: document.querySelector(`.room-view-${place}`) });
  }
  const { screen } = models.panel.state, images = Number.isInteger(screen.front) ? loading[`view-${screen.front}`] : undefined;
  told = Promise.resolve(images).then(() => {
    document.querySelector(".room").hidden = false;
    panel.render({ model: models.panel, el: part("panel") });
    part("opening").hidden = part("slow").hidden = true;
    clearTimeout(slow);
    clearTimeout(givenUp);
    sessionStorage.removeItem("tries");
  });
}

// The server holds every answer: when it or the line is gone, the page waits and opens anew. Not
// all pages come back in the same moment.
function again(words = "") {
  if (again.coming || ended || document.body.dataset.screen === "thanks") return;
  again.coming = true;
  lost.hidden = false;
  if (words) lost.textContent = words;
  const tries = Number(sessionStorage.getItem("tries") ?? 0) + 1;
  sessionStorage.setItem("tries", tries);
  if (tries > MOST_TRIES) lost.textContent = lost.dataset.failed;
  const wait = Math.min(30_000, 1000 * 1.5 ** tries) * (0.5 + Math.random());
  const look = async () => {
    try {
      const { status } = await fetch("login", { cache: "no-store" });
      if (status >= 500) throw new Error("a proxy without its room");
      location.reload();
    } catch { setTimeout(look, 1000 + 2000 * Math.random()); }
  };
  setTimeout(look, wait);
}

function connect() {
  socket = new WebSocket(new URL("reading", location.href.replace(/^http/, "ws")));
  socket.addEventListener("message", ({ data }) => {
    const { open: state, told: changes } = JSON.parse(data);
    if (state) open(state);
    for (const [name, traits] of changes ?? []) tell(name, traits);
  });
  socket.addEventListener("close", ({ code }) => {
    if (code === ELSEWHERE) {
      ended = true;
      lost.textContent = lost.dataset.elsewhere;
      lost.hidden = false;
      part("opening").hidden = part("slow").hidden = true;
      complain();
    } else if (code === LOGGED_OUT && document.body.dataset.screen !== "thanks") {
      location.assign("login");
    } else again({ [FULL]: lost.dataset.full, [FAILED]: "" }[code]);
  });
}

const slow = setTimeout(() => { part("slow").hidden = false; }, SLOW_MS);
const givenUp = setTimeout(() => again(), GIVEN_UP_MS);
// A page brought back by the Back button is of a visit that is over.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
connect();
