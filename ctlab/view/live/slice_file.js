// A file of the reader's, read in a worker of the page: CT DICOM in HU, or the grey of a PNG.
// Every function down to sliceWorker runs in the worker, as text; dicomParser and the codecs CharLS
// and OpenJPEGJS are put before them. HU as ctlab.ct.dicom.pixels.decode makes them.

const LARGEST_SIDE = 8192, LEAST_FILL_PX = 4;
const NATIVE_SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"];
const CODEC_OF = { 80: "CharLS", 81: "CharLS", 90: "OpenJPEGJS", 91: "OpenJPEGJS" };  // 1.2.840.10008.1.2.4.*

// Bits of a number, the uppermost of them bit `high`, with their sign.
function bitsOf(value, bits, high, signed) {
  const up = value << (31 - high);
  return signed ? up >> (32 - bits) : up >>> (32 - bits);
}

// Pixels of a fill outside the field of view: those beyond air, or areas that reach a corner.
function paddingMask(stored, { rows, columns, slope, intercept, padding }) {
  if (!padding) return null;
  const [low, high] = padding, hu = (v) => Math.fround(v * Math.fround(slope)), air = -1024;
  const test = Math.max(low * slope, high * slope) + intercept < air ? (v) => slope > 0 ? v <= high : v >= low
    : Math.min(low * slope, high * slope) + intercept < air ? (v) => v >= low && v <= high && hu(v) < air - intercept : null;
  if (test) return Uint8Array.from(stored, (v) => Number(test(v)));
  const mask = new Uint8Array(stored.length), seen = new Uint8Array(stored.length);
  for (const corner of [0, columns - 1, (rows - 1) * columns, rows * columns - 1]) {
    const area = [corner];
    if (seen[corner] || stored[corner] < low || stored[corner] > high) continue;
    seen[corner] = 1;
    for (let k = 0; k < area.length; k++) {
      const at = area[k], i = at % columns;
      for (const next of [i && at - 1, i < columns - 1 && at + 1, at - columns, at + columns]) {
        if (next === false || next < 0 || next >= stored.length || (next === 0 && !i) || seen[next] || stored[next] < low || stored[next] > high) continue;
        seen[next] = 1;
        area.push(next);
      }
    }
    if (area.length >= LEAST_FILL_PX) area.forEach((at) => { mask[at] = 1; });
  }
  return mask;
}

// The padding range as stored values; makers declare it signed or unsigned at will.
function paddingRange(set, signed, bits) {
  if (!set.elements.x00280120) return null;
  const first = set.uint16("x00280120"), last = set.elements.x00280121 ? set.uint16("x00280121") : first;
  const ends = [first, last].map((value) => {
    if (!signed) return value;
    const width = bits < 16 && !(value >> bits) ? bits : 16;
    return (value ^ (1 << (width - 1))) - (1 << (width - 1));
  });
  return [Math.min(...ends), Math.max(...ends)];
}

async function decodedPixels(set, element, syntax, data, [rows, columns]) {
  const codec = syntax.startsWith("1.2.840.10008.1.2.4.") && CODEC_OF[syntax.split(".").pop()];
  if (!codec) throw new Error(`its encoding (${syntax}) is none of uncompressed, JPEG-LS or JPEG 2000; export it uncompressed`);
  const frame = dicomParser.readEncapsulatedPixelDataFromFragments(set, element, 0, element.fragments.length);
  const module = await self[codec](), decoder = new module[codec === "CharLS" ? "JpegLSDecoder" : "J2KDecoder"]();
  try {
    decoder.getEncodedBuffer(frame.length).set(frame);
    decoder.decode();
    const { width, height, bitsPerSample, componentCount } = decoder.getFrameInfo(), raw = Uint8Array.from(decoder.getDecodedBuffer());
    if (componentCount !== 1 || width !== columns || height !== rows) throw new Error(`expected ${rows} x ${columns} grey pixels by its header, got ${height} x ${width}`);
    return bitsPerSample <= 8 ? raw : new Uint16Array(raw.buffer);
  } finally { decoder.delete(); }
}

