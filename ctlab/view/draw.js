// Painting, first of the three parts of the viewer: pure functions of what they are given.

const INK = "#ffe14d";
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
  for (let hu = -32768; hu < 32768; hu++) {
    const grey = Math.round(255 * clamp((hu - level) / width + 0.5, 0, 1));
    lut[hu + 32768] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
}

function paintPixels(canvas, pixels, columns, rows, lut) {
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
  const words = new Uint32Array(image.data.buffer);
  for (let i = 0; i < words.length; i++) words[i] = lut[pixels[i] + 32768];
  context.putImageData(image, 0, 0);
}

// Canvas of a panel, sized for its place on the page; returns what the other painters need.
function preparePanel(panel, frame) {
  const { columns, rows, spacing, zoom, centre, tallest } = frame;
  const width = panel.node.clientWidth, aspect = (rows * spacing[0]) / (columns * spacing[1]);
  const height = Math.max(120, Math.min(width * aspect, tallest * window.innerHeight));
  const ratio = window.devicePixelRatio || 1, canvas = panel.canvas;
  const size = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  canvas.style.height = `${height}px`;
  const perMm = Math.min(width / (columns * spacing[1]), height / (rows * spacing[0])) * zoom;
  const x = perMm * spacing[1], y = perMm * spacing[0], context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  const left = width / 2 - centre.x * x, top = height / 2 - centre.y * y;
  return { context, width, height, perMm, x, y, left, top, columns, rows };
}

function placeImage(spot, image, from = 0, to = 1) {
  const { context, width, height } = spot;
  context.save();
  context.beginPath();
  context.rect(from * width, 0, (to - from) * width, height);
  context.clip();
  context.drawImage(image, spot.left, spot.top, spot.columns * spot.x, spot.rows * spot.y);
  context.restore();
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

