// A map over the images of the reading room, switched by key H. Follows the text of the viewer, whose
// class it extends. The room decides when the map comes; this shows it and measures how long.

const BELOW = [33, 102, 172], ABOVE = [230, 97, 1];  // blue and orange, as in the book's maps

class OverlayViewer extends Viewer {
  build(el) {
    this.overlayOn = false;
    super.build(el);
    this.legend = element("div", { class: "ctv-legend", role: "note", hidden: true });
    this.root.insertBefore(this.legend, this.stage.nextSibling);
    this.on("change:overlay change:overlay_bytes", () => this.newOverlay());
    this.newOverlay();
  }

  newOverlay() {  // seen from the start: what is hidden until a key is pressed is not seen by all
    const bytes = this.get("overlay_bytes"), has = Boolean(this.get("overlay") && bytes?.byteLength);
    if (has && this.overlayOf === this.get("overlay")) return;
    this.overlayOf = has ? this.get("overlay") : "";
    this.painted = null;
    Object.assign(this, { overlayOn: has, overlaySince: performance.now(), overlayMs: 0, overlayToggles: 0 });
    this.buildBar();
  }

  get hasOverlay() { return Boolean(this.overlayOf); }

  toggleOverlay() {
    if (!this.hasOverlay) return;
    this.overlayMs = this.msOn();
    this.overlaySince = performance.now();
    this.overlayOn = !this.overlayOn;
    this.overlayToggles += 1;
    this.invalidate();
  }

  msOn() { return this.overlayMs + (this.overlayOn ? performance.now() - this.overlaySince : 0); }

  seen() {
    if (!this.hasOverlay) return super.seen();
    return { ...super.seen(), overlay_on: this.overlayOn, overlay_s: this.msOn() / 1000,
      overlay_toggles: this.overlayToggles, overlay_strength: this.get("overlay_strength") };
  }

  overlayPainted(frame) {  // one slice of the map as a canvas
    if (this.painted?.frame === frame) return this.painted.canvas;
    const bytes = this.get("overlay_bytes"), [, rows, columns] = this.get("shape"), size = rows * columns;
    const values = new Uint8Array(bytes.buffer, bytes.byteOffset + frame * size, size);
    const image = new ImageData(columns, rows);
    values.forEach((value, i) => {
      image.data.set(value < 128 ? BELOW : ABOVE, 4 * i);
      image.data[4 * i + 3] = Math.min(255, Math.abs(value - 128) * 255 / 127);
    });
    const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
    canvas.getContext("2d").putImageData(image, 0, 0);
    this.painted = { frame, canvas };
    return canvas;
  }

  drawTools(spot, panelSide, mode) {
    if (this.hasOverlay && this.overlayOn && this.plane() === "axial") {
      spot.context.globalAlpha = this.get("overlay_strength");
      placeImage(spot, this.overlayPainted(this.frame()));
      spot.context.globalAlpha = 1;
    }
    super.drawTools(spot, panelSide, mode);
  }

  buildBar() {
    super.buildBar();
    this.overlayButton = null;
    if (!this.hasOverlay) return;
    const words = this.get("overlay_words");
    this.overlayButton = element("button", { type: "button", text: words.overlay, title: `${words.overlay} (H)`,
      "aria-keyshortcuts": "h", onclick: () => this.toggleOverlay() });
    this.bar.append(element("div", { class: "ctv-group", role: "group", "aria-label": words.overlay }, this.overlayButton));
  }

  act(event) {
    if (event.key.toLowerCase() !== "h" || event.ctrlKey || !this.hasOverlay) return super.act(event);
    this.toggleOverlay();
    return true;
  }

  describe(mode) {
    super.describe(mode);
    this.overlayButton?.setAttribute("aria-pressed", String(this.overlayOn));
    if (!this.legend) return;
    this.legend.hidden = !this.hasOverlay;
    if (this.hasOverlay) this.legend.textContent = this.get("overlay_words").overlay_legend;
  }
}

export default {
  render({ model, el }) {
    const viewer = new OverlayViewer(model, el);
    return () => viewer.cleanups.forEach((cleanup) => cleanup());
  },
};
