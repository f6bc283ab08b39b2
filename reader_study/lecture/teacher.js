// The projector of a lecture: images in the viewer, results beside them, and the teacher's buttons.

import viewer from "/viewer.js";

const part = (id) => document.getElementById(id);
let socket, words = {}, state = {}, model, closesAt, seconds = 30, tries = 0;

function node(tag, attributes = {}, ...children) {
  const made = tag === "svg" || attributes.svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "svg") continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child || child === 0));
  return made;
}

function say(name, values = {}) {
  let text = words[name] ?? name;
  for (const [key, value] of Object.entries(values)) text = text.replaceAll(`{${key}}`, value);
  return text;
}

const talk = (what) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(what));
const percent = (share) => `${Math.round(100 * share)} %`;
const two = (value) => (value === null ? "–" : value.toFixed(2).replace("-", "−"));

// What the viewer asks of a kernel's model.
class Model {
  constructor(traits) { Object.assign(this, { state: traits, handlers: {} }); }

  get(trait) { return this.state[trait]; }

  set(trait, value) { this.take({ [trait]: value }); }

  take(traits) {
    const changed = Object.keys(traits).filter((trait) => this.state[trait] !== traits[trait]);
    Object.assign(this.state, traits);
    for (const trait of changed) for (const handler of this.handlers[`change:${trait}`] ?? []) handler();
  }

  save_changes() {}

  send() {}

  on(events, handler) { for (const event of events.split(" ")) (this.handlers[event] ??= []).push(handler); }

  off() {}
}

async function load(traits) {
  const reply = await fetch(`/teacher/images?${traits.tag}`, { cache: "no-store" });
  const bytes = await reply.arrayBuffer(), [z, y, x] = traits.shape, size = 2 * z * y * x;
  const sides = { left_bytes: new DataView(bytes, 0, size), right_bytes: new DataView(bytes, bytes.byteLength > size ? size : bytes.byteLength) };
  if (model) model.take({ ...traits, ...sides });
  else {
    model = new Model({ ...traits, ...sides });
    viewer.render({ model, el: part("images") });
  }
  window.dispatchEvent(new Event("resize"));
}

// ---------------------------------------------------------------- what the class has said

function bars({ shares, shown, answered, phase }) {
  if (!shares) return [phase === "open" || phase === "closed" ? node("p", { class: "dim" }, say("lecture_few")) : null];
  const late = phase !== "open" && answered > shown ? node("p", { class: "dim" }, say("lecture_late", { count: answered - shown })) : null;
  return [...shares.map(({ text, share, low, high }) => node("div", { class: "bar" }, node("span", {}, text),
    node("span", { class: "track" }, node("i", { style: `width:${100 * share}%` }), node("u", { style: `left:${100 * low}%;width:${100 * (high - low)}%` })),
    node("b", {}, percent(share)))), node("p", { class: "dim" }, say("lecture_interval", { count: shown })), late];
}

const COLOURS = ["#8fd3ff", "#ffb454", "#b9e986", "#e6a3ff"];

function rocFigure(rocs) {
  const names = Object.keys(rocs);
  if (!names.length) return [];
  const at = (x, y) => `${40 + 200 * x},${210 - 200 * y}`;
  const drawn = names.flatMap((name, i) => {
    const { curve } = rocs[name], colour = COLOURS[i % COLOURS.length];
    const band = [...curve.map((p) => at(p.x, p.high)), ...[...curve].reverse().map((p) => at(p.x, p.low))].join(" ");
    return [node("polygon", { svg: 1, points: band, fill: colour, opacity: 0.18 }),
      node("polyline", { svg: 1, points: curve.map((p) => at(p.x, p.y)).join(" "), fill: "none", stroke: colour, "stroke-width": 2.5, "stroke-dasharray": i ? `${8 - i} 3` : undefined })];
  });
  const axes = [node("path", { svg: 1, d: "M40 10V210H240 M40 210L240 10", fill: "none", stroke: "#66737a" }),
    node("text", { svg: 1, x: 140, y: 236, "text-anchor": "middle" }, say("lecture_fpf")),
    node("text", { svg: 1, x: 14, y: 110, "text-anchor": "middle", transform: "rotate(-90 14 110)" }, say("lecture_tpf"))];
  const rows = names.map((name, i) => node("p", { style: `color:${COLOURS[i % COLOURS.length]}` },
    say("lecture_auc", { name: name || say("lecture_all"), auc: two(rocs[name].auc), low: two(rocs[name].low), high: two(rocs[name].high), people: rocs[name].people })));
  return [node("svg", { viewBox: "0 0 250 242", role: "img", "aria-label": say("lecture_roc") }, ...axes, ...drawn), ...rows,
    node("p", { class: "dim" }, say("lecture_roc_note"))];
}

