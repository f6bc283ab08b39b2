// The display filter, first part of the viewer: how pixels of the image become pixels of the screen.
// Where one lies on one, every filter is the identity. Made smaller, all but "nearest" are stretched,
// so that noise does not alias.

const PADDED = -32768;  // stands for "no image here"; painted black whatever the window
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// Cubic filters of Mitchell and Netravali (1988, doi 10.1145/54852.378514) by their B and C.
const cubic = (b, c) => (d) => (d < 1 ? ((12 - 9 * b - 6 * c) * d + 12 * b + 6 * c - 18) * d * d + 6 - 2 * b
  : d < 2 ? (((-b - 6 * c) * d + 6 * b + 30 * c) * d - 12 * b - 48 * c) * d + 8 * b + 24 * c : 0);
const FILTERS = { "catmull-rom": [2, cubic(0, 0.5)], mitchell: [2, cubic(1 / 3, 1 / 3)],
  linear: [1, (d) => Math.max(0, 1 - d)], nearest: [0, null] };

// Weights of one axis. Pixel i of the panel takes count source pixels from index[i * count] on;
// pixels outside from...to show none.
function filterTaps(name, length, origin, scale, size) {
  const [reach, kernel] = FILTERS[name] ?? FILTERS["catmull-rom"];
  const same = Math.abs(scale - 1) < 1e-6 && Math.abs(origin - Math.round(origin)) < 1e-3;
  const stretch = Math.max(1, 1 / scale), count = same || !reach ? 1 : Math.ceil(2 * reach * stretch);
  const index = new Int32Array(length * count), weight = new Float32Array(length * count);
  const from = clamp(Math.ceil(origin - 0.5), 0, length), to = clamp(Math.ceil(origin + size * scale - 0.5), from, length);
  for (let i = from; i < to; i++) {
    const centre = (i + 0.5 - origin) / scale - 0.5, at = i * count;
    const first = count === 1 ? Math.round(centre) : Math.floor(centre - reach * stretch) + 1;
    let sum = 0;
    for (let k = 0; k < count; k++) {
      index[at + k] = clamp(first + k, 0, size - 1);
      sum += weight[at + k] = count === 1 ? 1 : kernel(Math.abs(first + k - centre) / stretch);
    }
    for (let k = 0; k < count; k++) weight[at + k] /= sum;
  }
  return { index, weight, count, from, to, length };
}

// How rows and columns of the image lie on the pixels of the panel.
function layGrid({ size, left, top, x, y, ratio, columns, rows }, filter) {
  return { x: filterTaps(filter, size.width, left * ratio, x * ratio, columns),
    y: filterTaps(filter, size.height, top * ratio, y * ratio, rows) };
}

// A slice as it lies in the panel, int16 HU: windowing then is one look-up per pixel of the screen. `out`
// may be what the same grid gave for another slice.
function resample(pixels, columns, { x, y }, padding, out = new Int16Array(x.length * y.length).fill(PADDED)) {
  if (y.to > y.from) {
    if (x.count === 1 && y.count === 1) pick(out, pixels, columns, x, y);
    else if (!resampleWide(out, pixels, columns, x, y)) alongColumns(out, alongRows(pixels, columns, x, y), x, y);
  }
  if (padding) hide(out, padding, columns, x, y);
  return out;
}

function pick(out, pixels, columns, x, y) {
  for (let j = y.from; j < y.to; j++) {
    for (let i = x.from, put = j * x.length, take = y.index[j] * columns; i < x.to; i++) out[put + i] = pixels[take + x.index[i]];
  }
}

