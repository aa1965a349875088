// Maps: contours, basins and stability, by shaders; without WebGL, coarser, by JavaScript.
import { SHADER_HEAD, descent, evaluator, forShader, once, path, range, readyMade, shaderCalls } from "./program.js";

// What a cell of a map became, beside the index of the minimum that it reached.
const BECAME = { moving: 250, rest: 251, lost: 252, broken: 253 };
const SHADES = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"].map((hex) =>
  [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255));
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

const GROUND = `vec3 ground(float t){t=clamp(1.-t,0.,1.)*4.;vec3 s[5]=vec3[5](${SHADES.map((c) => `vec3(${c.map((x) => x.toFixed(3))})`)});
int i=int(min(t,3.));return mix(vec3(1.),mix(s[i],s[i+1],t-float(i)),.72);}
uniform vec3 lift;float raised(float z){float d=(z-lift.x)*lift.y;return sign(d)*log(1.+abs(d))*lift.z;}
`;
const shade = (t) => {
  const at = Math.min(Math.max(1 - t, 0), 1) * 4;
  const i = Math.min(Math.floor(at), 3);
  return [0, 1, 2].map((c) => 255 * (0.28 + 0.72 * (SHADES[i][c] + (SHADES[i + 1][c] - SHADES[i][c]) * (at - i))));
};

// One WebGL context draws everything that shaders draw.
class Shaders {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.gl = this.canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
    this.programs = new Map();
  }

  program(key, fragment, vertex = "void main(){gl_Position=vec4(vec2(gl_VertexID&1,gl_VertexID>>1)*4.-1.,0,1);}") {
    if (this.programs.has(key)) return this.programs.get(key);
    const { gl } = this;
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, SHADER_HEAD + source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw Error(gl.getProgramInfoLog(program));
    const uniforms = {};
    for (const i of range(gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS))) {
      const { name, type } = gl.getActiveUniform(program, i);
      const set = { [gl.FLOAT]: "uniform1fv", [gl.FLOAT_VEC2]: "uniform2fv", [gl.FLOAT_VEC3]: "uniform3fv", [gl.FLOAT_VEC4]: "uniform4fv", [gl.INT]: "uniform1iv", [gl.SAMPLER_2D]: "uniform1iv" }[type];
      const at = gl.getUniformLocation(program, name);
      uniforms[name.replace("[0]", "")] = type === gl.FLOAT_MAT4 ? (v) => gl.uniformMatrix4fv(at, false, v) : (v) => gl[set](at, [v].flat());
    }
    this.programs.set(key, { program, uniforms });
    return this.programs.get(key);
  }

  use(made, width, height, values) {
    const { gl, canvas } = this;
    if (canvas.width < width || canvas.height < height) {
      canvas.width = Math.max(width, canvas.width);
      canvas.height = Math.max(height, canvas.height);
    }
    gl.viewport(0, 0, width, height);
    gl.useProgram(made.program);
    for (const [name, set] of Object.entries(made.uniforms)) if (name in values) set(values[name]);
  }

  // Fills the lower left corner of its canvas, in strips: a long draw resets a weak GPU.
  fill(made, width, height, values, rows = height) {
    const { gl } = this;
    gl.disable(gl.DEPTH_TEST);
    gl.enable(gl.SCISSOR_TEST);
    this.use(made, width, height, { size: [width, height], ...values });
    for (let row = 0; row < height; row += rows) {
      gl.scissor(0, row, width, rows);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
      gl.flush();
    }
    gl.disable(gl.SCISSOR_TEST);
  }

  put(target, buffer, data) {
    this.gl.bindBuffer(target, buffer);
    this.gl.bufferData(target, data, this.gl.DYNAMIC_DRAW);
    return buffer;
  }

  // An input of a vertex, from the buffer that is bound, until they are released.
  attribute({ program }, name, size, stride, offset) {
    const { gl } = this;
    const at = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, gl.FLOAT, false, stride, offset);
  }

  release() {
    range(3).forEach((at) => this.gl.disableVertexAttribArray(at));
  }

  pixels(width, height) {
    const found = new Uint8Array(4 * width * height);
    this.gl.readPixels(0, 0, width, height, this.gl.RGBA, this.gl.UNSIGNED_BYTE, found);
    return found;
  }

  // A table of numbers, one row a minimum: the point, and the largest value that counts as its.
  table(rows, columns) {
    const { gl } = this;
    this.texture ??= gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    const data = new Float32Array(rows.length ? rows.flat() : columns);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, columns, Math.max(rows.length, 1), 0, gl.RED, gl.FLOAT, data);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  }

  copyTo(context, width, height, to = context.canvas) {
    context.drawImage(this.canvas, 0, this.canvas.height - height, width, height, 0, 0, to.width, to.height);
  }
}

