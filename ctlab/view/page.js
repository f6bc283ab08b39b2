// What is seen: elements, drawing and words. compare.js extends it with what happens.

const MODES = { pair: ["Side by side", "p"], flicker: ["Flicker", "f"], wipe: ["Wipe", "w"],
  difference: ["Difference", "d"] };
const TOOLS = { window: ["Window", "a"], calliper: ["Calliper", "c"], mark: ["Mark", "v"] };
const HELP = [
  ["Drag, or Shift + arrows", "window width (sideways) and level (up and down)"],
  ["Wheel, arrows, Page Up / Down, Home, End", "scroll the stack"],
  ["Ctrl + wheel, + and −", "zoom; the wheel alone zooms where there is no stack"],
  ["Middle drag, Space + drag, Ctrl + arrows", "move the image"],
  ["P, F, W, D", "side by side; flicker (F again swaps); wipe (← → move the edge); difference"],
  ["C, V, A", "calliper in mm; mark (where offered); back to windowing"],
  ["Arrows, then Space", "with calliper or mark: move the cross (Shift: 10 px), then place it"],
  ["S", "with mark: the cross goes to the other image"],
  ["Delete", "take the last mark back"],
  ["R, ?", "reset the view; this help"],
];

class Page {
  // ---------------------------------------------------------------- elements

