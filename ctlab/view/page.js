// What is seen: elements, drawing and words. compare.js extends it with what happens.

const MODES = { pair: ["Side by side", "p"], flicker: ["Flicker", "f"], wipe: ["Wipe", "w"],
  difference: ["Difference", "d"] };
const TOOLS = { window: ["Window", "a"], calliper: ["Calliper", "c"], mark: ["Mark", "v"] };
const HELP = [  // keys, what they do, and where not always: what must be offered
  ["Drag, or Shift + arrows", "window width (sideways) and level (up and down)"],
  ["Wheel, arrows, Page Up / Down, Home, End", "scroll the stack"],
  ["Ctrl + wheel, + and −", "zoom; the wheel alone zooms where there is no stack"],
  ["Middle drag, Space + drag, Ctrl + arrows", "move the image"],
  ["P", "side by side", "pair"],
  ["F", "flicker; F again swaps", "flicker"],
  ["W", "wipe; ← → move the edge", "wipe"],
  ["D", "difference, right minus left", "difference"],
  ["C, A", "calliper in mm; back to windowing"],
  ["V", "mark", "mark"],
  ["Arrows, then Space", "with calliper or mark: move the cross (Shift: 10 px), then place it"],
  ["S", "with mark: the cross goes to the other image", "mark"],
  ["Delete", "take the last mark back", "mark"],
  ["O", "axial, coronal, sagittal", "planes"],
  ["I", "sliding maximum intensity projection: 5, 7, 10 mm, off", "planes"],
  ["E", "full screen, and back", "full screen"],
  ["R, ?", "reset the view; this help"],
];

class Page extends Planes {
  // A word of the viewer in the language it was given.
  w(text, values = {}) {
    let said = this.get("words")?.[text] ?? text;
    for (const [name, value] of Object.entries(values)) said = said.replaceAll(`{${name}}`, value);
    return said;
  }

  // ---------------------------------------------------------------- elements

  build(el) {
    this.root = element("div", { class: "ctv", role: "group", "data-lm-suppress-shortcuts": "true" });
    this.bar = element("div", { class: "ctv-bar", role: "toolbar", "aria-label": this.w("Viewer") });
    this.panels = { left: this.buildPanel("left"), right: this.buildPanel("right") };
    this.stage = element("div", { class: "ctv-stage", tabindex: "0", role: "application" },
      this.panels.left.node, this.panels.right.node);
    this.state = element("span", { class: "ctv-state", role: "status" });
    this.readout = element("span", { class: "ctv-probe" });
    this.frameSlider = this.buildSlider(1, (value) => this.goTo(value - 1));
    this.wipeSlider = this.buildSlider(0, (value) => { this.wipe = value / 100; this.invalidate(); });
    this.hint = element("div", { class: "ctv-hint" });
    this.help = element("div", { class: "ctv-help", role: "region", tabindex: "0", "aria-label": this.w("Keys") });
    this.help.hidden = true;
    this.root.append(this.bar, this.stage, this.frameSlider.node, this.wipeSlider.node,
      element("div", { class: "ctv-foot" }, this.state, this.readout), this.hint, this.help);
    el.append(this.root);
    this.buildBar();
    this.listen(this.stage, "wheel", (event) => this.onWheel(event), { passive: false });
    this.listen(this.root, "keydown", (event) => this.onKey(event));
    this.listen(this.root, "keyup", (event) => { if (event.key === " ") this.spaceHeld = false; });
    this.listen(document, "keydown", (event) => {
      const seen = getComputedStyle(this.root).visibility === "visible" && this.root.offsetParent;
      if (this.get("whole_page") && seen && !this.root.contains(event.target)) this.onKey(event);
    });
  }

  listen(target, type, handler, options) {
    target.addEventListener(type, handler, options);
    this.cleanups.push(() => target.removeEventListener(type, handler, options));
  }

  buildPanel(side) {
    const canvas = element("canvas", { role: "img" });
    const label = element("div", { class: "ctv-label" });
    const node = element("div", { class: "ctv-panel" }, canvas, label);
    for (const type of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"]) {
      this.listen(canvas, type, (event) => this.onPointer(event, side));
    }
    this.listen(canvas, "auxclick", (event) => event.preventDefault());
    return { side, node, canvas, label };
  }