// --- the landscape ------------------------------------------------------------------------------
const placed = (dim, axes) => range(dim).map((i) =>
  `float p${i}=${i === axes[0] ? "at.x" : i === axes[1] ? "at.y" : `q[${i}]`};`).join("");
const point = (dim) => range(dim).map((i) => `p${i}`).join();

function contours(shaders, view, width, height) {
  const { objective, dim, axes } = view;
  const made = shaders.program(`contours ${objective.key} ${axes}`, `${GROUND}${shaderCalls(objective, dim)}
uniform vec4 box;uniform vec2 size;uniform float q[${dim}];out vec4 colour;
void main(){vec2 at=mix(box.xy,box.zw,gl_FragCoord.xy/size);${placed(dim, axes)}
float z=value(${point(dim)});float t=raised(z);float line=t*18.;float w=fwidth(line);
float edge=abs(fract(line-.5)-.5)/max(w,1e-6);vec3 c=ground(t);
c*=w>.6?1.:mix(.72,1.,smoothstep(.4,1.4,edge));
colour=vec4(abs(z)<1e30?c:vec3(.8),1);}`);
  shaders.fill(made, width, height, { box: view.box, q: view.fixed, lift: view.lift });
}

// Without shaders: value by value, a line where the next value has another level.
const inLevels = ({ found, width, height }) => {
  const image = new ImageData(width, height);
  const level = (k) => Math.floor(found[k] * 18 + 0.5);
  for (let k = 0; k < found.length; k++) {
    const [column, row] = [k % width, Math.floor(k / width)];
    const edge = (column && level(k) !== level(k - 1)) || (row && level(k) !== level(k - width));
    const ink = Number.isFinite(found[k]) ? shade(found[k]).map((c) => c * (edge ? 0.75 : 1)) : [204, 204, 204];
    image.data.set([...ink, 255], 4 * ((height - 1 - row) * width + column));
  }
  return image;
};
function* contoursInScript({ view, width, height }) {
  const { value } = evaluator(view.objective, view.dim);
  const found = new Float64Array(width * height);
  const p = [...view.fixed];
  const [x0, y0, x1, y1] = view.box;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      p[view.axes[0]] = x0 + ((x1 - x0) * (column + 0.5)) / width;
      p[view.axes[1]] = y0 + ((y1 - y0) * (row + 0.5)) / height;
      found[row * width + column] = raise(view.lift, value(p));
    }
    yield;
  }
  return { found, width, height };
}

// Heights grow with the logarithm of the value above the lowest: valleys stay visible.
function liftOf(objective, dim, axes, fixed, box) {
  const { value } = evaluator(objective, dim);
  const found = [];
  const p = [...fixed];
  const count = 48;
  for (const i of range(count)) {
    for (const j of range(count)) {
      p[axes[0]] = box[0] + ((box[2] - box[0]) * (i + 0.5)) / count;
      if (axes.length > 1) p[axes[1]] = box[1] + ((box[3] - box[1]) * (j + 0.5)) / count;
      const z = value(p);
      if (Number.isFinite(z)) found.push(z);
    }
  }
  found.sort((a, b) => a - b);
  const inside = objective.minima.filter((m) => axes.every((axis, k) => m[axis] >= box[k] && m[axis] <= box[k + 2]));
  const least = dim > 2 ? found : [...found.slice(0, 1), ...inside.map((m) => value(m))];
  const low = Math.min(...least.slice(0, 999).filter(Number.isFinite), found[0] ?? 0);
  const high = found[Math.floor(0.98 * (found.length - 1))] ?? 1;
  const span = high > low ? high - low : 1;
  return [low, 100 / span, 1 / Math.log(101)];
}
const raise = ([low, factor, scale], z) => Math.sign(z - low) * Math.log1p(Math.abs(z - low) * factor) * scale;

// --- what becomes of many descents ----------------------------------------------------------------
const EVERYWHERE = 100; // widths from the middle, beyond which a descent is lost
const RADIUS = 1e-3; // widths, within which a minimum is reached

