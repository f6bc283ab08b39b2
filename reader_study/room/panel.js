// The question panel: shows one screen, forwards what the reader does. Decides nothing.

const BOUNCE_S = 0.3;  // the same key pressed again sooner is the same press
const LETTERS = { n: "cannot", u: "undo", t: "comment", x: "pause" };

function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

class Panel {
  constructor(model, el) {
    this.model = model;
    this.root = node("main", { class: "rs", "data-lm-suppress-shortcuts": "true" });
    el.append(this.root);
    this.root.panel = this;  // for tests and measurements
    this.keys = {};
    this.awayFor = 0;
    this.onKey = (event) => this.key(event);
    this.onBlur = () => { this.leftAt ??= performance.now(); };
    this.onFocus = () => this.back();
    document.addEventListener("keydown", this.onKey);
    window.addEventListener("blur", this.onBlur);
    window.addEventListener("focus", this.onFocus);
    model.on("change:screen", () => this.show());
    model.on("change:marks", () => this.showMarks());
    this.show();
  }

  close() {
    document.removeEventListener("keydown", this.onKey);
    window.removeEventListener("blur", this.onBlur);
    window.removeEventListener("focus", this.onFocus);
  }

  // What is seen: mostly what the session said, for a moment after a key what it will say.
  get screen() { return this.leapt ?? this.model.get("screen"); }

  say(name, values = {}) {
    let text = this.model.get("texts")[name] ?? name;
    for (const [key, value] of Object.entries(values)) text = text.replaceAll(`{${key}}`, value);
    return text;
  }

  // ---------------------------------------------------------------- time

  seconds() {
    const away = this.awayFor + (this.leftAt ? performance.now() - this.leftAt : 0);
    return Math.max(0, (performance.now() - this.since - away) / 1000);
  }

  back() {
    if (this.leftAt === undefined) return;
    const gone = performance.now() - this.leftAt;
    this.leftAt = undefined;
    this.awayFor += gone;
    if (gone > 2000 && this.screen.kind === "question") this.send("away", { seconds: gone / 1000 });
  }

  // ---------------------------------------------------------------- talking to the session