  buildSlider(low, change) {
    const input = element("input", { type: "range", min: low, max: 100, step: 1 });
    const label = element("label", {}), id = `ctv-${Math.random().toString(36).slice(2)}`;
    input.id = id;
    label.htmlFor = id;
    input.addEventListener("input", () => change(Number(input.value)));
    return { node: element("div", { class: "ctv-slider" }, label, input), input, label };
  }

  offers(what) {
    if (what === "mark") return this.get("marking");
    if (what === "planes") return this.offeredPlanes().length > 1;
    if (what === "full screen") return document.fullscreenEnabled;
    return !what || (this.choosesModes() && this.offeredModes().includes(what));
  }

  choosesModes() { return this.offeredModes().length > 1 || this.offeredModes()[0] !== "pair"; }

  // Keys move the cross: it must be seen while they do.
  steersCross() {
    const at = document.activeElement;
    return this.tool !== "window" && (at === this.stage || (this.get("whole_page") && at === document.body));
  }

  buildBar() {
    const group = (name, items) => element("div", { class: "ctv-group", role: "group",
      "aria-label": name }, ...items);
    const keys = (text, key) => (key ? `${text} (${this.w("key {key}", { key: key.toUpperCase() })})` : text);
    const button = (text, key, press, title = this.w(text)) => element("button", { type: "button", text: this.w(text),
      title: keys(title, key), "aria-keyshortcuts": key, onclick: press });
    const capital = (name) => name.charAt(0).toUpperCase() + name.slice(1);
    const keyed = this.get("presets").filter((preset) => preset.key);
    const presetHelp = [keyed.map((p) => p.key.toUpperCase()).join(", "),
      `${this.w("window for")} ${keyed.map((p) => this.w(capital(p.name)).toLowerCase()).join(", ")}`];
    const lines = HELP.filter(([, , what]) => this.offers(what)).map((line) => line.slice(0, 2).map((text) => this.w(text)));
    this.help.replaceChildren(element("dl", {}, ...(keyed.length ? [presetHelp, ...lines] : lines).flatMap(
      ([keys, text]) => [element("dt", { text: keys }), element("dd", { text })])));
    this.buttons = { preset: {}, mode: {}, tool: {}, plane: {} };
    const presets = this.get("presets").map((preset) => (this.buttons.preset[preset.name] =
      button(capital(preset.name), preset.key, () => this.usePreset(preset),
        `${this.w(capital(preset.name))} ${preset.level}/${preset.width} HU`)));
    const modes = this.offeredModes().map((mode) => (this.buttons.mode[mode] =
      button(...MODES[mode], () => this.useMode(mode))));
    const tools = Object.keys(TOOLS).filter((tool) => tool !== "mark" || this.get("marking"))
      .map((tool) => (this.buttons.tool[tool] = button(...TOOLS[tool], () => this.useTool(tool))));
    const planes = this.offeredPlanes(), plane = planes.map((name) => (this.buttons.plane[name] =
      button(PLANES[name], "o", () => this.usePlane(name))));
    this.slabButton = button("MIP", "i", () => this.cycleSlab(), 
      this.w("Maximum intensity projection: 5, 7, 10 mm, off"));
    const view = [button("−", "-", () => this.zoomBy(0.8), this.w("Zoom out")),
      button("+", "+", () => this.zoomBy(1.25), this.w("Zoom in")), button("Reset", "r", () => this.reset()),
      ...(document.fullscreenEnabled ? [button("Full screen", "e", () => this.toggleFullScreen())] : []),
      button("?", "?", () => this.toggleHelp(), this.w("Keys"))];
    this.bar.replaceChildren(group(this.w("Window"), presets),
      ...(this.choosesModes() ? [group(this.w("Layout"), modes)] : []),
      ...(planes.length > 1 ? [group(this.w("Plane"), [...plane, this.slabButton])] : []),
      group(this.w("Tool"), tools), group(this.w("View"), view));
    this.invalidate();
  }

  // ---------------------------------------------------------------- drawing

  invalidate() {
    this.pending ||= requestAnimationFrame(() => { this.pending = 0; this.draw(); });
  }

  grid(spot) {  // laid anew only when zoom, place or size changed
    const stamp = [spot.left, spot.top, spot.x, spot.y, spot.size.width, spot.size.height, this.columns, this.rows].join();
    if (this.laid?.stamp !== stamp) this.laid = { ...layGrid(spot), stamp };
    return this.laid;
  }