function judged(dim) {
  const all = (told) => range(dim).map(told).join("&&");
  return `uniform sampler2D minima;uniform int count;uniform float middle[${dim}],width[${dim}];
bool inside(${range(dim).map((i) => `float p${i}`).join()}){return ${all((i) => `abs(p${i}-middle[${i}])<=${EVERYWHERE}.*width[${i}]`)};}
int reached(${range(dim).map((i) => `float p${i}`).join()},float f){for(int i=0;i<count;i++){
if(f<=texelFetch(minima,ivec2(${dim},i),0).r&&${all((j) => `abs(p${j}-texelFetch(minima,ivec2(${j},i),0).r)<=${RADIUS}*width[${j}]`)})return i%${BECAME.moving};}return -1;}
`;
}

// A pixel is a start (axes of the point) or a setting (two numbers of the optimizer).
function fates(shaders, view, width, height, uniforms) {
  const { objective, optimizer, dim, axes, settings } = view;
  const numbers = optimizer.names.map((_, i) =>
    `float n${i}=${settings && i === settings[0] ? "exp(at.x)" : settings && i === settings[1] ? "at.y" : `n[${i}]`};`).join("");
  const each = `if(!inside(${point(dim)})){became=${BECAME.lost};break;}if(!(abs(f0)<=3e38)){became=${BECAME.broken};break;}
if(${range(dim).map((i) => `abs(p${i}-o${i})>${RADIUS}*width[${i}]`).join("||")})last=i_k;
${range(dim).map((i) => `o${i}=p${i};`).join("")}if(i_k==i_steps)break;`;
  const whole = optimizer.step.some((part) => /\b(value|slope\d+)\(/.test(part));
  const made = shaders.program(`fates ${objective.key} ${optimizer.key} ${axes} ${settings}`, `
uniform int i_steps;uniform float n[${Math.max(1, optimizer.names.length)}],q[${dim}];uniform vec4 box;uniform vec2 size;out vec4 colour;
${judged(dim)}${whole ? shaderCalls(objective, dim) : ""}
void main(){vec2 at=mix(box.xy,box.zw,gl_FragCoord.xy/size);${placed(dim, settings ? [] : axes)}${numbers}
int became=-1;int last=0;${range(dim).map((i) => `float o${i}=p${i};`).join("")}
${forShader(descent(objective, optimizer, dim, each, "break;"))}
if(became<0)became=reached(${point(dim)},f0);
if(became<0)became=last+20<i_steps&&${range(dim).map((i) => `abs(g${i})`).join("+")}<1e-3?${BECAME.rest}:${BECAME.moving};
colour=vec4(float(became)/255.,float(last)/float(max(i_steps,1)),0,1);}`);
  const rows = objective.minima.map((m, i) => [...m, objective.levels[i]]);
  shaders.table(rows, dim + 1);
  const strip = Math.ceil(2e7 / (width * Math.max(uniforms.i_steps, 1)));
  shaders.fill(made, width, height, { ...uniforms, count: rows.length, minima: 0 }, strip);
  const found = shaders.pixels(width, height);
  return { became: found.filter((_, i) => i % 4 === 0), share: found.filter((_, i) => i % 4 === 1), width, height };
}

// The same by JavaScript, cell by cell; row 0 is the lowest, as shaders have it.
function* fatesInScript({ view, width, height, uniforms: { box, n, q, i_steps: steps, middle, width: widths } }) {
  const { objective, optimizer, dim, axes, settings } = view;
  const run = path(objective, optimizer, dim, "float64");
  const out = new Float64Array((dim + 2) * (steps + 1));
  const became = new Uint8Array(width * height);
  const share = new Uint8Array(width * height);
  for (let k = 0; k < width * height; k++) {
    const at = [box[0] + ((box[2] - box[0]) * ((k % width) + 0.5)) / width, box[1] + ((box[3] - box[1]) * (Math.floor(k / width) + 0.5)) / height];
    const p = [...q];
    const numbers = [...n];
    if (settings) [numbers[settings[0]], numbers[settings[1]]] = [Math.exp(at[0]), at[1]];
    else axes.forEach((axis, i) => (p[axis] = at[i]));
    run(p, numbers, steps, out);
    const told = outcome(objective, dim, out, steps, middle, widths);
    became[k] = told.minimum >= 0 ? told.minimum % BECAME.moving : BECAME[told.code];
    share[k] = (255 * told.last) / Math.max(steps, 1);
    if (k % width === 0) yield;
  }
  return { became, share, width, height };
}
const IN_SCRIPT = { contours: contoursInScript, fates: fatesInScript };
const atOnce = (steps) => {
  let { done, value } = steps.next();
  while (!done) ({ done, value } = steps.next());
  return value;
};

// Draws in a thread of its own: a coarse picture, then finer ones, until something else is asked.
class Painter {
  constructor(source) {
    this.source = source; // the scripts that it runs
    this.jobs = 0;
  }

  // job: {kind, view, uniforms, sides}; `show` gets each picture and whether it is the last one.
  paint(job, show) {
    const { objective, optimizer, dim } = job.view;
    const key = `${objective.key}|${optimizer?.key}`;
    if (key !== this.key) {
      this.worker?.terminate();
      const url = URL.createObjectURL(new Blob([`${this.source}${readyMade(objective, optimizer, dim)}answer();`], { type: "text/javascript" }));
      this.worker = new Worker(url);
      URL.revokeObjectURL(url);
      this.key = key;
    }
    const id = ++this.jobs;
    this.worker.onmessage = ({ data }) => data.id === this.jobs && show(data.picture, data.last);
    this.worker.postMessage({ ...job, id });
  }

  cancel() {
    this.jobs++;
    this.worker?.postMessage({ id: this.jobs, sides: [] });
  }
}

// What runs in that thread: every few milliseconds it looks whether it is still wanted.
function answer() {
  let latest = 0;
  const breath = () => new Promise((go) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = go;
    port2.postMessage(0);
  });
  globalThis.onmessage = async ({ data }) => {
    latest = data.id;
    for (const [i, side] of data.sides.entries()) {
      const steps = IN_SCRIPT[data.kind]({ ...data, width: side, height: side });
      let since = performance.now();
      for (let next = steps.next(); ; next = steps.next()) {
        if (next.done) postMessage({ id: data.id, picture: next.value, last: i === data.sides.length - 1 });
        if (next.done) break;
        if (performance.now() - since < 8) continue;
        await breath();
        if (latest !== data.id) return;
        since = performance.now();
      }
    }
  };
}

