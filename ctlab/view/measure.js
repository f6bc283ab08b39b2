// Measures: callipers and circles, each on the slice where it was drawn, and HU under the pointer.

class Measures extends Planes {
  // Measures of the image on screen, oldest first.
  measuresHere() {
    return this.measures.filter((m) => m.plane === this.plane() && m.frame === this.frame());
  }

  startMeasure(kind, at) {
    this.measure = { kind, plane: this.plane(), frame: this.frame(), from: at, to: at };
    this.measures.push(this.measure);
  }

  // A click without a drag measures nothing.
  endMeasure() {
    const { from, to } = this.measure ?? {};
    if (from && from.x === to.x && from.y === to.y) this.measures = this.measures.filter((m) => m !== this.measure);
    this.measure = null;
  }

  removeMeasure() {
    const last = this.measuresHere().pop();
    this.measures = this.measures.filter((m) => m !== last);
    return Boolean(last);
  }

  lengthMm({ from, to }) {
    const [sy, sx] = this.spacing;
    return Math.hypot((to.x - from.x) * sx, (to.y - from.y) * sy);
  }

  // Length of the last calliper on the image on screen; undefined where there is none.
  calliperMm() {
    const last = this.measuresHere().filter(({ kind }) => kind === "calliper").pop();
    return last && this.lengthMm(last);
  }

  // Mean and SD of an image (HU as stored, whatever the display filter) over a circle.
  circleHu(side, measure) {
    const pixels = this.slice(side), [sy, sx] = this.spacing, { from } = measure, reach = this.lengthMm(measure);
    const values = [];
    for (let y = Math.max(0, Math.ceil(from.y - reach / sy)); y <= Math.min(this.rows - 1, from.y + reach / sy); y++) {
      for (let x = Math.max(0, Math.ceil(from.x - reach / sx)); x <= Math.min(this.columns - 1, from.x + reach / sx); x++) {
        if (Math.hypot((x - from.x) * sx, (y - from.y) * sy) <= reach) values.push(pixels[y * this.columns + x]);
      }
    }
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return { mean, sd: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : NaN, pixels: values.length };
  }

  measureText(measure, side) {
    if (measure.kind === "calliper") return `${this.lengthMm(measure).toFixed(1)} mm`;
    const { mean, sd } = this.circleHu(side, measure);
    return this.w("mean {mean}, SD {sd} HU", { mean: signed(mean), sd: Number.isNaN(sd) ? "–" : sd.toFixed(1) });
  }

  drawMeasures(spot, side) {
    for (const measure of this.measuresHere()) {
      const draw = measure.kind === "circle" ? drawCircle : drawCalliper;
      draw(spot, measure.from, measure.to, this.measureText(measure, side));
    }
  }

  probeText(mode) {
    const parts = [], last = this.measuresHere().pop();
    const both = (text) => (this.pixels.right ? `${this.w("left")} ${text("left")}, ${this.w("right")} ${text("right")}` : text("left"));
    if (last?.kind === "calliper") parts.push(`${this.w("calliper")} ${this.measureText(last)}`);
    if (last?.kind === "circle") parts.push(`${this.w("circle")} ${both((side) => this.measureText(last, side))}`);
    if (this.steersCross()) {
      parts.push(`${this.w("cross")} x ${this.cursor.x}, y ${this.cursor.y}${this.tool === "mark" && mode === "pair" ? `, ${this.w(this.cursor.side)}` : ""}`);
    }
    if (this.get("probe") && this.probe) {
      const at = this.probe.y * this.columns + this.probe.x;
      parts.push(both((side) => `${signed(this.slice(side)[at])} HU`));
    }
    return parts.join(" · ");
  }
}

