// Planes and slabs: what the viewer shows of a stack, and how a point on screen and a voxel of the
// stack belong together. Where no orientation is given, slices run from the feet to the head, as
// ctlab.ct reads them.

const PLANES = { axial: "Axial", coronal: "Coronal", sagittal: "Sagittal" };
const SLABS_MM = [0, 5, 7, 10];

// Letters of a direction, the larger part first; a part under 22 degrees is left out.
function directions(vector) {
  return [["L", "R"], ["P", "A"], ["H", "F"]].map(([more, less], i) => [Math.abs(vector[i]), vector[i] > 0 ? more : less])
    .filter(([size]) => size > 0.38).sort(([a], [b]) => b - a).map(([, letter]) => letter).join("");
}

class Planes {
  // ---------------------------------------------------------------- which way is which

  // Patient directions (x to the left, y to the back, z to the head) along a row, down a column and
  // from slice to slice; null where they are not known.
  axes() {
    const o = this.get("orientation");
    if (o.length !== 6) return null;
    const [a, b, c, d, e, f] = o;
    return { row: [a, b, c], column: [d, e, f], slice: [b * f - c * e, c * d - a * f, a * e - b * d] };
  }

  // 1 where slices run to the head, -1 where they run to the feet, 0 where they run to a side.
  upwards() {
    const axes = this.axes();
    return axes ? Math.round(axes.slice[2]) : 1;
  }

  isSlices() { return this.get("frame_name") === "slice" && !this.get("frame_labels").length; }

  // Whether the slice at the head, number 1, is the last one stored.
  topLast(plane = this.plane()) {
    return plane === "axial" && this.isSlices() && this.get("slice_mm") > 0
      && this.get("scroll") === "feet" && this.upwards() > 0;
  }
  number(frame = this.frame()) { return this.topLast() ? this.depth - frame : frame + 1; }
  sliceNumber(z) { return this.topLast("axial") ? this.get("shape")[0] - z : z + 1; }
  frameOf(number) { return this.topLast() ? this.depth - number : number - 1; }
  step(images) { this.goTo(this.frame() + (this.topLast() ? -images : images)); }  // down: to the feet

  // Letters at the left, right, top and bottom edge of the plane on screen.
  edges() {
    const axes = this.axes();
    if (!axes) return { left: "", right: "", top: "", bottom: "" };
    const back = (v) => v.map((c) => -c), plane = this.plane();
    const up = this.upwards() < 0 ? back(axes.slice) : axes.slice;
    const [across, down] = { axial: [axes.row, axes.column], coronal: [axes.row, back(up)], sagittal: [axes.column, back(up)] }[plane];
    return { left: directions(back(across)), right: directions(across), top: directions(back(down)), bottom: directions(down) };
  }

  // ---------------------------------------------------------------- planes
  // Stack as sent: depth x rows x columns voxels. What is shown of it: how many images there are,
  // their rows and columns, the size of a pixel, and the distance between images.
  shapeOf(plane) {
    const [depth, rows, columns] = this.get("shape"), [sy, sx] = this.get("spacing_mm"), sz = this.get("slice_mm");
    if (plane === "coronal") return { depth: rows, rows: depth, columns, spacing: [sz, sx], apart: sy };
    if (plane === "sagittal") return { depth: columns, rows: depth, columns: rows, spacing: [sz, sy], apart: sx };
    return { depth, rows, columns, spacing: [sy, sx], apart: sz };
  }

  axialAspect() {  // panels keep this height in every plane, so that nothing jumps and a thin slab can be zoomed
    const { rows, columns, spacing } = this.shapeOf("axial");
    return (rows * spacing[0]) / (columns * spacing[1]);
  }

  offeredPlanes() {  // a single slice, a stack of doses, one of unknown thickness have one plane
    if (!this.isSlices() || !this.upwards()) return ["axial"];
    const [depth, rows, columns] = this.get("shape"), whole = depth * rows * columns;
    const full = Object.values(this.pixels ?? {}).every((pixels) => !pixels || pixels.length === whole);
    return depth > 2 && this.get("slice_mm") > 0 && full ? Object.keys(PLANES) : ["axial"];
  }

  plane() { return this.offeredPlanes().includes(this.get("plane")) ? this.get("plane") : "axial"; }
  slabMm() { return this.offeredPlanes().length > 1 ? this.get("slab_mm") : 0; }