  image(name, grid) {  // resampled anew only when pixels or place changed, not with the window
    const kept = this.images[name], diff = name === "difference";
    const stamp = [this.frame(), this.loads, this.plane(), this.slabMm(), grid.stamp].join();
    if (kept.stamp !== stamp) {
      let pixels = this.slice(diff ? "right" : name);
      if (diff) {
        const left = this.slice("left");
        pixels = pixels.map((value, i) => clamp(value - left[i], -30000, 30000));
      }
      Object.assign(kept, { hu: resample(pixels, this.columns, grid), stamp });
    }
    const { level, width } = diff ? this.difference : { level: this.get("level_hu"), width: this.get("width_hu") };
    const table = this.tables[diff ? "difference" : "window"], of = `${level},${width}`;
    if (table.of !== of) fillLut(table.lut, level, width);
    table.of = of;
    return { hu: kept.hu, lut: table.lut, stamp: [name, stamp, of].join() };
  }

  draw() {
    if (!this.stage.clientWidth || !this.rows) return;  // not on the page yet
    const mode = this.mode(), two = mode === "pair" && this.pixels.right !== null;
    this.panels.right.node.hidden = !two;
    const frame = { columns: this.columns, rows: this.rows, spacing: this.spacing, zoom: this.zoom,
      centre: this.centre, tallest: this.get("height_fraction"), flattest: this.axialAspect() };
    for (const panel of two ? [this.panels.left, this.panels.right] : [this.panels.left]) {
      const spot = this.place = preparePanel(panel, frame), grid = this.grid(spot);
      const one = mode === "flicker" ? this.shown : mode === "pair" ? panel.side : mode;
      const shares = mode === "wipe" ? [["left", 0, this.wipe], ["right", this.wipe, 1]] : [[one, 0, 1]];
      const pieces = shares.map(([name, from, to]) => ({ ...this.image(name, grid), from, to }));
      paintPanel(panel, grid, pieces, pieces.map(({ stamp, from, to }) => [stamp, from, to]).join());
      if (mode === "wipe") drawEdge(spot, this.wipe);
      this.drawTools(spot, panel.side, mode);
      drawScaleBar(spot);
    }
    this.describe(mode);
    this.root.dataset.tag = this.tag;
  }

  drawTools(spot, panelSide, mode) {
    const [row, column, step] = this.get("grid");
    this.get("marks").forEach((mark, i) => {
      const seen = mode === "wipe" || mode === "difference" || this.sideIn(panelSide, 0) === mark.side;
      const at = this.spot({ z: mark.z, y: (mark.y - row) / step, x: (mark.x - column) / step });
      const [first, last] = this.slab();
      if (at.frame >= first && at.frame <= last && seen) drawMark(spot, at, i + 1);
    });
    if (this.segment) drawCalliper(spot, this.segment.from, this.segment.to, this.calliperText());
    if (this.steersCross() && (this.tool === "calliper" || mode !== "pair" || panelSide === this.cursor.side)) drawCross(spot, this.cursor);
  }

  calliperText() {
    const { from, to } = this.segment, [sy, sx] = this.spacing;
    return `${Math.hypot((to.x - from.x) * sx, (to.y - from.y) * sy).toFixed(1)} mm`;
  }

  // ---------------------------------------------------------------- words

