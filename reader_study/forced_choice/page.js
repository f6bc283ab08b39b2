(() => {
  const facts = JSON.parse(document.getElementById("data").textContent);
  const { trials, size, places, practice, reader } = facts, WAIT_MS = 350, SCALE = 4;
  const at = (id) => document.getElementById(id);
  const said = at("said"), grid = at("places"), more = at("more");
  const KEPT = `forced-choice-${reader}-${trials.length && trials[0].token}`;
  let answers = [], shown = 0, now = -1, locked = true;
  try { answers = practice ? [] : JSON.parse(localStorage.getItem(KEPT)) || []; } catch { /* private window */ }

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
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
  const small = document.createElement("canvas");
  small.width = small.height = size;
  const paint = (canvas, grey) => {
    const pixels = small.getContext("2d"), image = pixels.createImageData(size, size);
    grey.forEach((level, k) => {
      image.data.fill(level, 4 * k, 4 * k + 3);
      image.data[4 * k + 3] = 255;
    });
    pixels.putImageData(image, 0, 0);
    const target = canvas.getContext("2d");
    target.imageSmoothingEnabled = true;
    target.drawImage(small, 0, 0, size * SCALE, size * SCALE);
  };

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
    requestAnimationFrame(() => requestAnimationFrame(() => {
      shown = performance.now();
      setTimeout(() => { locked = false; }, WAIT_MS);
    }));
  };
  const answer = (place) => {
    if (locked || now < 0) return;
    locked = true;
    const seconds = Math.round(performance.now() - shown) / 1000;
    if (!practice) {
      answers.push({ token: trials[now].token, chosen: place, seconds });
      try { localStorage.setItem(KEPT, JSON.stringify(answers)); } catch { /* private window */ }
      return show();
    }
    const trial = trials[now], right = place === trial.place;
    answers.push({ contrast: trial.contrast, right });
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
    said.textContent = `All ${trials.length} are answered. Take the file below to the coordinator of the study.`;
    const csv = ["token,chosen,seconds", ...answers.map((a) => `${a.token},${a.chosen},${a.seconds}`)].join("\n");
    const link = document.createElement("a");
    link.download = `answers-${reader}.csv`;
    link.href = URL.createObjectURL(new Blob([csv + "\n"], { type: "text/csv" }));
    link.textContent = `Save answers-${reader}.csv`;
    more.replaceChildren(link);
    link.focus();
  };
  document.addEventListener("keydown", (event) => {
    const place = Number(event.key);
    if (place >= 1 && place <= places && !event.repeat) answer(place);
  });
  at("start").addEventListener("click", show);
  said.textContent = answers.length && answers.length < trials.length
    ? `Welcome back: ${answers.length} of ${trials.length} are answered and kept in this browser.`
    : `${practice ? "Twenty-four" : trials.length} trials. Answer even if you are not sure. You may rest at any time.`;
})();
