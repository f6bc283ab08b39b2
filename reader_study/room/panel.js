// The question panel: shows one screen, forwards what the reader does. Decides nothing.

const BOUNCE_S = 0.3;  // the same key pressed again sooner is the same press

class Panel extends Screens {
  constructor(model, el) {
    super();
    this.model = model;
    this.root = node("main", { class: "rs", "data-lm-suppress-shortcuts": "true" });
    el.append(this.root);
    this.root.panel = this;  // for tests and measurements
    this.keys = {};
    this.awayFor = 0;
    this.onKey = (event) => this.key(event);
    this.onBlur = () => { this.leftAt ??= performance.now(); };
    this.onFocus = () => this.back();
    // Enter presses the button that Tab led to, but not one that was clicked a while ago.
    this.onPoint = (event) => { this.pointed = event.target.closest("button, select"); };
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("pointerdown", this.onPoint, true);
    window.addEventListener("blur", this.onBlur);
    window.addEventListener("focus", this.onFocus);
    this.onRegion = ({ detail }) => this.screen.item?.kind === "where" && this.answer(detail);
    document.addEventListener("ctv-region", this.onRegion);
    model.on("change:screen", () => this.show());
    model.on("change:marks", () => this.showMarks());
    model.on("change:pad", () => this.onPad(this.model.get("pad")));
    this.identify(el);
    this.show();
  }

  // Who reads here, and the way out; after an idle time the way out is taken by itself.
  identify(el) {
    const { name, logout, idle_minutes, pad } = this.model.get("reader");
    if (!name) return;
    const who = node("p", { class: "rs-who dim" }, this.say("reader_is", { reader: name }));
    el.append(who);
    if (!logout) return;
    this.leave = (how) => (how === "stay" ? fetch(`${logout}?stay`, { cache: "no-store" }) : location.assign(logout));
    who.append(" ", node("button", { type: "button", onclick: () => this.leave() }, this.say("not_you")));
    if (pad) who.append(" ", node("button", { type: "button", onclick: () => this.model.send({ action: "pad" }) }, this.say("pad_button")));
    const wait = () => {
      clearTimeout(this.idle);
      this.idle = setTimeout(() => this.leave(), idle_minutes * 60_000);
    };
    this.onUse = wait;
    for (const kind of ["keydown", "pointerdown", "wheel"]) document.addEventListener(kind, wait, { passive: true });
    wait();
  }

  // A telephone beside the screen: the code that pairs one, and what is pressed on it. A press is one
  // of the keys: it waits for the images like they do, and is timed and kept here.
  onPad({ press, address, qr, local, joined }) {
    if (press) {
      this.onUse?.();
      if (press.id !== this.screen.id) return;
      if (press.action === "undo") this.keys.u?.();
      else this.answer(press.value);
      return;
    }
    this.pairing?.remove();
    const close = () => { this.pairing?.remove(); this.pairing = undefined; };
    const told = joined ? [node("p", { role: "status" }, this.say("pad_joined"))]
      : local ? [node("p", {}, this.say("pad_local"))]
      : [node("p", {}, this.say("pad_help")), node("img", { src: qr, alt: address, class: "rs-qr" }), node("p", { class: "dim" }, address)];
    this.pairing = node("dialog", { class: "rs rs-pad" }, ...told,
      node("button", { type: "button", onclick: close }, this.say("continue")));
    this.pairing.addEventListener("close", close);
    document.body.append(this.pairing);
    this.pairing.showModal();
    if (joined) setTimeout(close, 1500);
  }

  close() {
    this.pairing?.remove();
    clearTimeout(this.idle);
    for (const kind of ["keydown", "pointerdown", "wheel"]) document.removeEventListener(kind, this.onUse);
    document.removeEventListener("ctv-region", this.onRegion);
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("pointerdown", this.onPoint, true);
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

  // New images must have been on the screen for a while before an answer to them counts.
  get unseen() {
    const { front, trial, delay_ms } = this.screen;
    if (!delay_ms || this.paintedTrial !== trial) return Boolean(delay_ms);
    return performance.now() - this.paintedAt < delay_ms;
  }

  watch(screen) {
    if (screen.kind !== "question" || this.paintedTrial === screen.trial) return;
    const look = () => {
      if (this.screen.trial !== screen.trial) return;
      if (!document.querySelector(`.room-view-${screen.front} .ctv[data-tag="${screen.trial}"]`)) {
        requestAnimationFrame(look);
        return;
      }
      this.paintedTrial = screen.trial;
      this.paintedAt = performance.now();
    };
    look();
  }

  answer(value) {
    if (this.unseen) return;
    const given = { id: this.screen.id, value, seconds: this.seconds(), view: this.viewer()?.seen() };
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

  // The viewer that the reader sees; a page tells it what is asked, it tells the page how it was seen.
  viewer() { return document.querySelector(`.room-view-${this.screen.front} .ctv`)?.viewer; }

  // The question makes room for the images; where it stands and what went wrong stay on the screen.
  toggleQuestion() {
    document.body.classList.toggle("rs-hidden");
    window.dispatchEvent(new Event("resize"));
  }

  key(event) {
    const { tagName, type } = event.target, enter = event.key === "Enter";
    const typing = /^(TEXTAREA|SELECT)$/.test(tagName) || (tagName === "INPUT" && type !== "range" && !enter)
      || (tagName === "BUTTON" && enter && event.target !== this.pointed);
    if (this.pairing || typing || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    const hides = event.key.toLowerCase() === "q" && /question|feedback/.test(this.screen.kind);
    const act = hides ? () => this.toggleQuestion() : this.keys[event.key.toLowerCase()];
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
    const reminder = node("p", { class: "rs-reminder dim" }, this.say("hidden"));
    this.root.replaceChildren(...(draw ? draw.call(this, screen) : []), this.state, reminder);
    this.viewer()?.askRegion(screen.item?.kind === "where");
    // Screen readers hear the new page; the images keep the focus while reading.
    if (screen.kind !== "question") this.root.querySelector("h1")?.focus();
    this.watch(screen);
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
}

export default {
  render({ model, el }) {
    const panel = new Panel(model, el);
    return () => panel.close();
  },
};
