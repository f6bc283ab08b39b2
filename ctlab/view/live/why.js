// Ask why: what a network applied at one pixel, by the adjoint graph of the page's own network, and
// beside it what the same architecture gives with shuffled weights.

const WHY_PX = 56, PATCH_PX = 8, DETAIL_SD_PX = 3, ARCHITECTURE = "random";
const MAPS = { row: ["filter applied there (Jacobian row)", "HU of output per HU of input"],
  cam: ["HiResCAM", "HU"], occlusion: ["occlusion", "HU that the pixel loses"] };

PageEngine.prototype.explain = async function (name, hu, rows, columns, { y, x }) {
  const network = await this.graph(name, "adjoint"), { data, r, c } = padded(hu, rows, columns), seed = new Float32Array(r * c);
  seed[y * c + x] = 1;
  const dims = [1, 1, r, c], found = await this.ask({ kind: "run", name: `${name} adjoint`,
    inputs: { hu: { data, dims }, seed: { data: seed, dims } } });
  return { row: { data: found.row.data, rows: r, columns: c },
    cam: { data: found.cam.data, rows: found.cam.dims[2], columns: found.cam.dims[3] },
    occlusion: await this.occlude(name, data, r, c, { y, x }, network.reach_px) };
};

// How much the pixel falls when a patch loses its detail (its mean over 3 px stays), as
// ctlab.explain.maps.attribution.occlusion has it; patches beyond the network's reach change nothing.
PageEngine.prototype.occlude = async function (name, data, rows, columns, { y, x }, reach) {
  await this.graph(name, "forward");
  const blurred = blurImage(data, rows, columns, DETAIL_SD_PX), map = new Float32Array(rows * columns);
  const low = (v) => Math.max(0, Math.floor((v - reach) / PATCH_PX) * PATCH_PX);
  const high = (v, n) => Math.min(n, Math.ceil((v + 1 + reach) / PATCH_PX) * PATCH_PX);
  const box = { top: low(y), left: low(x), bottom: high(y, rows), right: high(x, columns) };
  const [h, w] = [box.bottom - box.top, box.right - box.left], cells = [[-1, -1]];  // the first has no patch
  for (let j = box.top; j < box.bottom; j += PATCH_PX) for (let i = box.left; i < box.right; i += PATCH_PX) cells.push([j, i]);
  let whole;
  for (let first = 0; first < cells.length; first += 8) {
    const part = cells.slice(first, first + 8), batch = new Float32Array(part.length * h * w);
    part.forEach(([top, left], k) => {
      for (let j = 0; j < h; j++) for (let i = 0; i < w; i++) {
        const row = j + box.top, column = i + box.left, at = row * columns + column;
        const inside = top >= 0 && row >= top && row < top + PATCH_PX && column >= left && column < left + PATCH_PX;
        batch[(k * h + j) * w + i] = inside ? blurred[at] : data[at];
      }
    });
    const found = await this.ask({ kind: "run", name: `${name} forward`, inputs: { hu: { data: batch, dims: [part.length, 1, h, w] } } });
    part.forEach(([top, left], k) => {
      const value = found.denoised.data[(k * h + y - box.top) * w + x - box.left];
      if (top < 0) { whole = value; return; }
      for (let j = top; j < Math.min(rows, top + PATCH_PX); j++) for (let i = left; i < Math.min(columns, left + PATCH_PX); i++) map[j * columns + i] = whole - value;
    });
  }
  return { data: map, rows, columns };
};

function cosine(a, b) {
  let ab = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; i++) { ab += a[i] * b[i]; aa += a[i] * a[i]; bb += b[i] * b[i]; }
  return ab / Math.max(Math.sqrt(aa * bb), 1e-30);
}

// A signed map about a pixel, orange above zero and blue below, strongest at its largest value.
function drawSigned(canvas, map, { y, x }, all) {
  const step = all.rows / map.rows, context = canvas.getContext("2d"), image = context.createImageData(WHY_PX, WHY_PX);
  const largest = map.data.reduce((top, v) => Math.max(top, Math.abs(v)), 1e-30);
  for (let j = 0; j < WHY_PX; j++) for (let i = 0; i < WHY_PX; i++) {
    const row = Math.floor((y + j - WHY_PX / 2) / step), column = Math.floor((x + i - WHY_PX / 2) / step), at = 4 * (j * WHY_PX + i);
    const outside = row < 0 || column < 0 || row >= map.rows || column >= map.columns;
    const share = outside ? 0 : Math.sqrt(Math.abs(map.data[row * map.columns + column]) / largest);
    const colour = !outside && map.data[row * map.columns + column] > 0 ? [255, 150, 40] : [90, 170, 255];
    image.data.set([...colour.map((v) => v * share), 255], at);
  }
  context.putImageData(image, 0, 0);
  return largest;
}

class WhyPanel {
  constructor() {
    this.node = element("div", { class: "ctl-why" });
    this.words = element("p", { role: "status" });
    this.maps = element("div", { class: "ctl-maps" });
    this.node.append(this.words, this.maps);
    this.node.hidden = true;
  }

  say(words) { this.node.hidden = false; this.words.textContent = words; }

  async show(engine, { state, composed, label }, point) {
    this.say("Asking why …");
    const { given, rows, columns } = composed;
    const own = await engine.explain(state.network, given, rows, columns, point);
    const bare = await engine.explain(ARCHITECTURE, given, rows, columns, point);
    this.found = { own, bare, point };
    let gain = 0, noise = 0;
    for (const weight of own.row.data) { gain += weight; noise += weight * weight; }
    this.say(`Pixel ${point.x}, ${point.y}: the ${label} took a weighted sum of the pixels around it. The weights add up to ${gain.toFixed(2)}, and white noise is multiplied by ${Math.sqrt(noise).toFixed(2)}.`);
    this.maps.replaceChildren(...Object.entries(MAPS).map(([kind, [name, unit]]) => this.pair(kind, name, unit)));
  }

  pair(kind, name, unit) {
    const { own, bare, point } = this.found, all = own.row, alike = cosine(own[kind].data, bare[kind].data);
    const picture = (map, words) => {
      const canvas = element("canvas", { width: WHY_PX, height: WHY_PX, role: "img", "aria-label": words });
      return [canvas, drawSigned(canvas, map, point, all)];
    };
    const [left, largest] = picture(own[kind], `${name}, of this network`), [right] = picture(bare[kind], `${name}, of shuffled weights`);
    return element("figure", {}, left, right, element("figcaption", { text: `${name}; right: same architecture, shuffled weights. `
      + `Largest ${Number(largest.toPrecision(2))} ${unit}. Alike: ${alike.toFixed(2)}${Math.abs(alike) > 0.7 ? ", so it shows the architecture" : ""}.` }));
  }
}
