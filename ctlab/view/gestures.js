// What hands do: mouse buttons, wheel, fingers. Which drag does what comes from the protocol or the
// author of the page; a reader may choose otherwise, for this tab of the browser.

const DRAGS = { window: ["window", "Window"], scroll: ["scroll the stack", "Scroll"], zoom: ["zoom", "Zoom"], pan: ["move the image", "Move"] };
const BUTTONS = { left: "Left drag", middle: "Middle drag", right: "Right drag" };
const MOUSE_KEPT = "ctv-mouse";

class Gestures extends Page {
  mouse() {
    let own = {};
    try {
      own = JSON.parse(sessionStorage.getItem(MOUSE_KEPT) ?? "{}");
    } catch { /* a page without storage keeps the choice in the viewer */ }
    return { left: "window", middle: "pan", right: "zoom", ...this.get("mouse"), ...own, ...this.ownMouse };
  }

  chooseMouse(button, action) {
    this.ownMouse = { ...this.ownMouse, [button]: action };
    try {
      sessionStorage.setItem(MOUSE_KEPT, JSON.stringify(this.mouse()));
    } catch { /* as above */ }
    this.buildBar();
  }

  mouseChoices() {
    return Object.entries(BUTTONS).map(([button, name]) => {
      const choose = element("select", { "aria-label": this.w(name), onchange: () => this.chooseMouse(button, choose.value) },
        ...Object.entries(DRAGS).map(([action, [text]]) => element("option", { value: action, text: this.w(text) })));
      choose.value = this.mouse()[button];
      return [element("dt", { text: this.w(name) }), element("dd", {}, choose)];
    }).flat();
  }

  // ---------------------------------------------------------------- pointers

  // Pointer position in pixels of the image, and as a fraction of the panel.
  where(event) {
    const box = event.target.getBoundingClientRect(), { left, top, x, y } = this.place;
    const exact = { x: (event.clientX - box.left - left) / x, y: (event.clientY - box.top - top) / y };
    return { x: Math.floor(exact.x), y: Math.floor(exact.y), exact, fraction: (event.clientX - box.left) / box.width };
  }

  inside(point) { return point.x >= 0 && point.y >= 0 && point.x < this.columns && point.y < this.rows; }

  onPointer(event, side) {
    const at = this.where(event), touch = event.pointerType === "touch";
    if (touch) this.moveFingers(event);
    if (event.type === "pointerdown") this.startDrag(event, side, at);
    else if (event.type === "pointermove") this.moveDrag(event, at);
    else this.endDrag();
    this.probe = touch || event.type === "pointerleave" || !this.inside(at) ? null : at;
    this.invalidate();
  }

  action(event, at) {
    if (this.asksRegion && event.button === 0 && !this.spaceHeld) return "region";
    if (event.pointerType === "touch") return this.tool !== "window" ? this.tool : this.depth > 1 ? "scroll" : "pan";
    const { left, middle, right } = this.mouse();
    if (event.button === 1) return middle;
    if (event.button === 2) return right;
    if (this.spaceHeld) return "pan";
    if (this.mode() === "wipe" && Math.abs(at.fraction - this.wipe) < 0.03) return "wipe";
    return this.tool === "window" ? left : this.tool;
  }

  startDrag(event, side, at) {
    this.stage.focus({ preventScroll: true });
    event.target.setPointerCapture(event.pointerId);
    event.preventDefault();
    if (this.fingers.size > 1) return void this.startPinch(event.target);
    const action = this.action(event, at);
    if (action === "calliper" || action === "circle") this.startMeasure(action, at);
    if (action === "region") this.region = { from: at, to: at };
    if (action === "mark" && this.inside(at)) this.toggleMark(this.sideIn(side, at.fraction), at);
    this.drag = { action, x: event.clientX, y: event.clientY, at: at.exact, left: 0 };
  }

