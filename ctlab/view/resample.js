// The filter's passes of four taps and the look-up of grey values by WebAssembly (resample.wat): a pair on
// a 4K screen scrolls without a graphics processor. Where a page may not run it, filter.js and draw.js do
// the work.
// Sums have 32 bits here: one pixel in some thousands is rounded to the next HU.

let passes;  // what resample.wat exports; null where it cannot run

function loadPasses() {
  if (passes !== undefined) return passes;
  try {
    const code = Uint8Array.from(atob(RESAMPLE_WASM), (c) => c.charCodeAt(0));
    passes = new WebAssembly.Instance(new WebAssembly.Module(code)).exports;
  } catch {
    passes = null;
  }
  return passes;
}

// Places of so many bytes each in the memory of the passes.
function reserve(sizes) {
  let end = 0;
  const places = sizes.map((bytes) => { const at = end; end += (bytes + 31) & ~15; return at; });
  const missing = end - passes.memory.buffer.byteLength;
  if (missing > 0) passes.memory.grow(Math.ceil(missing / 65536));
  return places;
}

// Words of the screen for pixels from...to, in parts that stay in the processor's cache; false without it.
const PART_PX = 1 << 16;
function paintWide(words, bits, lut, from, to) {
  if (!loadPasses()) return false;
  const [table, image, out] = reserve([4 * lut.length, 2 * PART_PX, 4 * PART_PX]), { buffer } = passes.memory;
  new Uint32Array(buffer, table).set(lut);
  for (let at = from; at < to; at += PART_PX) {
    const count = Math.min(PART_PX, to - at);
    new Uint16Array(buffer, image).set(bits.subarray(at, at + count));
    passes.paint(image, table, out, count);
    words.set(new Uint32Array(buffer, out, count), at);
  }
  return true;
}

// Lines low...high of a slice, each with its edge pixels repeated four times at either end.
function widen(put, pixels, columns, low, high) {
  for (let line = low, at = 0; line <= high; line++, at += columns + 8) {
    const from = line * columns, end = from + columns;
    put.fill(pixels[from], at, at + 4).set(pixels.subarray(from, end), at + 4);
    put.fill(pixels[end - 1], at + 4 + columns, at + 8 + columns);
  }
}

// Resamples into `out` and says so, or leaves it to filter.js.
function resampleWide(out, pixels, columns, x, y) {
  const across = x.to - x.from, down = y.to - y.from;
  if (x.count !== 4 || y.count !== 4 || columns < 4 || !across || !loadPasses()) return false;
  const low = y.index[4 * y.from], high = y.index[4 * y.to - 1], lines = high - low + 1, wide = (across + 7) & ~7;
  const [image, start, weight, between, line, share, made] = reserve([2 * lines * (columns + 8), 4 * across,
    16 * across, 4 * lines * wide, 16 * down, 16 * down, 2 * down * wide]);
  const { buffer } = passes.memory;
  widen(new Int16Array(buffer, image, lines * (columns + 8)), pixels, columns, low, high);
  const starts = new Int32Array(buffer, start, across);
  for (let i = 0, k = 4 * x.from; i < across; i++, k += 4) starts[i] = 2 * ((x.index[k] || x.index[k + 3] - 3) + 4);
  new Float32Array(buffer, weight).set(x.weight.subarray(4 * x.from, 4 * x.to));
  new Int32Array(buffer, line).set(y.index.subarray(4 * y.from, 4 * y.to).map((one) => 4 * wide * (one - low)));
  new Float32Array(buffer, share).set(y.weight.subarray(4 * y.from, 4 * y.to));
  passes.rows(image, 2 * (columns + 8), start, weight, between, 4 * wide, lines, across);
  passes.columns(between, line, share, made, down, wide);
  for (let j = 0; j < down; j++) out.set(new Int16Array(buffer, made + 2 * wide * j, across), (y.from + j) * x.length + x.from);
  return true;
}
