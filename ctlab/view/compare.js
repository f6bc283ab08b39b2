// Two CT images or stacks side by side, windowed in the browser, linked, keyboard complete.
// draw.js, page.js and this file make one text without imports: the same code runs in Jupyter,
// in Voila and in a static page without a kernel.

class Viewer extends Page {
  constructor(model, el) {
    super();
    this.model = model;
    this.tables = { window: { lut: new Uint32Array(65536) }, difference: { lut: new Uint32Array(65536) } };
    this.tool = "window";
    this.at = {};  // image shown in the planes other than the axial one
    this.cleanups = [];
    this.images = {};
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
    this.on("change:marking change:modes change:presets change:words", () => this.buildBar());
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
    // Another trial begins as the first did, whatever was done in this viewer two trials ago.
    if (this.tag !== this.get("tag")) Object.assign(this, { tool: "window", measuring: false });
    this.help.hidden ||= this.tag !== this.get("tag");
    Object.assign(this, { at: {}, tag: this.get("tag") });
    this.difference = { level: 0, width: 400 };
    this.segment = null;
    this.reset({ window: false });
    this.buildBar();
  }

  reset({ window = true } = {}) {
    Object.assign(this, { wipe: 0.5, shown: "left", cursor: null });
    this.layPlane();
    if (window) {
      this.difference = { level: 0, width: 400 };
      if (this.first) this.set({ level_hu: this.first.level, width_hu: this.first.width, plane: "axial", slab_mm: 0 });
    }
    this.first ??= { level: this.get("level_hu"), width: this.get("width_hu") };
    this.invalidate();
  }

