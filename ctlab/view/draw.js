// Painting, first of the three parts of the viewer: pure functions of what they are given.

const INK = "#ffe14d", BLACK = 0xff000000;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const signed = (value) => String(Math.round(value)).replace("-", "−");

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function readPixels(model, side) {
  const view = model.get(`${side}_bytes`);
  if (!view || !view.byteLength) return null;
  // Copied, because an Int16Array must start at an even byte.
  return new Int16Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

// RGBA word for every int16 value, so that one look-up paints one pixel.
function fillLut(lut, level, width) {
  const low = clamp(Math.floor(level - width / 2) + 32768, 0, 65536);
  const high = clamp(Math.ceil(level + width / 2) + 32768, 0, 65536);
  lut.fill(BLACK, 0, low).fill(0xffffffff, high);
  for (let i = low; i < high; i++) {
    const grey = Math.round(255 * clamp((i - 32768 - level) / width + 0.5, 0, 1));
    lut[i] = BLACK | (grey << 16) | (grey << 8) | grey;
  }
}

// Weights of one axis of the separable cubic filter of Mitchell and Netravali (1988, B = C = 1/3).
// It is stretched where the image is made smaller, so that noise does not alias. Pixel i of the
// panel takes count source pixels from index[i * count] on; pixels outside from...to show none.
function cubicTaps(length, origin, scale, size) {
  const stretch = Math.max(1, 1 / scale), count = Math.ceil(4 * stretch);
  const index = new Int32Array(length * count), weight = new Float32Array(length * count);
  const from = clamp(Math.ceil(origin - 0.5), 0, length), to = clamp(Math.ceil(origin + size * scale - 0.5), from, length);
  const cubic = (d) => d < 1 ? (7 * d - 12) * d * d + 16 / 3 : d < 2 ? ((-7 / 3 * d + 12) * d - 20) * d + 32 / 3 : 0;
  for (let i = from; i < to; i++) {
    const centre = (i + 0.5 - origin) / scale - 0.5, first = Math.floor(centre - 2 * stretch) + 1, at = i * count;
    let sum = 0;
    for (let k = 0; k < count; k++) {
      index[at + k] = clamp(first + k, 0, size - 1);
      sum += weight[at + k] = cubic(Math.abs(first + k - centre) / stretch);
    }
    for (let k = 0; k < count; k++) weight[at + k] /= sum;
  }
  return { index, weight, count, from, to, length };
}

// A slice as it lies in the panel, int16 HU: windowing then is one look-up per pixel of the screen.
function resample(pixels, columns, { x, y }) {
  const width = x.length, { from, to, count, index, weight } = x, rows = pixels.length / columns;
  const lines = new Float32Array(width * rows), row = new Float32Array(width), out = new Int16Array(width * y.length);
  const [low, high] = y.to > y.from ? [y.index[y.from * y.count], y.index[y.to * y.count - 1]] : [0, -1];
  for (let line = low; line <= high; line++) {
    const start = line * columns, put = line * width;
    for (let i = from, at = from * count; i < to; i++) {
      let sum = 0;
      for (const end = at + count; at < end; at++) sum += weight[at] * pixels[start + index[at]];
      lines[put + i] = sum;
    }
  }
  for (let j = y.from; j < y.to; j++) {
    row.fill(0.5);  // what is cut off below then rounds
    for (let k = 0, at = j * y.count; k < y.count; k++, at++) {
      const share = y.weight[at], take = y.index[at] * width;
      for (let i = from; i < to; i++) row[i] += share * lines[take + i];
    }
    const put = j * width;
    for (let i = from; i < to; i++) out[put + i] = Math.floor(row[i]);
  }
  return out;
}

// Images side by side in one panel, each from one share of its width to another; black around.
function paintPanel(panel, { x, y }, pieces, stamp) {
  const { canvas } = panel, context = canvas.getContext("2d");
  if (panel.image?.width !== canvas.width || panel.image.height !== canvas.height) {
    panel.image = context.createImageData(canvas.width, canvas.height);
    panel.stamp = undefined;
  }
  if (panel.stamp !== stamp) {
    const words = new Uint32Array(panel.image.data.buffer).fill(BLACK);
    for (const { hu, lut, from, to } of pieces) {
      const first = Math.max(x.from, Math.round(from * x.length)), last = Math.min(x.to, Math.round(to * x.length));
      for (let j = y.from; j < y.to; j++) {
        for (let i = j * x.length + first, end = j * x.length + last; i < end; i++) words[i] = lut[hu[i] + 32768];
      }
    }
    panel.stamp = stamp;
  }
  context.putImageData(panel.image, 0, 0);
}

// Canvas of a panel, sized for its place on the page; returns what the other painters need.
function preparePanel(panel, frame) {
  const { columns, rows, spacing, zoom, centre, tallest, flattest } = frame;
  const width = panel.node.clientWidth, aspect = Math.max(flattest, (rows * spacing[0]) / (columns * spacing[1]));
  const height = Math.max(120, Math.min(width * aspect, tallest * window.innerHeight));
  const ratio = window.devicePixelRatio || 1, canvas = panel.canvas;
  const size = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  if (panel.height !== height) canvas.style.height = `${panel.height = height}px`;
  const perMm = Math.min(width / (columns * spacing[1]), height / (rows * spacing[0])) * zoom;
  const x = perMm * spacing[1], y = perMm * spacing[0], context = canvas.getContext("2d", { alpha: false });
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const left = width / 2 - centre.x * x, top = height / 2 - centre.y * y;
  return { context, width, height, perMm, x, y, left, top, columns, rows, ratio, size };
}

// How rows and columns of the image lie on the pixels of the panel.
function layGrid({ size, left, top, x, y, ratio, columns, rows }) {
  return { x: cubicTaps(size.width, left * ratio, x * ratio, columns), y: cubicTaps(size.height, top * ratio, y * ratio, rows) };
}

function placeImage(spot, image) {
  spot.context.imageSmoothingQuality = "high";
  spot.context.drawImage(image, spot.left, spot.top, spot.columns * spot.x, spot.rows * spot.y);
}

// A path in yellow over black: seen on lung and on bone.
function outline(spot, trace) {
  for (const [width, colour] of [[4, "#000"], [1.8, INK]]) {
    Object.assign(spot.context, { lineWidth: width, strokeStyle: colour });
    spot.context.beginPath();
    trace(spot.context);
    spot.context.stroke();
  }
}

function write(spot, text, x, y) {
  const { context } = spot;
  Object.assign(context, { font: "600 13px system-ui, sans-serif", textBaseline: "middle" });
  Object.assign(context, { lineWidth: 3.5, strokeStyle: "#000", fillStyle: INK, lineJoin: "round" });
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}

const onScreen = (spot, point) => [spot.left + (point.x + 0.5) * spot.x, spot.top + (point.y + 0.5) * spot.y];

function drawScaleBar(spot) {
  const fits = [200, 100, 50, 20, 10, 5, 2, 1].find((mm) => mm * spot.perMm < spot.width / 3) ?? 1;
  const y = spot.height - 12, length = fits * spot.perMm;
  outline(spot, (path) => {
    path.moveTo(12, y - 5); path.lineTo(12, y); path.lineTo(12 + length, y); path.lineTo(12 + length, y - 5);
  });
  write(spot, `${fits} mm`, 20 + length, y - 4);
}

function drawMark(spot, point, number) {
  const [x, y] = onScreen(spot, point);
  outline(spot, (path) => path.arc(x, y, 11, 0, 7));
  write(spot, String(number), x + 14, y - 12);
}

function drawCross(spot, point) {
  const [x, y] = onScreen(spot, point);
  outline(spot, (path) => {
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      path.moveTo(x + 4 * dx, y + 4 * dy); path.lineTo(x + 14 * dx, y + 14 * dy);
    }
  });
}

function drawCalliper(spot, from, to, text) {
  const [x0, y0] = onScreen(spot, from), [x1, y1] = onScreen(spot, to);
  const length = Math.hypot(x1 - x0, y1 - y0) || 1, nx = (-5 * (y1 - y0)) / length, ny = (5 * (x1 - x0)) / length;
  outline(spot, (path) => {
    path.moveTo(x0, y0); path.lineTo(x1, y1);
    for (const [x, y] of [[x0, y0], [x1, y1]]) { path.moveTo(x - nx, y - ny); path.lineTo(x + nx, y + ny); }
  });
  write(spot, text, Math.max(x0, x1) + 8, (y0 + y1) / 2);
}

function drawEdge(spot, fraction) {
  const x = fraction * spot.width, middle = spot.height / 2;
  outline(spot, (path) => {
    path.moveTo(x, 0); path.lineTo(x, spot.height);
    for (const way of [-1, 1]) {
      path.moveTo(x + 6 * way, middle - 6); path.lineTo(x + 12 * way, middle); path.lineTo(x + 6 * way, middle + 6);
    }
  });
}

