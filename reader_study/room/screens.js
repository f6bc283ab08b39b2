// What the panel shows, screen by screen. panel.js extends it with what happens; widget.py makes one text of both.

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

// Digits typed into a slider: 7 5 is 75, 1 0 0 is 100; after a while a new number begins.
function typedInto(input, put) {
  let typed = "", at = 0;
  return (digit) => {
    typed = performance.now() - at < 1500 && Number(typed + digit) <= 100 ? typed + digit : digit;
    at = performance.now();
    input.value = Number(typed);
    put();
  };
}

// Paragraphs of a text whose lines were broken by whoever wrote it; lists keep their lines.
function paragraphs(text) {
  return text.trim().split(/\n\s*\n/).map((part) =>
    node("p", { class: "rs-told" }, part.trim().replace(/\s*\n\s*(?![-*•]|\d+[.)])/g, " ")));
}

class Screens extends DisplayCheck {
  title(text) { return node("h1", { tabindex: "-1" }, text); }

  proceed(label, action = "continue", values = () => ({})) {
    const go = () => { if (!this.busy) this.send(action, values()); };
    this.keys.enter = go;
    return node("button", { type: "button", onclick: go, "aria-keyshortcuts": "Enter" },
      this.say(label), " ", node("kbd", { "aria-hidden": "true" }, this.say("enter_key")));
  }

