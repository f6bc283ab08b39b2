// What is seen: elements, drawing and words. compare.js extends it with what happens.

class Page extends Bar {
  // ---------------------------------------------------------------- elements

  build(el) {
    this.root = element("div", { class: "ctv", role: "group", "data-lm-suppress-shortcuts": "true" });
    this.bar = element("div", { class: "ctv-bar", role: "toolbar", "aria-label": this.w("Viewer") });
    this.panels = { left: this.buildPanel("left"), right: this.buildPanel("right") };
    this.stage = element("div", { class: "ctv-stage", tabindex: "0", role: "application" },
      this.panels.left.node, this.panels.right.node);
    this.state = element("span", { class: "ctv-state", role: "status" });
    this.readout = element("span", { class: "ctv-probe" });
    this.frameSlider = this.buildSlider(1, (value) => this.goTo(this.frameOf(value)));
    this.wipeSlider = this.buildSlider(0, (value) => { this.wipe = value / 100; this.invalidate(); });
    this.hint = element("div", { class: "ctv-hint" });
    this.small = element("div", { class: "ctv-small", role: "status" });
    this.help = element("div", { class: "ctv-help", role: "region", tabindex: "0", "aria-label": this.w("Keys and mouse") });
    this.help.hidden = true;
    this.root.append(this.bar, this.stage, this.frameSlider.node, this.wipeSlider.node,
      element("div", { class: "ctv-foot" }, this.state, this.readout),
      element("div", { class: "ctv-notes" }, this.hint, this.small), this.help);
    this.root.classList.toggle("ctv-room", this.get("whole_page"));
    el.append(this.root);
    this.buildBar();
    this.listen(this.stage, "contextmenu", (event) => event.preventDefault());
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
    const edges = Object.fromEntries(["left", "right", "top", "bottom"].map((edge) =>
      [edge, element("span", { class: `ctv-edge ctv-edge-${edge}` })]));
    const node = element("div", { class: "ctv-panel" }, canvas, label, ...Object.values(edges));
    for (const type of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"]) {
      this.listen(canvas, type, (event) => this.onPointer(event, side));
    }
    this.listen(canvas, "auxclick", (event) => event.preventDefault());
    return { side, node, canvas, label, edges };
  }

  buildSlider(low, change) {
    const input = element("input", { type: "range", min: low, max: 100, step: 1 });
    const label = element("label", {}), id = `ctv-${Math.random().toString(36).slice(2)}`;
    input.id = id;
    label.htmlFor = id;
    input.addEventListener("input", () => change(Number(input.value)));
    return { node: element("div", { class: "ctv-slider" }, label, input), input, label };
  }

  // Keys move the cross: it must be seen while they do.
  steersCross() {
    const at = document.activeElement;
    return this.tool !== "window" && (at === this.stage || (this.get("whole_page") && at === document.body));
  }

  // ---------------------------------------------------------------- drawing

  invalidate() {
    this.pending ||= requestAnimationFrame(() => { this.pending = 0; this.draw(); });
  }

  // Width and height of each panel in CSS pixels. In a reading room the images take all that bar and
  // words leave of the window, one above the other where they are larger so; elsewhere a share of its
  // height, and one above the other where the page is narrow.
  layOut(two) {
    const room = this.get("whole_page"), gap = 6, width = this.stage.clientWidth;
    const shape = this.axialAspect();
    const height = room ? this.heightLeft() : this.get("height_fraction") * window.innerHeight;
    const fits = (wide, high) => Math.min(wide, high / shape);
    const stacked = two && (room ? fits(width, (height - gap) / 2) > 1.05 * fits((width - gap) / 2, height) : width < 544);
    this.stage.classList.toggle("ctv-stacked", stacked);
    const wide = two && !stacked ? Math.floor((width - gap) / 2) : width;
    const high = stacked && room ? (height - gap) / 2 : height;
    return { width: wide, height: Math.max(120, Math.floor(room ? high : Math.min(wide * shape, high))) };
  }

  heightLeft() {
    const others = this.root.offsetHeight - this.stage.offsetHeight, top = this.root.getBoundingClientRect().top + window.scrollY;
    return Math.max(160, window.innerHeight - Math.max(0, top) - others - 8);
  }

  grid(spot) {  // laid anew only when zoom, place or size changed
    const stamp = [spot.left, spot.top, spot.x, spot.y, spot.size.width, spot.size.height, this.columns, this.rows,
      this.get("display_filter")].join();
    if (this.laid?.stamp !== stamp) this.laid = { ...layGrid(spot, this.get("display_filter")), stamp };
    return this.laid;
  }

  // What is shown under a name, and how: the slice (made when asked for), its padding, the window.
  source(name) {
    const diff = name === "difference", shown = [this.frame(), this.loads, this.plane(), this.slabMm()].join();
    const pixels = () => {
      const right = this.slice(diff ? "right" : name);
      if (!diff) return right;
      const left = this.slice("left");
      return right.map((value, i) => clamp(value - left[i], -25000, 25000));
    };
    const window = diff ? this.difference : { level: this.get("level_hu"), width: this.get("width_hu") };
    return { name, shown, pixels, mask: this.padding(shown), ...window, inverted: this.inverted };
  }

  image(name, grid) {  // resampled anew only when pixels or place changed, not with the window
    const source = this.source(name), { level, width, inverted } = source, kept = this.images[source.name];
    const stamp = `${source.shown},${grid.stamp}`;
    if (kept.stamp !== stamp) {
      const room = kept.grid === grid ? kept.hu : undefined;
      Object.assign(kept, { hu: resample(source.pixels(), this.columns, grid, source.mask, room), grid, stamp });
    }
    const table = this.tables[source.name === "difference" ? "difference" : "window"], of = `${level},${width},${inverted}`;
    if (table.of !== of) fillLut(table.lut, level, width, inverted);
    table.of = of;
    return { hu: kept.hu, lut: table.lut, stamp: [source.name, stamp, of].join() };
  }

