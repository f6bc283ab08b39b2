// One square: mark the most suspicious place, then say how sure a lesion is there, 1 to 6.
(() => {
  const SURE = ["surely none", "probably none", "rather none", "rather one", "probably one", "surely one"];
  const PRACTISED = Math.min(12, trials.length);
  let shown = 0, now = -1, locked = true, mark = null;
  const canvas = document.createElement("canvas"), row = document.createElement("div");
  canvas.width = canvas.height = size * SCALE;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Square of lung. Arrow keys move the cross; then a number from 1 to 6.");
  row.className = "sure";
  const buttons = SURE.map((words, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${k + 1} ${words}`;
    button.addEventListener("click", () => answer(k + 1));
    row.append(button);
    return button;
  });
  grid.classList.add("one");
  grid.append(canvas, row);

  // Practice begins with the clearest lesions; squares without one stand between them.
  const order = trials.map((_, k) => k);
  if (practice) {
    const held = order.filter((k) => trials[k].place).sort((a, b) => trials[b].contrast - trials[a].contrast);
    const empty = order.filter((k) => !trials[k].place);
    order.splice(0, order.length, ...held.flatMap((k, i) => [k, empty[i]].filter((one) => one !== undefined)));
  }
  const cross = (place, colour) => {
    const context = canvas.getContext("2d"), [y, x] = place.map((p) => (p + 0.5) * SCALE);
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    for (const [dy, dx] of [[0, 1], [0, -1], [1, 0], [-1, 0]]) {
      context.moveTo(x + 6 * dx, y + 6 * dy);
      context.lineTo(x + 18 * dx, y + 18 * dy);
    }
    context.stroke();
  };
  const draw = () => {
    paint(canvas, bytes(trials[now].tiles[0]));
    if (mark) cross(mark, "#ffd166");
    buttons.forEach((button) => { button.disabled = !mark; });
  };
  const show = () => {
    const count = practice ? PRACTISED : trials.length;
    if (answers.length >= count) return finish();
    [now, mark, locked] = [order[answers.length], null, true];
    grid.hidden = false;
    more.replaceChildren();
    said.textContent = `${practice ? "Practice " : ""}${answers.length + 1} of ${count}. In half of the squares lies a round lesion of ${facts.diameter_mm} mm. Mark the most suspicious place, then say how sure you are.`;
    draw();
    canvas.focus();
    whenPainted(() => {
      shown = performance.now();
      setTimeout(() => { locked = false; }, WAIT_MS);
    });
  };
  const answer = (rating) => {
    if (locked || now < 0 || !mark) return;
    locked = true;
    const [y, x] = mark, seconds = Math.round(performance.now() - shown) / 1000;
    keep({ token: trials[now].token, y, x, rating, seconds });
    if (!practice) return show();
    const { place, contrast } = trials[now];
    if (place) cross(place, "#7fc97f");
    const right = place && Math.hypot(place[0] - y, place[1] - x) * facts.pixel_mm <= facts.diameter_mm;
    said.textContent = !place ? "There was none." : right ? `Found, ${contrast} HU.` : `It lay at the green cross, at ${contrast} HU.`;
    setTimeout(show, 1500);
  };
  const finish = () => {
    now = -1;
    if (!practice) return handOut(["token", "y", "x", "rating", "seconds"]);
    grid.hidden = true;
    said.textContent = "Practice ended. Open your own page now.";
  };
  const inside = (p) => Math.min(size - 1, Math.max(0, p));
  canvas.addEventListener("pointerdown", (event) => {
    if (now < 0 || locked) return;
    const box = canvas.getBoundingClientRect(), scale = size / box.width;
    mark = [(event.clientY - box.top) * scale - 0.5, (event.clientX - box.left) * scale - 0.5].map((p) => Math.round(10 * inside(p)) / 10);
    draw();
  });
  document.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (move && now >= 0 && !locked) {
      const step = event.shiftKey ? 5 : 1;
      mark = (mark ?? [(size - 1) / 2, (size - 1) / 2]).map((p, k) => inside(p + step * move[k]));
      draw();
      event.preventDefault();
    }
    const rating = Number(event.key);
    if (rating >= 1 && rating <= SURE.length && !event.repeat) answer(rating);
  });
  at("start").addEventListener("click", show);
  welcome("Twelve");
})();
