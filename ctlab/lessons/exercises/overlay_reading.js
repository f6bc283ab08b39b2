for (const root of document.querySelectorAll(".ctlab-overlay:not([data-ready])")) {
  root.dataset.ready = "yes";
  const facts = JSON.parse(root.dataset.facts), { pictures, maps, places, kinds, right, size_px: size } = facts;
  const make = (tag, attributes = {}, text = "") => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.textContent = text;
    return node;
  };
  const question = make("p", { class: "question" });
  const stage = make("canvas", { width: size, height: size, role: "img", "aria-label": "Patch of lung" });
  const buttons = make("p", { class: "answers" });
  const yes = make("button", { type: "button" }, "Nodule"), no = make("button", { type: "button" }, "No nodule");
  const says = make("p", { role: "status" });
  buttons.append(yes, no);
  root.append(question, stage, buttons, says);
  const context = stage.getContext("2d");
  let now = 0, first = null, rows = [];

  const load = (png) => new Promise((done) => {
    const image = new Image();
    image.onload = () => done(image);
    image.src = `data:image/png;base64,${png}`;
  });
  // The map is loaded only after the first answer is locked.
  const draw = async (withMap) => {
    const turn = `${now}${withMap}`;
    stage.dataset.turn = turn;
    const image = await load(pictures[now]), map = withMap ? await load(maps[now]) : null;
    if (stage.dataset.turn !== turn) return;
    context.drawImage(image, 0, 0);
    if (map) {
      const grey = context.getImageData(0, 0, size, size);
      context.drawImage(map, 0, 0);
      const level = context.getImageData(0, 0, size, size);
      for (let k = 0; k < grey.data.length; k += 4) {
        const share = level.data[k] / 255 * 0.7;
        [255, 170, 30].forEach((tone, c) => { grey.data[k + c] += share * (tone - grey.data[k + c]); });
      }
      context.putImageData(grey, 0, 0);
    }
    stage.setAttribute("aria-label", withMap ? "Patch of lung with the map in orange" : "Patch of lung");
    stage.dataset.shown = turn;
  };
  const ask = () => {
    first = null;
    question.textContent = `Patch ${now + 1} of ${kinds.length}, 5 % dose. Is there a nodule of 6 mm?`;
    says.textContent = "Answer first without a map.";
    draw(false);
  };
  const answer = (said) => {
    if (now >= kinds.length) return;
    if (first === null) {
      first = said;
      question.textContent = `Patch ${now + 1} of ${kinds.length}, now with a map. Is there a nodule?`;
      says.textContent = `Your first answer, ${said ? "nodule" : "no nodule"}, is locked. Orange: where the map sees one; no orange: nowhere.`;
      draw(true);
      return;
    }
    const truth = places[now] !== null;
    rows.push({ case: now + 1, overlay: kinds[now], advice_right: +right[now],
      first_right: +(first === truth), final_right: +(said === truth) });
    now += 1;
    if (now < kinds.length) ask(); else finish();
  };
  const count = (test) => rows.filter(test).length;
  const finish = () => {
    buttons.hidden = true;
    stage.hidden = true;
    question.textContent = "Ten patches read. Five maps were those of the patch, five those of another one.";
    const table = make("table"), head = make("tr");
    for (const text of ["map", "right first", "right with the map", "mended by it", "spoilt by it"])
      head.append(make("th", { scope: "col" }, text));
    table.append(head);
    for (const kind of ["own", "shuffled"]) {
      const line = make("tr"), of = (test) => String(count((r) => r.overlay === kind && test(r)));
      line.append(make("th", { scope: "row" }, kind));
      for (const test of [(r) => r.first_right, (r) => r.final_right,
        (r) => !r.first_right && r.final_right, (r) => r.first_right && !r.final_right])
        line.append(make("td", {}, of(test)));
      table.append(line);
    }
    const followed = (kind) => count((r) => r.overlay === kind && r.final_right === r.advice_right);
    says.textContent = `You followed ${followed("own")} of 5 right maps and ${followed("shuffled")} of 5 wrong ones. `
      + "Trust that tells them apart follows the first and not the second. Ten patches are few: another ten would differ.";
    const columns = ["reader", "case", "overlay", "advice_right", "first_right", "final_right"];
    const csv = [columns.join(","), ...rows.map((r) => ["me", ...columns.slice(1).map((c) => r[c])].join(","))].join("\n");
    const link = make("a", { download: "my-overlay-reading.csv",
      href: `data:text/csv;charset=utf-8,${encodeURIComponent(csv + "\n")}` }, "Take the answers along as a table");
    const again = make("button", { type: "button" }, "Read again");
    const more = make("p");
    more.append(link, " ", again);
    again.addEventListener("click", () => {
      table.remove(); more.remove();
      now = 0; rows = [];
      buttons.hidden = stage.hidden = false;
      ask();
      yes.focus();
    });
    root.append(table, more);
    again.focus();
  };
  yes.addEventListener("click", () => answer(true));
  no.addEventListener("click", () => answer(false));
  ask();
}
