// Two heaps of sand on a line: the cheapest plan of transport, and the prices of a haulage firm (the dual).

// W1 of two heaps with as many grains: sort both, pair them in order.
function cheapest(x, y) {
  const [a, b] = [[...x].sort((p, q) => p - q), [...y].sort((p, q) => p - q)];
  return { pairs: a.map((v, i) => [v, b[i]]), cost: a.reduce((sum, v, i) => sum + Math.abs(v - b[i]), 0) / a.length };
}

// The best prices of slope one: between two grains phi rises or falls as the heaps ask there.
// The firm charges phi for picking a grain up at a place, and minus phi for delivering one there.
function pricing(x, y, slope) {
  const places = [...new Set([...x, ...y])].sort((p, q) => p - q), count = (pile, until) => pile.filter((v) => v <= until).length / pile.length;
  const phi = [0];
  for (let i = 1; i < places.length; i++) {
    const way = Math.sign(count(y, places[i - 1]) - count(x, places[i - 1]));
    phi.push(phi[i - 1] + slope * way * (places[i] - places[i - 1]));
  }
  const mean = phi.reduce((sum, v) => sum + v, 0) / phi.length, at = new Map(places.map((place, i) => [place, phi[i] - mean]));
  const gap = x.reduce((sum, v) => sum + at.get(v), 0) / x.length - y.reduce((sum, v) => sum + at.get(v), 0) / y.length;
  let refused = 0;
  for (const a of x) for (const b of y) refused += at.get(a) - at.get(b) > Math.abs(a - b) + 1e-9;
  return { places, phi: places.map((place) => at.get(place)), gap, refused };
}

// --- the figure
const FIRST = [-3.1, -2.6, -2.4, -2, -1.8, -1.5, 0.3, 0.7, 0.9, 1.2, 1.5, 2.1], REACH = 6, WIDE = 720, HIGH = 470;
const SANDS = ["#7ec8ff", "#ffb454"], GRAIN = 9, TOP = 130, LOW = 290;

class SandFigure {
  constructor(el) {
    this.root = document.createElement("div");
    this.root.className = "toy sand";
    this.root.sand = this;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Two heaps of sand, the cheapest plan, and the prices of the firm that carries it");
    this.canvas = this.add(this.root, "canvas", { width: WIDE, height: HIGH, role: "img" });
    const controls = this.add(this.root, "div", { class: "toy-controls" });
    this.shift = this.slider(controls, "Second heap: place", -3, 3, 0.1, 0.5);
    this.width = this.slider(controls, "Second heap: width", 0.2, 1.6, 0.1, 0.6);
    this.slope = this.slider(controls, "Steepest price", 0, 2, 0.1, 0.6);
    const again = this.add(controls, "button", { type: "button" }, "Heaps as at first");
    again.addEventListener("click", () => {
      this.x = [...FIRST];
      this.draw();
    });
    this.add(controls, "div", {}, "Blue grains can be dragged. With the keys, use the sliders.");
    this.words = this.add(this.root, "p", { role: "status" });
    this.x = [...FIRST];
    this.drag();
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

  slider(parent, name, min, max, step, value) {
    const id = `sand-${Math.random().toString(36).slice(2)}`, row = this.add(parent, "div", { class: "toy-row" });
    this.add(row, "label", { for: id }, name);
    const input = this.add(row, "input", { id, type: "range", min, max, step, value }), output = this.add(row, "output", { for: id }, value);
    input.addEventListener("input", () => {
      output.textContent = input.value;
      this.draw();
    });
    return input;
  }

  heaps() { return [this.x, FIRST.map((v) => Number(this.shift.value) + Number(this.width.value) * v)]; }

  // Grains that would overlap lie on each other.
  stack(pile) {
    const laid = [];
    for (const v of [...pile].sort((p, q) => p - q)) {
      let level = 0;
      while (laid.some((other) => other.level === level && Math.abs(this.across(other.v) - this.across(v)) < 2 * GRAIN)) level++;
      laid.push({ v, level });
    }
    return laid;
  }

  across(v) { return WIDE * (0.5 + v / (2 * REACH)); }

  drag() {
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * WIDE, ((event.clientY - box.top) / box.height) * HIGH];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      const [px, py] = place(event);
      const near = this.stack(this.x).find(({ v, level }) => Math.hypot(this.across(v) - px, TOP - GRAIN - 2 * GRAIN * level - py) < 2 * GRAIN);
      this.held = near ? this.x.indexOf(near.v) : -1;
      if (near) this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!(this.held >= 0)) return;
      const v = (place(event)[0] / WIDE - 0.5) * 2 * REACH;
      this.x[this.held] = Math.max(-REACH + 0.3, Math.min(REACH - 0.3, v));
      this.draw();
    });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => { this.held = -1; });
  }

  draw() {
    const [x, y] = this.heaps(), plan = cheapest(x, y), slope = Number(this.slope.value), firm = pricing(x, y, slope);
    this.found = { ...firm, cost: plan.cost };
    const context = this.canvas.getContext("2d");
    context.fillStyle = "#101214";
    context.fillRect(0, 0, WIDE, HIGH);
    const line = (points, colour, width) => {
      context.beginPath();
      points.forEach(([a, b], k) => (k ? context.lineTo(a, b) : context.moveTo(a, b)));
      Object.assign(context, { strokeStyle: colour, lineWidth: width });
      context.stroke();
    };
    for (const floor of [TOP, LOW]) line([[0, floor], [WIDE, floor]], "#6c757c", 1);
    for (const [a, b] of plan.pairs) line([[this.across(a), TOP + 2], [this.across(b), LOW - 70]], "#b3bcc2", 1.5);
    [x, y].forEach((pile, k) => {
      for (const { v, level } of this.stack(pile)) {
        context.beginPath();
        context.arc(this.across(v), (k ? LOW : TOP) - GRAIN - 2 * GRAIN * level, GRAIN - 1, 0, 7);
        context.fillStyle = SANDS[k];
        context.fill();
      }
    });
    const level = (v) => 385 - 22 * v;
    line([[0, level(0)], [WIDE, level(0)]], "#6c757c", 1);
    line(firm.places.map((place, i) => [this.across(place), level(firm.phi[i])]), firm.refused ? "#ff8a80" : "#9be7a0", 3);
    Object.assign(context, { fillStyle: "#eceff1", font: "24px system-ui, sans-serif" });
    context.fillText("first heap, and the cheapest plan", 12, 28);
    context.fillText("second heap", 12, LOW + 26);
    context.fillText("price φ", 12, HIGH - 12);
    this.words.textContent = `The cheapest plan costs ${plan.cost.toFixed(2)} a grain. The firm earns ${firm.gap.toFixed(2)}. ${this.verdict(plan.cost, firm, slope)}`;
    this.canvas.setAttribute("aria-label", `Two heaps, lines of the cheapest plan, and the curve of prices below. ${this.words.textContent}`);
  }

  verdict(cost, { gap, refused }, slope) {
    if (refused) return `Too steep: ${refused} of ${FIRST.length ** 2} trips are cheaper on foot, so its customers leave.`;
    return gap > cost - 1e-9 ? "It cannot earn more: primal and dual agree." : `At slope ${slope} it leaves money on the table.`;
  }
}

export default {
  render({ el }) { new SandFigure(el); },
};