  usePlane(plane) {
    if (!this.offeredPlanes().includes(plane)) return;
    const here = this.voxel({ x: this.columns >> 1, y: this.rows >> 1 });
    this.set({ plane });
    this.layPlane();
    // The other plane opens through the place last looked at, not at its edge.
    if (plane !== "axial") this.at[plane] = clamp(this.at[plane] ?? here[plane === "coronal" ? "y" : "x"], 0, this.depth - 1);
  }

  layPlane() {  // sizes of the plane on screen; the view is centred anew
    Object.assign(this, this.shapeOf(this.plane()));
    Object.assign(this, { zoom: 1, actual: false, centre: { x: this.columns / 2, y: this.rows / 2 },
      cursor: { side: this.cursor?.side ?? "left", x: this.columns >> 1, y: this.rows >> 1 } });
  }

  frame() {
    const plane = this.plane(), at = plane === "axial" ? this.get("frame") : this.at[plane] ?? this.depth >> 1;
    return clamp(at, 0, this.depth - 1);
  }

  goTo(frame) {
    const to = clamp(frame, 0, this.depth - 1), plane = this.plane();
    if (plane === "axial") return this.set({ frame: to });
    this.at[plane] = to;
    this.invalidate();
  }

  // Voxel of the stack under a point of the plane; heads are up.
  voxel({ x, y }, frame = this.frame()) {
    const plane = this.plane(), z = this.headUp(y);
    if (plane === "coronal") return { z, y: frame, x };
    if (plane === "sagittal") return { z, y: x, x: frame };
    return { z: frame, y, x };
  }

  headUp(z) { return this.upwards() < 0 ? z : this.get("shape")[0] - 1 - z; }  // slice to row, and back

  // Image of the slab whose voxel is the one seen at a point of a projection.
  brightest(side, point) {
    const [, rows, columns] = this.get("shape"), pixels = this.pixels[side], [first, last] = this.slab();
    const value = (frame) => {
      const { z, y, x } = this.voxel(point, frame);
      return pixels[(z * rows + y) * columns + x];
    };
    let best = this.frame();
    for (let frame = first; frame <= last; frame++) if (value(frame) > value(best)) best = frame;
    return best;
  }

  // Point of the plane where a voxel lies, and the number of the image that it is in.
  spot({ z, y, x }) {
    const plane = this.plane();
    if (plane === "coronal") return { x, y: this.headUp(z), frame: y };
    if (plane === "sagittal") return { x: y, y: this.headUp(z), frame: x };
    return { x, y, frame: z };
  }

  // First and last image of the slab around the one on screen.
  slab() {
    const mm = this.slabMm(), at = this.frame(), half = mm ? Math.max(0, Math.round(mm / this.apart) - 1) / 2 : 0;
    return [Math.max(0, at - Math.floor(half)), Math.min(this.depth - 1, at + Math.ceil(half))];
  }

  slice(side) {
    const pixels = this.pixels[side], size = this.rows * this.columns, plane = this.plane();
    if (plane === "axial" && pixels.length <= size) return pixels;  // stays while the other scrolls
    const [first, last] = this.slab();
    if (first === last && plane === "axial") return pixels.subarray(first * size, (first + 1) * size);
    const out = new Int16Array(size).fill(-32768);
    for (let image = first; image <= last; image++) this.raise(out, pixels, plane, image);
    return out;
  }

  // The larger of what is there and of one image: maximum intensity projection.
  raise(out, pixels, plane, image) {
    const [, rows, columns] = this.get("shape"), each = rows * columns;
    const top = this.headUp(0) * each, next = this.upwards() < 0 ? each : -each;
    const [start, down, across] = plane === "coronal" ? [top + image * columns, next, 1]
      : plane === "sagittal" ? [top + image, next, columns] : [image * each, columns, 1];
    for (let row = 0, i = 0; row < this.rows; row++) {
      let from = start + row * down;
      for (let column = 0; column < this.columns; column++, i++, from += across) {
        if (pixels[from] > out[i]) out[i] = pixels[from];
      }
    }
  }

  cyclePlane() {
    const planes = this.offeredPlanes();
    this.usePlane(planes[(planes.indexOf(this.plane()) + 1) % planes.length]);
  }

  cycleSlab() {
    if (this.offeredPlanes().length < 2) return;
    this.set({ slab_mm: SLABS_MM[(SLABS_MM.indexOf(this.slabMm()) + 1) % SLABS_MM.length] });
  }

  // In a reading room the question stays beside the images; elsewhere the viewer fills the screen.
  toggleFullScreen() {
    if (document.fullscreenElement) return void document.exitFullscreen();
    const all = this.get("whole_page") ? document.documentElement : this.root;
    all.requestFullscreen?.().catch(() => {});  // a browser may refuse; nothing is lost
  }
}
