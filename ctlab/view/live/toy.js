// A CycleGAN of points that trains in the page: ctlab.lessons.material.toy_cyclegan, step by step.
// An image is two numbers: anatomy (below or above zero) and quality (-1 low dose, +1 routine dose).

const HIDDEN = 32, BATCH = 128, PENALTY = 5, RATE = 3e-3, BETAS = [0.5, 0.9], SLOPE = 0.1;

function gaussian() { return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()); }

// Weights and biases of 2 -> 32 -> 32 -> outputs, and one step of Adam.
class Mlp {
  constructor(outputs, weights = null) {
    this.sizes = [2, HIDDEN, HIDDEN, outputs];
    this.weights = weights ?? [0, 1, 2].flatMap((k) => {
      const [n, m] = [this.sizes[k], this.sizes[k + 1]];
      return [Float64Array.from({ length: n * m }, () => gaussian() * Math.sqrt(2 / n)), new Float64Array(m)];
    });
    this.adam = this.weights.map((w) => [new Float64Array(w.length), new Float64Array(w.length)]);
    this.steps = 0;
    this.clear();
  }

  clear() { this.gradients = this.weights.map((w) => new Float64Array(w.length)); }

  forward(points) {  // flat (n, 2); keeps what the way back needs
    const n = points.length / 2, inputs = [points], before = [];
    let seen = points;
    for (let k = 0; k < 3; k++) {
      const [a, b] = [this.sizes[k], this.sizes[k + 1]], w = this.weights[2 * k], bias = this.weights[2 * k + 1], out = new Float64Array(n * b);
      for (let i = 0; i < n; i++) {
        const put = i * b;
        for (let c = 0; c < b; c++) out[put + c] = bias[c];
        for (let r = 0; r < a; r++) {
          const v = seen[i * a + r], row = r * b;
          for (let c = 0; c < b; c++) out[put + c] += v * w[row + c];
        }
      }
      if (k < 2) {
        before.push(out);
        inputs.push(seen = out.map((v) => (v > 0 ? v : SLOPE * v)));
      } else seen = out;
    }
    return { out: seen, inputs, before };
  }

  backward({ inputs, before }, gradient, { keep = true } = {}) {  // gradient with respect to the points
    let flow = gradient;
    for (let k = 2; k >= 0; k--) {
      const [a, b] = [this.sizes[k], this.sizes[k + 1]], w = this.weights[2 * k], n = flow.length / b, given = inputs[k], next = new Float64Array(n * a);
      if (k < 2) flow = flow.map((v, i) => (before[k][i] > 0 ? v : SLOPE * v));
      const [g, gBias] = [this.gradients[2 * k], this.gradients[2 * k + 1]];
      for (let i = 0; i < n; i++) {
        const at = i * b;
        if (keep) for (let c = 0; c < b; c++) gBias[c] += flow[at + c];
        for (let r = 0; r < a; r++) {
          const row = r * b, v = keep ? given[i * a + r] : 0;
          let sum = 0;
          for (let c = 0; c < b; c++) {
            sum += flow[at + c] * w[row + c];
            g[row + c] += v * flow[at + c];
          }
          next[i * a + r] = sum;
        }
      }
      flow = next;
    }
    return flow;
  }

  // Price of a slope other than one at these points; between the kinks the critic is linear.
  penalise(points, weight) {
    const n = points.length / 2, { before } = this.forward(points), [w1, , w2, , w3] = this.weights, [g1, , g2, , g3] = this.gradients;
    for (let i = 0; i < n; i++) {
      const mask = (k, c) => (before[k][i * HIDDEN + c] > 0 ? 1 : SLOPE);
      const v2 = Float64Array.from({ length: HIDDEN }, (_, c) => mask(1, c) * w3[c]), v1 = new Float64Array(HIDDEN), g = [0, 0];
      for (let r = 0; r < HIDDEN; r++) {
        let sum = 0;
        for (let c = 0; c < HIDDEN; c++) sum += w2[r * HIDDEN + c] * v2[c];
        v1[r] = mask(0, r) * sum;
      }
      for (const d of [0, 1]) for (let r = 0; r < HIDDEN; r++) g[d] += w1[d * HIDDEN + r] * v1[r];
      const size = Math.sqrt(g[0] * g[0] + g[1] * g[1] + 1e-12), by = (weight * 2 * (size - 1)) / size / n, back = new Float64Array(HIDDEN);
      for (let r = 0; r < HIDDEN; r++) {
        let sum = 0;
        for (const d of [0, 1]) {
          g1[d * HIDDEN + r] += by * g[d] * v1[r];
          sum += by * g[d] * w1[d * HIDDEN + r];
        }
        const u = mask(0, r) * sum;
        for (let c = 0; c < HIDDEN; c++) {
          g2[r * HIDDEN + c] += u * v2[c];
          back[c] += u * w2[r * HIDDEN + c];
        }
      }
      for (let c = 0; c < HIDDEN; c++) g3[c] += mask(1, c) * back[c];
    }
  }

