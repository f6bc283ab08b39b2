// Drawing large images on the graphics processor, where there is one: filter and window of filter.js
// and draw.js, pixel by pixel, so that a pair on a 4K screen scrolls. HU under the pointer and in
// circles come from the stored pixels in either case.

const GPU_FROM_PIXELS = 1e6;  // of a panel; smaller ones are drawn as quickly without
const VERTEX = `#version 300 es
in vec2 corner;
void main() { gl_Position = vec4(corner, 0.0, 1.0); }`;
const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp isampler2D;
precision highp usampler2D;
uniform isampler2D image;
uniform usampler2D mask;
uniform bool masked, inverted;
uniform float high, level, width;
uniform vec2 origin, scale;
uniform int reach;  // 2 cubic, 1 linear, 0 nearest
uniform vec2 bc;
out vec4 colour;

float kernel(float d) {
  float b = bc.x, c = bc.y;
  if (reach == 1) return max(0.0, 1.0 - d);
  if (d < 1.0) return ((12.0 - 9.0 * b - 6.0 * c) * d + 12.0 * b + 6.0 * c - 18.0) * d * d + 6.0 - 2.0 * b;
  if (d < 2.0) return (((-b - 6.0 * c) * d + 6.0 * b + 30.0 * c) * d - 12.0 * b - 48.0 * c) * d + 8.0 * b + 24.0 * c;
  return 0.0;
}

void main() {
  vec2 at = vec2(gl_FragCoord.x, high - gl_FragCoord.y), size = vec2(textureSize(image, 0));
  colour = vec4(0.0, 0.0, 0.0, 1.0);
  if (any(lessThan(at, origin)) || any(greaterThanEqual(at, origin + size * scale))) return;
  vec2 centre = (at - origin) / scale - 0.5, stretch = max(vec2(1.0), 1.0 / scale);
  bvec2 same = lessThan(abs(scale - 1.0), vec2(1e-6));
  ivec2 last = ivec2(size) - 1, count, first;
  for (int axis = 0; axis < 2; axis++) {
    bool one = same[axis] || reach == 0;
    count[axis] = one ? 1 : int(ceil(2.0 * float(reach) * stretch[axis] - 1e-5));
    first[axis] = int(one ? floor(centre[axis] + 0.5) : floor(centre[axis] - float(reach) * stretch[axis]) + 1.0);
  }
  if (masked && texelFetch(mask, clamp(first + (count - 1) / 2, ivec2(0), last), 0).r > 0u) return;
  float sum = 0.0, weights = 0.0;
  for (int j = 0; j < count.y; j++) {
    float down = count.y == 1 ? 1.0 : kernel(abs(float(first.y + j) - centre.y) / stretch.y);
    for (int i = 0; i < count.x; i++) {
      float weight = down * (count.x == 1 ? 1.0 : kernel(abs(float(first.x + i) - centre.x) / stretch.x));
      sum += weight * float(texelFetch(image, clamp(first + ivec2(i, j), ivec2(0), last), 0).r);
      weights += weight;
    }
  }
  float hu = clamp(floor(sum / weights + 0.5), -32767.0, 32767.0), share = clamp((hu - level) / width + 0.5, 0.0, 1.0);
  colour.rgb = vec3(floor(255.0 * (inverted ? 1.0 - share : share) + 0.5) / 255.0);
}`;
const GPU_FILTERS = { "catmull-rom": [2, 0, 0.5], mitchell: [2, 1 / 3, 1 / 3], linear: [1, 0, 0], nearest: [0, 0, 0] };

const IN_SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;
const SLOW_MS = 60;  // of a paint: the page itself is quicker

// Whether a context draws with the processor; a browser may say it here alone, and take seconds for a frame.
function isSoftware(gl) {
  const named = gl.getExtension("WEBGL_debug_renderer_info")?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER;
  return IN_SOFTWARE.test(gl.getParameter(named));
}

// A painter, or null where the browser has no graphics processor to offer.
function gpuPainter(lost) {
  const canvas = document.createElement("canvas");
  const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false,
    failIfMajorPerformanceCaveat: !globalThis.ctvSoftwareGpu });
  if (!gl || (isSoftware(gl) && !globalThis.ctvSoftwareGpu)) return null;
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
  const corner = gl.getAttribLocation(program, "corner");
  gl.enableVertexAttribArray(corner);
  gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  canvas.addEventListener("webglcontextlost", lost);
  return new GpuPainter(canvas, gl, (name) => gl.getUniformLocation(program, name), lost);
}

class GpuPainter {
  constructor(canvas, gl, uniform, tooSlow) {
    Object.assign(this, { canvas, gl, uniform, tooSlow, textures: {}, slow: 0 });
  }

  // Texture of whole numbers under a name, sent again only when it is another image.
  texture(unit, name, stamp, values, columns) {
    const { gl } = this, kept = (this.textures[name] ??= { texture: gl.createTexture() });
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, kept.texture);
    if (kept.stamp === stamp) return;
    kept.stamp = stamp;
    const data = values(), [format, type] = data instanceof Int16Array ? [gl.R16I, gl.SHORT] : [gl.R8UI, gl.UNSIGNED_BYTE];
    gl.texImage2D(gl.TEXTURE_2D, 0, format, columns, data.length / columns, 0, gl.RED_INTEGER, type, data);
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
  }

  // Three slow paints one after the other, and the page paints from then on.
  paint(spot, filter, pieces) {
    const start = performance.now();
    this.draw(spot, filter, pieces);
    this.slow = performance.now() - start > SLOW_MS ? this.slow + 1 : 0;
    if (this.slow === 3 && !globalThis.ctvSoftwareGpu) this.tooSlow();
  }

  draw(spot, filter, pieces) {
    const { gl, canvas, uniform } = this, { size, left, top, x, y, ratio, context } = spot;
    if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
    gl.viewport(0, 0, size.width, size.height);
    const [reach, b, c] = GPU_FILTERS[filter] ?? GPU_FILTERS["catmull-rom"];
    gl.uniform1i(uniform("reach"), reach);
    gl.uniform2f(uniform("bc"), b, c);
    gl.uniform1f(uniform("high"), size.height);
    gl.uniform2f(uniform("origin"), left * ratio, top * ratio);
    gl.uniform2f(uniform("scale"), x * ratio, y * ratio);
    gl.enable(gl.SCISSOR_TEST);
    for (const { name, shown, pixels, mask, level, width, inverted, from, to } of pieces) {
      this.texture(0, name, shown, pixels, spot.columns);
      this.texture(1, "mask", mask ? shown : "none", () => mask ?? new Uint8Array(1), mask ? spot.columns : 1);
      gl.uniform1i(uniform("image"), 0);
      gl.uniform1i(uniform("mask"), 1);
      gl.uniform1i(uniform("masked"), mask ? 1 : 0);
      gl.uniform1f(uniform("level"), level);
      gl.uniform1f(uniform("width"), width);
      gl.uniform1i(uniform("inverted"), inverted ? 1 : 0);
      const first = Math.round(from * size.width);
      gl.scissor(first, 0, Math.round(to * size.width) - first, size.height);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(canvas, 0, 0);
    context.restore();
  }
}

