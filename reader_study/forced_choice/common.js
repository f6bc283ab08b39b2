// Both tasks: what a page knows, how a square is painted, how answers are kept and handed out.
const facts = JSON.parse(document.getElementById("data").textContent);
const { trials, size, places, practice, reader } = facts, WAIT_MS = 350, SCALE = 4;
const at = (id) => document.getElementById(id);
const said = at("said"), grid = at("places"), more = at("more");
const KEPT = `forced-choice-${reader}-${trials.length && trials[0].token}`;
let answers = [];
try { answers = practice ? [] : JSON.parse(localStorage.getItem(KEPT)) || []; } catch { /* private window */ }
const keep = (answer) => {
  answers.push(answer);
  if (practice) return;
  try { localStorage.setItem(KEPT, JSON.stringify(answers)); } catch { /* private window */ }
};

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
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
const whenPainted = (go) => requestAnimationFrame(() => requestAnimationFrame(go));

const handOut = (names) => {
  grid.hidden = true;
  said.textContent = `All ${trials.length} are answered. Take the file below to the coordinator of the study.`;
  const csv = [names.join(","), ...answers.map((a) => names.map((name) => a[name]).join(","))].join("\n");
  const link = document.createElement("a");
  link.download = `answers-${reader}.csv`;
  link.href = URL.createObjectURL(new Blob([csv + "\n"], { type: "text/csv" }));
  link.textContent = `Save answers-${reader}.csv`;
  more.replaceChildren(link);
  link.focus();
};
const welcome = (practised) => {
  said.textContent = answers.length && answers.length < trials.length
    ? `Welcome back: ${answers.length} of ${trials.length} are answered and kept in this browser.`
    : `${practice ? practised : trials.length} trials. Answer even if you are not sure. You may rest at any time.`;
};
