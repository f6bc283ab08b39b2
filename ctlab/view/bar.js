// Buttons above the images, and the page of help over them.

const MODES = { pair: ["Side by side", "p"], flicker: ["Flicker", "f"], wipe: ["Wipe", "w"],
  difference: ["Difference", "d"] };
const TOOLS = { window: ["Window", "a"], calliper: ["Calliper", "c"], circle: ["Circle", "k"], mark: ["Mark", "v"] };
const HELP = {  // by subject: keys, what they do, and where not always: what must be offered
  Mouse: [["Wheel", "scroll the stack; down goes to the feet", "stack"],
    ["Wheel", "zoom", "single"],
    ["Ctrl + wheel", "zoom at the pointer"],
    ["Touch", "one finger scrolls; two fingers zoom and move the image"]],
  Images: [["↓ ↑", "one slice towards the feet, the head", "stack"],
    ["Page Up / Down, Home, End", "five slices; the first, the last", "stack"],
    ["P", "side by side, or one above the other where that is larger", "pair"],
    ["F", "flicker: both in one place; F again swaps", "flicker"],
    ["W", "wipe; ← → move the edge", "wipe"],
    ["D", "difference, {right} minus {left}", "difference"],
    ["Y", "cine through the stack, or flicker by itself; Y again stops", "play"],
    [", .", "cine and flicker slower, faster", "play"],
    ["O", "axial, coronal, sagittal", "planes"],
    ["I", "sliding maximum intensity projection: 5, 7, 10 mm, off", "planes"]],
  Size: [["Z", "one pixel of the image on one of the screen; Z again: the whole image"],
    ["+ −", "zoom"],
    ["Ctrl + arrows, Space + drag", "move the image"],
    ["E", "full screen, and back", "full screen"],
    ["R", "everything as at first"]],
  Window: [["Shift + arrows", "width (sideways) and level (up and down)"],
    ["G", "inverted grey, and back"]],
  Measure: [["C", "calliper in mm: drag over the image; A ends it"],
    ["K", "circle: mean and SD of the HU in it; A ends it", "probe"],
    ["V", "mark: click on what you found; A ends it", "mark"],
    ["Arrows, then Space", "with calliper, circle or mark: move the cross (Shift: 10 px), then place it"],
    ["S", "with mark: the cross goes to the other image", "mark"],
    ["Delete", "take the last mark or measure back"]],
};

class Bar extends Measures {
  // A word of the viewer in the language it was given.
  w(text, values = {}) {
    let said = this.get("words")?.[text] ?? text;
    for (const [name, value] of Object.entries(values)) said = said.replaceAll(`{${name}}`, value);
    return said;
  }

  offers(what) {
    if (what === "mark") return this.get("marking");
    if (what === "probe") return this.get("probe");
    if (what === "stack") return this.depth > 1;
    if (what === "single") return this.depth === 1;
    if (what === "play") return this.depth > 1 || this.offeredModes().includes("flicker");
    if (what === "planes") return this.offeredPlanes().length > 1;
    if (what === "full screen") return document.fullscreenEnabled;
    return !what || (this.choosesModes() && this.offeredModes().includes(what));
  }

  choosesModes() { return this.offeredModes().length > 1 || this.offeredModes()[0] !== "pair"; }

  buildHelp() {
    const names = { left: this.w("left"), right: this.w("right") };
    const line = ([keys, text]) => [element("dt", { text: keys }), element("dd", { text })];
    const keyed = this.get("presets").map((preset, i) => [preset.key.toUpperCase(), i < 9 ? this.w("Shift + {number}", { number: i + 1 }) : "",
      `${this.presetName(preset)} ${preset.level}/${preset.width} HU`])
      .map(([key, shift, text]) => [[key, shift].filter(Boolean).join(", "), text]);
    const sections = Object.entries(HELP).map(([subject, lines]) => {
      const offered = lines.filter(([, , what]) => this.offers(what)).map((l) => l.slice(0, 2).map((text) => this.w(text, names)));
      const all = [...(subject === "Mouse" ? this.mouseChoices() : []), ...(subject === "Window" ? keyed : []).flatMap(line),
        ...offered.flatMap(line)];
      return element("section", {}, element("h2", { text: this.w(subject) }), element("dl", {}, ...all));
    });
    const further = this.get("further_help");
    if (further.length) {
      sections.unshift(element("section", {}, element("h2", { text: this.w("Answer") }), element("dl", {}, ...further.flatMap(line))));
    }
    this.help.replaceChildren(element("p", { text: this.w("Esc or ? closes this page.") }),
      element("div", { class: "ctv-subjects" }, ...sections));
  }