  step() {
    this.steps++;
    const [b1, b2] = BETAS, c1 = 1 - b1 ** this.steps, c2 = 1 - b2 ** this.steps;
    this.weights.forEach((w, k) => {
      const [m, v] = this.adam[k], g = this.gradients[k];
      for (let i = 0; i < w.length; i++) {
        m[i] = b1 * m[i] + (1 - b1) * g[i];
        v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
        w[i] -= (RATE / c1) * m[i] / (Math.sqrt(v[i] / c2) + 1e-8);
      }
    });
    this.clear();
  }
}

// Mean distance of two sets of points, and its derivative with respect to the first.
function distance(a, b, weight) {
  const n = a.length / 2, gradient = new Float64Array(a.length);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const dx = a[2 * i] - b[2 * i], dy = a[2 * i + 1] - b[2 * i + 1], d = Math.hypot(dx, dy);
    sum += d;
    if (d > 0) { gradient[2 * i] = (weight * dx) / d / n; gradient[2 * i + 1] = (weight * dy) / d / n; }
  }
  return { mean: sum / n, gradient };
}

class ToyGan {
  // Networks by direction: 0 denoises, 1 goes back. near: generators add what they learn to the image.
  constructor({ makers, critics, near = false } = {}) {
    this.near = Number(near);
    this.makers = makers ?? [new Mlp(2), new Mlp(2)];
    this.critics = critics ?? [new Mlp(1), new Mlp(1)];
    if (near && !makers) for (const maker of this.makers) maker.weights[4] = maker.weights[4].map((w) => 0.01 * w);
  }

  make(maker, points) {
    const pass = maker.forward(points);
    if (this.near) pass.out = pass.out.map((v, i) => v + points[i]);
    return pass;
  }
  back(maker, pass, gradient) {
    const flow = maker.backward(pass, gradient);
    return this.near ? flow.map((v, i) => v + gradient[i]) : flow;
  }

  // One step of the critics, then one of the generators. piles: low dose, routine dose; mix: shares.
  step(piles, mix, { cycle, identity, transport }) {
    const n = piles[0].length / 2, made = [0, 1].map((d) => this.make(this.makers[d], piles[d]));
    for (const d of [0, 1]) {
      const real = piles[1 - d], fake = made[d].out, critic = this.critics[d];
      critic.backward(critic.forward(real), new Float64Array(n).fill(-1 / n));
      critic.backward(critic.forward(fake), new Float64Array(n).fill(1 / n));
      critic.penalise(real.map((v, i) => mix[d][i >> 1] * v + (1 - mix[d][i >> 1]) * fake[i]), PENALTY);
      critic.step();
    }
    const flows = [0, 1].map((d) => {
      const critic = this.critics[d], flow = critic.backward(critic.forward(made[d].out), new Float64Array(n).fill(-1 / n), { keep: false });
      const moved = distance(made[d].out, piles[d], transport);
      return flow.map((v, i) => v + moved.gradient[i]);
    });
    for (const d of [0, 1]) {
      if (cycle) {
        const other = this.makers[1 - d], round = this.make(other, made[d].out);
        const flow = this.back(other, round, distance(round.out, piles[d], cycle).gradient);
        flows[d] = flows[d].map((v, i) => v + flow[i]);
      }
      if (identity) {
        const same = this.make(this.makers[d], piles[1 - d]);
        this.back(this.makers[d], same, distance(same.out, piles[1 - d], identity).gradient);
      }
    }
    for (const d of [0, 1]) this.back(this.makers[d], made[d], flows[d]);
    for (const maker of this.makers) maker.step();
  }

  // What the read-outs are made of, for images of low dose.
  measure(low) {
    const there = this.make(this.makers[0], low).out, back = this.make(this.makers[1], there).out;
    let kept = 0;
    for (let i = 0; i < low.length; i += 2) kept += Math.sign(there[i]) === Math.sign(low[i]);
    let risen = 0;
    for (let i = 1; i < low.length; i += 2) risen += there[i] - low[i];
    return { there, kept: kept / (low.length / 2), moved: distance(there, low, 0).mean, cycle: distance(back, low, 0).mean, risen: risen / (low.length / 2) };
  }
}

function drawPile(count, quality, withNodule = 0.5) {
  const points = new Float64Array(2 * count), noise = () => clampTo(0.25 * gaussian(), 0.75);
  for (let i = 0; i < count; i++) {
    points[2 * i] = (i < Math.round(withNodule * count) ? 1.5 : -1.5) + noise();
    points[2 * i + 1] = quality + noise();
  }
  return points;
}
function clampTo(value, most) { return Math.max(-most, Math.min(most, value)); }