  show_consent(screen) {
    const told = [["prevalence", screen.prevalence_told], ["incidental", screen.incidental_findings]]
      .filter(([, text]) => text)
      .flatMap(([name, text]) => [node("h2", {}, this.say(name)), ...paragraphs(text)]);
    return [this.title(screen.title), node("p", { class: "dim" }, this.say("consent_title")),
      ...(screen.consent ? paragraphs(screen.consent) : []), ...told,
      node("p"), this.proceed("consent_agree", "consent")].filter(Boolean);
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
      this.proceed("finish"), ...this.answersGiven(screen),
      screen.can_undo ? node("button", { type: "button", onclick: back, "aria-keyshortcuts": "u" },
        this.say("undo"), " ", node("kbd", { "aria-hidden": "true" }, "U")) : null].filter(Boolean);
  }

  // Every answer by its number; a press opens it again where the protocol allows.
  answersGiven({ answers, can_change }) {
    const rows = answers.map((row) => {
      const text = `${row.number}. ${row.side ? `${this.say(`${row.side}_image`)}: ` : ""}${this.spoken(row)}`;
      const change = () => { if (!this.busy) this.send("change", { id: row.id }); };
      return node("li", {}, can_change ? node("button", { type: "button", onclick: change }, text) : text);
    });
    return [node("h2", {}, this.say("finish_answers")),
      can_change ? node("p", { class: "dim" }, this.say("finish_change")) : null,
      node("ol", { class: "rs-given" }, ...rows)].filter(Boolean);
  }

  spoken({ kind, answers, value }) {
    if (value === "cannot-judge") return this.say("cannot_judge");
    if (kind === "scale") return answers[value - 1];
    if (kind === "length") return `${value} mm`;
    if (kind === "where" && value !== "nowhere") return this.say("where_marked");
    return kind === "choice" || kind === "slider" ? String(value) : this.say(value);
  }

  show_thanks(screen) {
    const { afterwards } = this.model.get("reader");  // of a demonstration, for whoever is logged in
    if (!afterwards) this.leave?.("stay");  // who comes next must enter a code
    const date = screen.opens ? new Date(screen.opens).toLocaleString() : "";
    return [this.title(this.say("thanks_title")),
      node("p", {}, screen.last ? this.say("thanks_last") : this.say("thanks_session", { date })),
      ...(afterwards ? [node("p", {}, node("a", { href: afterwards.href }, afterwards.text))] : []),
      ...this.ownReading(screen.own),
      node("h2", {}, this.say("receipt")), node("code", { class: "rs-receipt" }, screen.receipt),
      node("img", { class: "rs-qr", src: screen.qr, alt: this.say("receipt_qr") }),
      node("p", { class: "dim" }, this.say("receipt_help")),
      node("a", { download: "receipt.txt", href: `data:text/plain,${encodeURIComponent(screen.receipt)}` }, this.say("receipt_save"))];
  }

  // What readers learn of themselves once all is handed in.
  ownReading(own) {
    const { repeats, first_image, seconds } = own ?? {};
    const lines = [repeats?.of && this.say("own_repeats", repeats),
      first_image?.of && this.say("own_side", { image: this.say("left_image"), ...first_image }),
      own && seconds !== null && this.say("own_pace", { seconds })].filter(Boolean);
    if (!lines.length) return [];
    return [node("h2", {}, this.say("own_title")), ...lines.map((line) => node("p", { class: "rs-own" }, line)),
      node("p", { class: "dim" }, this.say("own_note"))];
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
    const told = screen.overlay ? node("p", { class: "rs-overlay dim" }, this.say(screen.overlay)) : null;
    const side = item.side ? node("span", { class: "rs-tag" }, this.say(`${item.side}_image`)) : null;
    const legend = node("legend", {}, item.kind === "where" ? this.say("where_question") : item.question);
    const before = screen.before === null || screen.before === undefined ? null : node("p", { class: "dim", id: "rs-before" },
      this.say("answered_before", { answer: this.spoken({ ...item, value: screen.before }) }));
    const body = item.kind === "slider" ? this.slider(item) : item.kind === "length" ? this.length(item)
      : this.choices(this.options(screen));
    return [head, progress, told, side, node("fieldset", {}, legend, before ?? "", body), item.marks?.length ? this.marksBox(item) : null,
      this.more(screen), this.commentBox(screen)].filter(Boolean);
  }

  left(screen) {
    return screen.minutes_left ? this.say("minutes_left", { minutes: screen.minutes_left }) : "";
  }

  options(screen) {
    const { item } = screen, said = (value) => ({ value, text: this.say(value), side: value });
    if (item.kind === "where") return [said("nowhere")];
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
    let touched = false;
    const put = () => { touched = true; value.textContent = input.value; };
    for (const moved of ["input", "keydown", "pointerup"]) {
      input.addEventListener(moved, (event) => { if (moved !== "keydown" || /^(Arrow|Home|End|Page)/.test(event.key)) put(); });
    }
    const type = typedInto(input, put);
    for (const digit of "0123456789") this.keys[digit] = () => type(digit);
    // The middle of the scale is an answer only where the reader put it there.
    const save = () => (touched ? this.answer(Number(input.value)) : this.complain(this.say("slider_first")));
    this.keys.enter = save;
    return node("div", {}, input, node("p", { class: "dim", id: "rs-slider-help" }, this.say("slider_help")), node("div", { class: "rs-ends" }, node("span", {}, `0 ${item.answers[0]}`), value,
      node("span", {}, `100 ${item.answers[1]}`)), node("p"),
      node("button", { type: "button", onclick: save, "aria-keyshortcuts": "Enter" }, this.say("save"), " ",
        node("kbd", { "aria-hidden": "true" }, this.say("enter_key"))));
  }

  // A length in mm: the calliper's, or typed.
  length(item) {
    const input = node("input", { type: "number", min: 0.1, max: 500, step: 0.1, id: "rs-length", "aria-label": item.question,
      "aria-describedby": "rs-length-help" });
    const take = () => {
      const mm = this.viewer()?.calliperMm();
      if (mm) input.value = mm.toFixed(1); else this.complain(this.say("length_none"));
    };
    const save = () => (Number(input.value) >= 0.05 ? this.answer(Number(input.value)) : this.complain(this.say("length_first")));
    this.keys.enter = save;
    return node("div", {}, node("p", { class: "dim", id: "rs-length-help" }, this.say("length_help")),
      node("p", {}, input, " mm "), node("button", { type: "button", onclick: take }, this.say("length_take")), " ",
      node("button", { type: "button", onclick: save, "aria-keyshortcuts": "Enter" }, this.say("save"), " ",
        node("kbd", { "aria-hidden": "true" }, this.say("enter_key"))));
  }

  // ---------------------------------------------------------------- marks

  marksBox(item) {
    this.kinds = item.marks;
    const choose = node("select", { id: "rs-kind" }, ...item.marks.map((kind) => node("option", { value: kind }, kind)));
    choose.addEventListener("change", () => {
      this.model.send({ action: "mark-kind", kind: choose.value });
      if (this.pointed === choose) choose.blur();  // keys belong to the images again
    });
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
    const words = { number: index + 1, kind: mark.kind, side: this.say(mark.side), slice: this.sliceNumber(mark.z) };
    const input = node("input", { type: "range", min: 0, max: 100, step: 1, id, value: rated ? mark.confidence : 50 });
    const value = node("output", { for: id }, rated ? String(mark.confidence) : this.say("unrated"));
    const show = () => { value.textContent = input.value; };
    const keep = () => this.model.send({ action: "confidence", id: this.screen.id, index, value: Number(input.value) });
    const type = typedInto(input, () => { show(); keep(); });
    input.addEventListener("input", show);
    input.addEventListener("change", keep);
    input.addEventListener("keydown", (event) => {  // a number here rates the mark and answers nothing
      if (!/^[0-9]$/.test(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      type(event.key);
    });
    return node("div", { class: "rs-mark" }, node("label", { for: id }, this.say("confidence", words)), input, value);
  }

  sliceNumber(z) { return this.viewer()?.sliceNumber(z) ?? z + 1; }

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
    this.text.addEventListener("keydown", (event) => { if (event.key === "Escape") this.text.blur(); });
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