  presetName({ name }) { return this.w(name.charAt(0).toUpperCase() + name.slice(1)); }

  buildBar() {
    this.buildHelp();
    const group = (name, items) => element("div", { class: "ctv-group", role: "group",
      "aria-label": name }, ...items);
    const keys = (text, key) => (key ? `${text} (${this.w("key {key}", { key: key.toUpperCase() })})` : text);
    const button = (text, key, press, title = this.w(text)) => element("button", { type: "button", text: this.w(text),
      title: keys(title, key), "aria-keyshortcuts": key, onclick: press });
    this.buttons = { preset: {}, mode: {}, tool: {}, plane: {}, view: {} };
    const presets = this.get("presets").map((preset) => (this.buttons.preset[preset.name] =
      button(preset.name.charAt(0).toUpperCase() + preset.name.slice(1), preset.key, () => this.usePreset(preset),
        `${this.presetName(preset)} ${preset.level}/${preset.width} HU`)));
    const modes = this.offeredModes().map((mode) => (this.buttons.mode[mode] =
      button(...MODES[mode], () => this.useMode(mode))));
    const tools = Object.keys(TOOLS).filter((tool) => this.offers({ mark: "mark", circle: "probe" }[tool]))
      .map((tool) => (this.buttons.tool[tool] = button(tool === "window" ? DRAGS[this.mouse().left][1] : TOOLS[tool][0],
        TOOLS[tool][1], () => this.useTool(tool))));
    const planes = this.offeredPlanes(), plane = planes.map((name) => (this.buttons.plane[name] =
      button(PLANES[name], "o", () => this.usePlane(name))));
    this.slabButton = button("MIP", "i", () => this.cycleSlab(),
      this.w("Maximum intensity projection: 5, 7, 10 mm, off"));
    const toggles = this.buttons.view = { actual: button("1:1", "z", () => this.toggleActual(), this.w("One pixel of the image on one of the screen")),
      inverted: button("Inverted", "g", () => this.invert(), this.w("Inverted grey")),
      ...(this.offers("play") ? { playing: button("Play", "y", () => this.togglePlay(), this.w("Cine, or flicker by itself")) } : {}) };
    const view = [button("−", "-", () => this.zoomBy(0.8), this.w("Zoom out")),
      button("+", "+", () => this.zoomBy(1.25), this.w("Zoom in")), ...Object.values(toggles),
      button("Reset", "r", () => this.reset()),
      ...(document.fullscreenEnabled ? [button("Full screen", "e", () => this.toggleFullScreen())] : []),
      button("?", "?", () => this.toggleHelp(), this.w("Keys and mouse"))];
    this.bar.replaceChildren(group(this.w("Window"), presets),
      ...(this.choosesModes() ? [group(this.w("Layout"), modes)] : []),
      ...(planes.length > 1 ? [group(this.w("Plane"), [...plane, this.slabButton])] : []),
      group(this.w("Tool"), tools), group(this.w("View"), view));
    this.invalidate();
  }

  toggleHelp() {
    this.help.hidden = !this.help.hidden;
    if (!this.help.hidden) this.help.scrollTop = 0;
  }

  scrollHelp(key) {  // over a small window the help is longer than it is high
    const down = { ArrowDown: 40, ArrowUp: -40, PageDown: 200, PageUp: -200 }[key];
    if (this.help.hidden || !down || this.help.scrollHeight <= this.help.clientHeight) return false;
    this.help.scrollBy(0, down);
    return true;
  }

  press(mode, preset) {
    const pressed = { preset: mode !== "difference" && preset?.name, mode, tool: this.tool, plane: this.plane() };
    for (const [kind, buttons] of Object.entries(this.buttons)) {
      for (const [name, button] of Object.entries(buttons)) {
        this.tell(button, "aria-pressed", String(kind === "view" ? Boolean(this[name]) : name === pressed[kind]));
      }
    }
  }

  pressSlab() {
    const slab = this.slabMm();
    this.say(this.slabButton, slab ? `${this.w("MIP")} ${slab} mm` : this.w("MIP"));
    this.tell(this.slabButton, "aria-pressed", String(slab > 0));
  }
}