const COLOURS = ["#7ec8ff", "#ffb454"];
class ToyFigure {
  constructor(el) {
    this.root = document.createElement("div");
    this.root.className = "toy";
    this.root.toy = this;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "A CycleGAN of points, trained in this page");
    const make = (tag, attributes = {}, text = "") => {
      const node = document.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
      node.textContent = text;
      return node;
    };
    this.canvas = make("canvas", { width: 720, height: 520, role: "img" });
    this.weights = { cycle: 0, identity: 0, transport: 0 };
    const controls = make("div", { class: "toy-controls" });
    this.start = make("button", { type: "button" }, "Train");
    const again = make("button", { type: "button" }, "Start again");
    this.start.addEventListener("click", () => this.toggle());
    again.addEventListener("click", () => this.reset());
    controls.append(this.start, again);
    for (const name of Object.keys(this.weights)) {
      const id = `toy-${name}-${Math.random().toString(36).slice(2)}`, label = make("label", { for: id }, `Weight of ${name}`);
      const input = make("input", { id, type: "range", min: 0, max: 4, step: 0.25, value: 0 }), output = make("output", { for: id }, "0");
      input.addEventListener("input", () => {
        this.weights[name] = Number(input.value);
        output.textContent = input.value;
        input.setAttribute("aria-valuetext", input.value);
      });
      const row = make("div", { class: "toy-row" });
      row.append(label, input, output);
      controls.append(row);
    }
    const id = `toy-near-${Math.random().toString(36).slice(2)}`, row = make("div", { class: "toy-row" });
    this.near = make("input", { id, type: "checkbox" });
    this.near.addEventListener("change", () => this.reset());
    row.append(this.near, make("label", { for: id }, "start at the map that changes nothing"));
    this.words = make("p", { role: "status" });
    controls.append(row);
    this.root.append(this.canvas, controls, this.words);
    el.append(this.root);
    this.reset();
  }

  reset() {
    this.gan = new ToyGan({ near: this.near.checked });
    this.low = drawPile(80, -1);
    this.full = drawPile(80, 1);
    this.steps = 0;
    this.draw();
  }

  toggle() {
    this.running = !this.running;
    this.start.textContent = this.running ? "Pause" : "Train";
    if (this.running) this.frame();
  }

  frame() {
    if (!this.running || !this.root.isConnected) return;
    const until = performance.now() + 10;  // a frame's time; the page stays free
    do this.advance(); while (performance.now() < until);
    this.draw();
    if (this.steps >= 3000) this.toggle();
    else requestAnimationFrame(() => this.frame());
  }

  advance() {
    const shares = () => Float64Array.from({ length: BATCH }, Math.random);
    this.gan.step([drawPile(BATCH, -1), drawPile(BATCH, 1)], [shares(), shares()], this.weights);
    this.steps++;
  }

  verdict({ kept, risen }) {
    if (this.steps < 100) return "";
    if (Math.abs(risen) < 0.6) return " Collapse to the identity: nothing is denoised.";
    if (kept < 0.2) return " Mode swap: every patient became another one, and no term objects.";
    if (kept < 0.95) return " Some patients changed sides.";
    return risen > 1.4 ? " Denoised, and every patient is the same as before." : "";
  }

  draw() {
    const context = this.canvas.getContext("2d"), { width, height } = this.canvas, found = this.gan.measure(this.low);
    const at = (points, i) => [width * (0.5 + points[i] / 6), height * (0.5 - points[i + 1] / 4.4)];
    Object.assign(context, { fillStyle: "#101214", strokeStyle: "#4a5359", lineWidth: 1 });
    context.fillRect(0, 0, width, height);
    context.beginPath();
    context.moveTo(width / 2, 0);
    context.lineTo(width / 2, height);
    context.stroke();
    const dot = (points, i, colour, filled) => {
      const [x, y] = at(points, i);
      context.beginPath();
      context.arc(x, y, filled ? 5 : 3.5, 0, 7);
      Object.assign(context, { fillStyle: colour, strokeStyle: colour });
      if (filled) context.fill(); else context.stroke();
    };
    for (let i = 0; i < this.full.length; i += 2) dot(this.full, i, "#b3bcc2", false);
    for (let i = 0; i < this.low.length; i += 2) {
      const colour = COLOURS[Number(this.low[i] > 0)];
      context.strokeStyle = `${colour}55`;
      context.beginPath();
      context.moveTo(...at(this.low, i));
      context.lineTo(...at(found.there, i));
      context.stroke();
      dot(this.low, i, colour, false);
      dot(found.there, i, colour, true);
    }
    Object.assign(context, { fillStyle: "#eceff1", font: "16px system-ui, sans-serif" });
    context.fillText("no nodule", 12, 24);
    context.fillText("nodule", width - 66, 24);
    context.fillText("routine dose", 12, height * 0.5 - height / 4.4 + 6);
    context.fillText("low dose", 12, height * 0.5 + height / 4.4 + 6);
    this.found = found;
    const words = `Step ${this.steps}. On their side of the line: ${Math.round(100 * found.kept)} %. Moved by ${found.moved.toFixed(2)}, `
      + `round trip off by ${found.cycle.toFixed(2)}.${this.verdict(found)}`;
    this.canvas.setAttribute("aria-label", `Points of low dose and where the network moves them. ${words}`);
    if (!this.running || this.steps % 20 < 3) this.words.textContent = words;
  }
}

export default {
  render({ el }) {
    const figure = new ToyFigure(el);
    return () => { figure.running = false; };
  },
};
