// Two CT images or stacks side by side, windowed in the browser, linked, keyboard complete.
// The parts before this file and this one make one text without imports: the same code runs in
// Jupyter, in Voila and in a static page without a kernel.

class Viewer extends Gestures {
  constructor(model, el) {
    super();
    this.model = model;
    this.tables = { window: { lut: new Uint32Array(65536) }, difference: { lut: new Uint32Array(65536) } };
    this.tool = "window";
    this.at = {};  // image shown in the planes other than the axial one
    Object.assign(this, { cleanups: [], images: {}, measures: [], fingers: new Map(), depth: 1, inverted: false });
    for (const name of ["left", "right", "difference"]) this.images[name] = {};
    this.build(el);
    this.root.viewer = this;  // for tests and for pages that steer the viewer
    this.load();
    const redraw = () => this.invalidate();
    this.on("change:left_bytes change:right_bytes change:shape change:slice_mm change:tag", () => {
      cancelAnimationFrame(this.loading);
      this.loading = requestAnimationFrame(() => this.load());  // both sides arrive together
    });
    this.on("change:level_hu change:width_hu change:frame change:mode change:marks", redraw);
    this.on("change:labels change:frame_labels change:frame_name change:alt", redraw);
    this.on("change:plane", () => { this.layPlane(); redraw(); });
    this.on("change:slab_mm", redraw);
    this.on("change:orientation change:scroll change:display_filter change:padding_hu change:probe", redraw);
    this.on("change:marking change:modes change:presets change:words change:probe change:mouse", () => this.buildBar());
    this.listen(document, "ctv-view", ({ detail }) => detail.from !== this && this.follow(detail));
    this.listen(window, "resize", redraw);
    const sizes = new ResizeObserver(redraw);
    sizes.observe(this.root);
    this.cleanups.push(() => sizes.disconnect());
  }

  on(events, handler) {
    for (const event of events.split(" ")) {
      this.model.on(event, handler);
      this.cleanups.push(() => this.model.off(event, handler));
    }
  }

  get(name) { return this.model.get(name); }

  set(values, { save = true } = {}) {
    for (const [name, value] of Object.entries(values)) this.model.set(name, value);
    clearTimeout(this.saving);
    // A drag changes the window sixty times a second; the kernel hears of it when it rests.
    if (save) this.saving = setTimeout(() => this.model.save_changes(), 120);
    this.invalidate();
  }

  // ---------------------------------------------------------------- state

  load() {
    const [, rows, columns] = this.get("shape"), size = rows * columns;
    this.pixels = { left: readPixels(this.model, "left"), right: readPixels(this.model, "right") };
    for (const pixels of Object.values(this.pixels)) {
      if (pixels && (pixels.length % size || !size)) throw new Error("pixels do not fit the shape");
    }
    this.loads = (this.loads ?? 0) + 1;
    this.stopPlay();
    // Another trial begins as the first did, whatever was done in this viewer two trials ago.
    if (this.tag !== this.get("tag")) Object.assign(this, { tool: "window", measuring: false, inverted: false, asksRegion: false, region: null });
    this.help.hidden ||= this.tag !== this.get("tag");
    Object.assign(this, { at: {}, tag: this.get("tag") });
    this.difference = { level: 0, width: 400 };
    this.reset({ window: false });
    if (this.followed) this.follow(this.followed);
    this.buildBar();
  }

  reset({ window = true } = {}) {
    Object.assign(this, { wipe: 0.5, shown: "left", cursor: null, measures: [], measure: null });
    this.layPlane();
    if (window) {
      this.inverted = false;
      this.difference = { level: 0, width: 400 };
      if (this.first) this.set({ level_hu: this.first.level, width_hu: this.first.width, plane: "axial", slab_mm: 0 });
      this.announce();
    }
    this.first ??= { level: this.get("level_hu"), width: this.get("width_hu") };
    this.invalidate();
  }

