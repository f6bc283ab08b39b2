// What a reader makes of a slice: the same as scene.py, operation by operation.

const DOSES = [0.02, 1];
const BLUR_MM = 0.5, EDGE_PX = 3;

// Weights of the stored draws of noise; beyond them, mixtures of the same variance (mulberry32).
function drawWeights(draw, count) {
  if (draw < count) return Array.from({ length: count }, (_, k) => Number(k === draw));
  let state = draw;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1) >>> 0;
    t = (t ^ (t + (Math.imul(t ^ (t >>> 7), t | 61) >>> 0))) >>> 0;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  const normal = Array.from({ length: count }, () => {
    const [a, b] = [uniform(), uniform()];
    return Math.sqrt(-2 * Math.log(a)) * Math.cos(2 * Math.PI * b);
  });
  const size = Math.hypot(...normal);
  return normal.map((value) => value / size);
}

const noiseFactor = (dose, noiseDose) => Math.sqrt((1 / dose - 1) / (1 / noiseDose - 1));

// Gaussian of one axis as scipy.ndimage makes it, cut off at four SD; the border is reflected.
function gaussianTaps(sigma) {
  const radius = Math.floor(4 * sigma + 0.5), taps = [];
  for (let k = -radius; k <= radius; k++) taps.push(Math.exp((-0.5 * k * k) / (sigma * sigma)));
  const sum = taps.reduce((a, b) => a + b, 0);
  return taps.map((tap) => tap / sum);
}
function blurImage(image, rows, columns, sigma) {
  const taps = gaussianTaps(sigma), radius = (taps.length - 1) / 2;
  const reflect = (k, n) => { for (;;) { if (k < 0) k = -1 - k; else if (k >= n) k = 2 * n - 1 - k; else return k; } };
  const along = (from, n, step, lines, across) => {
    const out = new Float64Array(from.length);
    for (let line = 0; line < lines; line++) for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let k = -radius; k <= radius; k++) sum += taps[k + radius] * from[line * across + reflect(i + k, n) * step];
      out[line * across + i * step] = sum;
    }
    return out;
  };
  return along(along(image, rows, columns, columns, 1), columns, 1, rows, columns);
}

// Central plane of a nodule of height 1 on a square about its centre, drawn five times as fine.
function nodulePlane(size, pixelMm, diameterMm, soft) {
  const fine = 5, plane = new Float64Array(size * size), at = (i) => ((i - (size * fine - 1) / 2) / fine) * pixelMm;
  for (let i = 0; i < size * fine; i++) for (let j = 0; j < size * fine; j++) {
    const r = Math.hypot(at(i), at(j)) / (diameterMm / 2);
    const value = soft ? Math.max(1 - r * r, 0) : Number(r <= 1);
    plane[Math.floor(i / fine) * size + Math.floor(j / fine)] += value / (fine * fine);
  }
  return blurImage(plane, size, size, BLUR_MM / pixelMm);
}

// The truth after one stroke of the brush. Truths are Float32Array of rows x columns.
function edited(truth, rows, columns, pixelMm, edit) {
  const { kind, y, x, diameter_mm: diameter, hu } = edit, out = Float32Array.from(truth);
  if (kind === "erase") return erased(truth, out, rows, columns, pixelMm, edit);
  const reach = Math.ceil(diameter / 2 / pixelMm + (4 * BLUR_MM) / pixelMm) + 1, size = 2 * reach + 1;
  const plane = nodulePlane(size, pixelMm, diameter, kind !== "solid");
  let background = 0;
  if (kind !== "paint") {
    const ring = [];
    for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) {
      const away = Math.hypot(j - y, i - x) * pixelMm;
      if (away >= 0.7 * diameter && away <= diameter) ring.push(truth[j * columns + i]);
    }
    ring.sort((a, b) => a - b);
    const half = ring.length >> 1;
    background = !ring.length ? truth[y * columns + x] : ring.length % 2 ? ring[half] : (ring[half - 1] + ring[half]) / 2;
  }
  for (let j = Math.max(0, y - reach); j <= Math.min(rows - 1, y + reach); j++) {
    for (let i = Math.max(0, x - reach); i <= Math.min(columns - 1, x + reach); i++) {
      const share = plane[(j - y + reach) * size + i - x + reach], at = j * columns + i;
      out[at] = kind === "paint" ? truth[at] + 0.5 * share * (hu - truth[at]) : truth[at] + (hu - background) * share;
    }
  }
  return out;
}