function results() {
  const { kappa } = state;
  const lines = kappa ? [node("p", {}, say("lecture_kappa", { value: two(kappa.value), low: two(kappa.low), high: two(kappa.high), slides: kappa.slides }))] : [];
  const key = state.key.length ? [node("div", { class: "key" }, ...state.key.map((line) => node("div", {}, line)))] : [];
  return [...bars(state), ...key, ...lines, ...rocFigure(state.rocs)].filter(Boolean);
}

// ---------------------------------------------------------------- the teacher

function act(name, first, more = {}) {
  return node("button", { type: "button", class: first ? "first" : undefined, onclick: () => talk({ do: name, ...more }) }, say(`lecture_do_${name}`));
}

function end() {
  const sure = () => { if (window.confirm(say("lecture_sure"))) talk({ do: "end" }); };
  return node("button", { type: "button", onclick: sure }, say("lecture_do_end"));
}

function acts() {
  const { phase, index, of } = state, last = index === of - 1;
  if (phase === "ended") return [];
  if (phase === "lobby") return [act("begin", true), end()];
  const time = node("select", { "aria-label": say("lecture_seconds"), onchange: () => { seconds = Number(time.value); } },
    ...[15, 30, 60, 120].map((s) => node("option", { value: s, selected: s === seconds }, `${s} s`)));
  const first = { ready: [node("button", { type: "button", class: "first", onclick: () => talk({ do: "open", seconds }) }, say("lecture_do_open")), time],
    open: [act("close", true)], closed: [act("key", true)], key: [] }[phase];
  const moves = phase === "open" ? [] : [last ? null : act("next", phase === "key"), index ? act("back") : null];
  return [...first, ...moves, node("a", { href: "/teacher/export", download: true }, say("lecture_do_export")), end()].filter(Boolean);
}

function show() {
  const { phase, index, of, devices, online, answered } = state;
  const around = document.activeElement?.textContent;
  document.body.dataset.phase = phase;
  part("question").textContent = phase === "lobby" ? say("lecture_join") : phase === "ended" ? say("lecture_wiped") : state.question;
  part("where").textContent = phase === "lobby" || phase === "ended" ? "" : `${index + 1} / ${of}`;
  part("people").dataset.text = phase === "ended" ? "" : phase === "lobby" ? say("lecture_devices", { online, devices })
    : say("lecture_answered", { answered, devices });
  part("joining").replaceChildren(...(phase === "lobby" ? [node("img", { src: state.qr, alt: state.address }), node("strong", {}, state.code),
    node("p", {}, say("lecture_private")), node("p", { class: "dim" }, say("lecture_network"))] : []));
  part("address").textContent = phase === "ended" || phase === "lobby" ? state.address : `${state.address}  ${state.code}`;
  part("results").replaceChildren(...(phase === "lobby" || phase === "ended" ? [] : results()));
  part("acts").replaceChildren(...acts());
  [...part("acts").children].find((one) => around && one.textContent === around)?.focus();
  count();
}

function count() {
  const { text = "" } = part("people").dataset;
  part("people").textContent = closesAt === undefined ? text : `${Math.max(0, Math.ceil((closesAt - performance.now()) / 1000))} s · ${text}`;
}

function connect() {
  socket = new WebSocket(new URL("/teacher/socket", location.href.replace(/^http/, "ws")));
  socket.addEventListener("message", ({ data }) => {
    const { view, words: said, ...rest } = JSON.parse(data);
    part("lost").hidden = true;
    tries = 0;
    words = said ?? words;
    state = { ...state, ...rest };
    closesAt = state.left_s === null ? undefined : performance.now() + 1000 * state.left_s;
    show();
    if (view) load(view);
  });
  socket.addEventListener("close", () => {
    if (state.phase === "ended") return;
    part("lost").hidden = false;
    tries += 1;
    setTimeout(connect, Math.min(10_000, 500 * 1.5 ** tries));
  });
}

// Enter is the blue button, wherever the mouse was.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.repeat || /^(BUTTON|A|SELECT)$/.test(event.target.tagName)) return;
  document.querySelector("#acts .first")?.click();
});
setInterval(count, 250);
connect();
