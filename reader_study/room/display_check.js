// What a reader's screen shows: asked and measured before a session. What nobody touched stays empty.

const GROUNDS = [15, 128, 240], STEPS = [8, 5, 3, 2, 1];  // grey levels of 255
const rgb = (level) => `rgb(${[0, 0, 0].fill(level)})`;

class DisplayCheck {
  show_display() {
    const card = node("div", { class: "rs-card" });
    const size = node("input", { type: "range", min: 150, max: 900, value: 324, id: "rs-card" });
    // Untouched is not measured: the box has a width from the start, the record has none.
    const measured = node("output", { for: "rs-card", class: "dim" }, this.say("display_card_unset"));
    let card_px = null;
    const fit = () => { card.style.width = `${size.value}px`; };
    size.addEventListener("input", () => { card_px = Number(size.value); measured.textContent = `${size.value} px`; fit(); });
    fit();
    const ramp = node("div", { class: "rs-ramp", "aria-hidden": "true" },
      ...Array.from({ length: 18 }, (_, i) => node("span", { style: `background: rgb(${[0, 0, 0].fill(15 * i)})` })));
    const field = (ground, steps) => node("div", { class: "rs-field", style: `background: rgb(${[0, 0, 0].fill(ground)})`,
      "aria-hidden": "true" }, ...steps.map((grey) => node("span", { style: `background: rgb(${[0, 0, 0].fill(grey)})` })));
    const count = (id) => node("input", { type: "number", min: 0, max: 4, id, inputmode: "numeric" });
    const dark = count("rs-dark"), light = count("rs-light");
    const steps = this.yesNo("rs-steps", "display_ramp_seen"), dim = this.yesNo("rs-dim", "display_dim");
    const number = (input) => (input.value === "" ? null : Number(input.value));
    const choice = {}, readings = {};  // of the forced choice, and of a meter
    const facts = () => ({ card_px, pixel_ratio: window.devicePixelRatio,
      screen_width_px: window.screen.width, screen_height_px: window.screen.height,
      dark_patches_seen: number(dark), light_patches_seen: number(light), ramp_steps_differ: steps.value, room_is_dim: dim.value,
      ...choice, ...Object.fromEntries(Object.entries(readings).map(([name, input]) => [name, number(input)])) });
    return [this.title(this.say("display_title")), node("p", {}, this.say("display_card")),
      node("label", { for: "rs-card" }, this.say("display_card_label")), size, measured, card,
      node("p", {}, this.say("display_ramp")), ramp, steps.box,
      field(0, [3, 5, 8, 13]), node("label", { for: "rs-dark" }, this.say("display_dark"), " ", dark),
      field(255, [252, 250, 247, 242]), node("label", { for: "rs-light" }, this.say("display_light"), " ", light),
      dim.box, this.patches(choice), ...this.luminances(readings), node("p"),
      this.proceed("display_done", "display", facts)];
  }

  // Two buttons, neither pressed at first: no answer is a false one.
  yesNo(id, question) {
    const said = { value: null };
    const buttons = [["yes", true], ["no", false]].map(([word, value]) => {
      const press = () => {
        said.value = value;
        for (const [other, of] of buttons) other.setAttribute("aria-pressed", String(of === value));
      };
      return [node("button", { type: "button", id: `${id}-${word}`, "aria-pressed": "false", onclick: press }, this.say(word)), value];
    });
    said.box = node("div", { class: "rs-yes-no", role: "group", "aria-label": this.say(question) },
      node("span", {}, this.say(question)), ...buttons.map(([button]) => button));
    return said;
  }

  // Forced choice: which of four fields holds the bar? Two right answers lead to a smaller step, one
  // wrong answer ends a ground; chance passes a step once in sixteen.
  patches(found) {
    const told = node("p", { class: "dim", role: "status" }), fields = node("div", { class: "rs-choice" });
    const ask = (ground, step) => new Promise((answer) => {
      const right = Math.floor(4 * Math.random());
      fields.replaceChildren(...[0, 1, 2, 3].map((place) => {
        const press = this.keys[String(place + 1)] = () => answer(place === right);
        const bar = node("span", { style: `background: ${rgb(ground + step)}; width: ${6 / window.devicePixelRatio}px` });
        return node("button", { type: "button", onclick: press, style: `background: ${rgb(ground)}`,
          "aria-label": this.say("display_patches_field", { number: place + 1 }) }, place === right ? bar : "");
      }));
    });
    const run = async () => {
      begin.hidden = true;
      for (const ground of GROUNDS) {
        let smallest = `above ${STEPS[0]}`;
        for (const step of STEPS) {
          if (!await ask(ground, step) || !await ask(ground, step)) break;
          smallest = step;
        }
        found[`step_seen_at_${ground}`] = smallest;
      }
      for (const digit of "1234") delete this.keys[digit];
      fields.replaceChildren();
      told.textContent = this.say("display_patches_done", { steps: Object.values(found).join(", ") });
    };
    const begin = node("button", { type: "button", id: "rs-patches", onclick: run }, this.say("display_patches_start"));
    return node("div", {}, node("p", {}, this.say("display_patches")), begin, fields, told);
  }

  luminances(readings) {
    const words = { black: "display_black", white: "display_white", ambient: "display_ambient" };
    const rows = Object.entries(words).map(([name, word]) => {
      const input = readings[`${name}_cd_m2`] = node("input", { type: "number", min: 0, max: 4000, step: "any", id: `rs-${name}`, inputmode: "decimal" });
      return node("label", { for: `rs-${name}` }, this.say(word), " ", input);
    });
    return [node("p", {}, this.say("display_luminance")), ...rows];
  }
}

