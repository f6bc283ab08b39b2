// A slice of the reader's own in the live figure: dropped or opened, checked against the range of
// use, and cut to a window that can be moved. It never leaves the computer.

const WINDOW_PX = 160, SMALLEST_PX = 32, BLACK_HU = -1350, WHITE_HU = 150, PNG_PIXEL_MM = 0.7;

// Where the window holds most lung, the nearest to the middle of those.
function lungWindow({ hu, rows, columns }, size) {
  const [tall, wide] = [Math.min(size, rows), Math.min(size, columns)], step = 8;
  let best = null;
  for (let top = 0; top <= rows - tall; top += step) for (let left = 0; left <= columns - wide; left += step) {
    let lung = 0;
    for (let j = top; j < top + tall; j += 4) for (let i = left; i < left + wide; i += 4) {
      const value = hu[j * columns + i];
      lung += Number(value > -950 && value < -650);
    }
    const away = Math.hypot(top + tall / 2 - rows / 2, left + wide / 2 - columns / 2);
    if (!best || lung > best.lung || (lung === best.lung && away < best.away)) best = { top, left, lung, away };
  }
  return { top: best.top, left: best.left, tall, wide };
}

class OwnSlice {
  constructor(viewer) {
    this.viewer = viewer;
    this.file = element("input", { type: "file", accept: ".dcm,.png,application/dicom,image/png", "aria-label": "CT slice, DICOM or PNG", tabindex: "-1" });
    this.file.hidden = true;
    this.file.addEventListener("change", () => { this.take([...this.file.files]); this.file.value = ""; });
    this.words = element("p", { role: "status", text: this.invitation() });
    this.notes = element("ul");
    this.asks = element("div", { class: "ctl-row" });
    this.back = viewer.button("Back to the book's slice", "", () => this.giveBack());
    this.back.hidden = true;
    this.node = element("div", { class: "ctl-own" }, element("div", { class: "ctl-row" },
      viewer.button("Open a slice of your own", "o", () => this.file.click()), this.back, this.file), this.words, this.notes, this.asks);
    viewer.listen(viewer.root, "dragover", (event) => { event.preventDefault(); viewer.root.classList.add("ctl-over"); });
    viewer.listen(viewer.root, "dragleave", () => viewer.root.classList.remove("ctl-over"));
    viewer.listen(viewer.root, "drop", (event) => {
      event.preventDefault();
      viewer.root.classList.remove("ctl-over");
      this.take([...event.dataTransfer.files]);
    });
  }

  invitation() { return `Or drop a DICOM or PNG file of a CT slice here. ${this.viewer.whereabouts.reads}`; }

  say(words, notes = [], asks = []) {
    this.words.textContent = words;
    this.notes.replaceChildren(...notes.map((text) => element("li", { text })));
    this.asks.replaceChildren(...asks);
  }

  async take(files) {
    if (files.length !== 1) return this.say(`Expected one file, got ${files.length}; give one slice.`);
    const asked = this.asked = Symbol("file");  // a second file may come while one is read
    this.say(`Reading ${files[0].name} …`);
    try {
      const slice = await this.read(files[0]);
      if (asked !== this.asked) return;
      this.slice = slice;
      if (Math.min(slice.rows, slice.columns) < SMALLEST_PX) throw new Error(`${slice.name}: expected at least ${SMALLEST_PX} x ${SMALLEST_PX} pixels, got ${slice.rows} x ${slice.columns}.`);
      if (slice.kind === "png") this.askGrey(slice); else this.judge(slice);
    } catch (error) {
      if (asked === this.asked) this.say(error.message);
    }
  }

  // In a notebook the kernel reads DICOM.
  async read(file) {
    const { viewer } = this, start = new Uint8Array(await file.slice(128, 132).arrayBuffer());
    if (window.ctlabStatic || String.fromCharCode(...start) !== "DICM") return readSlice(file, window.ctlabStatic);
    viewer.wake();
    await viewer.opening;
    if (!viewer.engine) throw new Error("Nothing is there to read it; run the cell or start the server again.");
    return viewer.engine.read(file);
  }

