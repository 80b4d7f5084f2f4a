// Gaussians as quads, sorted from far to near and blended: the rules of 3D Gaussian splatting, colours without direction.

const TEXTURE_WIDTH = 2048;
const DEPTHS = 1 << 16; // buckets of the sort

const VERTEX = `#version 300 es
precision highp float; precision highp int; precision highp usampler2D;
uniform usampler2D geometry; uniform usampler2D colours; uniform usampler2D order;
uniform vec3 meanLow, meanStep, scaleLow, scaleStep, dcLow, dcStep;
uniform vec4 quatLow, quatStep;
uniform float opacityLow, opacityStep, near;
uniform mat3 rotation; uniform vec3 translation; // world to camera: x right, y down, z forward
uniform vec4 lens; // fx, fy, cx, cy in pixels
uniform vec2 size; // pixels
out vec2 place; out vec4 colour;

void main() {
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0); // outside: nothing is drawn
  int rank = gl_VertexID >> 2, number = gl_VertexID & 3;
  int index = int(texelFetch(order, ivec2(rank % ${TEXTURE_WIDTH}, rank / ${TEXTURE_WIDTH}), 0).x);
  ivec2 texel = ivec2(index % ${TEXTURE_WIDTH}, index / ${TEXTURE_WIDTH});
  uvec4 code = texelFetch(geometry, texel, 0);
  vec3 mean = meanLow + meanStep * vec3(code.x & 65535u, code.x >> 16, code.y & 65535u);
  float opacity = 1.0 / (1.0 + exp(-(opacityLow + opacityStep * float(code.y >> 16))));
  vec3 p = rotation * mean + translation;
  if (p.z <= near || opacity < 1.0 / 255.0) return;
  vec4 q = normalize(quatLow + quatStep * vec4(code.z & 255u, (code.z >> 8) & 255u, (code.z >> 16) & 255u, code.z >> 24));
  vec3 s = exp(scaleLow + scaleStep * vec3(code.w & 255u, (code.w >> 8) & 255u, (code.w >> 16) & 255u));
  float w = q.x, x = q.y, y = q.z, z = q.w;
  mat3 turned = mat3(
    1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
    2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
    2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
  mat3 axes = rotation * mat3(turned[0] * s.x, turned[1] * s.y, turned[2] * s.z);
  vec2 slope = p.xy / p.z;
  vec2 bounded = clamp(slope, -lens.zw / lens.xy - 0.15 * size / lens.xy, (size - lens.zw) / lens.xy + 0.15 * size / lens.xy);
  vec3 u = lens.x / p.z * (vec3(axes[0].x, axes[1].x, axes[2].x) - bounded.x * vec3(axes[0].z, axes[1].z, axes[2].z));
  vec3 v = lens.y / p.z * (vec3(axes[0].y, axes[1].y, axes[2].y) - bounded.y * vec3(axes[0].z, axes[1].z, axes[2].z));
  float a = dot(u, u) + 0.3, b = dot(u, v), d = dot(v, v) + 0.3;
  vec3 n = cross(u, v);
  float determinant = dot(n, n) + (a + d - 0.6 + 0.3) * 0.3;
  float middle = 0.5 * (a + d), apart = length(vec2(0.5 * (a - d), b));
  float longer = middle + apart, shorter = determinant / longer;
  vec2 along = apart < 1e-6 ? vec2(1.0, 0.0) : normalize(a > d ? vec2(0.5 * (a - d) + apart, b) : vec2(b, 0.5 * (d - a) + apart));
  float reach = sqrt(2.0 * log(255.0 * opacity)); // standard deviations at which alpha is 1/255
  vec2 corner = vec2((number & 1) * 2 - 1, (number >> 1) * 2 - 1);
  place = reach * corner;
  vec2 pixel = lens.xy * slope + lens.zw + place.x * sqrt(longer) * along + place.y * sqrt(shorter) * vec2(-along.y, along.x);
  colour = vec4(max(0.5 + 0.28209479177387814 * (dcLow + dcStep * vec3(texelFetch(colours, texel, 0).rgb)), 0.0), opacity);
  gl_Position = vec4(2.0 * pixel.x / size.x - 1.0, 1.0 - 2.0 * pixel.y / size.y, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec2 place; in vec4 colour; out vec4 result;
void main() {
  float alpha = min(colour.a * exp(-0.5 * dot(place, place)), 0.99);
  if (alpha < 1.0 / 255.0) discard;
  result = vec4(alpha * colour.rgb, alpha);
}`;

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  return made;
}