async function storedPixels(set, syntax, data, [rows, columns]) {
  const element = set.elements.x7fe00010, width = set.uint16("x00280100"), bits = set.uint16("x00280101") ?? width;
  const high = set.uint16("x00280102") ?? bits - 1, signed = set.uint16("x00280103") === 1, count = rows * columns;
  if (!element) throw new Error("it holds no pixels");
  if (![8, 16].includes(width) || !(bits > 0 && bits <= width && high >= bits - 1 && high < width)) {
    throw new Error(`expected pixels of 8 or 16 bits, got ${width} with ${bits} stored; export it again`);
  }
  let raw;
  if (NATIVE_SYNTAXES.includes(syntax)) {
    const there = Math.min(element.length, data.length - element.dataOffset);
    if (there < count * width / 8) throw new Error(`it is cut short: ${count * width / 8} bytes of pixels are needed, ${Math.max(there, 0)} are there; copy it again`);
    const view = new DataView(data.buffer, data.byteOffset + element.dataOffset, count * width / 8), little = syntax !== NATIVE_SYNTAXES[2];
    raw = width === 8 ? new Uint8Array(view.buffer, view.byteOffset, count) : Uint16Array.from({ length: count }, (_, k) => view.getUint16(2 * k, little));
  } else {
    if (high !== bits - 1) throw new Error(`expected High Bit ${bits - 1} in compressed pixels, got ${high}; export it uncompressed`);
    raw = await decodedPixels(set, element, syntax, data, [rows, columns]);
  }
  return { stored: Int32Array.from(raw, (value) => bitsOf(value, bits, high, signed)), signed, bits };
}

async function readDicom(data) {
  if (!self.dicomParser) throw new Error("this copy of the book came without its DICOM reader; give a PNG");
  let set;
  try { set = dicomParser.parseDicom(data); } catch (error) {
    const reason = String(error?.exception ?? error?.message ?? error);
    throw new Error(`${/overrun|past end/.test(reason) ? "it is cut short" : `it is a damaged DICOM file (${reason})`}; copy it again`);
  }
  const text = (tag) => (set.string(tag) ?? "").trim(), syntax = text("x00020010");
  const numbers = (tag) => text(tag).split("\\").map(Number), number = (tag) => text(tag) && Number(text(tag));
  if (text("x00080060") !== "CT") throw new Error(`expected a CT slice, got modality ${text("x00080060") || "unknown"}`);
  if (/LOCALIZER|SCOUT|TOPOGRAM/i.test(text("x00080008"))) throw new Error("it is a localizer, not a slice");
  if (Number(text("x00280008") || 1) > 1) throw new Error(`expected one slice, got ${text("x00280008")} frames; give one slice of the series`);
  const grey = text("x00280004").toUpperCase();
  if (!["", "MONOCHROME1", "MONOCHROME2"].includes(grey) || (set.uint16("x00280002") ?? 1) !== 1) throw new Error(`expected grey pixels, got ${grey || "colour"}: a screen capture has no HU`);
  const rows = set.uint16("x00280010"), columns = set.uint16("x00280011"), slope = number("x00281053"), intercept = number("x00281052");
  if (!(rows > 0 && columns > 0 && rows <= LARGEST_SIDE && columns <= LARGEST_SIDE)) throw new Error(`it claims ${rows} x ${columns} pixels; its header is damaged`);
  if (intercept === "" || !Number.isFinite(intercept) || !Number.isFinite(slope) || !slope) throw new Error("it has no usable rescale slope and intercept, so its HU are unknown; export it from its archive again");
  const spacing = numbers("x00280030");
  if (spacing.length !== 2 || !spacing.every((mm) => mm > 0)) throw new Error("it does not say how large its pixels are (Pixel Spacing); export it from its archive again");
  const { stored, signed, bits } = await storedPixels(set, syntax, data, [rows, columns]);
  const hu = Float32Array.from(stored, (value) => Math.fround(Math.fround(value * Math.fround(slope)) + Math.fround(intercept)));
  const fill = paddingMask(stored, { rows, columns, slope, intercept, padding: paddingRange(set, signed, bits) });
  if (fill) fill.forEach((is, at) => { if (is) hu[at] = -1024; });
  const noise = measureNoise(hu, rows, columns, spacing[1]), thick = number("x00180050");
  const facts = { noise_hu: noise, kernel: text("x00181210").split("\\")[0].trim() || null, pixel_mm: Math.max(...spacing),
    slice_mm: thick > 0 ? thick : null, field_of_view_mm: Math.max(rows * spacing[0], columns * spacing[1]) };
  return { kind: "dicom", hu, rows, columns, spacing, facts };
}

