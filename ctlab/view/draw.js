// Painting: pure functions of what they are given.

const FONT = "600 13px system-ui, sans-serif";
const INK = "#ffe14d", BLACK = 0xff000000, WHITE = 0xffffffff;
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

// RGBA word for the 16 bits of every HU, so that one look-up paints one pixel. Padding is black, also inverted.
function fillLut(lut, level, width, inverted) {
  for (let hu = -32768; hu < 32768; hu++) {
    const share = clamp((hu - level) / width + 0.5, 0, 1), grey = Math.round(255 * (inverted ? 1 - share : share));
    lut[hu & 65535] = BLACK | (grey << 16) | (grey << 8) | grey;
  }
  lut[PADDED & 65535] = BLACK;
}

function paintRow(words, bits, lut, first, last) {
  for (let i = first; i < last; i++) words[i] = lut[bits[i]];
}

// Images side by side in one panel, each from one share of its width to another; black around.
function paintPanel(panel, grid, pieces, stamp) {
  const { canvas } = panel, { x, y } = grid, context = canvas.getContext("2d");
  if (panel.image?.width !== canvas.width || panel.image.height !== canvas.height) {
    panel.image = context.createImageData(canvas.width, canvas.height);
    panel.grid = panel.stamp = undefined;
  }
  if (panel.stamp !== stamp) {
    const words = new Uint32Array(panel.image.data.buffer);
    if (panel.grid !== grid) words.fill(BLACK);
    panel.grid = grid;
    for (const { hu, lut, from, to } of pieces) {
      const first = Math.max(x.from, Math.round(from * x.length)), last = Math.min(x.to, Math.round(to * x.length));
      const bits = new Uint16Array(hu.buffer), all = first === x.from && last === x.to && y.to > y.from;
      if (all && paintWide(words, bits, lut, y.from * x.length, y.to * x.length)) continue;
      for (let j = y.from; j < y.to; j++) paintRow(words, bits, lut, j * x.length + first, j * x.length + last);
    }
    panel.stamp = stamp;
  }
  context.putImageData(panel.image, 0, 0);
}

// Canvas of a panel of whole screen pixels; returns what the other painters need. Where a pixel of the
// image is as large as one of the screen, they lie upon each other.
function preparePanel(panel, { columns, rows, spacing, zoom, actual, centre, box }) {
  const ratio = window.devicePixelRatio || 1, canvas = panel.canvas;
  const size = { width: Math.floor(box.width * ratio), height: Math.floor(box.height * ratio) };
  if (canvas.width !== size.width || canvas.height !== size.height || panel.ratio !== ratio) {
    Object.assign(canvas, size);
    Object.assign(canvas.style, { width: `${size.width / ratio}px`, height: `${size.height / ratio}px` });
    panel.ratio = ratio;
  }
  const width = size.width / ratio, height = size.height / ratio;
  const fit = Math.min(width / (columns * spacing[1]), height / (rows * spacing[0]));
  const perMm = actual ? 1 / (ratio * spacing[1]) : fit * zoom;
  const [x, y] = [spacing[1], spacing[0]].map((mm) => (Math.abs(perMm * mm * ratio - 1) < 5e-4 ? 1 / ratio : perMm * mm));
  const start = (length, middle, step) => Math.floor((length / 2 - middle * step) * ratio + 1e-6) / ratio;
  const context = canvas.getContext("2d", { alpha: false });
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height, perMm, zoom: perMm / fit, x, y, ratio, size, columns, rows,
    left: start(width, centre.x, x), top: start(height, centre.y, y) };
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
  Object.assign(context, { font: FONT, textBaseline: "middle" });
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

function drawCircle(spot, from, to, text) {
  const [x, y] = onScreen(spot, from), [x1, y1] = onScreen(spot, to), radius = Math.hypot(x1 - x, y1 - y);
  outline(spot, (path) => path.arc(x, y, radius, 0, 7));
  spot.context.font = FONT;
  const wide = spot.context.measureText(text).width, most = spot.width - wide - 8;
  // Beside the circle where there is room, else under it.
  if (x + radius + 6 < most) write(spot, text, x + radius + 6, y);
  else write(spot, text, clamp(x - wide / 2, 8, Math.max(8, most)), y + radius + 14);
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