class Renderer {
  constructor(canvas, scene) {
    const gl = canvas.getContext('webgl2', { alpha: false, antialias: false });
    if (!gl) throw new Error('This browser has no WebGL 2, which draws the scene.');
    this.gl = gl;
    this.scene = scene;
    this.canvas = canvas;
    const n = scene.gaussians;
    this.program = program(gl, VERTEX, FRAGMENT);
    gl.useProgram(this.program);
    this.rows = Math.max(1, Math.ceil(n / TEXTURE_WIDTH));
    if (this.rows > gl.getParameter(gl.MAX_TEXTURE_SIZE)) throw new Error('The scene has more Gaussians than this graphics card can take.');
    this.geometry = this.texture(0, gl.RGBA32UI);
    this.colours = this.texture(1, gl.RGBA8UI);
    this.order = new Uint32Array(n);
    this.keys = new Uint16Array(n);
    this.orderTexture = this.texture(2, gl.R32UI);
    // Not instanced: software renderers draw each instance on its own, which takes ten times as long.
    const corners = new Uint32Array(6 * n);
    for (let i = 0, o = 0; i < n; i++) for (const corner of [0, 1, 2, 2, 1, 3]) corners[o++] = 4 * i + corner;
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const { means, quats, log_scales: scales, opacity_logits: opacities, sh_dc: dc } = scene.ranges;
    const at_ = (name) => gl.getUniformLocation(this.program, name);
    gl.uniform1i(at_('geometry'), 0);
    gl.uniform1i(at_('colours'), 1);
    gl.uniform1i(at_('order'), 2);
    for (const [name, range] of [['mean', means], ['scale', scales], ['dc', dc]]) {
      gl.uniform3fv(at_(name + 'Low'), range.low);
      gl.uniform3fv(at_(name + 'Step'), range.step);
    }
    gl.uniform4fv(at_('quatLow'), quats.low);
    gl.uniform4fv(at_('quatStep'), quats.step);
    gl.uniform1f(at_('opacityLow'), opacities.low[0]);
    gl.uniform1f(at_('opacityStep'), opacities.step[0]);
    this.at = Object.fromEntries(['near', 'rotation', 'translation', 'lens', 'size'].map((name) => [name, at_(name)]));
    this.shown = null;
  }

  texture(unit, format) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, TEXTURE_WIDTH, this.rows);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    return unit;
  }

  upload(unit, layout, kind, parts, values) {
    const gl = this.gl, full = Math.floor(this.scene.gaussians / TEXTURE_WIDTH), rest = this.scene.gaussians % TEXTURE_WIDTH;
    gl.activeTexture(gl.TEXTURE0 + unit);
    const send = (y, width, height, part) =>
      height && width && gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, y, width, height, layout, kind, part);
    send(0, TEXTURE_WIDTH, full, values.subarray(0, parts * full * TEXTURE_WIDTH));
    send(full, rest, rest ? 1 : 0, values.subarray(parts * full * TEXTURE_WIDTH));
  }

  // Draws a frame as the view sees it: {rotation: 9 numbers row by row, translation, lens: [fx, fy, cx, cy], near}.
  draw(frame, view) {
    const gl = this.gl;
    if (frame !== this.shown) {
      this.upload(this.geometry, gl.RGBA_INTEGER, gl.UNSIGNED_INT, 4, frame.geometry);
      this.upload(this.colours, gl.RGBA_INTEGER, gl.UNSIGNED_BYTE, 4, frame.colours);
      this.shown = frame;
    }
    this.sort(frame.geometry, view);
    this.upload(this.orderTexture, gl.RED_INTEGER, gl.UNSIGNED_INT, 1, this.order);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform1f(this.at.near, view.near);
    gl.uniformMatrix3fv(this.at.rotation, true, view.rotation);
    gl.uniform3fv(this.at.translation, view.translation);
    gl.uniform4fv(this.at.lens, view.lens);
    gl.uniform2f(this.at.size, this.canvas.width, this.canvas.height);
    gl.drawElements(gl.TRIANGLES, 6 * this.scene.gaussians, gl.UNSIGNED_INT, 0);
  }

  // The farthest first, by counting how many lie in each slice of depth.
  sort(geometry, view) {
    const n = this.scene.gaussians, { step, levels } = this.scene.ranges.means, r = view.rotation;
    const [a, b, c] = [r[6] * step[0], r[7] * step[1], r[8] * step[2]];
    const nearest = levels * (Math.min(a, 0) + Math.min(b, 0) + Math.min(c, 0));
    const span = levels * (Math.abs(a) + Math.abs(b) + Math.abs(c)) || 1;
    const scale = (DEPTHS - 1) / span, keys = this.keys, starts = new Uint32Array(DEPTHS + 1);
    for (let i = 0, o = 0; i < n; i++, o += 4) {
      const first = geometry[o];
      const depth = a * (first & 65535) + b * (first >>> 16) + c * (geometry[o + 1] & 65535) - nearest;
      const key = DEPTHS - 1 - (depth * scale | 0);
      keys[i] = key;
      starts[key + 1]++;
    }
    for (let k = 0; k < DEPTHS; k++) starts[k + 1] += starts[k];
    for (let i = 0; i < n; i++) this.order[starts[keys[i]]++] = i;
  }
}