// Grey from 0 to 1 of a PNG of 8 or 16 bits (Portable Network Graphics, W3C 2003); canvases keep only 8.
async function readPng(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength), parts = [];
  let head = null, at = 8;
  for (;;) {
    if (at + 12 > data.length || at + 12 + view.getUint32(at) > data.length) throw new Error("it is cut short; copy it again");
    const length = view.getUint32(at), kind = String.fromCharCode(...data.subarray(at + 4, at + 8)), body = at + 8;
    if (kind === "IHDR") head = { columns: view.getUint32(body), rows: view.getUint32(body + 4), depth: data[body + 8], colour: data[body + 9], interlaced: data[body + 12] };
    if (kind === "IDAT") parts.push(data.subarray(body, body + length));
    if (kind === "IEND") break;
    at += 12 + length;
  }
  const { rows, columns, depth, colour, interlaced } = head ?? {}, channels = { 0: 1, 4: 2 }[colour];
  if (!channels || interlaced || ![8, 16].includes(depth)) throw new Error("expected a plain grey PNG of 8 or 16 bits; save it as grey, not interlaced");
  if (!(rows > 0 && columns > 0 && rows <= LARGEST_SIDE && columns <= LARGEST_SIDE)) throw new Error(`it claims ${rows} x ${columns} pixels; it is damaged`);
  const step = channels * depth / 8, wide = columns * step;
  const raw = await new Response(new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer()
    .then((buffer) => new Uint8Array(buffer), () => { throw new Error("its pixels are damaged; copy it again"); });
  if (raw.length < rows * (wide + 1)) throw new Error("it is cut short; copy it again");
  const out = new Uint8Array(rows * wide), paeth = (a, b, c) => {
    const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
    return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
  };
  for (let j = 0; j < rows; j++) for (let i = 0; i < wide; i++) {
    const to = j * wide + i, a = i >= step ? out[to - step] : 0, b = j ? out[to - wide] : 0, c = j && i >= step ? out[to - wide - step] : 0;
    out[to] = raw[j * (wide + 1) + 1 + i] + [0, a, b, (a + b) >> 1, paeth(a, b, c)][raw[j * (wide + 1)]];
  }
  const grey = Float32Array.from({ length: rows * columns }, (_, k) => (depth === 8 ? out[k * step] / 255 : (256 * out[k * step] + out[k * step + 1]) / 65535));
  return { kind: "png", grey, rows, columns, depth, facts: {} };
}

function sliceWorker() {
  self.onmessage = async ({ data: { file } }) => {
    try {
      const data = new Uint8Array(await file.arrayBuffer()), starts = (at, text) => [...text].every((letter, k) => data[at + k] === letter.charCodeAt(0));
      if (!starts(128, "DICM") && !starts(1, "PNG\r\n")) throw new Error("expected a DICOM file of a CT slice or a PNG; it is neither");
      self.postMessage({ slice: await (starts(1, "PNG") ? readPng(data) : readDicom(data)) });
    } catch (error) {
      self.postMessage({ error: typeof error === "number" ? "its pixels are damaged; copy it again" : error?.message ?? String(error) });
    }
  };
}

const IN_SLICE_WORKER = [bitsOf, paddingMask, paddingRange, decodedPixels, storedPixels, readDicom, readPng, gaussianTaps, commonest, windowParts, measureNoise];

// The slice in a file of the reader's; rejects with one sentence. Nothing is sent anywhere.
async function readSlice(file, base) {
  if (base && !window.ctlabReaders) await loadScript(`${base}vendor/dicom.js`).catch(() => {});
  const readers = await Promise.all(Object.values(window.ctlabReaders ?? {}).map(async (text) => {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }));
  const constants = { LARGEST_SIDE, LEAST_FILL_PX, NATIVE_SYNTAXES, CODEC_OF, NOISE_TISSUE_HU };
  const own = [...Object.entries(constants).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`), ...IN_SLICE_WORKER, `(${sliceWorker})();`];
  const url = URL.createObjectURL(new Blob([[...readers, ...own].join("\n")], { type: "text/javascript" })), worker = new Worker(url);
  try {
    return await new Promise((done, failed) => {
      worker.onmessage = ({ data: { slice, error } }) => error ? failed(new Error(`${file.name}: ${error}.`)) : done({ name: file.name, ...slice });
      worker.onerror = (event) => failed(new Error(`${file.name}: it could not be read (${event.message}).`));
      worker.postMessage({ file });
    });
  } finally {
    worker.terminate();
    URL.revokeObjectURL(url);
  }
}