// What became of one path, from its rows.
function outcome(objective, dim, rows, steps, middle, widths) {
  const size = dim + 2;
  let last = 0;
  for (let k = 0; k <= steps; k++) {
    const row = k * size;
    for (let i = 0; i < dim; i++) {
      if (!(Math.abs(rows[row + i] - middle[i]) <= EVERYWHERE * widths[i])) {
        return { code: Number.isFinite(rows[row + i]) ? "lost" : "broken", minimum: -1, last: k, step: k };
      }
      if (k && Math.abs(rows[row + i] - rows[row - size + i]) > RADIUS * widths[i]) last = k;
    }
    if (!Number.isFinite(rows[row + dim])) return { code: "broken", minimum: -1, last, step: k };
  }
  const end = steps * size;
  const minimum = objective.minima.findIndex((m, j) =>
    rows[end + dim] <= objective.levels[j] && m.every((x, i) => Math.abs(rows[end + i] - x) <= RADIUS * widths[i]));
  if (minimum >= 0) return { code: "minimum", minimum, last, step: steps };
  const still = rows[end + dim + 1] <= 1e-6 * (1 + rows[dim + 1]);
  return { code: still ? "rest" : "moving", minimum, last, step: steps };
}

// Colours of fates: a hue a minimum, paler where it took longer.
function painted({ became, share, width, height }, classes) {
  const image = new ImageData(width, height);
  const plain = { [BECAME.moving]: [226, 226, 226], [BECAME.rest]: [150, 150, 150], [BECAME.lost]: [34, 34, 34], [BECAME.broken]: [90, 20, 20] };
  for (let k = 0; k < became.length; k++) {
    const row = height - 1 - Math.floor(k / width);
    const hue = plain[became[k]] ?? rgb(classes[became[k] % classes.length]);
    const white = became[k] < BECAME.moving ? 0.15 + 0.6 * (share[k] / 255) : 0;
    image.data.set([...hue.map((c) => c + (255 - c) * white), 255], 4 * (row * width + (k % width)));
  }
  return image;
}

// The share of the cells that each fate has, the largest first.
function shares({ became }) {
  const counts = new Map();
  for (const fate of became) counts.set(fate, (counts.get(fate) ?? 0) + 1);
  return [...counts].map(([fate, count]) => ({ fate, share: count / became.length })).sort((a, b) => b.share - a.share);
}

export { GROUND, IN_SCRIPT, Painter, Shaders, answer, atOnce, contours, fates, inLevels, liftOf, outcome, painted, raise, shade, shares };