  offeredModes() {
    return this.get("right_bytes")?.byteLength ? this.get("modes").filter((m) => MODES[m]) : ["pair"];
  }
  mode() { return this.offeredModes().includes(this.get("mode")) ? this.get("mode") : "pair"; }
  usePreset(preset) {
    this.set({ level_hu: preset.level, width_hu: preset.width });
    this.announce();
  }
  useMode(mode) {
    if (!this.offeredModes().includes(mode)) return;
    if (mode === "flicker") this.shown = this.mode() === mode && this.shown === "left" ? "right" : "left";
    this.stopPlay();
    this.set({ mode });
  }
  useTool(tool) {
    if (!this.buttons.tool[tool]) return;
    Object.assign(this, { tool, measuring: false });
    this.invalidate();
  }
  invert() {
    this.inverted = !this.inverted;
    this.announce();
    this.invalidate();
  }
  toggleActual() {
    this.actual = !this.actual;
    Object.assign(this, { zoom: 1, centre: { x: this.columns / 2, y: this.rows / 2 } });
    this.announce();
    this.invalidate();
  }
  zoomBy(factor, at = this.centre) {
    if (!this.place) return;
    const fit = this.place.perMm / this.place.zoom, actual = 1 / (this.place.ratio * this.spacing[1] * fit);
    const before = this.actual ? actual : this.zoom, zoom = clamp(before * factor, Math.min(1, actual), Math.max(16, actual));
    const kept = before / zoom;
    this.centre = { x: at.x + (this.centre.x - at.x) * kept, y: at.y + (this.centre.y - at.y) * kept };
    Object.assign(this, { zoom, actual: false });
    this.pan(0, 0);
  }
  pan(dx, dy) {
    this.centre = { x: clamp(this.centre.x - dx, 0, this.columns), y: clamp(this.centre.y - dy, 0, this.rows) };
    this.announce();
    this.invalidate();
  }

  // ---------------------------------------------------------------- from pair to pair

  // Viewers of one page that the author linked (keep) take window and zoom from the one in use.
  announce() {
    const { zoom, actual, centre, inverted } = this, level = this.get("level_hu"), width = this.get("width_hu");
    this.followed = { from: this, level, width, inverted, zoom, actual, centre: { x: centre.x / this.columns, y: centre.y / this.rows } };
    if (this.get("keep").length) document.dispatchEvent(new CustomEvent("ctv-view", { detail: this.followed }));
  }

  follow(seen) {
    const keep = this.get("keep");
    if (!keep.length) return;
    this.followed = seen;
    if (keep.includes("window")) {
      this.inverted = seen.inverted;
      this.set({ level_hu: seen.level, width_hu: seen.width });
    }
    if (keep.includes("zoom") && this.plane() === "axial") {
      Object.assign(this, { zoom: seen.zoom, actual: seen.actual });
      this.centre = { x: seen.centre.x * this.columns, y: seen.centre.y * this.rows };
    }
    this.invalidate();
  }

  // How the images are seen now, for the record of a reading.
  seen() {
    const scale = this.place ? this.place.x * this.place.ratio : null;
    return { level_hu: this.get("level_hu"), width_hu: this.get("width_hu"), inverted: this.inverted, mode: this.mode(),
      plane: this.plane(), slice: this.number(), slab_mm: this.slabMm(), screen_px_per_pixel: scale, display_filter: this.get("display_filter") };
  }

  // ---------------------------------------------------------------- cine and flicker

  rate() { return this.mode() === "flicker" ? this.flickerHz ?? this.get("flicker_hz") : this.cinePerS ?? this.get("cine_per_s"); }

  togglePlay() {
    if (this.playing) return this.stopPlay();
    if (this.mode() !== "flicker" && this.depth < 2) return;
    const next = () => {
      this.playing = setTimeout(next, 1000 / this.rate());
      if (getComputedStyle(this.root).visibility !== "visible" || !this.root.offsetParent) return this.stopPlay();
      if (this.mode() === "flicker") this.shown = this.shown === "left" ? "right" : "left";
      else this.goTo(this.frameOf(this.number() % this.depth + 1));
      this.invalidate();
    };
    next();
  }

  stopPlay() {
    clearTimeout(this.playing);
    this.playing = null;
    this.invalidate();
  }

  changeRate(factor) {  // three flashes a second are what everybody can bear (WCAG 2.3.1)
    if (this.mode() === "flicker") this.flickerHz = clamp(this.rate() * factor, 0.5, 3);
    else this.cinePerS = clamp(this.rate() * factor, 1, 30);
  }

  shiftWindow(dWidth, dLevel) {
    if (this.mode() === "difference") {
      const { level, width } = this.difference;
      this.difference = { level: level + dLevel, width: Math.max(1, width + dWidth) };
      this.invalidate();
    } else {
      this.set({ level_hu: clamp(this.get("level_hu") + dLevel, -4096, 8192),
        width_hu: clamp(this.get("width_hu") + dWidth, 1, 8192) });
      this.announce();
    }
  }
  toggleMark(side, point) {
    const [row, column, step] = this.get("grid"), { z, y, x } = this.voxel(point, this.brightest(side, point)), [first, last] = this.slab();
    const mark = { side, z, y: row + y * step, x: column + x * step, kind: this.get("mark_kind") };
    const near = 8 / this.place.x;
    const rest = this.get("marks").filter((m) => {
      const at = this.spot({ z: m.z, y: (m.y - row) / step, x: (m.x - column) / step });
      return m.side !== side || at.frame < first || at.frame > last || Math.hypot(at.x - point.x, at.y - point.y) > near;
    });
    this.set({ marks: rest.length < this.get("marks").length ? rest : [...rest, mark] });
  }
  sideIn(panelSide, fraction) {  // which image lies under a point of a panel
    const mode = this.mode();
    if (mode === "flicker") return this.shown;
    if (mode === "wipe") return fraction < this.wipe ? "left" : "right";
    return mode === "difference" ? "right" : panelSide;
  }

