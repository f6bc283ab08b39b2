for (const root of document.querySelectorAll(".ctlab-hunt:not([data-ready])")) {
  root.dataset.ready = "yes";
  const facts = JSON.parse(root.dataset.facts), KEY = "ctlab-nodule-hunt";
  const percent = (dose) => `${+(100 * dose).toPrecision(3)} %`;
  const make = (tag, attributes = {}, text = "") => {
    const node = document.createElementNS(
      ["svg", "circle", "line", "text", "polyline"].includes(tag)
        ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.textContent = text;
    return node;
  };
  const kept = () => {
    try { return JSON.parse(localStorage.getItem(KEY)) || {}; } catch { return {}; }
  };

  const hunt = () => {
    const { pictures, places, asked, doses, size_px: size, reach_px: reach } = facts;
    let now = 0, right = 0, cursor = [size / 2, size / 2], told = false;
    const tally = {};
    const question = make("p", { class: "question" });
    const stage = make("div", { class: "stage", tabindex: "0", role: "application",
      "aria-label": "Patch of lung. Click where the nodule is, or move the cross with the arrow keys and press Enter." });
    const image = make("img", { alt: "Patch of lung" }), marks = make("svg", { viewBox: `0 0 ${size} ${size}` });
    const says = make("p", { role: "status" });
    const label = make("label", { hidden: "" }, "Dose ");
    const slider = make("input", { type: "range", min: "0", max: String(doses.length - 1), step: "1" });
    const value = make("output");
    const next = make("button", { type: "button", hidden: "" }, "Next");
    label.append(slider, value);
    stage.append(image, marks);
    root.append(question, stage, label, says, next);

    const show = (dose) => {
      image.src = `data:image/png;base64,${pictures[now][dose]}`;
      image.alt = `Patch of lung at ${percent(doses[dose])} dose`;
      value.textContent = ` ${percent(doses[dose])}`;
      slider.setAttribute("aria-valuetext", percent(doses[dose]));
    };
    const ring = (y, x, radius, kind) =>
      marks.append(make("circle", { cx: x + 0.5, cy: y + 0.5, r: radius, class: kind }));
    const cross = () => {
      marks.querySelectorAll("line").forEach((node) => node.remove());
      const [y, x] = cursor;
      marks.append(make("line", { x1: x - 3, x2: x + 3, y1: y, y2: y }),
        make("line", { x1: x, x2: x, y1: y - 3, y2: y + 3 }));
    };
    const ask = () => {
      told = false;
      marks.replaceChildren();
      label.hidden = next.hidden = true;
      says.textContent = "";
      slider.value = String(asked[now]);
      show(asked[now]);
      question.textContent =
        `Try ${now + 1} of ${asked.length}, ${percent(doses[asked[now]])} dose: click where the nodule of 6 mm lies.`;
    };
    const answer = (y, x) => {
      if (told) return;
      told = true;
      const [row, column] = places[now], hit = Math.hypot(y - row, x - column) <= reach;
      const dose = doses[asked[now]], at = (tally[dose] ||= [0, 0]);
      at[0] += hit; at[1] += 1; right += hit;
      marks.replaceChildren();
      ring(row, column, 1.6 * reach, "truth");
      ring(y, x, 1.2, "guess");
      const last = now + 1 === asked.length;
      says.textContent = `${hit ? "Yes" : "No: it lies in the ring"}. Now slide the dose and watch it come and go.`
        + (last ? ` You found ${right} of ${asked.length}. Your curve is on the last page of the book.` : "");
      label.hidden = false;
      next.hidden = false;
      next.textContent = last ? "Play again" : "Next";
      if (last) try { localStorage.setItem(KEY, JSON.stringify(tally)); } catch { /* private window */ }
    };
    stage.addEventListener("click", (event) => {
      const box = image.getBoundingClientRect();
      answer((event.clientY - box.top) / box.height * size, (event.clientX - box.left) / box.width * size);
    });
    stage.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-2, 0], ArrowDown: [2, 0], ArrowLeft: [0, -2], ArrowRight: [0, 2] }[event.key];
      if (step && !told) {
        cursor = cursor.map((c, k) => Math.min(size - 1, Math.max(0, c + step[k])));
        cross();
      } else if (event.key === "Enter") answer(...cursor);
      else return;
      event.preventDefault();
    });
    slider.addEventListener("input", () => show(+slider.value));
    next.addEventListener("click", () => {
      now = (now + 1) % asked.length;
      if (now === 0) { right = 0; for (const dose in tally) delete tally[dose]; }
      ask();
      stage.focus();
    });
    ask();
  };

  const curve = () => {
    const { doses, computed, ideal } = facts, own = kept(), [width, height, left, low] = [520, 260, 52, 40];
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": "Share of nodules found against dose; the numbers are in the table below" });
    const x = (k) => left + (width - left - 20) * k / (doses.length - 1);
    const y = (share) => height - low - (height - low - 20) * share;
    for (const share of [0, 0.5, 1]) {
      svg.append(make("line", { x1: left, x2: width - 20, y1: y(share), y2: y(share), class: "grid" }),
        make("text", { x: left - 8, y: y(share) + 5, "text-anchor": "end" }, `${100 * share} %`));
    }
    doses.forEach((dose, k) => svg.append(
      make("text", { x: x(k), y: height - 14, "text-anchor": "middle" }, percent(dose))));
    const mine = doses.map((dose) => own[dose] && own[dose][1] ? own[dose][0] / own[dose][1] : null);
    const series = [["ideal observer", "ideal", ideal], ["computed search", "computed", computed], ["you", "own", mine]];
    const table = make("table"), head = make("tr");
    for (const text of ["found at", ...doses.map(percent)]) head.append(make("th", { scope: "col" }, text));
    table.append(head);
    for (const [name, kind, shares] of series) {
      const points = shares.map((s, k) => [x(k), s === null ? null : y(s)]).filter((p) => p[1] !== null);
      svg.append(make("polyline", { points: points.map((p) => p.join(",")).join(" "), class: kind }));
      points.forEach(([cx, cy]) => svg.append(make("circle", { cx, cy, r: 4, class: kind })));
      const row = make("tr");
      row.append(make("th", { scope: "row", class: kind }, name));
      shares.forEach((s) => row.append(make("td", {}, s === null ? "–" : `${Math.round(100 * s)} %`)));
      table.append(row);
    }
    root.append(svg, table, make("p", { role: "status" }, mine.every((s) => s === null)
      ? "You have not played yet: the game is on the first page. Your answers stay in this browser."
      : "Two tries a dose: your points jump by halves. Play again to see how much is luck."));
  };

  facts.kind === "hunt" ? hunt() : curve();
}
