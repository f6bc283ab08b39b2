// Tasks of a live figure that are ticked off, and how many of them are.

class Goals {
  constructor(goals) {
    Object.assign(this, { goals, met: new Set(), list: element("ol", { class: "ctl-goals" }), score: element("p", { class: "ctl-score", role: "status" }) });
    this.node = element("div", {}, this.list, this.score);
    this.node.hidden = !goals.length;
    this.show();
  }

  // A goal is met where a number lies above and below its limits, with the network it names.
  check(numbers, state) {
    const { kind } = state.edits[state.edits.length - 1] ?? {}, before = this.met.size;
    this.goals.forEach((goal, k) => {
      const value = numbers[goal.number];
      if (value == null || (goal.network && goal.network !== state.network) || (goal.kind && goal.kind !== kind) || state.strength < (goal.strength ?? 1)) return;
      if (state.dose < (goal.dose_above ?? 0) || state.dose > (goal.dose_below ?? 1) || (goal.bare && state.edits.length)) return;
      if (value < (goal.below ?? Infinity) && value > (goal.above ?? -Infinity)) this.met.add(k);
    });
    if (this.met.size > before) this.show();
  }

  show() {
    const { goals, met } = this;
    this.list.replaceChildren(...goals.map(({ text }, k) => element("li", { text: `${met.has(k) ? "✓ found: " : ""}${text}`, class: met.has(k) ? "ctl-met" : "" })));
    this.score.textContent = !met.size ? "" : met.size < goals.length ? `${met.size} of ${goals.length} found.`
      : goals.length > 1 ? `All ${goals.length} found.` : "Found.";
  }
}