  send(action, values = {}) {
    this.model.send({ action, ...values, ...this.unsaved(action) });
    if (action === "away") return;
    this.busy = true;
    this.state.textContent = this.say("saving");
    this.state.classList.remove("bad");
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.complain(this.say("waiting")), 4000);
  }

  // A comment typed but not saved goes along with whatever leaves the question.
  unsaved(action) {
    const { kind, id, comment } = this.screen;
    if (kind !== "question" || !["answer", "undo", "pause"].includes(action)) return {};
    const text = this.text.value.trim();
    return text === comment ? {} : { comment: { id, text } };
  }

  complain(text) {
    this.state.textContent = text;
    this.state.classList.add("bad");
  }

  answer(value) {
    const given = { id: this.screen.id, value, seconds: this.seconds() };
    const again = value === this.given && given.seconds < BOUNCE_S;  // one press, one answer
    if (!this.busy) {
      this.given = value;
      this.send("answer", given);
      this.leap();
    } else if (this.leapt && !again) this.held ??= given;
  }

  // An answer to the pair on screen, given while the one before was on its way to the disk.
  release() {
    const { held } = this;
    this.held = undefined;
    if (held && held.id === this.screen.id && !this.screen.problem) this.send("answer", held);
  }

  // Shows the next question at once when its images are here and painted. No answer leaves before
  // the session has said that the last one is on the disk; if it is not, the reader is brought
  // back to it.
  leap() {
    const ahead = this.model.get("ahead"), now = this.screen;
    if (ahead.after !== now.id || (performance.now() - this.heard) / 1000 > ahead.break_in_s) return;
    if (ahead.front !== now.front
      && !document.querySelector(`.room-view-${ahead.front} .ctv[data-tag="${ahead.trial}"]`)) return;
    const comment = ahead.trial === now.trial ? this.text.value.trim() : ahead.comment;
    this.rebuild(this.leapt = { ...ahead, comment });
    this.shownId = ahead.id;
    this.state.textContent = this.say("saving");
  }

  key(event) {
    const typing = /^(TEXTAREA|SELECT)$/.test(event.target.tagName)
      || (event.target.tagName === "INPUT" && event.target.type !== "range");
    if (typing || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    const act = this.keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  // ---------------------------------------------------------------- screens

  show() {
    this.leapt = undefined;
    this.heard = performance.now();
    const screen = this.screen;
    clearTimeout(this.waiting);
    this.busy = false;
    // A mark or a comment was saved: what the reader has under the hands stays as it is.
    if (screen.id === undefined || screen.id !== this.shownId) this.rebuild(screen);
    this.shownId = screen.id;
    this.report(screen);
    this.release();
  }

  rebuild(screen) {
    document.body.dataset.screen = screen.kind ?? "opening";
    document.body.dataset.front = screen.front ?? "none";
    this.state = node("p", { class: "rs-state", role: "status" });
    this.since = performance.now();
    this.awayFor = 0;
    this.keys = {};
    this.list = undefined;
    const draw = this[`show_${screen.kind}`];
    this.root.replaceChildren(...(draw ? draw.call(this, screen) : []), this.state);
    // Screen readers hear the new page; the images keep the focus while reading.
    if (screen.kind !== "question") this.root.querySelector("h1")?.focus();
  }

  report(screen) {
    const left = this.root.querySelector("#rs-left");
    if (left) left.textContent = this.left(screen);
    this.state.classList.remove("bad");
    this.state.textContent = "";
    if (screen.problem) this.complain(this.say("not_saved", { reason: screen.problem }));
    else if (screen.saved_at) {
      const time = new Date(screen.saved_at).toLocaleTimeString([], { hour12: false });
      this.state.textContent = this.say("saved", { time });
    }
  }

  title(text) { return node("h1", { tabindex: "-1" }, text); }

  proceed(label, action = "continue", values = () => ({})) {
    const go = () => { if (!this.busy) this.send(action, values()); };
    this.keys.enter = go;
    return node("button", { type: "button", onclick: go, "aria-keyshortcuts": "Enter" },
      this.say(label), " ", node("kbd", { "aria-hidden": "true" }, "Enter"));
  }

  show_consent(screen) {
    const told = [["prevalence", screen.prevalence_told], ["incidental", screen.incidental_findings]]
      .filter(([, text]) => text)
      .flatMap(([name, text]) => [node("h2", {}, this.say(name)), node("p", {}, text)]);
    return [this.title(screen.title), node("p", { class: "dim" }, this.say("consent_title")),
      screen.consent ? node("pre", {}, screen.consent) : null, ...told,
      node("p"), this.proceed("consent_agree", "consent")].filter(Boolean);
  }

  show_display() {
    const card = node("div", { class: "rs-card" });
    const size = node("input", { type: "range", min: 150, max: 900, value: 324, id: "rs-card" });
    const fit = () => { card.style.width = `${size.value}px`; };
    size.addEventListener("input", fit);
    fit();
    const ramp = node("div", { class: "rs-ramp", "aria-hidden": "true" },
      ...Array.from({ length: 18 }, (_, i) => node("span", { style: `background: rgb(${[0, 0, 0].fill(15 * i)})` })));
    const field = (ground, steps) => node("div", { class: "rs-field", style: `background: rgb(${[0, 0, 0].fill(ground)})`,
      "aria-hidden": "true" }, ...steps.map((grey) => node("span", { style: `background: rgb(${[0, 0, 0].fill(grey)})` })));
    const count = (id) => node("input", { type: "number", min: 0, max: 4, id, inputmode: "numeric" });
    const dark = count("rs-dark"), light = count("rs-light");
    const dim = node("input", { type: "checkbox", id: "rs-dim" });
    const number = (input) => (input.value === "" ? null : Number(input.value));
    const facts = () => ({ card_px: Number(size.value), pixel_ratio: window.devicePixelRatio,
      screen_width_px: window.screen.width, screen_height_px: window.screen.height,
      dark_patches_seen: number(dark), light_patches_seen: number(light), room_is_dim: dim.checked });
    return [this.title(this.say("display_title")), node("p", {}, this.say("display_card")),
      node("label", { for: "rs-card" }, this.say("display_card_label")), size, card,
      node("p", {}, this.say("display_ramp")), ramp,
      field(0, [3, 5, 8, 13]), node("label", { for: "rs-dark" }, this.say("display_dark"), " ", dark),
      field(255, [252, 250, 247, 242]), node("label", { for: "rs-light" }, this.say("display_light"), " ", light),
      node("label", {}, dim, " ", this.say("display_dim")), node("p"),
      this.proceed("display_done", "display", facts)];
  }

  show_feedback(screen) {
    return [this.title(this.say("feedback_title")), node("p", {}, screen.feedback),
      node("p", { class: "dim" }, this.say("feedback_note")), node("p"),
      this.proceed("continue")];
  }

  show_paused() {
    return [this.title(this.say("paused_title")), node("p", {}, this.say("paused_text")), node("p"),
      this.proceed("continue")];
  }

  show_break(screen) {
    return [this.title(this.say("break_title")),
      node("p", {}, this.say("break_text", { minutes: Math.round(screen.minutes) })), node("p"),
      this.proceed("continue")];
  }

  show_finish(screen) {
    const back = () => { if (!this.busy) this.send("undo"); };
    if (screen.can_undo) this.keys.u = back;
    return [this.title(this.say("finish_title")), node("p", {}, this.say("finish_text")), node("p"),
      this.proceed("finish"),
      screen.can_undo ? node("button", { type: "button", onclick: back, "aria-keyshortcuts": "u" },
        this.say("undo"), " ", node("kbd", { "aria-hidden": "true" }, "U")) : null].filter(Boolean);
  }

  show_thanks(screen) {
    const date = screen.opens ? new Date(screen.opens).toLocaleString() : "";
    return [this.title(this.say("thanks_title")),
      node("p", {}, screen.last ? this.say("thanks_last") : this.say("thanks_session", { date })),
      node("h2", {}, this.say("receipt")), node("code", { class: "rs-receipt" }, screen.receipt),
      node("p", { class: "dim" }, this.say("receipt_help"))];
  }

  show_closed() {
    return [this.title(this.say("closed_title")), node("p", {}, this.say("closed_text"))];
  }

  // ---------------------------------------------------------------- the question

  show_question(screen) {
    const { item } = screen, word = this.say(screen.pair ? "pair" : "image");
    const where = screen.practice ? `${this.say("practice")} ${screen.number} ${this.say("of")} ${screen.of}`
      : `${word} ${screen.number} ${this.say("of")} ${screen.of}`;
    const head = node("div", { class: "rs-head" }, node("strong", { id: "rs-where" }, where),
      node("span", { class: "dim", id: "rs-left" }, this.left(screen)));
    const progress = node("progress", { max: screen.of, value: screen.number - 1, "aria-labelledby": "rs-where" });
    const side = item.side ? node("span", { class: "rs-tag" }, this.say(`${item.side}_image`)) : null;
    const legend = node("legend", {}, item.question);
    const body = item.kind === "slider" ? this.slider(item) : this.choices(this.options(screen));
    return [head, progress, side, node("fieldset", {}, legend, body), item.marks?.length ? this.marksBox(item) : null,
      this.more(screen), this.commentBox(screen)].filter(Boolean);
  }

  left(screen) {
    return screen.minutes_left ? this.say("minutes_left", { minutes: screen.minutes_left }) : "";
  }

  options(screen) {
    const { item } = screen, said = (value) => ({ value, text: this.say(value), side: value });
    if (item.kind === "scale") return item.answers.map((text, i) => ({ value: i + 1, text }));
    if (item.kind === "choice") return item.answers.map((text) => ({ value: text, text }));
    if (item.kind === "guess") return (screen.pair ? ["left", "right", "unsure"] : ["yes", "no", "unsure"]).map(said);
    return ["left", "right", ...(item.ties ? ["tie"] : [])].map(said);
  }

  choices(options) {
    const sides = options.some(({ side }) => side === "left");
    const buttons = options.map(({ value, text }, i) => {
      const press = () => this.answer(value);
      this.keys[String(i + 1)] = press;
      return node("button", { type: "button", onclick: press, "aria-keyshortcuts": String(i + 1),
        class: sides && i > 1 ? "wide" : undefined },
        node("kbd", { "aria-hidden": "true" }, String(i + 1)), node("span", {}, text));
    });
    return node("div", { class: `rs-answers${sides ? " sides" : ""}` }, ...buttons);
  }

  slider(item) {
    const value = node("output", { for: "rs-slider" }, "–");
    const input = node("input", { type: "range", min: 0, max: 100, value: 50, id: "rs-slider", "aria-label": item.question,
      "aria-describedby": "rs-slider-help" });
    let touched = false, typed = "", at = 0;
    const put = () => { touched = true; value.textContent = input.value; };
    for (const moved of ["input", "keydown", "pointerup"]) {
      input.addEventListener(moved, (event) => { if (moved !== "keydown" || /^(Arrow|Home|End|Page)/.test(event.key)) put(); });
    }
    for (const digit of "0123456789") {  // 7 5 is 75, 1 0 0 is 100; after a while a new number begins
      this.keys[digit] = () => {
        typed = performance.now() - at < 1500 && Number(typed + digit) <= 100 ? typed + digit : digit;
        at = performance.now();
        input.value = Number(typed);
        put();
      };
    }
    // The middle of the scale is an answer only where the reader put it there.
    const save = () => (touched ? this.answer(Number(input.value)) : this.complain(this.say("slider_first")));
    this.keys.enter = save;
    return node("div", {}, input, node("p", { class: "dim", id: "rs-slider-help" }, this.say("slider_help")), node("div", { class: "rs-ends" }, node("span", {}, `0 ${item.answers[0]}`), value,
      node("span", {}, `100 ${item.answers[1]}`)), node("p"),
      node("button", { type: "button", onclick: save, "aria-keyshortcuts": "Enter" }, this.say("save"), " ",
        node("kbd", { "aria-hidden": "true" }, "Enter")));
  }

  // ---------------------------------------------------------------- marks

  marksBox(item) {
    this.kinds = item.marks;
    const choose = node("select", { id: "rs-kind" }, ...item.marks.map((kind) => node("option", { value: kind }, kind)));
    choose.addEventListener("change", () => this.model.send({ action: "mark-kind", kind: choose.value }));
    this.list = node("div", { class: "rs-marks" });
    this.showMarks();
    return node("div", {}, node("p", { class: "dim" }, this.say("marks_help")),
      item.marks.length > 1 ? node("label", { for: "rs-kind" }, this.say("mark_kind"), " ", choose) : "", this.list);
  }

  showMarks() {
    if (!this.list) return;
    const marks = this.model.get("marks");
    const places = JSON.stringify(marks.map(({ side, z, y, x, kind }) => [side, z, y, x, kind]));
    if (places === this.list.dataset.places) return;  // a confidence was saved, no mark came or went
    this.list.dataset.places = places;
    this.list.replaceChildren(...marks.map((mark, index) => this.markRow(mark, index)));
  }

  markRow(mark, index) {
    const id = `rs-mark-${index}`, rated = mark.confidence !== null && mark.confidence !== undefined;
    const words = { number: index + 1, kind: mark.kind, side: this.say(mark.side), slice: mark.z + 1 };
    const input = node("input", { type: "range", min: 0, max: 100, step: 1, id, value: rated ? mark.confidence : 50 });
    const value = node("output", { for: id }, rated ? String(mark.confidence) : this.say("unrated"));
    input.addEventListener("input", () => { value.textContent = input.value; });
    input.addEventListener("change", () => this.model.send({ action: "confidence", id: this.screen.id, index,
      value: Number(input.value) }));
    return node("div", { class: "rs-mark" }, node("label", { for: id }, this.say("confidence", words)), input, value);
  }

  more(screen) {
    const act = {
      cannot: screen.item.kind === "guess" ? null : () => this.answer("cannot-judge"),
      undo: () => { if (!this.busy && screen.can_undo) this.send("undo"); },
      comment: () => this.openComment(),
      pause: () => { if (!this.busy) this.send("pause"); },
    };
    const names = { cannot: "cannot_judge", undo: "undo", comment: "comment", pause: "pause" };
    const buttons = Object.entries(LETTERS).filter(([, name]) => act[name]).map(([letter, name]) => {
      this.keys[letter] = act[name];
      // Undo keeps its place while there is nothing to undo, so that no other button jumps there.
      const disabled = name === "undo" && !screen.can_undo;
      return node("button", { type: "button", onclick: act[name], disabled, "aria-keyshortcuts": letter },
        this.say(names[name]), " ", node("kbd", { "aria-hidden": "true" }, letter.toUpperCase()));
    });
    return node("div", { class: "rs-more" }, ...buttons);
  }

  commentBox(screen) {
    this.text = node("textarea", { id: "rs-comment", maxlength: 2000 });
    this.text.value = screen.comment;
    const save = () => this.busy || this.send("comment", { id: screen.id, text: this.text.value });
    this.box = node("div", { hidden: !screen.comment }, node("label", { for: "rs-comment" }, this.say("comment_label")),
      this.text, node("button", { type: "button", onclick: save }, this.say("comment_save")));
    return this.box;
  }

  openComment() {
    this.box.hidden = false;
    this.text.focus();
  }
}

export default {
  render({ model, el }) {
    const panel = new Panel(model, el);
    return () => panel.close();
  },
};