  build(el) {
    this.root = element("div", { class: "ctv", role: "group", "data-lm-suppress-shortcuts": "true" });
    this.bar = element("div", { class: "ctv-bar", role: "toolbar", "aria-label": "Viewer" });
    this.panels = { left: this.buildPanel("left"), right: this.buildPanel("right") };
    this.stage = element("div", { class: "ctv-stage", tabindex: "0", role: "application" },
      this.panels.left.node, this.panels.right.node);
    this.state = element("span", { class: "ctv-state", role: "status" });
    this.readout = element("span", { class: "ctv-probe" });
    this.frameSlider = this.buildSlider(1, (value) => this.goTo(value - 1));
    this.wipeSlider = this.buildSlider(0, (value) => { this.wipe = value / 100; this.invalidate(); });
    this.hint = element("div", { class: "ctv-hint" });
    this.help = element("div", { class: "ctv-help", role: "region", "aria-label": "Keys" });
    this.help.hidden = true;
    this.root.append(this.bar, this.stage, this.frameSlider.node, this.wipeSlider.node,
      element("div", { class: "ctv-foot" }, this.state, this.readout), this.hint, this.help);
    el.append(this.root);
    this.buildBar();
    this.listen(this.stage, "wheel", (event) => this.onWheel(event), { passive: false });
    this.listen(this.root, "keydown", (event) => this.onKey(event));
    this.listen(this.root, "keyup", (event) => { if (event.key === " ") this.spaceHeld = false; });
    this.listen(document, "keydown", (event) => {
      if (this.get("whole_page") && !this.root.contains(event.target)) this.onKey(event);
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

  buildBar() {
    const group = (name, items) => element("div", { class: "ctv-group", role: "group",
      "aria-label": name }, ...items);
    const button = (text, key, press, title = text) => element("button", { type: "button", text,
      title: key ? `${title} (key ${key.toUpperCase()})` : title, "aria-keyshortcuts": key,
      onclick: press });
    const capital = (name) => name.charAt(0).toUpperCase() + name.slice(1);
    const keyed = this.get("presets").filter((preset) => preset.key);
    const presetHelp = [keyed.map((p) => p.key.toUpperCase()).join(", "),
      `window for ${keyed.map((p) => p.name).join(", ")}`];
    this.help.replaceChildren(element("dl", {}, ...(keyed.length ? [presetHelp, ...HELP] : HELP).flatMap(
      ([keys, text]) => [element("dt", { text: keys }), element("dd", { text })])));
    this.buttons = { preset: {}, mode: {}, tool: {} };
    const presets = this.get("presets").map((preset) => (this.buttons.preset[preset.name] =
      button(capital(preset.name), preset.key, () => this.usePreset(preset),
        `${capital(preset.name)} window ${preset.level}/${preset.width} HU`)));
    const modes = this.offeredModes().map((mode) => (this.buttons.mode[mode] =
      button(...MODES[mode], () => this.useMode(mode))));
    const tools = Object.keys(TOOLS).filter((tool) => tool !== "mark" || this.get("marking"))
      .map((tool) => (this.buttons.tool[tool] = button(...TOOLS[tool], () => this.useTool(tool))));
    const view = [button("−", "-", () => this.zoomBy(0.8), "Zoom out"),
      button("+", "+", () => this.zoomBy(1.25), "Zoom in"),
      button("Reset", "r", () => this.reset()), button("?", "?", () => this.toggleHelp(), "Keys")];
    this.bar.replaceChildren(group("Window", presets),
      ...(modes.length > 1 ? [group("Layout", modes)] : []), group("Tool", tools), group("View", view));
    this.invalidate();
  }

  // ---------------------------------------------------------------- drawing

  invalidate() {
    this.pending ||= requestAnimationFrame(() => { this.pending = 0; this.draw(); });
  }

  slice(side) {
    const pixels = this.pixels[side], size = this.rows * this.columns;
    const at = pixels.length > size ? this.frame() : 0;  // a single slice stays while the other scrolls
    return pixels.subarray(at * size, (at + 1) * size);
  }

  image(name) {  // painted anew only when pixels or window changed
    const painted = this.images[name], diff = name === "difference";
    const { level, width } = diff ? this.difference : { level: this.get("level_hu"), width: this.get("width_hu") };
    const stamp = [this.frame(), level, width, this.loads].join();
    if (painted.stamp === stamp) return painted.canvas;
    if (this.lutOf !== `${level},${width}`) fillLut(this.lut, level, width);
    this.lutOf = `${level},${width}`;
    let pixels = this.slice(diff ? "right" : name);
    if (diff) {
      const left = this.slice("left");
      pixels = pixels.map((value, i) => clamp(value - left[i], -32768, 32767));
    }
    paintPixels(painted.canvas, pixels, this.columns, this.rows, this.lut);
    painted.stamp = stamp;
    return painted.canvas;
  }

  draw() {
    if (!this.stage.clientWidth || !this.rows) return;  // not on the page yet
    const mode = this.mode(), two = mode === "pair" && this.pixels.right !== null;
    this.panels.right.node.hidden = !two;
    const [sy, sx] = this.get("spacing_mm");
    const frame = { columns: this.columns, rows: this.rows, spacing: [sy, sx], zoom: this.zoom,
      centre: this.centre, tallest: this.get("height_fraction") };
    for (const panel of two ? [this.panels.left, this.panels.right] : [this.panels.left]) {
      const spot = this.place = preparePanel(panel, frame);
      if (mode === "wipe") {
        placeImage(spot, this.image("left"), 0, this.wipe);
        placeImage(spot, this.image("right"), this.wipe, 1);
        drawEdge(spot, this.wipe);
      } else placeImage(spot, this.image(mode === "flicker" ? this.shown : mode === "pair" ? panel.side : mode));
      this.drawTools(spot, panel.side, mode);
      drawScaleBar(spot);
    }
    this.describe(mode);
  }

  drawTools(spot, panelSide, mode) {
    const [row, column, step] = this.get("grid");
    this.get("marks").forEach((mark, i) => {
      const seen = mode === "wipe" || mode === "difference" || this.sideIn(panelSide, 0) === mark.side;
      if (mark.z !== this.frame() || !seen) return;
      drawMark(spot, { x: (mark.x - column) / step, y: (mark.y - row) / step }, i + 1);
    });
    if (this.segment) drawCalliper(spot, this.segment.from, this.segment.to, this.calliperText());
    const keyed = this.tool !== "window" && document.activeElement === this.stage;
    if (keyed && (this.tool === "calliper" || mode !== "pair" || panelSide === this.cursor.side)) drawCross(spot, this.cursor);
  }

  calliperText() {
    const { from, to } = this.segment, [sy, sx] = this.get("spacing_mm");
    return `${Math.hypot((to.x - from.x) * sx, (to.y - from.y) * sy).toFixed(1)} mm`;
  }

  // ---------------------------------------------------------------- words

  describe(mode) {
    const labels = this.get("labels"), name = (side) => labels[side === "left" ? 0 : 1] || "";
    const where = this.depth > 1 ? this.frameText() : "";
    const titles = { pair: name("left"), flicker: name(this.shown) || this.shown,
      wipe: name("left") || name("right") ? `${name("left")} | ${name("right")}` : "",
      difference: `${name("right") || "right"} − ${name("left") || "left"}` };
    this.panels.left.label.textContent = titles[mode];
    this.panels.right.label.textContent = name("right");
    for (const side of ["left", "right"]) {
      const title = mode === "pair" ? name(side) || `${side} image` : titles[mode] || mode;
      this.panels[side].canvas.setAttribute("aria-label", [title, where].filter(Boolean).join(", "));
    }
    const level = this.get("level_hu"), width = this.get("width_hu");
    const preset = this.get("presets").find((p) => p.level === level && p.width === width);
    const wl = mode === "difference" ? this.difference : { level, width };
    const window = `${mode === "difference" ? "Difference" : preset ? `Window ${preset.name}` : "Window"}: `
      + `level ${signed(wl.level)}, width ${signed(wl.width)} HU`;
    this.say(this.state, [window, where, this.zoom > 1 ? `zoom ${this.zoom.toFixed(1)}×` : "",
      mode === "flicker" ? `showing ${this.shown}` : ""].filter(Boolean).join(" · "));
    this.say(this.readout, this.probeText(mode));
    this.root.setAttribute("aria-label", this.get("alt") || "CT images side by side");
    this.stage.setAttribute("aria-label", `${this.get("alt") || "CT images"}. Press question mark for keys.`);
    this.say(this.hint, `Drag: window · ${this.depth > 1 ? "wheel: scroll · Ctrl + wheel: zoom" : "wheel: zoom"}`
      + ` · ?: all keys${this.get("whole_page") ? "" : " · click the image first"}`);
    this.press(mode, preset);
    this.moveSliders(mode, where);
  }

  say(node, text) { if (node.textContent !== text) node.textContent = text; }

  frameText() {
    const label = this.get("frame_labels")[this.frame()], name = this.get("frame_name");
    return label ? `${name} ${label}` : `${name} ${this.frame() + 1} of ${this.depth}`;
  }

  probeText(mode) {
    const parts = [];
    if (this.segment) parts.push(`calliper ${this.calliperText()}`);
    if (this.tool !== "window" && document.activeElement === this.stage) {
      parts.push(`cross x ${this.cursor.x}, y ${this.cursor.y}${this.tool === "mark" && mode === "pair" ? `, ${this.cursor.side}` : ""}`);
    }
    if (this.get("probe") && this.probe) {
      const at = this.probe.y * this.columns + this.probe.x, hu = (side) => `${signed(this.slice(side)[at])} HU`;
      parts.push(this.pixels.right ? `left ${hu("left")}, right ${hu("right")}` : hu("left"));
    }
    return parts.join(" · ");
  }

  press(mode, preset) {
    const pressed = { preset: mode !== "difference" && preset?.name, mode, tool: this.tool };
    for (const [kind, buttons] of Object.entries(this.buttons)) {
      for (const [name, button] of Object.entries(buttons)) {
        button.setAttribute("aria-pressed", String(name === pressed[kind]));
      }
    }
  }

  moveSliders(mode, where) {
    const { node, input, label } = this.frameSlider;
    node.hidden = this.depth < 2;
    Object.assign(input, { max: this.depth, value: this.frame() + 1 });
    input.setAttribute("aria-valuetext", where);
    this.say(label, where.charAt(0).toUpperCase() + where.slice(1));
    this.wipeSlider.node.hidden = mode !== "wipe";
    this.wipeSlider.input.value = Math.round(100 * this.wipe);
    this.say(this.wipeSlider.label, `Edge at ${Math.round(100 * this.wipe)} %`);
  }
}