  // ---------------------------------------------------------------- keys

  onKey(event) {
    const target = event.target, typing = target.matches?.("textarea, select, input, [contenteditable=true]");
    const slider = target.matches?.(".ctv input[type=range]");
    if (event.altKey || event.metaKey || (typing && !slider && target.type !== "radio")) return;
    const moves = /^(Arrow|Page|Home|End)/.test(event.key);
    if ((typing && (moves || event.key === " ")) || (event.key === " " && target.matches?.("button"))) return;
    if (this.act(event)) {  // all other keys, digits and Enter among them, are left to the page
      event.preventDefault();
      event.stopPropagation();
    }
  }

  act(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (this.scrollHelp(key)) return true;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (arrow) return this.onArrow(event, ...arrow);
    if (event.ctrlKey) return false;
    const [, number] = (event.shiftKey && /^Digit([1-9])$/.exec(event.code)) || [];
    const preset = this.get("presets").find((p, i) => (p.key && p.key === key) || Number(number) === i + 1);
    const mode = Object.keys(MODES).find((m) => MODES[m][1] === key);
    const tool = Object.keys(TOOLS).find((name) => TOOLS[name][1] === key);
    const jump = { PageUp: -5, PageDown: 5, Home: -this.depth, End: this.depth };
    if (preset) this.usePreset(preset);
    else if (mode && this.offeredModes().includes(mode)) this.useMode(mode);
    else if (tool && this.buttons.tool[tool]) this.useTool(tool);
    else if (key in jump && this.depth > 1) this.step(jump[key]);
    else if (key === "z") this.toggleActual();
    else if (key === "g") this.invert();
    else if (key === "y" && this.offers("play")) this.togglePlay();
    else if ((key === "," || key === ".") && this.offers("play")) this.changeRate(key === "," ? 0.8 : 1.25);
    else if (key === "+" || key === "=") this.zoomBy(1.25);
    else if (key === "-") this.zoomBy(0.8);
    else if (key === "o" && this.offeredPlanes().length > 1) this.cyclePlane();
    else if (key === "i" && this.offeredPlanes().length > 1) this.cycleSlab();
    else if (key === "e" && document.fullscreenEnabled) this.toggleFullScreen();
    else if (key === "r") this.reset();
    else if (key === "?") this.toggleHelp();
    else if (key === " ") this.onSpace();
    else if (key === "s" && this.tool === "mark") this.cursor.side = this.cursor.side === "left" ? "right" : "left";
    else if (key === "Delete") return this.takeBack();
    else if (key === "Escape" && !this.help.hidden) this.toggleHelp();
    else return false;
    this.invalidate();
    return true;
  }

  onArrow(event, dx, dy) {
    if (event.ctrlKey) this.pan(-dx * this.columns / 16 / this.zoom, -dy * this.rows / 16 / this.zoom);
    else if (this.tool !== "window") {
      const reach = event.shiftKey ? 10 : 1;
      this.cursor.x = clamp(this.cursor.x + dx * reach, 0, this.columns - 1);
      this.cursor.y = clamp(this.cursor.y + dy * reach, 0, this.rows - 1);
      if (this.measuring) this.measure.to = { x: this.cursor.x, y: this.cursor.y };
    } else if (event.shiftKey) this.shiftWindow(dx * 20, -dy * 20);
    else if (this.mode() === "wipe" && dx) this.wipe = clamp(this.wipe + dx * 0.02, 0, 1);
    else if (this.depth > 1) this.step(dx + dy);
    else return false;
    this.invalidate();
    return true;
  }

  onSpace() {
    const { side, x, y } = this.cursor;
    if (this.tool === "mark") this.toggleMark(this.mode() === "pair" ? side : this.sideIn(side, 0), { x, y });
    else if (this.tool !== "window") {
      this.measuring = !this.measuring;
      if (this.measuring) this.startMeasure(this.tool, { x, y });
      else this.endMeasure();
    } else this.spaceHeld = true;
  }

  takeBack() {
    const marks = this.get("marks");
    if (this.tool === "mark" || !this.removeMeasure()) {
      if (!marks.length) return false;
      this.set({ marks: marks.slice(0, -1) });
    }
    this.invalidate();
    return true;
  }
}

export default {
  render({ model, el }) {
    const viewer = new Viewer(model, el);
    return () => viewer.cleanups.forEach((cleanup) => cleanup());
  },
};
