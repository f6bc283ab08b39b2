// The viewer with a network behind it: left what it is given, right what it makes of it now.
// Follows the text of the viewer itself, whose class it extends, and scene.js and engine.js.

TOOLS.brush = ["Brush", "t"];
const LIVE_KEYS = [["T", "brush: click, or move the cross by arrows and press Space"],
  ["N", "new noise"], ["U", "take the last stroke back"]];
const BRUSHES = { solid: "solid nodule", "ground glass": "ground-glass nodule", erase: "eraser", paint: "paint", why: "ask why" };
// Where the network runs, and where a slice of the reader's own is read.
const PLACES = {
  book: { runs: "It is loaded from this book, and nothing leaves your computer.", reads: "It is read in this page and never leaves your computer." },
  notebook: { runs: "It runs in the kernel of this notebook.", reads: "It goes to the kernel of this notebook, and no further." },
  server: { runs: "It runs on the computer that serves this page.", reads: "It goes to the computer that serves this page, and no further; it is not kept." },
};
const percent = (value, digits = 0) => `${(100 * value).toFixed(digits)} %`;
// With 158 steps a twentieth, a tenth, a fifth and a half of the dose lie on one.
const DOSE_STEPS = 158, doseOf = (step) => DOSES[0] * (DOSES[1] / DOSES[0]) ** (step / DOSE_STEPS);
const stepOf = (dose) => Math.round(DOSE_STEPS * Math.log(dose / DOSES[0]) / Math.log(DOSES[1] / DOSES[0]));
const doseText = (dose) => percent(dose, dose < 0.1 ? 1 : 0);

class LiveViewer extends Viewer {
  build(el) {
    super.build(el);
    this.now = { ...structuredClone(this.get("setting")) };
    this.whereabouts = PLACES[window.ctlabStatic ? "book" : this.get("place")];
    this.begun = structuredClone(this.now);
    this.brush = { kind: "solid", diameter_mm: 8, hu: -100 };
    this.numbers = {};
    this.panel = element("div", { class: "ctl", role: "group", "aria-label": "Settings of the live figure" });
    this.progress = element("p", { class: "ctl-say", role: "status" });
    this.root.insertBefore(this.panel, this.root.querySelector(".ctv-foot"));
    this.root.insertBefore(this.progress, this.panel);
    this.buildControls();
    this.tell(this.root, "data-live", "waiting");
    this.say(this.progress, `Move anything: the network answers then. ${this.whereabouts.runs}`);
    this.on("change:setting", () => {  // a kernel may set it
      if (JSON.stringify(this.get("setting")) !== JSON.stringify(this.now)) this.change(structuredClone(this.get("setting")));
    });
    this.cleanups.push(() => { this.engine = null; });
  }

  load() {
    if (this.book) return;  // the reader's own slice is shown, of another shape
    super.load();
    const [, rows, columns] = this.get("shape"), size = rows * columns, truth = readPixels(this.model, "truth");
    const unit = this.get("noise_unit_hu"), noise = readPixels(this.model, "noise");
    const draws = Array.from({ length: noise.length / size }, (_, k) => Float32Array.from(noise.subarray(k * size, (k + 1) * size), (v) => v * unit));
    this.scene = new Scene({ truth: Float32Array.from(truth), noise: draws, rows, columns,
      pixelMm: this.get("spacing_mm")[0], noiseDose: this.get("noise_dose") });
    this.fallback = this.pixels.right;
    this.showInput();
  }

  // ---------------------------------------------------------------- controls

  offersPart(name) { return this.get("offer").includes(name); }