  describe(mode) {
    const labels = this.get("labels"), name = (side) => labels[side === "left" ? 0 : 1] || "";
    const where = this.depth > 1 ? this.frameText() : "";
    const titles = { pair: name("left"), flicker: name(this.shown) || this.w(this.shown),
      wipe: name("left") || name("right") ? `${name("left")} | ${name("right")}` : "",
      difference: `${name("right") || this.w("right")} − ${name("left") || this.w("left")}` };
    this.say(this.panels.left.label, titles[mode]);
    this.say(this.panels.right.label, name("right"));
    for (const side of ["left", "right"]) {
      const title = mode === "pair" ? name(side) || this.w(`${side} image`) : titles[mode] || this.w(MODES[mode][0]);
      this.name(this.panels[side].canvas, [title, where].filter(Boolean).join(", "));
    }
    const level = this.get("level_hu"), width = this.get("width_hu");
    const preset = this.get("presets").find((p) => p.level === level && p.width === width);
    const wl = mode === "difference" ? this.difference : { level, width };
    const window = `${this.w(mode === "difference" ? "Difference" : "Window")}${preset && mode !== "difference"
      ? ` ${this.w(preset.name.charAt(0).toUpperCase() + preset.name.slice(1)).toLowerCase()}` : ""}: `
      + this.w("level {level}, width {width} HU", { level: signed(wl.level), width: signed(wl.width) });
    const slab = this.slabMm();
    this.say(this.state, [window, where, slab ? this.w("MIP of {mm} mm", { mm: slab }) : "",
      this.zoom > 1 ? this.w("zoom {zoom}", { zoom: `${this.zoom.toFixed(1)}×` }) : "",
      mode === "flicker" ? this.w(`showing ${this.shown}`) : ""].filter(Boolean).join(" · "));
    this.say(this.readout, this.probeText(mode));
    this.name(this.root, this.get("alt") || this.w("CT images side by side"));
    this.name(this.stage, `${this.get("alt") || this.w("CT images")}. ${this.w("Press question mark for keys.")}`);
    this.say(this.hint, [this.w("Drag: window"), this.w(this.depth > 1 ? "wheel: scroll · Ctrl + wheel: zoom" : "wheel: zoom"),
      this.w("?: all keys"), ...(this.get("whole_page") ? [] : [this.w("click the image first")])].join(" · "));
    this.press(mode, preset);
    this.pressSlab();
    this.moveSliders(mode, where);
  }

  // What is said already is left alone: touching it makes the browser lay the page anew.
  say(node, text) { if (node.textContent !== text) node.textContent = text; }
  name(node, text) { this.tell(node, "aria-label", text); }
  tell(node, attribute, text) { if (node.getAttribute(attribute) !== text) node.setAttribute(attribute, text); }

  frameText() {
    const axial = this.plane() === "axial", label = axial && this.get("frame_labels")[this.frame()];
    const name = this.w(axial ? this.get("frame_name") : this.plane());
    if (label) return `${name} ${label}`;
    return this.w("{name} {number} of {all}", { name, number: this.frame() + 1, all: this.depth });
  }

  probeText(mode) {
    const parts = [];
    if (this.segment) parts.push(`${this.w("calliper")} ${this.calliperText()}`);
    if (this.steersCross()) {
      parts.push(`${this.w("cross")} x ${this.cursor.x}, y ${this.cursor.y}${this.tool === "mark" && mode === "pair" ? `, ${this.w(this.cursor.side)}` : ""}`);
    }
    if (this.get("probe") && this.probe) {
      const at = this.probe.y * this.columns + this.probe.x, hu = (side) => `${signed(this.slice(side)[at])} HU`;
      parts.push(this.pixels.right ? `${this.w("left")} ${hu("left")}, ${this.w("right")} ${hu("right")}` : hu("left"));
    }
    return parts.join(" · ");
  }

  press(mode, preset) {
    const pressed = { preset: mode !== "difference" && preset?.name, mode, tool: this.tool, plane: this.plane() };
    for (const [kind, buttons] of Object.entries(this.buttons)) {
      for (const [name, button] of Object.entries(buttons)) {
        this.tell(button, "aria-pressed", String(name === pressed[kind]));
      }
    }
  }

  pressSlab() {
    const slab = this.slabMm();
    this.say(this.slabButton, slab ? `${this.w("MIP")} ${slab} mm` : this.w("MIP"));
    this.tell(this.slabButton, "aria-pressed", String(slab > 0));
  }

  moveSliders(mode, where) {
    const { node, input, label } = this.frameSlider;
    node.hidden = this.depth < 2;
    if (input.max !== String(this.depth)) input.max = this.depth;
    if (input.value !== String(this.frame() + 1)) input.value = this.frame() + 1;
    this.tell(input, "aria-valuetext", where);
    this.say(label, where.charAt(0).toUpperCase() + where.slice(1));
    this.wipeSlider.node.hidden = mode !== "wipe";
    this.wipeSlider.input.value = Math.round(100 * this.wipe);
    this.say(this.wipeSlider.label, this.w("Edge at {share} %", { share: Math.round(100 * this.wipe) }));
  }
}

