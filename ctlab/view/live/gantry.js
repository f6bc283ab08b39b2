// Parallel-beam CT in the page: ctlab.ct.simulation.parallel_beam, ray by ray.
// x grows along a row, y down; the ray (a, s) is the line x cos a + y sin a = s, in pixels.

class Scan {
  // mu: attenuation per mm, flat, side by side rows; half a turn.
  constructor(mu, side, pixelMm, views = 180) {
    Object.assign(this, { mu, side, pixelMm, views, detectors: Math.ceil(Math.hypot(side, side)) + 2 });
    this.middle = (side - 1) / 2;
    this.rim = (this.detectors - 1) / 2;
    this.sinogram = new Float64Array(views * this.detectors);
    for (let view = 0; view < views; view++) for (let d = 0; d < this.detectors; d++) this.sinogram[view * this.detectors + d] = this.ray(this.angle(view), d - this.rim);
    this.filtered = this.ramp();
  }

  angle(view) { return (view * Math.PI) / this.views; }

  // Line integral by Joseph's method: one sample a row, or a column, where the ray runs mostly that way.
  ray(a, s) {
    const { mu, side, middle } = this, steep = Math.abs(Math.cos(a)) >= Math.abs(Math.sin(a));
    const along = steep ? Math.cos(a) : Math.sin(a), across = steep ? Math.sin(a) : Math.cos(a);
    const pixel = (line, at) => (at < 0 || at >= side ? 0 : steep ? mu[line * side + at] : mu[at * side + line]);
    let sum = 0;
    for (let line = 0; line < side; line++) {
      const place = (s - (line - middle) * across) / along + middle, left = Math.floor(place), share = place - left;
      sum += (1 - share) * pixel(line, left) + share * pixel(line, left + 1);
    }
    return (sum * this.pixelMm) / Math.abs(along);
  }

  // Views convolved with the band-limited ramp (Kak and Slaney 1988, equation 3.29).
  ramp() {
    const n = this.detectors, out = new Float64Array(this.sinogram.length);
    const weight = Float64Array.from({ length: n }, (_, k) => (k === 0 ? 1 / 4 : k % 2 ? -1 / (Math.PI * k) ** 2 : 0) / this.pixelMm);
    for (let view = 0; view < this.views; view++) {
      const row = this.sinogram.subarray(view * n, (view + 1) * n);
      for (let d = 0; d < n; d++) {
        let sum = 0;
        for (let e = 0; e < n; e++) sum += row[e] * weight[Math.abs(d - e)];
        out[view * n + d] = sum;
      }
    }
    return out;
  }

  // The first views smeared back along their rays and added.
  smear(count, withRamp) {
    const { side, middle, rim, detectors } = this, rows = withRamp ? this.filtered : this.sinogram, image = new Float64Array(side * side);
    for (let view = 0; view < count; view++) {
      const [c, s] = [Math.cos(this.angle(view)), Math.sin(this.angle(view))], first = view * detectors;
      for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
        const at = (x - middle) * c + (y - middle) * s + rim, left = Math.floor(at), share = at - left;
        image[y * side + x] += (1 - share) * rows[first + left] + share * rows[first + left + 1];
      }
    }
    return image.map((v) => (v * Math.PI) / this.views);
  }
}

const SIZE = 340, WATER = 0.0193, RAY = "#ffd54a";
const PANELS = [
  ["slice", "Slice, tube (circle), one ray and the detector"],
  ["sinogram", "Sinogram: the row of this angle, the point of this ray"],
  ["profile", "That row as a curve: what is smeared back"],
  ["image", "All rows up to this angle, smeared back and added"],
];

