// Who answers: ONNX Runtime in a worker of the page (in the book), or Python (a notebook's
// kernel, or the server of a page). The engine is loaded when first asked for, once for all figures of a page.

// Runs in the worker, as text. Its messages: open, load, run; each is answered under its number.
function liveWorker() {
  let runtime, sessions = {};
  const bytes = (text) => {
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out;
  };
  const unpack = (text) => new Response(new Blob([bytes(text)]).stream()
    .pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  const work = {
    async open({ engine }) {
      const script = new Blob([await unpack(engine.mjs)], { type: "text/javascript" });
      runtime = await import(URL.createObjectURL(script));
      runtime.env.wasm.numThreads = 1;
      runtime.env.wasm.wasmBinary = await unpack(engine.wasm);
    },
    async load({ name, graph }) {
      sessions[name] ??= await runtime.InferenceSession.create(bytes(graph), { executionProviders: ["wasm"] });
    },
    // Tensors by name, each of {data, dims}, as arrays by name.
    async run({ name, inputs }) {
      const fed = {};
      for (const [key, { data, dims }] of Object.entries(inputs)) fed[key] = new runtime.Tensor("float32", data, dims);
      const found = await sessions[name].run(fed), out = {};
      for (const [key, tensor] of Object.entries(found)) out[key] = { data: Float32Array.from(tensor.data), dims: tensor.dims };
      return out;
    },
  };
  let last = Promise.resolve();
  self.onmessage = ({ data: { id, kind, ...rest } }) => {
    last = last.then(() => work[kind](rest)).then((value) => self.postMessage({ id, value }),
      (error) => self.postMessage({ id, error: String(error?.message ?? error) }));
  };
}

function loadScript(url) {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    Object.assign(script, { src: url, onload: done, onerror: () => failed(new Error(`${url.split("/").pop()} is missing`)) });
    document.head.append(script);
  });
}

const HU_RANGE = [-1024, 3071], PADDING_BELOW_HU = -1500, SIZE_MULTIPLE = 4;

class PageEngine {
  constructor() { this.waiting = new Map(); this.count = 0; }

  // One engine for a page; a second figure gets the first one's.
  static open(base, say) { return (window.ctlabLiveEngine ??= new PageEngine().start(base, say)); }

  async start(base, say) {
    if (typeof WebAssembly !== "object" || typeof DecompressionStream !== "function") throw new Error("this browser is too old for it");
    say("Loading the engine (5 MB, once) …");
    await new Promise((done) => setTimeout(done, 30));  // so that the line is seen
    if (!window.ctlabEngine) await loadScript(`${base}vendor/onnxruntime.js`);
    const code = new Blob([`(${liveWorker})()`], { type: "text/javascript" });
    this.worker = new Worker(URL.createObjectURL(code));
    this.worker.onmessage = ({ data: { id, value, error } }) => {
      const { done, failed } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error) failed(new Error(error)); else done(value);
    };
    say("Starting the engine …");
    await this.ask({ kind: "open", engine: window.ctlabEngine });
    delete window.ctlabEngine;  // the texts are 5 MB; the worker has them
    Object.assign(this, { base, graphs: new Map() });
    return this;
  }

  ask(message) {
    const id = ++this.count;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.worker.postMessage({ id, ...message });
    });
  }

  // A network comes from a script of its own, when it is first asked.
  async graph(name, kind) {
    if (!window.ctlabNetworks?.[name]) await loadScript(`${this.base}live/${name}.js`);
    const network = window.ctlabNetworks[name], key = `${name} ${kind}`;
    if (!network?.[kind]) throw new Error(`this copy of the book has no network "${name}"`);
    if (!this.graphs.has(key)) this.graphs.set(key, this.ask({ kind: "load", name: key, graph: network[kind] }));
    await this.graphs.get(key);
    return network;
  }

  // As ctlab.learn.inference.denoise_slices does it: clipped, padded to what the network can take,
  // and what was clipped away above added again.
  async denoise(name, hu, rows, columns) {
    await this.graph(name, "forward");
    const { data, r, c } = padded(hu, rows, columns);
    const found = await this.ask({ kind: "run", name: `${name} forward`, inputs: { hu: { data, dims: [1, 1, r, c] } } });
    const made = found.denoised.data, out = new Float32Array(hu.length);
    for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) {
      const at = j * columns + i, from = j * c + i;
      out[at] = hu[at] < PADDING_BELOW_HU ? hu[at] : Math.max(hu[at], HU_RANGE[0]) + (made[from] - data[from]);
    }
    return out;
  }
}

function padded(hu, rows, columns) {
  const up = (n) => Math.ceil(n / SIZE_MULTIPLE) * SIZE_MULTIPLE, r = up(rows), c = up(columns), data = new Float32Array(r * c);
  for (let j = 0; j < r; j++) for (let i = 0; i < c; i++) {
    data[j * c + i] = clamp(hu[Math.min(j, rows - 1) * columns + Math.min(i, columns - 1)], ...HU_RANGE);
  }
  return { data, r, c };
}

// In a notebook the kernel answers, elsewhere a server, with the product itself.
class KernelEngine {
  constructor(model) {
    Object.assign(this, { model, waiting: new Map(), count: 0 });
    this.hear = (content, buffers) => {
      const call = this.waiting.get(content.id);
      if (!call) return;
      this.waiting.delete(content.id);
      if (content.error) call.failed(new Error(content.error)); else call.done({ ...content, buffers });
    };
    model.on("msg:custom", this.hear);
  }

  static async open(model, say) {
    if (typeof model.send !== "function") throw new Error("nothing is here to run it");
    say("Asking for the network …");
    const engine = new KernelEngine(model), late = new Promise((_, failed) =>
      setTimeout(() => failed(new Error("nothing is here to run it")), 8000));
    await Promise.race([engine.ask({ kind: "open" }), late]);
    return engine;
  }

  ask(content, arrays = []) {
    const id = ++this.count;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.model.send({ id, ...content }, undefined, arrays.map((array) => array.buffer));
    });
  }

  // Images by name: {data, rows, columns}.
  async images(content, array) {
    const { maps, buffers, ...facts } = await this.ask(content, [array]);
    return [Object.fromEntries(maps.map(([name, rows, columns], k) => [name, { data: floats(buffers[k]), rows, columns }])), facts];
  }

  async denoise(name, hu, rows, columns) {
    const [{ denoised }] = await this.images({ kind: "denoise", name, rows, columns }, hu);
    return denoised.data;
  }

  async explain(name, hu, rows, columns, { y, x }) {
    return (await this.images({ kind: "explain", name, rows, columns, y, x }, hu))[0];
  }

  // A DICOM file, read by the kit; a page has a reader of its own.
  async read(file) {
    const [{ hu }, { spacing, facts }] = await this.images({ kind: "read", name: file.name }, new Uint8Array(await file.arrayBuffer()));
    return { kind: "dicom", name: file.name, hu: hu.data, rows: hu.rows, columns: hu.columns, spacing, facts };
  }
}

function floats(view) {
  return new Float32Array(view.buffer ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) : view);
}
