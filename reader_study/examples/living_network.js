// The figure of a notebook where a socket takes the kernel's place; messages as in view/live/pipe.py.

import figure from "./figure.js";

const ELSEWHERE = 4001, LOGGED_OUT = 4002;
const line = document.getElementById("say"), handlers = {}, waiting = new Map();

function pack(content, buffers) {
  const arrays = buffers.map((buffer) => new Uint8Array(buffer)), sizes = arrays.map(({ length }) => length);
  const text = new TextEncoder().encode(JSON.stringify({ ...content, sizes })), start = 4 + text.length;
  const message = new Uint8Array(sizes.reduce((sum, size) => sum + size, start));
  new DataView(message.buffer).setUint32(0, text.length, true);
  message.set(text, 4);
  arrays.reduce((at, array) => { message.set(array, at); return at + array.length; }, start);
  return message;
}

function unpack(buffer) {
  const end = 4 + new DataView(buffer).getUint32(0, true);
  const { sizes, ...content } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, end - 4)));
  let at = end;
  return [content, sizes.map((size) => new DataView(buffer, (at += size) - size, size))];
}

const fire = (event, ...what) => (handlers[event] ?? []).forEach((handler) => handler(...what));

// What a widget sees of a kernel's model; nothing but questions travels.
function model(state, socket) {
  return {
    get: (name) => state[name],
    set(name, value) {
      if (state[name] === value) return;
      state[name] = value;
      fire(`change:${name}`);
    },
    save_changes() {},
    on(events, handler) { for (const event of events.split(" ")) (handlers[event] ??= []).push(handler); },
    off() {},
    send(content, _callbacks, buffers = []) {
      if (socket.readyState !== WebSocket.OPEN) {
        queueMicrotask(() => fire("msg:custom", { id: content.id, error: "the server is gone; load this page again" }, []));
        return;
      }
      waiting.set(content.id, content);
      socket.send(pack(content, buffers));
    },
  };
}

function connect() {
  const socket = new WebSocket(new URL("network/answers", location.href.replace(/^http/, "ws")));
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }) => {
    const [content, parts] = unpack(data);
    if (content.traits) {
      const pixels = Object.fromEntries(content.arrays.map((name, k) => [name, parts[k]]));
      line.textContent = "";
      figure.render({ model: model({ ...content.traits, ...pixels }, socket), el: document.getElementById("figure") });
    } else if (content.id === undefined || content.id === null) {
      line.textContent = `The network cannot be tried here: ${content.error}`;
    } else {
      waiting.delete(content.id);
      fire("msg:custom", content, parts);
    }
  });
  socket.addEventListener("close", ({ code }) => {
    line.textContent = { [ELSEWHERE]: "The network is tried in another window now. Load this page again to go on here.",
      [LOGGED_OUT]: "You are logged out. Load this page again to log in." }[code] ?? "The server is gone. Load this page again once it runs.";
    for (const id of waiting.keys()) fire("msg:custom", { id, error: "the server is gone; load this page again" }, []);
    waiting.clear();
  });
}

connect();
