// A telephone that answers: it shows what the server says and sends what is pressed. Decides nothing.

const OVER = 4002;
const main = document.querySelector("main"), lost = document.getElementById("lost");
const fetched = new Set();
let socket, tries = 0, shown = "", closesAt;

function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(Boolean));
  return made;
}

function talk(what) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(what));
}

function option(state, { value, text }) {
  const press = () => {
    for (const other of main.querySelectorAll(".options button")) other.setAttribute("aria-pressed", other === made);
    talk({ id: state.id, value });
  };
  const made = node("button", { type: "button", disabled: !state.is_open, onclick: press, "aria-pressed": String(value === state.given) }, text);
  return made;
}

// The middle of the scale is an answer only where it was put there.
function slider(state) {
  const { ends, save } = state.slider, touched = typeof state.given === "number";
  const value = node("output", {}, touched ? String(state.given) : "–");
  const send = node("button", { type: "button", disabled: !touched || !state.is_open, onclick: () => talk({ id: state.id, value: Number(input.value) }) }, save);
  const input = node("input", { type: "range", min: 0, max: 100, value: touched ? state.given : 50, disabled: !state.is_open, "aria-label": state.question });
  for (const moved of ["input", "pointerup"]) {
    input.addEventListener(moved, () => { value.textContent = input.value; send.disabled = !state.is_open; });
  }
  return node("div", {}, input, node("p", { class: "dim" }, node("span", {}, `0 ${ends[0]}`), value, node("span", {}, `100 ${ends[1]}`)), send);
}

function pictures({ images, labels }) {
  if (!images?.length) return null;
  return node("div", { class: "images" }, ...images.map((src, i) =>
    node("figure", {}, node("img", { src, alt: labels[i] ?? "" }), labels[i] && node("figcaption", {}, labels[i]))));
}

function show({ left_s, prefetch, ...state }) {
  closesAt = left_s === undefined || left_s === null ? undefined : performance.now() + 1000 * left_s;
  for (const src of prefetch ?? []) {
    if (!fetched.has(src)) new Image().src = src;
    fetched.add(src);
  }
  const said = JSON.stringify(state);
  if (said !== shown) {
    shown = said;
    main.replaceChildren(...[
      node("p", { class: "dim" }, node("span", {}, state.line ?? ""), node("span", { id: "left" })),
      pictures(state),
      node("h1", {}, state.question),
      state.slider && slider(state),
      node("div", { class: "options" }, ...state.options.map((one) => option(state, one))),
      state.note && node("p", { class: "note", role: "status" }, state.note),
      node("div", { class: "more" }, ...(state.more ?? []).map(({ action, text }) =>
        node("button", { type: "button", onclick: () => talk({ id: state.id, action }) }, text))),
    ].filter(Boolean));
  }
  count();
}

function count() {
  const left = document.getElementById("left");
  if (left) left.textContent = closesAt === undefined ? "" : `${Math.max(0, Math.ceil((closesAt - performance.now()) / 1000))} s`;
}

// A telephone falls asleep and comes back; two hundred do not come back in the same moment.
function connect() {
  socket = new WebSocket(new URL(document.body.dataset.socket, location.href.replace(/^http/, "ws")));
  socket.addEventListener("message", ({ data }) => {
    tries = 0;
    lost.hidden = true;
    show(JSON.parse(data));
  });
  socket.addEventListener("close", ({ code }) => {
    if (code === OVER) {
      lost.hidden = true;
      main.replaceChildren(node("p", { class: "note" }, document.body.dataset.over));
      return;
    }
    lost.hidden = false;
    tries += 1;
    setTimeout(connect, Math.min(20_000, 500 * 1.6 ** tries) * (0.5 + Math.random()));
  });
}

setInterval(count, 250);
if (!document.body.dataset.gone) connect();