  moveDrag(event, at) {
    if (this.pinch) return void this.movePinch();
    if (!this.drag) return;
    const dx = event.clientX - this.drag.x, dy = event.clientY - this.drag.y, { action } = this.drag;
    Object.assign(this.drag, { x: event.clientX, y: event.clientY });
    const speed = Math.max(0.5, this.get("width_hu") / 400);
    if (action === "window") this.shiftWindow(dx * speed, dy * speed);
    else if (action === "pan") this.pan(dx / this.place.x, dy / this.place.y);
    else if (action === "zoom") this.zoomBy(1.008 ** -dy, this.drag.at);
    else if (action === "scroll") this.scrollDrag(dy);
    else if (action === "wipe") this.wipe = clamp(at.fraction, 0, 1);
    else if (action === "region") this.region.to = { x: at.x, y: at.y };
    else if (this.measure) this.measure.to = { x: at.x, y: at.y };
  }

  endDrag() {
    if (this.drag && this.measure) this.endMeasure();
    if (this.drag?.action === "region") this.endRegion();
    this.drag = null;
    if (this.fingers.size < 2) this.pinch = null;
  }

  // A page may ask for a place: one drag, told to the document as a circle in voxels.
  askRegion(asks) {
    Object.assign(this, { asksRegion: asks, region: null });
    this.invalidate();
  }

  endRegion() {
    const { from, to } = this.region, radius_mm = this.lengthMm(this.region), [row, column, step] = this.get("grid");
    if (!this.inside(from) || (from.x === to.x && from.y === to.y)) return void (this.region = null);
    const { z, y, x } = this.voxel(from);
    document.dispatchEvent(new CustomEvent("ctv-region", { detail: { z, y: row + y * step, x: column + x * step, radius_mm } }));
  }

  // The whole stack lies within one sweep over the panel, but single slices can be hit.
  scrollDrag(dy) {
    const notch = clamp(this.place.height / this.depth, 4, 24);
    this.drag.left += dy;
    const images = Math.trunc(this.drag.left / notch);
    this.drag.left -= images * notch;
    if (images) this.step(images);
  }

  // ---------------------------------------------------------------- fingers

  moveFingers(event) {
    const gone = event.type === "pointerup" || event.type === "pointercancel";
    if (gone) this.fingers.delete(event.pointerId);
    else if (event.type === "pointerdown" || this.fingers.has(event.pointerId)) {
      this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    }
  }

  span() {
    const [a, b] = [...this.fingers.values()];
    return { apart: Math.max(10, Math.hypot(a.x - b.x, a.y - b.y)), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  }

  startPinch(canvas) {
    if (this.drag && this.measure) {  // the first finger of two drew nothing
      this.measure.to = this.measure.from;
      this.endMeasure();
    }
    this.drag = null;
    this.pinch = { ...this.span(), box: canvas.getBoundingClientRect() };
  }

  movePinch() {
    const now = this.span(), before = this.pinch, { left, top, x, y } = this.place;
    this.pan((now.x - before.x) / x, (now.y - before.y) / y);
    this.zoomBy(now.apart / before.apart, { x: (now.x - before.box.left - left) / x, y: (now.y - before.box.top - top) / y });
    this.pinch = { ...now, box: before.box };
  }

  // ---------------------------------------------------------------- wheel

  onWheel(event) {
    const active = this.get("whole_page") || this.root.contains(document.activeElement);
    if (!active && !event.ctrlKey) return;  // an unclicked viewer lets the page scroll
    event.preventDefault();
    this.wheeled = (this.wheeled ?? 0) + event.deltaY * (event.deltaMode === 1 ? 33 : 1);
    const notch = event.ctrlKey || this.depth === 1 ? 20 : 50, steps = Math.trunc(this.wheeled / notch);
    if (!steps) return;  // touchpads send many small steps
    this.wheeled -= steps * notch;
    if (notch === 50) this.step(clamp(steps, -3, 3));
    else this.zoomBy(1.06 ** -clamp(steps, -8, 8), this.where(event).exact);
  }
}