function alongRows(pixels, columns, { length, from, to, count, index, weight }, y) {
  const lines = new Float32Array(length * (pixels.length / columns));
  const low = y.index[y.from * y.count], high = y.index[y.to * y.count - 1];
  for (let line = low; line <= high; line++) {
    const start = line * columns, put = line * length;
    if (count === 4) {
      for (let i = from, k = 4 * from; i < to; i++, k += 4) {
        lines[put + i] = weight[k] * pixels[start + index[k]] + weight[k + 1] * pixels[start + index[k + 1]]
          + weight[k + 2] * pixels[start + index[k + 2]] + weight[k + 3] * pixels[start + index[k + 3]];
      }
      continue;
    }
    for (let i = from, at = from * count; i < to; i++) {
      let sum = 0;
      for (const end = at + count; at < end; at++) sum += weight[at] * pixels[start + index[at]];
      lines[put + i] = sum;
    }
  }
  return lines;
}

// What overshoots int16 is cut off; the rest is rounded.
const whole = (value) => (value >= 32767 ? 32767 : value <= -32767 ? -32767 : ((value + 32768.5) | 0) - 32768);

function alongColumns(out, lines, { length, from, to }, y) {
  const row = new Float32Array(length);
  for (let j = y.from; j < y.to; j++) {
    const put = j * length, k = j * y.count;
    if (y.count === 4) {
      const [a, b, c, d] = y.weight.subarray(k, k + 4), [e, f, g, h] = y.index.subarray(k, k + 4).map((line) => line * length);
      for (let i = from; i < to; i++) out[put + i] = whole(a * lines[e + i] + b * lines[f + i] + c * lines[g + i] + d * lines[h + i]);
      continue;
    }
    row.fill(0);
    for (let at = k; at < k + y.count; at++) {
      const share = y.weight[at], take = y.index[at] * length;
      for (let i = from; i < to; i++) row[i] += share * lines[take + i];
    }
    for (let i = from; i < to; i++) out[put + i] = whole(row[i]);
  }
}

function hide(out, padding, columns, x, y) {
  const middle = (axis, i) => axis.index[i * axis.count + ((axis.count - 1) >> 1)];
  const across = Int32Array.from({ length: x.length }, (_, i) => middle(x, i));
  let line = -1, runs = [];  // of hidden pixels along a line, for all rows of the panel that show it
  for (let j = y.from; j < y.to; j++) {
    const put = j * x.length;
    if (middle(y, j) !== line) {
      line = middle(y, j);
      runs = [];
      for (let i = x.from, open = -1; i <= x.to; i++) {
        const hidden = i < x.to && padding[line * columns + across[i]];
        if (hidden && open < 0) open = i;
        else if (!hidden && open >= 0) { runs.push([open, i]); open = -1; }
      }
    }
    for (const [from, to] of runs) out.fill(PADDED, put + from, put + to);
  }
}

// Padding: what hangs together with the edge of an image at its lowest value, in areas of at least
// 0.5 % of it. It grows from pixels alone whose neighbours are as low, so that it does not creep into
// the noise of air. The mask is that of all images together: where one arm is padded, both are black.
function paddingOf(images, columns, lowest) {
  const size = images[0].length, mask = new Uint8Array(size), todo = new Int32Array(size);
  let some = false;
  for (const pixels of images) {
    const seen = new Uint8Array(size);
    let end = 0;
    const visit = (i) => { if (!seen[i] && pixels[i] <= lowest) { seen[i] = 1; todo[end++] = i; } };
    const fill = (start) => {
      const first = end;
      visit(start);
      for (let next = first; next < end; next++) {
        const i = todo[next], column = i % columns;
        const left = column ? i - 1 : i, right = column < columns - 1 ? i + 1 : i;
        const up = i >= columns ? i - columns : i, down = i < size - columns ? i + columns : i;
        if (pixels[left] > lowest || pixels[right] > lowest || pixels[up] > lowest || pixels[down] > lowest) continue;
        visit(left);
        visit(right);
        visit(up);
        visit(down);
      }
      if (end - first < size / 200) return;
      some = true;
      for (let at = first; at < end; at++) mask[todo[at]] = 1;
    };
    for (let i = 0; i < columns; i++) { fill(i); fill(size - 1 - i); }
    for (let i = 0; i < size; i += columns) { fill(i); fill(i + columns - 1); }
  }
  return some ? mask : null;
}