class GantryFigure {
  constructor(el, scan) {
    this.scan = scan;
    this.view = Math.round(scan.views / 4);
    this.at = Math.round(scan.rim);
    this.root = document.createElement("div");
    this.root.className = "toy gantry";
    this.root.gantry = this;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "A CT scan of one slice, turned by hand");
    this.canvases = {};
    const panels = this.add(this.root, "div", { class: "gantry-panels" });
    for (const [name, title] of PANELS) {
      const figure = this.add(panels, "figure");
      this.canvases[name] = this.add(figure, "canvas", { width: SIZE, height: SIZE, role: "img", "aria-label": title });
      this.add(figure, "figcaption", {}, title);
    }
    const controls = this.add(this.root, "div", { class: "toy-controls" });
    this.start = this.add(controls, "button", { type: "button" }, "Turn the gantry");
    this.start.addEventListener("click", () => this.toggle());
    this.angleInput = this.slider(controls, "Angle", scan.views - 1, this.view, (v) => { this.view = v; }, () => `${this.degrees()}°`);
    this.slider(controls, "Ray", scan.detectors - 1, this.at, (v) => { this.at = v; }, () => `${this.millimetres()} mm`);
    const id = `ramp-${Math.random().toString(36).slice(2)}`, row = this.add(controls, "div", { class: "toy-row" });
    this.rampInput = this.add(row, "input", { id, type: "checkbox" });
    this.add(row, "label", { for: id }, "ramp filter");
    this.rampInput.addEventListener("change", () => this.draw());
    this.words = this.add(this.root, "p", { role: "status" });
    el.append(this.root);
    this.draw();
  }

  add(parent, tag, attributes = {}, text = "") {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.textContent = text;
    parent.append(node);
    return node;
  }

  slider(parent, name, max, value, take, words) {
    const id = `gantry-${Math.random().toString(36).slice(2)}`, row = this.add(parent, "div", { class: "toy-row" });
    this.add(row, "label", { for: id }, name);
    const input = this.add(row, "input", { id, type: "range", min: 0, max, step: 1, value }), output = this.add(row, "output", { for: id });
    input.show = () => {
      output.textContent = words();
      input.setAttribute("aria-valuetext", words());
    };
    input.addEventListener("input", () => {
      take(Number(input.value));
      this.draw();
      input.show();
    });
    input.show();
    return input;
  }

  degrees() { return Math.round((180 * this.view) / this.scan.views); }
  millimetres() { return Math.round((this.at - this.scan.rim) * this.scan.pixelMm); }

  toggle() {
    this.running = !this.running;
    this.start.textContent = this.running ? "Stop" : "Turn the gantry";
    if (!this.running) return;
    if (this.view >= this.scan.views - 1) this.view = 0;
    this.frame();
  }

  frame() {
    if (!this.running || !this.root.isConnected) return;
    this.view = Math.min(this.view + 1, this.scan.views - 1);
    this.angleInput.value = this.view;
    this.angleInput.show();
    this.draw();
    if (this.view === this.scan.views - 1) this.toggle();
    else setTimeout(() => this.frame(), 40);
  }

  // values as greys, stretched over a rectangle of a canvas
  paint(context, values, width, [low, high], box) {
    const image = new ImageData(width, values.length / width);
    values.forEach((v, i) => image.data.fill((255 * (v - low)) / (high - low), 4 * i, 4 * i + 3).fill(255, 4 * i + 3, 4 * i + 4));
    const own = document.createElement("canvas");
    [own.width, own.height] = [image.width, image.height];
    own.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(own, ...box);
  }

  line(context, points, colour, width = 2) {
    context.beginPath();
    points.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.stroke();
  }

  dot(context, x, y, colour) {
    context.beginPath();
    context.arc(x, y, 6, 0, 7);
    context.fillStyle = colour;
    context.fill();
  }

  draw() {
    const { scan } = this, p = scan.sinogram[this.view * scan.detectors + this.at];
    const contexts = Object.fromEntries(PANELS.map(([name]) => [name, this.canvases[name].getContext("2d")]));
    for (const context of Object.values(contexts)) {
      context.fillStyle = "#000";
      context.fillRect(0, 0, SIZE, SIZE);
    }
    this.drawSlice(contexts.slice);
    this.paint(contexts.sinogram, scan.sinogram, scan.detectors, [0, scan.sinogram.reduce((a, b) => Math.max(a, b))], [0, 0, SIZE, SIZE]);
    const y = ((this.view + 0.5) / scan.views) * SIZE, x = ((this.at + 0.5) / scan.detectors) * SIZE;
    this.line(contexts.sinogram, [[0, y], [SIZE, y]], RAY);
    this.dot(contexts.sinogram, x, y, RAY);
    this.drawProfile(contexts.profile, x);
    this.drawImage(contexts.image);
    this.words.textContent = `Angle ${this.degrees()}°, ray at ${this.millimetres()} mm: p = ${p.toFixed(2)}, so one photon in ${Math.round(Math.exp(p)).toLocaleString("en")} gets through. `
      + `${this.view + 1} of ${scan.views} views are added, ${this.rampInput.checked ? "each filtered with the ramp" : "unfiltered: the image is fog"}.`;
  }

  drawSlice(context) {
    const { scan } = this, a = scan.angle(this.view), [c, s] = [Math.cos(a), Math.sin(a)], half = SIZE / 2, zoom = (0.66 * SIZE) / scan.side;
    this.paint(context, scan.mu, scan.side, [0, 1.4 * WATER], [half - 0.33 * SIZE, half - 0.33 * SIZE, 0.66 * SIZE, 0.66 * SIZE]);
    const at = (off, along) => [half + off * c - along * s, half + off * s + along * c], far = half - 12, off = (this.at - scan.rim) * zoom, wide = scan.rim * zoom;
    this.line(context, [at(-wide, far), at(wide, far)], "#8fd3ff", 5);
    this.line(context, [at(off, -far), at(off, far)], RAY);
    this.dot(context, ...at(off, -far), RAY);
  }

  drawProfile(context, x) {
    const { scan } = this, all = this.rampInput.checked ? scan.filtered : scan.sinogram, row = all.subarray(this.view * scan.detectors, (this.view + 1) * scan.detectors);
    const high = all.reduce((a, b) => Math.max(a, b)), low = all.reduce((a, b) => Math.min(a, b));
    const level = (v) => SIZE * (0.95 - (0.9 * (v - low)) / (high - low));
    this.line(context, [[0, level(0)], [SIZE, level(0)]], "#6c757c", 1);
    this.line(context, [...row].map((v, d) => [((d + 0.5) / scan.detectors) * SIZE, level(v)]), "#8fd3ff");
    this.dot(context, x, level(row[this.at]), RAY);
  }

  drawImage(context) {
    const { scan } = this, withRamp = this.rampInput.checked, image = scan.smear(this.view + 1, withRamp);
    this.paint(context, image, scan.side, [0, withRamp ? 1.4 * WATER : image.reduce((a, b) => Math.max(a, b))], [0, 0, SIZE, SIZE]);
  }
}

export default {
  render({ model, el }) {
    const bytes = Uint8Array.from(atob(model.get("pixels")), (c) => c.charCodeAt(0)), scale = model.get("mu_max") / 255;
    const figure = new GantryFigure(el, new Scan(Float64Array.from(bytes, (b) => b * scale), model.get("side"), model.get("pixel_mm")));
    return () => { figure.running = false; };
  },
};