  offeredModes() {
    return this.get("right_bytes")?.byteLength ? this.get("modes").filter((m) => MODES[m]) : ["pair"];
  }
  mode() { return this.offeredModes().includes(this.get("mode")) ? this.get("mode") : "pair"; }
  usePreset(preset) { this.set({ level_hu: preset.level, width_hu: preset.width }); }
  useMode(mode) {
    if (!this.offeredModes().includes(mode)) return;
    if (mode === "flicker") this.shown = this.mode() === mode && this.shown === "left" ? "right" : "left";
    this.set({ mode });
  }
  useTool(tool) {
    if (tool === "mark" && !this.get("marking")) return;
    this.tool = tool;
    this.segment = null;
    this.invalidate();
  }
  toggleHelp() { this.help.hidden = !this.help.hidden; }
  scrollHelp(key) {  // over a small window the help is longer than it is high
    const down = { ArrowDown: 40, ArrowUp: -40, PageDown: 200, PageUp: -200 }[key];
    if (this.help.hidden || !down || this.help.scrollHeight <= this.help.clientHeight) return false;
    this.help.scrollBy(0, down);
    return true;
  }
  zoomBy(factor, at = this.centre) {
    const zoom = clamp(this.zoom * factor, 1, 16), kept = this.zoom / zoom;
    this.centre = { x: at.x + (this.centre.x - at.x) * kept, y: at.y + (this.centre.y - at.y) * kept };
    this.zoom = zoom;
    this.pan(0, 0);
  }
  pan(dx, dy) {
    this.centre.x = clamp(this.centre.x - dx, 0, this.columns);
    this.centre.y = clamp(this.centre.y - dy, 0, this.rows);
    this.invalidate();
  }
  shiftWindow(dWidth, dLevel) {
    if (this.mode() === "difference") {
      const { level, width } = this.difference;
      this.difference = { level: level + dLevel, width: Math.max(1, width + dWidth) };
      this.invalidate();
    } else {
      this.set({ level_hu: clamp(this.get("level_hu") + dLevel, -4096, 8192),
        width_hu: clamp(this.get("width_hu") + dWidth, 1, 8192) });
    }
  }
  toggleMark(side, point) {
    const [row, column, step] = this.get("grid"), { z, y, x } = this.voxel(point, this.brightest(side, point)), [first, last] = this.slab();
    const mark = { side, z, y: row + y * step, x: column + x * step, kind: this.get("mark_kind") };
    const near = 8 * this.columns / (this.zoom * this.panels.left.canvas.clientWidth);
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

  // ---------------------------------------------------------------- input

  where(event) {  // pointer position in pixels of the image, and as a fraction of the panel
    const box = event.target.getBoundingClientRect(), place = this.place;
    return { x: Math.floor(this.centre.x + (event.clientX - box.left - box.width / 2) / place.x),
      y: Math.floor(this.centre.y + (event.clientY - box.top - box.height / 2) / place.y),
      fraction: (event.clientX - box.left) / box.width };
  }

  inside(point) { return point.x >= 0 && point.y >= 0 && point.x < this.columns && point.y < this.rows; }

  onPointer(event, side) {
    const at = this.where(event);
    if (event.type === "pointerdown") this.startDrag(event, side, at);
    else if (event.type === "pointermove") this.moveDrag(event, at);
    else this.drag = null;
    this.probe = event.type === "pointerleave" || !this.inside(at) ? null : at;
    this.invalidate();
  }

  startDrag(event, side, at) {
    this.stage.focus({ preventScroll: true });
    event.target.setPointerCapture(event.pointerId);
    event.preventDefault();
    let action = this.tool;
    if (event.button === 1 || this.spaceHeld) action = "pan";
    else if (this.mode() === "wipe" && Math.abs(at.fraction - this.wipe) < 0.03) action = "wipe";
    if (action === "calliper") this.segment = { from: at, to: at };
    if (action === "mark" && this.inside(at)) this.toggleMark(this.sideIn(side, at.fraction), at);
    this.drag = { action, x: event.clientX, y: event.clientY };
  }

  moveDrag(event, at) {
    if (!this.drag) return;
    const dx = event.clientX - this.drag.x, dy = event.clientY - this.drag.y;
    Object.assign(this.drag, { x: event.clientX, y: event.clientY });
    const speed = Math.max(0.5, this.get("width_hu") / 400);
    if (this.drag.action === "window") this.shiftWindow(dx * speed, dy * speed);
    else if (this.drag.action === "pan") this.pan(dx / this.place.x, dy / this.place.y);
    else if (this.drag.action === "wipe") this.wipe = clamp(at.fraction, 0, 1);
    else if (this.drag.action === "calliper") this.segment.to = at;
  }

  onWheel(event) {
    const active = this.get("whole_page") || this.root.contains(document.activeElement);
    if (!active && !event.ctrlKey) return;  // an unclicked viewer lets the page scroll
    event.preventDefault();
    this.wheeled = (this.wheeled ?? 0) + event.deltaY * (event.deltaMode === 1 ? 33 : 1);
    const notch = event.ctrlKey || this.depth === 1 ? 20 : 50, steps = Math.trunc(this.wheeled / notch);
    if (!steps) return;  // touchpads send many small steps
    this.wheeled -= steps * notch;
    if (notch === 50) this.goTo(this.frame() + clamp(steps, -3, 3));
    else this.zoomBy(1.06 ** -clamp(steps, -8, 8), this.where(event));
  }

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
    const preset = this.get("presets").find((p) => p.key && p.key === key);
    const mode = Object.keys(MODES).find((m) => MODES[m][1] === key);
    const tool = Object.keys(TOOLS).find((name) => TOOLS[name][1] === key);
    const jump = { PageUp: this.frame() - 5, PageDown: this.frame() + 5, Home: 0, End: this.depth - 1 };
    if (preset) this.usePreset(preset);
    else if (mode && this.offeredModes().includes(mode)) this.useMode(mode);
    else if (tool && this.buttons.tool[tool]) this.useTool(tool);
    else if (key in jump && this.depth > 1) this.goTo(jump[key]);
    else if (key === "+" || key === "=") this.zoomBy(1.25);
    else if (key === "-") this.zoomBy(0.8);
    else if (key === "o" && this.offeredPlanes().length > 1) this.cyclePlane();
    else if (key === "i" && this.offeredPlanes().length > 1) this.cycleSlab();
    else if (key === "e" && document.fullscreenEnabled) this.toggleFullScreen();
    else if (key === "r") this.reset();
    else if (key === "?") this.toggleHelp();
    else if (key === " ") this.onSpace();
    else if (key === "s" && this.tool === "mark") this.cursor.side = this.cursor.side === "left" ? "right" : "left";
    else if (key === "Delete" && this.get("marks").length) this.set({ marks: this.get("marks").slice(0, -1) });
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
      if (this.tool === "calliper" && this.measuring) this.segment.to = { ...this.cursor };
    } else if (event.shiftKey) this.shiftWindow(dx * 20, -dy * 20);
    else if (this.mode() === "wipe" && dx) this.wipe = clamp(this.wipe + dx * 0.02, 0, 1);
    else if (this.depth > 1) this.goTo(this.frame() + dx + dy);
    else return false;
    this.invalidate();
    return true;
  }

  onSpace() {
    const { side, x, y } = this.cursor;
    if (this.tool === "mark") this.toggleMark(this.mode() === "pair" ? side : this.sideIn(side, 0), { x, y });
    else if (this.tool === "calliper") {
      this.measuring = !this.measuring;
      if (this.measuring) this.segment = { from: { x, y }, to: { x, y } };
    } else this.spaceHeld = true;
  }
}

export default {
  render({ model, el }) {
    const viewer = new Viewer(model, el);
    return () => viewer.cleanups.forEach((cleanup) => cleanup());
  },
};
