// A signed map over the images of the viewer: switched by a key, never opaque, with its scale.
// Follows the text of the viewer itself, whose class it extends.

const MAP_KEYS = [["H", "map on or off"], ["X", "input minus output beside the map, and back"],
  ["[ ]", "map fainter, stronger"]];

class MapViewer extends Viewer {
  build(el) {
    super.build(el);
    this.legend = element("div", { class: "ctv-legend", role: "note" });
    this.root.insertBefore(this.legend, this.stage.nextSibling);
    this.on("change:map_bytes change:map_shown change:map_opacity change:residual", () => this.invalidate());
  }

  load() {
    this.mapCanvas = null;
    super.load();
  }

  mapPainted() {  // the map as a canvas of the size of a slice
    const stamp = this.get("map_bytes");
    if (this.mapCanvas?.stamp === stamp) return this.mapCanvas;
    const [, rows, columns] = this.get("shape"), canvas = document.createElement("canvas");
    Object.assign(canvas, { width: columns, height: rows, stamp });
    const colours = new Uint8ClampedArray(stamp.buffer.slice(stamp.byteOffset, stamp.byteOffset + stamp.byteLength));
    if (colours.length !== 4 * rows * columns) throw new Error("the map does not fit the shape");
    canvas.getContext("2d").putImageData(new ImageData(colours, columns, rows), 0, 0);
    return (this.mapCanvas = canvas);
  }

  mapLies() {  // the map belongs to one slice, seen from above
    return this.get("map_shown") && (!this.plane || this.plane() === "axial")
      && this.frame() === this.get("map_frame");
  }
  beside() { return this.get("residual") && this.mode() === "pair" && this.pixels.right !== null; }

  source(name) {
    if (!this.beside()) return super.source(name);
    return super.source(name === "left" ? "right" : "difference");
  }

  sideIn(panelSide, fraction) { return this.beside() ? "right" : super.sideIn(panelSide, fraction); }

  drawTools(spot, panelSide, mode) {
    const free = this.beside() && panelSide === "right";
    if (this.mapLies() && !free) {
      spot.context.globalAlpha = this.get("map_opacity");
      placeImage(spot, this.mapPainted());
      spot.context.globalAlpha = 1;
    }
    super.drawTools(spot, panelSide, mode);
  }

  toggleMap() { this.set({ map_shown: !this.get("map_shown") }); }
  toggleResidual() {
    if (!this.pixels.right) return;
    this.set({ residual: !this.beside(), mode: "pair" });
  }
  strengthen(by) { this.set({ map_opacity: Math.round(10 * clamp(this.get("map_opacity") + by, 0.1, 1)) / 10 }); }

  buildBar() {
    super.buildBar();
    const button = (text, key, press) => element("button", { type: "button", text, onclick: press,
      title: `${text} (key ${key})`, "aria-keyshortcuts": key.toLowerCase() });
    this.mapButton = button("Map", "H", () => this.toggleMap());
    this.residualButton = button("Residual", "X", () => this.toggleResidual());
    this.bar.append(element("div", { class: "ctv-group", role: "group", "aria-label": "Map" },
      this.mapButton, ...(this.get("right_bytes")?.byteLength ? [this.residualButton] : [])));
    [...this.help.querySelectorAll("dl")].pop().append(...MAP_KEYS.flatMap(
      ([keys, text]) => [element("dt", { text: keys }), element("dd", { text })]));
  }

  act(event) {
    const press = { h: () => this.toggleMap(), x: () => this.toggleResidual(),
      "[": () => this.strengthen(-0.1), "]": () => this.strengthen(0.1) }[event.key.toLowerCase()];
    if (!press || event.ctrlKey) return super.act(event);
    press();
    return true;
  }

  describe(mode) {
    super.describe(mode);
    if (this.beside()) {
      const [before, after] = this.get("labels");
      this.panels.left.label.textContent = after || "right";
      this.panels.right.label.textContent = `${after || "right"} − ${before || "left"}, ${this.differenceText()}`;
    }
    this.mapButton.setAttribute("aria-pressed", String(this.get("map_shown")));
    this.residualButton.setAttribute("aria-pressed", String(this.beside()));
    this.say(this.legend, this.legendText());
  }

  differenceText() {
    const { level, width } = this.difference;
    return `level ${signed(level)}, width ${signed(width)} HU`;
  }

  legendText() {
    if (!this.get("map_shown")) return "Map off (H)";
    if (!this.mapLies()) return `Map lies on slice ${this.number(this.get("map_frame"))}`;
    const top = `${Number(this.get("map_largest").toPrecision(3))} ${this.get("map_unit")}`.trim();
    return [`Map: orange up to +${top}, blue down to −${top}, clear at 0`,
      `strength ${Math.round(100 * this.get("map_opacity"))} %`, this.get("map_note")].filter(Boolean).join(" · ");
  }
}

export default {
  render({ model, el }) {
    const viewer = new MapViewer(model, el);
    return () => viewer.cleanups.forEach((cleanup) => cleanup());
  },
};