  // The graphics processor draws large panels; where there is none, or it is lost, the page does.
  gpu({ size }) {
    if (this.painter === undefined && size.width * size.height >= GPU_FROM_PIXELS) {
      this.painter = gpuPainter(() => { this.painter = null; this.invalidate(); });
    }
    return size.width * size.height >= GPU_FROM_PIXELS ? this.painter : null;
  }

  padding(shown) {  // mask of both images together, kept for the images last looked at
    if (this.get("padding_hu") === null) return null;
    const masks = (this.masks ??= new Map()), name = `${shown},${this.get("padding_hu")}`;
    if (!masks.has(name)) {
      if (masks.size === 64) masks.delete(masks.keys().next().value);
      const images = Object.keys(this.pixels).filter((side) => this.pixels[side]).map((side) => this.slice(side));
      masks.set(name, paddingOf(images, this.columns, this.get("padding_hu")));
    }
    return masks.get(name);
  }

  draw() {
    if (!this.stage.clientWidth || !this.rows) return;  // not on the page yet
    const mode = this.mode(), two = mode === "pair" && this.pixels.right !== null;
    this.panels.right.node.hidden = !two;
    const frame = { columns: this.columns, rows: this.rows, spacing: this.spacing, zoom: this.zoom,
      actual: this.actual, centre: this.centre, box: this.layOut(two) };
    for (const panel of two ? [this.panels.left, this.panels.right] : [this.panels.left]) {
      const spot = this.place = preparePanel(panel, frame), gpu = this.gpu(spot);
      const one = mode === "flicker" ? this.shown : mode === "pair" ? panel.side : mode;
      const shares = mode === "wipe" ? [["left", 0, this.wipe], ["right", this.wipe, 1]] : [[one, 0, 1]];
      if (gpu) gpu.paint(spot, this.get("display_filter"), shares.map(([name, from, to]) => ({ ...this.source(name), from, to })));
      else {
        const grid = this.grid(spot);
        const pieces = shares.map(([name, from, to]) => ({ ...this.image(name, grid), from, to }));
        paintPanel(panel, grid, pieces, pieces.map(({ stamp, from, to }) => [stamp, from, to]).join());
      }
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
    if (this.region) drawCircle(spot, this.region.from, this.region.to, "");
    this.drawMeasures(spot, this.sideIn(panelSide, 0));
    if (this.steersCross() && (this.tool !== "mark" || mode !== "pair" || panelSide === this.cursor.side)) drawCross(spot, this.cursor);
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
      ? ` ${this.presetName(preset).toLowerCase()}` : ""}: `
      + this.w("level {level}, width {width} HU", { level: signed(wl.level), width: signed(wl.width) });
    const slab = this.slabMm();
    this.say(this.state, [window, where, slab ? this.w("MIP of {mm} mm", { mm: slab }) : "",
      this.inverted ? this.w("inverted") : "", this.sizeText(),
      this.playing ? this.w("{rate} a second", { rate: this.rate().toFixed(1) }) : "",
      mode === "flicker" ? this.w("showing {image}", { image: this.w(this.shown) }) : ""].filter(Boolean).join(" · "));
    this.say(this.readout, this.probeText(mode));
    this.name(this.root, this.get("alt") || this.w("CT images side by side"));
    this.name(this.stage, `${this.get("alt") || this.w("CT images")}. ${this.w("Press question mark for keys.")}`);
    const screen = this.place.x * this.place.ratio;  // pixels of the screen for one of the image
    this.say(this.small, this.get("whole_page") && screen < 0.999
      ? this.w("Shown smaller than its pixels ({share} %). Z: pixel for pixel", { share: Math.round(100 * screen) }) : "");
    this.labelEdges();
    this.say(this.hint, [`${this.w("Drag")}: ${this.w(DRAGS[this.mouse().left][0])}`,
      this.w(this.depth > 1 ? "wheel: scroll · Ctrl + wheel: zoom" : "wheel: zoom"), this.w("?: all keys and the mouse"), ...(this.get("whole_page") ? [] : [this.w("click the image first")])].join(" · "));
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
    return this.w("{name} {number} of {all}", { name, number: this.number(), all: this.depth });
  }

  sizeText() {
    const { x, ratio, zoom } = this.place;
    if (Math.abs(x * ratio - 1) < 1e-6) return this.w("pixel for pixel");
    return zoom > 1.001 || zoom < 0.999 ? this.w("zoom {zoom}", { zoom: `${zoom.toFixed(1)}×` }) : "";
  }

  labelEdges() {
    const edges = this.edges();
    for (const panel of Object.values(this.panels)) {
      for (const [edge, node] of Object.entries(panel.edges)) this.say(node, edges[edge]);
    }
  }

  moveSliders(mode, where) {
    const { node, input, label } = this.frameSlider;
    node.hidden = this.depth < 2;
    if (input.max !== String(this.depth)) input.max = this.depth;
    if (input.value !== String(this.number())) input.value = this.number();
    this.tell(input, "aria-valuetext", where);
    this.say(label, where.charAt(0).toUpperCase() + where.slice(1));
    this.wipeSlider.node.hidden = mode !== "wipe";
    this.wipeSlider.input.value = Math.round(100 * this.wipe);
    this.say(this.wipeSlider.label, this.w("Edge at {share} %", { share: Math.round(100 * this.wipe) }));
  }
}