  slider(text, { low, high, step = 1, value, read, change }) {
    const id = `ctl-${Math.random().toString(36).slice(2)}`;
    const label = element("label", { for: id, text }), output = element("output", { for: id });
    const input = element("input", { type: "range", id, min: low, max: high, step });
    const show = () => {
      output.textContent = read(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.value = value;
    input.addEventListener("input", () => { show(); change(Number(input.value)); });
    show();
    return { node: element("div", { class: "ctl-slider" }, label, input, output), put: (to) => { input.value = to; show(); } };
  }

  choice(text, options, change) {
    const id = `ctl-${Math.random().toString(36).slice(2)}`;
    const select = element("select", { id }, ...options.map(([value, name]) => element("option", { value, text: name })));
    select.addEventListener("change", () => change(select.value));
    return { node: element("div", { class: "ctl-choice" }, element("label", { for: id, text }), select), put: (to) => { select.value = to; } };
  }

  button(text, key, press) {
    return element("button", { type: "button", text, title: key ? `${text} (key ${key.toUpperCase()})` : text,
      ...(key ? { "aria-keyshortcuts": key } : {}), onclick: press });
  }

  buildControls() {
    const c = this.controls = {}, part = (...nodes) => element("div", { class: "ctl-row" }, ...nodes);
    c.dose = this.slider("Dose", { low: 0, high: DOSE_STEPS, value: stepOf(this.now.dose),
      read: (step) => doseText(doseOf(step)), change: (step) => this.change({ dose: doseOf(step) }) });
    this.noiseRow = part(c.dose.node, this.button("New noise", "n", () => this.newNoise()));
    const rows = [this.noiseRow];
    const networks = this.get("networks").map(({ name, label }) => [name, label]);
    c.network = this.networkChoice(networks);
    c.strength = this.slider("Strength", { low: 0, high: 100, value: 100 * this.now.strength,
      read: (v) => `${v} %`, change: (v) => this.change({ strength: v / 100 }) });
    if (this.offersPart("network")) rows.push(part(c.network.node, c.strength.node));
    if (this.offersPart("brush")) rows.push(this.brushRow(part));
    if (this.offersPart("disturb")) rows.push(this.disturbRow(part));
    this.goals = new Goals(this.get("goals"));
    this.readouts = element("dl", { class: "ctl-numbers" });
    this.spoken = element("p", { class: "ctl-spoken", role: "status" });  // for who listens, once all is settled
    this.python = element("code", { tabindex: "0" });
    const found = element("details", { class: "ctl-more" }, element("summary", { text: "These settings, for check(…)" }), this.python);
    this.why = new WhyPanel();
    this.found = found;
    if (this.offersPart("own")) this.own = new OwnSlice(this);
    this.panel.append(...rows, ...(this.own ? [this.own.node] : []), this.why.node, this.readouts, this.spoken, this.goals.node, found);
    this.put();
  }

  // A list, or a slider where the networks are states of one, in turn.
  networkChoice(networks) {
    const change = (network) => this.change({ network }), names = networks.map(([name]) => name), text = this.get("networks_slider");
    if (!text) return this.choice("Network", networks, change);
    const slider = this.slider(text, { low: 0, high: names.length - 1, value: names.indexOf(this.now.network),
      read: (k) => networks[k][1], change: (k) => change(names[k]) });
    return { node: slider.node, put: (name) => slider.put(names.indexOf(name)) };
  }

  brushRow(part) {
    const c = this.controls;
    c.brush = this.choice("Brush", Object.entries(BRUSHES).filter(([kind]) => kind !== "why" || this.offersPart("why")), (kind) => {
      this.brush.kind = kind;
      this.useTool("brush");
    });
    c.diameter = this.slider("Diameter", { low: 2, high: 30, value: this.brush.diameter_mm, read: (v) => `${v} mm`,
      change: (v) => this.reshape({ diameter_mm: v }) });
    c.hu = this.slider("Brush HU", { low: -1000, high: 400, step: 10, value: this.brush.hu, read: (v) => `${signed(v)} HU`,
      change: (v) => this.reshape({ hu: v }) });
    return part(c.brush.node, c.diameter.node, c.hu.node, this.button("Undo", "u", () => this.undo()),
      this.button("Start again", "", () => this.change(structuredClone(this.begun))));
  }

  disturbRow(part) {
    const c = this.controls, most = Math.floor(Math.min(...this.get("shape").slice(1)) / 4);
    c.shift = this.slider("Add to all HU", { low: -300, high: 300, step: 5, value: 0, read: (v) => `${signed(v)} HU`,
      change: (v) => this.change({ shift_hu: v }) });
    c.cut = this.slider("Cut the edge off", { low: 0, high: most, value: 0, read: (v) => `${v} px`,
      change: (v) => this.change({ cut_px: v }) });
    return element("details", { class: "ctl-more" }, element("summary", { text: "Shift, turn, cut" }),
      part(c.shift.node, c.cut.node, this.button("Turn by 90°", "", () => this.change({ turns: (this.now.turns + 1) % 4 }))));
  }

  put() {  // controls as the setting has them
    const { now, controls: c } = this;
    c.dose.put(stepOf(now.dose));
    c.network.put(now.network);
    c.strength.put(Math.round(100 * now.strength));
    c.shift?.put(now.shift_hu);
    c.cut?.put(now.cut_px);
    this.say(this.python, JSON.stringify(now));
    this.showNumbers();
  }

  newNoise() { this.change({ draw: this.now.draw + 1 }); }
  undo() { this.change({ edits: this.now.edits.slice(0, -1) }); }
  // The nodule stamped last follows the sliders of the brush.
  reshape(values) {
    Object.assign(this.brush, values);
    if (this.tool !== "brush") this.useTool("brush");
    const last = this.now.edits[this.now.edits.length - 1];
    if (last?.kind === this.brush.kind && ["solid", "ground glass"].includes(last.kind)) {
      this.change({ edits: [...this.now.edits.slice(0, -1), { ...last, ...values }] });
    }
    this.invalidate();
  }

  // ---------------------------------------------------------------- state

  change(values) {
    Object.assign(this.now, values);
    this.why.node.hidden = true;  // its maps are of other settings
    this.put();
    this.set({ setting: structuredClone(this.now) });
    this.showInput();
    this.wake();
    this.request();
  }

  showInput() {
    this.composed = this.scene.compose(this.now);
    this.pixels.left = this.framed(this.composed.given);
    this.loads++;
    this.nameSides();
    this.invalidate();
  }

  // The image in its place on the screen, whole HU; what was cut off is outside of the field of view.
  framed(image) {
    const { rows, columns } = this.composed, cut = this.now.cut_px, [r, c] = [rows + 2 * cut, columns + 2 * cut];
    if (this.rows !== r || this.columns !== c) {
      this.model.set("shape", [1, r, c]);
      this.layPlane();
    }
    const out = new Int16Array(r * c).fill(-2000);
    for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) out[(j + cut) * c + i + cut] = Math.round(image[j * columns + i]);
    return out;
  }

  nameSides() {
    const label = this.get("networks").find(({ name }) => name === this.now.network)?.label ?? this.now.network;
    const right = this.engine ? `${label}, now` : this.get("fallback_label");
    const left = this.book ? "Your slice" : `${this.get("given_label")}, ${doseText(this.now.dose)} dose`;
    const labels = [left, this.book && !this.engine ? "Your slice, not denoised" : right];
    if (labels.join() !== this.get("labels").join()) this.set({ labels }, { save: false });
  }

  // ---------------------------------------------------------------- answers

  tellState(state, words = "") {
    this.tell(this.root, "data-live", state);
    this.say(this.progress, words);
  }

  wake() {
    if (this.engine || this.opening || this.failed) return;
    const say = (words) => this.tellState("loading", words), base = window.ctlabStatic;
    this.opening = (base ? PageEngine.open(base, say) : KernelEngine.open(this.model, say)).then((engine) => {
      Object.assign(this, { engine, opening: null });
      this.request();
    }).catch((error) => this.giveUp(error));
  }

  giveUp(error) {
    Object.assign(this, { failed: true, opening: null, engine: null });
    this.tellState("failed", `The network cannot answer here (${error.message}). Right you see the image named above it, computed before.`);
    this.pixels.right = this.fallback;
    this.loads++;
    this.nameSides();
    this.invalidate();
  }

  async request() {
    if (!this.engine) return;
    this.stale = true;
    if (this.busy) return;
    this.busy = true;
    this.tell(this.root, "data-live", "thinking");
    try {
      while (this.stale && this.engine) {
        this.stale = false;
        await this.answer();
        if (!this.stale) await this.readOut();
      }
      if (this.engine) this.tellState("answered");
    } catch (error) {
      this.tellState("failed", `The network failed: ${error.message}`);
    }
    this.busy = false;
  }

  async ask(state, { given, rows, columns }) {
    const out = await this.engine.denoise(state.network, given, rows, columns);
    for (let i = 0; i < out.length; i++) out[i] = given[i] + state.strength * (out[i] - given[i]);
    return out;
  }

  async answer() {
    const state = structuredClone(this.now), composed = this.scene.compose(state), start = performance.now();
    const out = await this.ask(state, composed);
    this.answerMs = performance.now() - start;
    this.last = { state, composed, out };
    if (!this.stale || state.turns === this.now.turns) {
      const ready = composed.rows === this.composed.rows && composed.columns === this.composed.columns;
      if (ready) this.pixels.right = this.framed(out);
    }
    this.loads++;
    this.nameSides();
    this.numbers = { ...this.numbers, rmse_before_hu: rms(composed.given, composed.truth), rmse_after_hu: rms(out, composed.truth),
      removed_hu: rms(composed.given, out) };
    this.showNumbers();
    this.invalidate();
  }

  // Read-outs that need further answers; given up as soon as something moves.
  async readOut() {
    const { state, composed, out } = this.last, rest = withoutLastNodule(state.edits);
    await new Promise((done) => setTimeout(done, 60));
    if (this.stale) return;
    const other = this.scene.compose({ ...state, draw: state.draw + 1 }), outOther = await this.ask(state, other);
    if (this.stale) return;
    Object.assign(this.numbers, { noise_before_hu: sdOfDifference(composed.given, other.given) / Math.SQRT2,
      noise_after_hu: sdOfDifference(out, outOther) / Math.SQRT2, kept: null });
    if (rest) {
      const bare = this.scene.compose({ ...state, edits: rest }), outBare = await this.ask(state, bare);
      if (this.stale) return;
      this.numbers.kept = keptShare(composed.given, bare.given, out, outBare);
    }
    this.showNumbers();
    this.say(this.spoken, [...this.readouts.children].map((part) => [...part.children].map((node) => node.textContent).join(": ")).join("; "));
    if (!this.book) this.goals.check(this.numbers, state);
  }

  showNumbers() {
    const n = this.numbers, hu = (value) => value === undefined ? "…" : `${value.toFixed(1)} HU`;
    const nodule = withoutLastNodule(this.now.edits) !== null;
    const rows = this.book ? [["Taken away (RMS)", hu(n.removed_hu)], ...(nodule ? [["Contrast kept of the nodule", n.kept == null ? "…" : percent(n.kept)]] : [])]
      : [["Noise", `${hu(n.noise_before_hu)} → ${hu(n.noise_after_hu)}`], ["Error to the truth (RMSE)", `${hu(n.rmse_before_hu)} → ${hu(n.rmse_after_hu)}`],
      ["Taken away (RMS)", hu(n.removed_hu)], ...(nodule ? [["Contrast kept of the nodule", n.kept == null ? "…" : percent(n.kept)]] : [])];
    if (!this.engine) rows.length = 0;
    const said = JSON.stringify(rows);
    if (this.readouts.said === said) return;
    this.readouts.said = said;
    this.readouts.replaceChildren(...rows.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value }))));
  }

  // ---------------------------------------------------------------- brush

  startDrag(event, side, at) {
    super.startDrag(event, side, at);
    if (this.drag) Object.assign(this.drag, { start: at, touch: event.pointerType === "touch" });
  }

  moveDrag(event, at) {
    super.moveDrag(event, at);
    if (this.drag?.action !== "brush" || this.drag.touch || this.brush.kind !== "paint") return;
    const apart = Math.hypot(at.x - this.drag.start.x, at.y - this.drag.start.y) * this.scene.pixelMm;
    if (apart > this.brush.diameter_mm / 3) this.stroke(this.drag.start = at);
  }

  onPointer(event, side) {
    if (event.type === "pointerup" && this.drag?.action === "brush") {
      const at = this.where(event), { start } = this.drag;
      if (Math.hypot(at.x - start.x, at.y - start.y) < 4 && this.inside(at)) this.stroke(at);
    }
    super.onPointer(event, side);
  }

  // The map of a pixel, once the network's answer to these settings is there.
  async askWhy(point) {
    this.wake();
    this.asked = point;
    this.why.say("Asking why …");
    this.invalidate();
    while (!this.failed && (!this.engine || this.busy || !this.last)) {
      if (this.engine && !this.last) this.request();
      await new Promise((done) => setTimeout(done, 50));
    }
    if (this.failed) return;
    const { state, composed } = this.last, { cut_px: cut } = state, at = { y: point.y - cut, x: point.x - cut };
    if (at.y < 0 || at.x < 0 || at.y >= composed.rows || at.x >= composed.columns) return;
    const label = this.get("networks").find(({ name }) => name === state.network).label;
    try {
      await this.why.show(this.engine, { state, composed, label }, at);
    } catch (error) {
      this.why.say(`No answer: ${error.message}`);
    }
  }

  stroke(point) {
    if (this.brush.kind === "why") return void this.askWhy(point);
    const { y, x } = this.scene.place(point, this.now);
    if (x < 0 || y < 0 || x >= this.scene.columns || y >= this.scene.rows) return;
    this.change({ edits: [...this.now.edits, { ...this.brush, y, x }] });
  }

  onSpace() {
    if (this.tool === "brush") this.stroke(this.cursor);
    else super.onSpace();
  }

  act(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const press = { n: () => !this.book && this.newNoise(), u: () => this.undo(), ...(this.own ? { o: () => this.own.file.click() } : {}) }[key];
    if (!press || event.ctrlKey) return super.act(event);
    press();
    return true;
  }

  buildBar() {
    super.buildBar();
    if (this.get("offer").includes("brush")) {
      [...this.help.querySelectorAll("dl")].pop().append(...LIVE_KEYS.flatMap(([keys, text]) => [element("dt", { text: keys }), element("dd", { text })]));
    } else {
      this.buttons.tool.brush.remove();
      delete this.buttons.tool.brush;
    }
  }

  drawTools(spot, panelSide, mode) {
    super.drawTools(spot, panelSide, mode);
    if (!this.why.node.hidden && this.asked) {  // the pixel that was asked
      const [x, y] = onScreen(spot, this.asked);
      outline(spot, (path) => path.arc(x, y, 7, 0, 7));
    }
    const at = this.tool === "brush" && (this.probe ?? (this.steersCross() ? this.cursor : null));
    if (!at) return;
    const [x, y] = onScreen(spot, at), radius = this.brush.kind === "why" ? 7 : (this.brush.diameter_mm / 2) * spot.perMm;
    outline(spot, (path) => path.arc(x, y, radius, 0, 7));
  }
}

export default {
  render({ model, el }) {
    const viewer = new LiveViewer(model, el);
    return () => viewer.cleanups.forEach((cleanup) => cleanup());
  },
};