// Lung from beside a disc in its place where the disc is denser, from the emptiest of eight sides.
function erased(truth, out, rows, columns, pixelMm, { y, x, diameter_mm: diameter }) {
  const radius = diameter / 2 / pixelMm, step = Math.ceil(2 * radius + EDGE_PX), place = [];
  for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) {
    const blend = Math.min(1, (radius + EDGE_PX - Math.hypot(j - y, i - x)) / EDGE_PX);
    if (blend > 0) place.push([j, i, blend]);
  }
  let best = null;
  for (const dy of [-1, 0, 1]) for (const dx of [-1, 0, 1]) {
    const [down, right] = [dy * step, dx * step];
    if ((!dy && !dx) || place.some(([j, i]) => j + down < 0 || i + right < 0 || j + down >= rows || i + right >= columns)) continue;
    const source = place.map(([j, i]) => truth[(j + down) * columns + i + right]);
    const mean = source.reduce((a, b) => a + b, 0) / source.length;
    if (!best || mean < best.mean) best = { mean, source };
  }
  if (best) place.forEach(([j, i, blend], k) => { out[j * columns + i] += blend * Math.min(best.source[k] - truth[j * columns + i], 0); });
  return out;
}

// A quarter turn against the clock, as numpy.rot90 makes it.
function quarterTurn(image, rows, columns) {
  const out = new Float32Array(image.length);
  for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) out[(columns - 1 - i) * rows + j] = image[j * columns + i];
  return out;
}

class Scene {
  constructor({ truth, noise, rows, columns, pixelMm, noiseDose }) {
    Object.assign(this, { truth, noise, rows, columns, pixelMm, noiseDose, kept: new Map() });
  }

  // Truth with the edits; the last two lists stay, since read-outs ask for them in turn.
  edited(edits) {
    const key = JSON.stringify(edits);
    if (!this.kept.has(key)) {
      let truth = this.truth;
      if (edits.length) truth = edited(this.edited(edits.slice(0, -1)), this.rows, this.columns, this.pixelMm, edits[edits.length - 1]);
      if (this.kept.size > 40) this.kept.clear();
      this.kept.set(key, truth);
    }
    return this.kept.get(key);
  }

  // Input of the network in a state, and its truth: HU, rows x columns.
  compose(state) {
    let { rows, columns } = this, truth = this.edited(state.edits), given = Float32Array.from(truth);
    const factor = noiseFactor(state.dose, this.noiseDose);
    drawWeights(state.draw, this.noise.length).forEach((weight, k) => {
      const noise = this.noise[k], by = factor * weight;
      if (by) for (let i = 0; i < given.length; i++) given[i] += by * noise[i];
    });
    for (let k = 0; k < ((state.turns % 4) + 4) % 4; k++) {
      [given, truth] = [given, truth].map((image) => quarterTurn(image, rows, columns));
      [rows, columns] = [columns, rows];
    }
    const cut = state.cut_px, [r, c] = [rows - 2 * cut, columns - 2 * cut];
    const inner = (image) => {
      const out = new Float32Array(r * c);
      for (let j = 0; j < r; j++) for (let i = 0; i < c; i++) out[j * c + i] = image[(j + cut) * columns + i + cut] + state.shift_hu;
      return out;
    };
    return { given: inner(given), truth: inner(truth), rows: r, columns: c };
  }

  // Pixel of the slice under a pixel of the composed image, and back.
  place(point, state) {
    let { y, x } = { y: point.y, x: point.x }, [rows, columns] = state.turns % 2 ? [this.columns, this.rows] : [this.rows, this.columns];
    for (let k = 0; k < ((state.turns % 4) + 4) % 4; k++) {
      [y, x] = [x, rows - 1 - y];
      [rows, columns] = [columns, rows];
    }
    return { y, x };
  }
}

function withoutLastNodule(edits) {
  for (let k = edits.length - 1; k >= 0; k--) {
    if (["solid", "ground glass"].includes(edits[k].kind)) return edits.filter((_, i) => i !== k);
  }
  return null;
}

function rms(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum / a.length);
}
function sdOfDifference(a, b) {
  let sum = 0, squares = 0;
  for (let i = 0; i < a.length; i++) { const d = a[i] - b[i]; sum += d; squares += d * d; }
  return Math.sqrt(Math.max(squares / a.length - (sum / a.length) ** 2, 0));
}
// Share of what was put in that came out: least squares over all pixels.
function keptShare(given, bare, out, outBare) {
  let both = 0, putIn = 0;
  for (let i = 0; i < given.length; i++) {
    const a = given[i] - bare[i];
    both += a * (out[i] - outBare[i]);
    putIn += a * a;
  }
  return both / Math.max(putIn, 1e-9);
}
