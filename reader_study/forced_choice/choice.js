// One of several squares holds the lesion: a click or a number key answers.
(() => {
  let shown = 0, now = -1, locked = true;
  const buttons = Array.from({ length: places }, (_, k) => {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    const label = document.createElement("span");
    button.type = "button";
    canvas.width = canvas.height = size * SCALE;
    label.textContent = k + 1;
    button.setAttribute("aria-label", `Place ${k + 1}`);
    button.append(canvas, label);
    button.addEventListener("click", () => answer(k + 1));
    grid.append(button);
    return button;
  });

  // Practice: three right answers in a row make it fainter, a wrong one clearer.
  const levels = [...new Set(trials.map((t) => t.contrast))].sort((a, b) => b - a);
  const stairs = { level: 0, row: 0, direction: 0, reversals: [] };
  const step = (right) => {
    stairs.row = right ? stairs.row + 1 : 0;
    if (right && stairs.row < 3) return;
    stairs.row = 0;
    const direction = right ? 1 : -1;
    if (stairs.direction === -direction) stairs.reversals.push(levels[stairs.level]);
    stairs.direction = direction;
    stairs.level = Math.min(levels.length - 1, Math.max(0, stairs.level + direction));
  };
  const order = trials.map((_, k) => k);
  const next = () => {
    if (!practice) return answers.length < trials.length ? answers.length : -1;
    if (answers.length >= 24) return -1;
    const fit = order.filter((k) => trials[k].contrast === levels[stairs.level]);
    return fit[answers.filter((a) => a.contrast === levels[stairs.level]).length % fit.length];
  };

  const show = () => {
    now = next();
    if (now < 0) return finish();
    buttons.forEach((button, k) => {
      button.className = "";
      paint(button.firstChild, bytes(trials[now].tiles[k]));
    });
    grid.hidden = false;
    more.replaceChildren();
    const count = practice ? `Practice ${answers.length + 1} of 24` : `${answers.length + 1} of ${trials.length}`;
    said.textContent = `${count}. One square holds a round lesion of ${facts.diameter_mm} mm in its middle. Which? Press its number.`;
    locked = true;
    whenPainted(() => {
      shown = performance.now();
      setTimeout(() => { locked = false; }, WAIT_MS);
    });
  };
  const answer = (place) => {
    if (locked || now < 0) return;
    locked = true;
    const seconds = Math.round(performance.now() - shown) / 1000;
    if (!practice) {
      keep({ token: trials[now].token, chosen: place, seconds });
      return show();
    }
    const trial = trials[now], right = place === trial.place;
    keep({ contrast: trial.contrast, right });
    buttons[trial.place - 1].className = "right";
    if (!right) buttons[place - 1].className = "wrong";
    said.textContent = right ? `Yes, ${trial.contrast} HU.` : `No: it lies in square ${trial.place}, at ${trial.contrast} HU.`;
    step(right);
    setTimeout(show, 1100);
  };
  const finish = () => {
    grid.hidden = true;
    if (practice) {
      const kept = stairs.reversals.slice(stairs.reversals.length % 2);
      const mean = Math.exp(kept.reduce((sum, c) => sum + Math.log(c), 0) / kept.length);
      said.textContent = kept.length
        ? `Practice ended. About four of five right at ${Math.round(mean)} HU.`
        : `Practice ended. You saw all down to ${levels[stairs.level]} HU, or none.`;
      return;
    }
    handOut(["token", "chosen", "seconds"]);
  };
  document.addEventListener("keydown", (event) => {
    const place = Number(event.key);
    if (place >= 1 && place <= places && !event.repeat) answer(place);
  });
  at("start").addEventListener("click", show);
  welcome("Twenty-four");
})();