  // A PNG has no HU: the reader says what black and white mean.
  askGrey(slice) {
    const number = (text, value, step) => {
      const id = `ctl-${Math.random().toString(36).slice(2)}`, input = element("input", { type: "number", id, value, step });
      return { input, node: element("div", { class: "ctl-choice" }, element("label", { for: id, text }), input) };
    };
    const black = number("Black is, HU", BLACK_HU, 10), white = number("White is, HU", WHITE_HU, 10), pixel = number("Pixel, mm", PNG_PIXEL_MM, 0.01);
    const show = () => {
      const [low, high, mm] = [black, white, pixel].map(({ input }) => input.valueAsNumber);
      if (!(high > low && mm > 0)) return void (this.words.textContent = "White must have more HU than black, and a pixel a size above 0 mm.");
      this.judge({ ...slice, hu: Float32Array.from(slice.grey, (grey) => low + grey * (high - low)), spacing: [mm, mm],
        assumed: `Assumed: grey from ${signed(low)} to ${signed(high)} HU in steps of ${((high - low) / (2 ** slice.depth - 1)).toPrecision(2)} HU, and pixels of ${mm} mm, as you said. What lay outside was cut off, so noise is not measured.` });
    };
    this.say(`${slice.name} is a picture: it has grey, not HU. Say how it was made.`, [], [black.node, white.node, pixel.node, this.viewer.button("Show it", "", show)]);
  }

  judge(slice) {
    const { outside, unknown } = applicability(slice.facts, this.viewer.get("applicability"));
    slice.notes = [...outside, ...unknown, ...(slice.assumed ? [slice.assumed] : [])];
    if (!outside.length) return this.show(slice, unknown.length ? "Nothing lies outside the range of use of the shipped network, as far as one file tells." : "It lies within the range of use of the shipped network.");
    this.say(`${slice.name} lies outside the range of use of the shipped network. Its answer may be wrong, and no number below would show it.`, slice.notes,
      [this.viewer.button("Look all the same", "", () => this.show(slice, "Outside the range of use: you look all the same."))]);
    this.asks.firstChild.focus();
  }

  show(slice, words) {
    const place = lungWindow(slice, WINDOW_PX), { tall, wide } = place, move = (values) => {
      Object.assign(place, values);
      this.cut(slice, place);
    };
    const way = (text, size, key) => this.viewer.slider(text, { low: 0, high: size, value: place[key], read: (v) => `${v} px`, change: (v) => move({ [key]: v }) }).node;
    this.say(`${slice.name}: ${words} ${this.viewer.whereabouts.reads}`, slice.notes, [
      ...(slice.rows > tall ? [way("Window from above", slice.rows - tall, "top")] : []),
      ...(slice.columns > wide ? [way("Window from the left", slice.columns - wide, "left")] : [])]);
    this.back.hidden = false;
    this.cut(slice, place);
  }

  // A window of the slice in place of the book's: no noise is added, no truth is known.
  cut(slice, { top, left, tall, wide }) {
    const { viewer } = this, truth = new Float32Array(tall * wide);
    this.place = [top, left];
    viewer.book ??= { scene: viewer.scene, spacing: viewer.get("spacing_mm") };
    for (let j = 0; j < tall; j++) truth.set(slice.hu.subarray((top + j) * slice.columns + left, (top + j) * slice.columns + left + wide), j * wide);
    this.put(new Scene({ truth, noise: [], rows: tall, columns: wide, pixelMm: slice.spacing[0], noiseDose: 0.1 }), slice.spacing, { dose: 1, draw: 0 });
  }

  giveBack() {
    const { scene, spacing } = this.viewer.book;
    this.viewer.book = null;
    this.back.hidden = true;
    this.say(this.invitation());
    this.put(scene, spacing, structuredClone(this.viewer.begun));
  }

  put(scene, spacing, values) {
    const { viewer } = this, { noiseRow, goals, found } = viewer;
    Object.assign(viewer, { scene, numbers: {}, last: null });
    for (const node of [noiseRow, goals.node, found]) node.hidden = Boolean(viewer.book) || (node === goals.node && !goals.goals.length);
    viewer.set({ spacing_mm: spacing }, { save: false });
    viewer.change({ edits: [], shift_hu: 0, turns: 0, cut_px: 0, ...values });
    viewer.layPlane();
    viewer.pixels.right = viewer.pixels.left;  // until the network answers
    viewer.invalidate();
  }
}
