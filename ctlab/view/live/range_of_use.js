// Does the reader's slice lie within what the network was made for? The noise as
// ctlab.ct.noise_level measures it, and the sentences of ctlab.ct.range_check.

const NOISE_TISSUE_HU = [-30, 130];

// Mode of numbers: the peak of their smoothed histogram.
function commonest(values) {
  const sorted = Float64Array.from(values).sort(), half = sorted.length >> 1;
  const middle = sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  if (middle < 1e-3) return middle;
  const bins = 400, top = 4 * middle, counts = new Float64Array(bins), smooth = new Float64Array(bins);
  for (const v of sorted) if (v <= top) counts[Math.min(Math.floor((v / top) * bins), bins - 1)]++;
  const taps = gaussianTaps(8), radius = (taps.length - 1) / 2;
  for (let k = 0; k < bins; k++) for (let i = -radius; i <= radius; i++) smooth[k] += taps[i + radius] * (counts[k + i] ?? 0);
  const k = Math.min(Math.max(smooth.indexOf(Math.max(...smooth)), 1), bins - 2), [left, peak, right] = smooth.subarray(k - 1, k + 2);
  const bend = left - 2 * peak + right, aside = bend < 0 ? (0.5 * (left - right)) / bend : 0;
  return ((k + 0.5 + aside) * top) / bins;
}

// Mean, SD and share of structure of windows two pixels apart: what a quadratic surface explains.
function windowParts(hu, rows, columns, w) {
  const x = Array.from({ length: w }, (_, k) => k - (w - 1) / 2), mean2 = x.reduce((s, v) => s + v * v, 0) / w;
  const basis = [x.map(() => 1), x, x.map((v) => v * v - mean2)].map((b) => { const size = Math.hypot(...b); return b.map((v) => v / size); });
  const down = Math.floor((rows - w) / 2) + 1, across = Math.floor((columns - w) / 2) + 1, out = [];
  if (rows < w || columns < w) return out;
  const clipped = Float64Array.from(hu, (v) => Math.min(Math.max(v, -1024), 1500));
  const along = basis.map((b) => {
    const made = new Float64Array(rows * across);
    for (let j = 0; j < rows; j++) for (let i = 0; i < across; i++) for (let k = 0; k < w; k++) made[j * across + i] += b[k] * clipped[j * columns + 2 * i + k];
    return made;
  });
  const squared = new Float64Array(rows * across);
  for (let j = 0; j < rows; j++) for (let i = 0; i < across; i++) for (let k = 0; k < w; k++) squared[j * across + i] += clipped[j * columns + 2 * i + k] ** 2;
  for (let j = 0; j < down; j++) for (let i = 0; i < across; i++) {
    const part = (a, b) => { let sum = 0; for (let k = 0; k < w; k++) sum += basis[a][k] * along[b][(2 * j + k) * across + i]; return sum; };
    let total = 0;
    for (let k = 0; k < w; k++) total += squared[(2 * j + k) * across + i];
    const whole = part(0, 0), squares = Math.max(total - whole ** 2, 0);
    const explained = [[0, 1], [1, 0], [1, 1], [0, 2], [2, 0]].reduce((sum, [a, b]) => sum + part(a, b) ** 2, 0);
    out.push({ mean: whole / w, sd: Math.sqrt(squares / (w * w - 1)), structure: squares < 1e-6 * w * w ? 0 : explained / squares });
  }
  return out;
}

// Noise SD in HU in flat soft tissue of one slice; null where it shows too little of it.
function measureNoise(hu, rows, columns, pixelMm) {
  const soft = windowParts(hu, rows, columns, Math.max(7, Math.round(6 / pixelMm) | 1))
    .filter(({ mean }) => mean >= NOISE_TISSUE_HU[0] && mean <= NOISE_TISSUE_HU[1]);
  if (soft.length < 50) return null;
  const share = Float64Array.from(soft, ({ structure }) => structure).sort();
  const most = share[Math.min(Math.max(Math.floor(0.1 * share.length), 50), share.length) - 1];
  return commonest(soft.filter(({ structure }) => structure <= most).map(({ sd }) => sd));
}

// Sentences about the facts of a slice: those outside the range, and those that are not known.
function applicability(facts, { range, words }) {
  const outside = [], unknown = [], four = (v) => typeof v === "number" ? String(Number(v.toPrecision(4))) : v;
  for (const [name, spoken] of Object.entries(words)) {
    const [what, unit = ""] = spoken.split(", "), value = facts[name] ?? null, allowed = range[name] ?? [];
    if (value === null || !allowed.length) { unknown.push(`${what}: ${value === null ? "the series" : "the card"} does not say`); continue; }
    const names = typeof allowed[0] === "string", inside = names ? allowed.includes(value) : allowed[0] <= value && value <= allowed[1];
    if (!inside) outside.push(`${what} is ${`${four(value)} ${unit}`.trim()}, the denoiser was made for ${allowed.map(four).join(names ? ", " : " to ")}`);
  }
  return { outside, unknown };
}
