// The page: what is chosen, what is drawn of it, and what the hands do.
import { FormulaError, formula } from "./formula.js";
import { Shaders, contours, contoursInScript, fates, fatesInScript, liftOf, outcome, painted, raise, shares } from "./maps.js";
import { evaluator, once, path, range } from "./program.js";
import { standing, surface, surfaceInScript } from "./surface.js";

const $ = (id) => document.getElementById(id);
const LONGEST = 5000; // steps
const RATES = [1e-7, 10];

const ours = new Map(CATALOGUE.objectives.map((o) => [o.name, { ...o, key: o.name }]));
const steppers = new Map(CATALOGUE.optimizers.map((o) => [o.name, o]));
const shaders = once("shaders", () => new Shaders());
const scripted = !shaders.gl || new URLSearchParams(location.search).has("nogl");
const COARSE = scripted ? 32 : 72; // cells a side of a map while something is dragged
const FINE = scripted ? { basins: 140, stability: 90 } : { basins: 320, stability: 200 };

// --- state --------------------------------------------------------------------------------------
const plain = (name) => ({ name, numbers: { ...steppers.get(name).numbers } });
const PRESETS = {
  "The trap": { objective: "qfsp", start: [7.11, 6.97], steps: 300, optimizers: [["gradient_descent", { learning_rate: 0.1 }]] },
  "The escape": { objective: "qfsp", start: [7.11, 6.97], steps: 300, optimizers: [["heavy_ball", { learning_rate: 0.1, momentum: 0.5 }], ["gradient_descent", { learning_rate: 0.1 }]] },
  "Too much momentum": { objective: "qfsp", start: [7.11, 6.97], steps: 300, optimizers: [["heavy_ball", { learning_rate: 0.1, momentum: 0.7 }], ["gradient_descent", { learning_rate: 0.1 }]] },
  "A bowl": { objective: "sphere", steps: 40, optimizers: [["gradient_descent", { learning_rate: 0.1 }]] },
  "Overshoot": { objective: "sphere", steps: 40, optimizers: [["gradient_descent", { learning_rate: 0.98 }]] },
  "A saddle": { objective: "saddle", steps: 120, optimizers: [["gradient_descent", { learning_rate: 0.05 }], ["adam", { learning_rate: 0.05 }]] },
};
const state = { objective: CATALOGUE.objectives[0].name, formula: "", start: [], steps: 300, optimizers: [], map: "contours", dtype: "float64",
  axes: [0, 1], box: null, at: null, azimuth: 0.75, elevation: 0.75, arrows: false };

function objective() {
  if (!state.formula) return ours.get(state.objective);
  return once(`formula ${state.formula}`, () => {
    const made = { ...formula(state.formula), name: state.formula, key: state.formula, minima: [], levels: [], fmin: null, global: 0 };
    made.domain = made.variables.map(() => [-10, 10]);
    made.start = made.variables.map((_, i) => [7.11, 6.97][i] ?? 1);
    findMinima(made);
    return made;
  });
}
const dimension = (o = objective()) => o.domain.length;

// Minima of a formula: descents with halved steps from a grid, those apart from one another.
function findMinima(made) {
  const { value, slope } = evaluator(made, dimension(made));
  const dim = dimension(made);
  const count = Math.max(2, Math.floor(500 ** (1 / dim)));
  for (let k = 0; k < count ** dim; k++) {
    let p = range(dim).map((i) => made.domain[i][0] + ((made.domain[i][1] - made.domain[i][0]) * ((Math.floor(k / count ** i) % count) + 0.5)) / count);
    const g = [];
    let f = slope(p, g);
    for (let step = 1, n = 0; n < 2000 && step > 1e-14; n++) {
      const next = p.map((x, i) => x - step * g[i]);
      const lower = value(next);
      if (lower < f) [p, f, step] = [next, slope(next, g), step * 1.6];
      else step /= 2;
    }
    const near = Math.hypot(...g) <= 1e-5 * (1 + Math.abs(f));
    const inside = p.every((x, i) => x >= made.domain[i][0] && x <= made.domain[i][1]);
    const known = made.minima.some((m) => m.every((x, i) => Math.abs(x - p[i]) <= 1e-3 * (made.domain[i][1] - made.domain[i][0])));
    if (near && inside && !known && made.minima.length < 200) made.minima.push(p);
  }
  made.minima.sort((a, b) => value(a) - value(b));
  made.levels = made.minima.map((m) => value(m) + 1e-2 * Math.max(1, Math.abs(value(m))));
  if (made.minima.length) made.fmin = value(made.minima[0]);
}
CATALOGUE.objectives.forEach(({ name }) => {
  const o = ours.get(name);
  o.levels = o.levels.map((f) => f + 1e-2 * Math.max(1, Math.abs(f)));
});

function programOf(chosen) {
  const dim = dimension();
  const of = steppers.get(chosen.name);
  return { ...of.programs[dim], key: `${chosen.name} ${dim}`, names: Object.keys(of.numbers), numbers: Object.values(chosen.numbers) };
}

function whole() {
  const o = objective();
  const [i, j] = state.axes;
  return dimension() > 1 ? [o.domain[i][0], o.domain[j][0], o.domain[i][1], o.domain[j][1]] : [o.domain[0][0], 0, o.domain[0][1], 1];
}

function choose(changed) {
  const before = objective().key;
  Object.assign(state, changed);
  const o = objective();
  if (o.key !== before || state.start.length !== dimension(o)) {
    state.axes = changed.axes ?? (dimension(o) > 1 ? [0, 1] : [0]);
    state.start = changed.start ?? [...o.start];
    state.box = changed.box ?? null;
    if (!changed.optimizers) state.optimizers.forEach(calm);
  }
  state.at = null;
  if ("optimizers" in changed || o.key !== before) buildOptimizers();
  buildLandscape();
  touch();
}

// On another landscape a learning rate may be far too large: a third of it, and so on.
function calm(chosen) {
  descend();
  for (let tries = 0; tries < 12 && "learning_rate" in chosen.numbers; tries++) {
    if (!["lost", "broken"].includes(descents[state.optimizers.indexOf(chosen)].fate.code)) return;
    chosen.numbers.learning_rate = +(chosen.numbers.learning_rate / 3).toPrecision(2);
    descend();
  }
}

// --- what is computed ----------------------------------------------------------------------------
let descents = [];
function descend() {
  const dim = dimension();
  descents = state.optimizers.map((chosen, i) => {
    const made = programOf(chosen);
    const rows = new Float64Array((dim + 2) * (state.steps + 1));
    path(objective(), made, dim, state.dtype)(state.start, made.numbers, state.steps, rows);
    return { rows, colour: colourOf(i), name: chosen.name, fate: outcome(objective(), dim, rows, state.steps, ...frame()) };
  });
}
function frame() {
  const { domain } = objective();
  return [domain.map(([a, b]) => (a + b) / 2), domain.map(([a, b]) => b - a)];
}
function colourOf(i) {
  const mine = steppers.get(state.optimizers[i].name).colour;
  const taken = state.optimizers.slice(0, i).map((_, j) => colourOf(j));
  return taken.includes(mine) ? CATALOGUE.classes.find((c) => !taken.includes(c)) : mine;
}
const shownStep = () => Math.min(state.at ?? state.steps, state.steps);
function view() {
  const o = objective();
  const dim = dimension(o);
  const arrived = dim > 2 && descents[0] && !["lost", "broken"].includes(descents[0].fate.code);
  const fixed = arrived ? range(dim).map((i) => descents[0].rows[state.steps * (dim + 2) + i]) : state.start;
  const box = state.box ?? whole();
  return { objective: o, dim, axes: state.axes, fixed, box, lift: liftOf(o, dim, state.axes, fixed, box) };
}
const kind = (o, p) => {
  const dim = p.length;
  const { slope } = evaluator(o, dim);
  const h = 1e-4;
  const hessian = range(dim).map((i) => {
    const [up, down] = [1, -1].map((sign) => {
      const g = [];
      slope(p.map((x, j) => x + (i === j ? sign * h * Math.max(1, Math.abs(x)) : 0)), g);
      return [...g];
    });
    return up.map((x, j) => (x - down[j]) / (2 * h * Math.max(1, Math.abs(p[i]))));
  });
  return eigenvalues(hessian);
};
// Jacobi's rotations, for a symmetric matrix of a few rows.
function eigenvalues(a) {
  for (let sweep = 0; sweep < 30; sweep++) {
    for (const i of range(a.length)) {
      for (let j = i + 1; j < a.length; j++) {
        const angle = 0.5 * Math.atan2(a[i][j] + a[j][i], a[j][j] - a[i][i]);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        for (const row of a) [row[i], row[j]] = [c * row[i] - s * row[j], s * row[i] + c * row[j]];
        [a[i], a[j]] = [a[i].map((x, k) => c * x - s * a[j][k]), a[j].map((x, k) => s * a[i][k] + c * x)];
      }
    }
  }
  return a.map((row, i) => row[i]).sort((x, y) => x - y);
}
function told({ code, minimum, step }, rows) {
  const o = objective();
  if (code === "lost") return `diverged at step ${step}`;
  if (code === "broken") return `not finite at step ${step}`;
  if (code === "moving") return "still moving";
  if (minimum >= 0) return minimum < (o.global || 1) ? "the global minimum" : "a local minimum";
  const dim = dimension();
  const spectrum = kind(o, range(dim).map((i) => rows[step * (dim + 2) + i]));
  const least = 1e-6 * Math.max(...spectrum.map(Math.abs), 1e-9);
  if (spectrum[0] > least) return "at rest at a minimum";
  if (spectrum[spectrum.length - 1] < -least) return "at rest at a maximum";
  return spectrum[0] < -least && spectrum[spectrum.length - 1] > least ? "at rest at a saddle" : "at rest where the Hessian is singular";
}

// --- what is drawn --------------------------------------------------------------------------------
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
function sized(id) {
  const canvas = $(id);
  const scale = Math.min(devicePixelRatio || 1, 2);
  const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  return { context, width, height, scale };
}
function copy(image, context) {
  const small = once("small", () => document.createElement("canvas"));
  Object.assign(small, { width: image.width, height: image.height });
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, context.canvas.width, context.canvas.height);
}
function fateOf(settings, box, count) {
  const v = view();
  const made = programOf(state.optimizers[0]);
  const [middle, width] = frame();
  const values = { box, n: made.numbers.length ? made.numbers : [0], q: settings ? state.start : v.fixed, i_steps: state.steps, middle, width };
  const asked = { ...v, optimizer: made, settings };
  return scripted ? fatesInScript(asked, count, count, values) : fates(shaders, asked, count, count, values);
}

function drawMap(fine) {
  const { context, width, height, scale } = sized("map");
  const v = view();
  if (v.dim === 1) return drawLine(context, v, width, height, scale);
  if (state.map === "basins" && state.optimizers.length) {
    const found = fateOf(null, v.box, fine ? FINE.basins : COARSE);
    context.imageSmoothingEnabled = false;
    copy(painted(found, CATALOGUE.classes), context);
    $("shares").textContent = shares(found).slice(0, 4).map(({ fate, share }) => `${(100 * share).toFixed(1)} % ${fateName(fate)}`).join(", ");
  } else {
    $("shares").textContent = "";
    if (scripted) copy(contoursInScript(v, fine ? 240 : 100, fine ? 240 : 100), context);
    else {
      contours(shaders, v, width, height);
      shaders.copyTo(context, width, height);
    }
  }
  drawOver(context, v, width, height, scale);
}
const fateName = (fate) => ({ 250: "still moving", 251: "at rest elsewhere", 252: "diverged", 253: "not finite" })[fate]
  ?? `at (${objective().minima[fate].map((x) => +x.toPrecision(3)).join(", ")})`;

const across = (v, width, height) => [(x) => ((x - v.box[0]) / (v.box[2] - v.box[0])) * width, (y) => height - ((y - v.box[1]) / (v.box[3] - v.box[1])) * height];
function drawOver(context, v, width, height, scale) {
  const [px, py] = across(v, width, height);
  const [i, j] = v.axes;
  const size = v.dim + 2;
  context.lineJoin = "round";
  if (state.arrows) drawArrows(context, v, px, py, width, height, scale);
  for (const { rows, colour } of descents) {
    for (const [line, ink] of [[4.5, "rgba(255,255,255,.85)"], [2.2, colour]]) {
      context.strokeStyle = context.fillStyle = ink;
      context.lineWidth = line * scale;
      context.beginPath();
      for (let k = 0; k <= shownStep(); k++) context.lineTo(px(rows[k * size + i]), py(rows[k * size + j]));
      context.stroke();
    }
    if (shownStep() <= 200) {
      for (let k = 0; k <= shownStep(); k++) dot(context, px(rows[k * size + i]), py(rows[k * size + j]), 2.4 * scale, colour);
    }
  }
  for (const [k, m] of v.objective.minima.entries()) star(context, px(m[i]), py(m[j]), 6 * scale, k < (v.objective.global || 1) ? "#fff" : "#bbb");
  for (const { rows, colour } of descents) dot(context, px(rows[shownStep() * size + i]), py(rows[shownStep() * size + j]), 5.5 * scale, colour, "#fff", 1.5 * scale);
  dot(context, px(state.start[i]), py(state.start[j]), 7 * scale, "rgba(255,255,255,.75)", "#000", 2 * scale);
}
function dot(context, x, y, radius, fill, rim, line) {
  if (!Number.isFinite(x + y)) return;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fillStyle = fill;
  context.fill();
  if (!rim) return;
  context.strokeStyle = rim;
  context.lineWidth = line;
  context.stroke();
}
function star(context, x, y, radius, fill) {
  context.beginPath();
  for (const k of range(10)) {
    const r = k % 2 ? radius * 0.45 : radius;
    context.lineTo(x + r * Math.sin((k * Math.PI) / 5), y - r * Math.cos((k * Math.PI) / 5));
  }
  context.closePath();
  context.fillStyle = fill;
  context.strokeStyle = "#000";
  context.lineWidth = radius / 5;
  context.fill();
  context.stroke();
}
function drawArrows(context, v, px, py, width, height, scale) {
  const { slope } = evaluator(v.objective, v.dim);
  context.strokeStyle = "rgba(0,0,0,.55)";
  context.lineWidth = 1.2 * scale;
  const [i, j] = v.axes;
  for (const column of range(16)) {
    for (const row of range(16)) {
      const p = [...v.fixed];
      p[i] = v.box[0] + ((v.box[2] - v.box[0]) * (column + 0.5)) / 16;
      p[j] = v.box[1] + ((v.box[3] - v.box[1]) * (row + 0.5)) / 16;
      const g = [];
      slope(p, g);
      const [dx, dy] = [-g[i] / (v.box[2] - v.box[0]), g[j] / (v.box[3] - v.box[1])];
      const length = Math.hypot(dx, dy);
      if (!(length > 0)) continue;
      const reach = width / 40;
      const [x, y] = [px(p[i]), py(p[j])];
      const [ex, ey] = [x + (dx / length) * reach, y + (dy / length) * reach];
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(ex, ey);
      for (const turn of [2.6, -2.6]) {
        const angle = Math.atan2(dy, dx) + turn;
        context.moveTo(ex, ey);
        context.lineTo(ex + Math.cos(angle) * reach * 0.35, ey + Math.sin(angle) * reach * 0.35);
      }
      context.stroke();
    }
  }
}

// One dimension: the curve, the steps on it, and the tangent where each stands.
function drawLine(context, v, width, height, scale) {
  $("shares").textContent = "";
  const { value, slope } = evaluator(v.objective, 1);
  const xs = range(400).map((k) => v.box[0] + ((v.box[2] - v.box[0]) * k) / 399);
  const ys = xs.map((x) => value([x]));
  const seen = ys.filter(Number.isFinite);
  const [low, high] = [Math.min(...seen), Math.max(...seen)];
  const px = (x) => ((x - v.box[0]) / (v.box[2] - v.box[0])) * width;
  const py = (y) => height * (0.95 - 0.9 * ((y - low) / (high - low || 1)));
  context.fillStyle = css("--panel");
  context.fillRect(0, 0, width, height);
  const line = (points, ink, thick) => {
    context.strokeStyle = ink;
    context.lineWidth = thick * scale;
    context.beginPath();
    points.forEach(([x, y]) => context.lineTo(px(x), py(y)));
    context.stroke();
  };
  line(xs.map((x, k) => [x, ys[k]]), css("--ink"), 2);
  for (const { rows, colour } of descents) {
    line(range(shownStep() + 1).map((k) => [rows[3 * k], rows[3 * k + 1]]), colour, 1.5);
    for (let k = 0; k <= Math.min(shownStep(), 200); k++) dot(context, px(rows[3 * k]), py(rows[3 * k + 1]), 3 * scale, colour);
    const [x, g] = [rows[3 * shownStep()], []];
    const f = slope([x], g);
    const reach = (v.box[2] - v.box[0]) / 8;
    line([[x - reach, f - reach * g[0]], [x + reach, f + reach * g[0]]], colour, 1.2);
    dot(context, px(x), py(f), 6 * scale, colour, css("--ground"), 1.5 * scale);
  }
  for (const m of v.objective.minima) star(context, px(m[0]), py(value(m)), 6 * scale, "#fff");
  dot(context, px(state.start[0]), py(value(state.start)), 7 * scale, "rgba(255,255,255,.7)", "#000", 2 * scale);
}

function drawSurface() {
  const v = view();
  $("surface").parentElement.hidden = v.dim < 2;
  if (v.dim < 2) return;
  const { context, width, height } = sized("surface");
  const size = v.dim + 2;
  const paths = descents.map(({ rows, colour }) => ({
    colour: channels(colour), ink: colour,
    points: range(shownStep() + 1).map((k) => standing(v, rows.subarray(k * size, k * size + v.dim), rows[k * size + v.dim])).filter((p) => p.every(Number.isFinite)),
  }));
  const look = { azimuth: state.azimuth, elevation: state.elevation, background: channels(css("--ground").replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3")) };
  if (scripted) return surfaceInScript(context, v, look, paths);
  surface(shaders, v, width, height, look, paths);
  shaders.copyTo(context, width, height);
}

function drawCurve() {
  const { context, width, height, scale } = sized("curve");
  const dim = dimension();
  const o = objective();
  const size = dim + 2;
  const all = descents.flatMap(({ rows }) => range(state.steps + 1).map((k) => rows[k * size + dim])).filter(Number.isFinite);
  const floor = o.fmin ?? Math.min(...all);
  const logs = descents.map(({ rows }) => range(state.steps + 1).map((k) => Math.log10(Math.max(rows[k * size + dim] - floor, 1e-17))));
  const seen = logs.flat().filter(Number.isFinite);
  const low = Math.max(Math.floor(Math.min(...seen)), -16);
  const first = Math.max(...logs.map((ys) => ys[0]));
  const high = Math.max(Math.min(Math.ceil(Math.max(...seen)), Math.ceil(first) + 3), low + 1);
  $("curve-title").textContent = o.fmin === null ? "value above the lowest seen, by step" : "value above the minimum, by step";
  const left = 46 * scale;
  const px = (k) => left + ((width - left - 8 * scale) * k) / Math.max(state.steps, 1);
  const py = (y) => 6 * scale + ((height - 24 * scale) * (high - y)) / (high - low);
  context.clearRect(0, 0, width, height);
  context.font = `${12 * scale}px system-ui, sans-serif`;
  context.fillStyle = css("--soft");
  context.strokeStyle = css("--line");
  context.lineWidth = scale;
  const stride = Math.ceil((high - low) / 5);
  for (let y = high; y >= low; y -= stride) {
    context.beginPath();
    context.moveTo(left, py(y));
    context.lineTo(width, py(y));
    context.stroke();
    context.textAlign = "right";
    context.fillText(`1e${y}`, left - 6 * scale, py(y) + 4 * scale);
  }
  context.textAlign = "left";
  context.fillText("0", left, height - 4 * scale);
  context.textAlign = "right";
  context.fillText(String(state.steps), width - 8 * scale, height - 4 * scale);
  logs.forEach((ys, i) => {
    context.strokeStyle = descents[i].colour;
    context.lineWidth = 2 * scale;
    context.beginPath();
    ys.forEach((y, k) => Number.isFinite(y) && context.lineTo(px(k), py(Math.min(Math.max(y, low), high))));
    context.stroke();
    const slope = 2 * Math.log10(theory(i)?.rate ?? 1);
    if (slope < 0 && Number.isFinite(slope)) { // what theory gives near the minimum
      context.setLineDash([5 * scale, 5 * scale]);
      context.beginPath();
      context.moveTo(px(0), py(ys[0]));
      context.lineTo(px(Math.min(state.steps, (low - ys[0]) / slope)), py(Math.max(ys[0] + state.steps * slope, low)));
      context.lineWidth = scale;
      context.stroke();
      context.setLineDash([]);
    }
    dot(context, px(shownStep()), py(Math.min(Math.max(ys[shownStep()], low), high)), 4 * scale, descents[i].colour);
  });
}

// On a quadratic of curvatures h: the largest learning rate, and the factor of the error a step.
const CLOSED = {
  gradient_descent: { limit: (h) => 2 / h, rate: (a, m, h) => Math.abs(1 - a * h) },
  heavy_ball: { limit: (h, m) => (2 + 2 * m) / h, rate: (a, m, h) => root(1 + m - a * h, m) },
  nesterov: { limit: (h, m) => (2 + 2 * m) / (h * (1 + 2 * m)), rate: (a, m, h) => root((1 + m) * (1 - a * h), m * (1 - a * h)) },
};
CLOSED.sgd = CLOSED.gradient_descent;
const root = (trace, det) => {
  const inner = trace * trace - 4 * det;
  return inner < 0 ? Math.sqrt(det) : (Math.abs(trace) + Math.sqrt(inner)) / 2;
};
function theory(i) {
  const closed = CLOSED[state.optimizers[i].name];
  const { fate } = descents[i];
  const o = objective();
  if (!closed || !o.minima.length) return null;
  const minimum = o.minima[Math.max(fate.minimum, 0)];
  const spectrum = once(`spectrum ${o.key} ${minimum}`, () => kind(o, minimum));
  if (!(spectrum[0] > 0)) return null;
  const { learning_rate: a, momentum: m = 0 } = state.optimizers[i].numbers;
  return {
    limit: (momentum) => closed.limit(spectrum[spectrum.length - 1], momentum),
    rate: fate.minimum >= 0 && fate.minimum < Math.max(o.global, 1) ? Math.max(...spectrum.map((h) => closed.rate(a, m, h))) : null,
  };
}

// Which two numbers the map of settings shows: the learning rate, and a share such as momentum.
function settings() {
  const names = Object.keys(state.optimizers[0]?.numbers ?? {});
  const rate = names.findIndex((name) => name.includes("learning_rate"));
  const other = ["momentum", "b1", "beta", "decay", "b2"].map((name) => names.indexOf(name)).find((at) => at >= 0);
  return rate < 0 ? null : [rate, other ?? -1];
}
// The rates shown: four and a half decades around the one that is set, moved where it leaves them.
let rates = [1e-4, 3];
function box() {
  const [axis] = settings();
  const rate = Object.values(state.optimizers[0].numbers)[axis];
  if (!(rate > 1.5 * rates[0] && rate < rates[1] / 1.5)) rates = [10 ** Math.floor(Math.log10(rate) - 2.5), 3 * 10 ** Math.floor(Math.log10(rate) + 1.5)];
  return [Math.log(rates[0]), 0, Math.log(rates[1]), 0.999];
}
function drawStability(fine) {
  const axes = settings();
  $("stability").parentElement.hidden = !axes;
  if (!axes) return;
  const { context, width, height, scale } = sized("stability");
  const names = Object.keys(state.optimizers[0].numbers);
  const shownBox = box();
  const along = `→ learning rate ${rates.map((rate) => rate.toExponential(0)).join(" to ")}`;
  $("stability-title").textContent = `${along}${axes[1] < 0 ? "" : `, ↑ ${names[axes[1]]} 0 to 1`}: this start`;
  context.imageSmoothingEnabled = false;
  copy(painted(fateOf(axes, shownBox, fine ? FINE.stability : COARSE), CATALOGUE.classes), context);
  const px = (rate) => ((Math.log(rate) - shownBox[0]) / (shownBox[2] - shownBox[0])) * width;
  const py = (share) => height * (1 - share / shownBox[3]);
  const known = descents[0] && theory(0);
  if (known) {
    for (const [ink, line] of [["#fff", 4], ["#000", 1.6]]) {
      context.strokeStyle = ink;
      context.lineWidth = line * scale;
      context.beginPath();
      range(60).forEach((k) => context.lineTo(px(known.limit((shownBox[3] * k) / 59)), py((shownBox[3] * k) / 59)));
      context.stroke();
    }
  }
  const values = Object.values(state.optimizers[0].numbers);
  dot(context, px(values[axes[0]]), axes[1] < 0 ? height / 2 : py(values[axes[1]]), 7 * scale, "rgba(255,255,255,.8)", "#000", 2 * scale);
}

function drawReadout() {
  const dim = dimension();
  const size = dim + 2;
  const number = (x) => (Number.isFinite(x) ? +x.toPrecision(5) : String(x));
  $("readout").tBodies[0].replaceChildren(...descents.map(({ rows, colour, name, fate }) => {
    const k = shownStep();
    const row = document.createElement("tr");
    const cells = [readable(name), k, `(${range(dim).map((i) => number(rows[k * size + i])).join(", ")})`, number(rows[k * size + dim]), number(rows[k * size + dim + 1]), k < fate.step ? "" : told(fate, rows)];
    for (const text of cells) row.append(Object.assign(document.createElement("td"), { textContent: text }));
    row.firstChild.prepend(Object.assign(document.createElement("span"), { className: "swatch", style: `display:inline-block;background:${colour};margin-right:.4rem;width:.7rem;height:.7rem` }));
    return row;
  }));
  $("at").max = state.steps;
  $("at").value = shownStep();
  $("shown").textContent = `step ${shownStep()} of ${state.steps}`;
}
const readable = (name) => name.replaceAll("_", " ");

let asked = 0;
let later = 0;
function touch() {
  asked ||= requestAnimationFrame(() => {
    asked = 0;
    paint(false);
    clearTimeout(later);
    later = setTimeout(() => paint(true), 180);
  });
}
function paint(fine) {
  const began = performance.now();
  if (!fine) descend();
  drawMap(fine);
  if (!fine) drawSurface(), drawCurve(), drawReadout(), remember();
  drawStability(fine);
  document.body.dataset.painted = `${fine ? "fine" : "coarse"} ${(performance.now() - began).toFixed(1)}`;
}

// --- hands ----------------------------------------------------------------------------------------
function buildLandscape() {
  const o = objective();
  $("objective").value = state.formula ? "" : state.objective;
  if (document.activeElement !== $("formula")) $("formula").value = state.formula;
  $("start").replaceChildren("start", ...state.start.map((x, i) => {
    const input = Object.assign(document.createElement("input"), { type: "number", step: "any", value: x, ariaLabel: `start ${o.variables[i] ?? `x${i + 1}`}` });
    input.onchange = () => Number.isFinite(input.valueAsNumber) && choose({ start: state.start.map((y, j) => (i === j ? input.valueAsNumber : y)) });
    return input;
  }));
  $("axes").replaceChildren(...(dimension() > 2 ? ["axes", ...[0, 1].map((side) => {
    const select = document.createElement("select");
    range(dimension()).forEach((i) => select.add(new Option(o.variables[i] ?? `x${i + 1}`, i)));
    select.value = state.axes[side];
    select.onchange = () => {
      const axes = [...state.axes];
      axes[side] = +select.value;
      if (axes[0] !== axes[1]) choose({ axes, box: null });
    };
    return select;
  })] : []));
  $("steps").value = Math.log(state.steps) / Math.log(LONGEST);
  $("steps").nextElementSibling.textContent = state.steps;
  $("dtype").value = state.dtype;
  $("arrows").checked = state.arrows;
  document.querySelector(`[name=map][value=${state.map}]`).checked = true;
}

// How a slider runs: [low, high, from unit, to unit].
function scaleOf(name, usual) {
  const log = (low, high) => [(u) => low * (high / low) ** u, (x) => Math.log(Math.max(x, low) / low) / Math.log(high / low)];
  if (/learning_rate|step_size/.test(name)) return log(...RATES);
  if (usual > 0 && usual < 1e-2) return log(1e-16, 1);
  if (usual < 1) return [(u) => 0.999 * u, (x) => x / 0.999];
  return log(usual / 100, usual * 100);
}
function slider(chosen, name) {
  const usual = steppers.get(chosen.name).numbers[name];
  const [from, to] = scaleOf(name, usual);
  const label = Object.assign(document.createElement("label"), { className: "slider", textContent: `${readable(name)} ` });
  const input = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 1, step: "any", value: to(chosen.numbers[name]) });
  const output = Object.assign(document.createElement("output"), { textContent: +chosen.numbers[name].toPrecision(4) });
  input.dataset.name = name;
  input.oninput = () => {
    chosen.numbers[name] = +from(+input.value).toPrecision(4);
    output.textContent = chosen.numbers[name];
    state.at = null;
    touch();
  };
  label.append(input, output);
  return label;
}
function buildOptimizers() {
  $("optimizers").replaceChildren(...state.optimizers.map((chosen, i) => {
    const set = document.createElement("fieldset");
    const legend = document.createElement("legend");
    const select = document.createElement("select");
    select.ariaLabel = `optimizer ${i + 1}`;
    for (const name of steppers.keys()) select.add(new Option(readable(name), name));
    select.value = chosen.name;
    select.onchange = () => choose({ optimizers: state.optimizers.map((o, j) => (i === j ? plain(select.value) : o)) });
    legend.append(Object.assign(document.createElement("span"), { className: "swatch", style: `background:${colourOf(i)}` }), select);
    if (state.optimizers.length > 1) {
      const remove = Object.assign(document.createElement("button"), { textContent: "×", ariaLabel: `remove ${readable(chosen.name)}` });
      remove.onclick = () => choose({ optimizers: state.optimizers.filter((o) => o !== chosen) });
      legend.append(remove);
    }
    const names = Object.keys(chosen.numbers);
    const first = names.filter((name) => /learning_rate|momentum/.test(name));
    const shown = first.length ? first : names.slice(0, 2);
    set.append(legend, ...shown.map((name) => slider(chosen, name)));
    const rest = names.filter((name) => !shown.includes(name));
    if (rest.length) {
      const more = document.createElement("details");
      more.append(Object.assign(document.createElement("summary"), { textContent: `${rest.length} more` }), ...rest.map((name) => slider(chosen, name)));
      set.append(more);
    }
    return set;
  }));
  $("add").hidden = state.optimizers.length >= 4;
}

function hands() {
  const families = [...new Set([...ours.values()].map((o) => o.family))];
  const list = (wanted) => {
    $("objective").replaceChildren(new Option("—", ""), ...families.map((family) => {
      const group = Object.assign(document.createElement("optgroup"), { label: family });
      for (const o of ours.values()) if (o.family === family && readable(o.name).includes(wanted)) group.append(new Option(readable(o.name), o.name));
      return group;
    }).filter((group) => group.children.length));
    $("objective").value = state.formula ? "" : state.objective;
  };
  list("");
  $("find").oninput = () => {
    const wanted = $("find").value.toLowerCase().replaceAll("_", " ");
    list(wanted);
    const first = $("objective").querySelector("optgroup option");
    if (wanted && first) choose({ objective: first.value, formula: "" });
  };
  $("objective").onchange = () => $("objective").value && choose({ objective: $("objective").value, formula: "" });
  $("formula").oninput = () => {
    $("wrong").textContent = "";
    const text = $("formula").value.trim();
    if (!text) return choose({ formula: "" });
    try {
      formula(text);
      choose({ formula: text });
    } catch (error) {
      if (!(error instanceof FormulaError)) throw error;
      $("wrong").textContent = error.message;
    }
  };
  $("steps").oninput = () => choose({ steps: Math.round(LONGEST ** +$("steps").value) });
  $("dtype").onchange = () => choose({ dtype: $("dtype").value });
  $("arrows").onchange = () => choose({ arrows: $("arrows").checked });
  $("whole").onclick = () => choose({ box: null });
  $("add").onclick = () => choose({ optimizers: [...state.optimizers, plain(["heavy_ball", "adam", "nesterov", "rmsprop"].find((name) => steppers.has(name) && !state.optimizers.some((o) => o.name === name)) ?? steppers.keys().next().value)] });
  for (const radio of document.querySelectorAll("[name=map]")) radio.onchange = () => choose({ map: radio.value });
  for (const [name, preset] of Object.entries(PRESETS)) {
    if (!ours.has(preset.objective) || !preset.optimizers.every(([optimizer]) => steppers.has(optimizer))) continue;
    const button = Object.assign(document.createElement("button"), { textContent: name });
    button.onclick = () => apply(preset);
    $("presets").append(button);
  }
  mapHands();
  settingsHands();
  playHands();
  takeAway();
  addEventListener("resize", touch);
  matchMedia("(prefers-color-scheme:dark)").addEventListener("change", touch);
}
function apply({ objective: name, optimizers, steps, start, map = "contours" }) {
  choose({ objective: name, formula: "", steps, map, start: start ?? [...ours.get(name).start], box: null,
    optimizers: optimizers.map(([of, numbers]) => ({ name: of, numbers: { ...steppers.get(of).numbers, ...numbers } })) });
}

function placeOf(event) {
  const { left, top, width, height } = event.currentTarget.getBoundingClientRect();
  const [x0, y0, x1, y1] = state.box ?? whole();
  const [u, w] = [(event.clientX - left) / width, 1 - (event.clientY - top) / height];
  return { x: x0 + (x1 - x0) * u, y: y0 + (y1 - y0) * w, u, w };
}
function mapHands() {
  const canvas = $("map");
  const start = (place) => {
    const moved = [...state.start];
    moved[state.axes[0]] = +place.x.toPrecision(5);
    if (state.axes.length > 1) moved[state.axes[1]] = +place.y.toPrecision(5);
    choose({ start: moved });
  };
  let pan = null;
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (event.button === 2 || event.shiftKey) pan = { ...placeOf(event), box: state.box ?? whole() };
    else start(placeOf(event));
  };
  canvas.onpointermove = (event) => {
    if (!event.buttons) return;
    if (!pan) return start(placeOf(event));
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const [x0, y0, x1, y1] = pan.box;
    const dx = pan.x - (x0 + ((x1 - x0) * (event.clientX - left)) / width);
    const dy = pan.y - (y1 - ((y1 - y0) * (event.clientY - top)) / height);
    state.box = [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
    touch();
  };
  canvas.onpointerup = () => (pan = null);
  canvas.oncontextmenu = (event) => event.preventDefault();
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { x, y } = placeOf(event);
    const factor = 1.0015 ** event.deltaY;
    const [x0, y0, x1, y1] = state.box ?? whole();
    state.box = [x + (x0 - x) * factor, y + (y0 - y) * factor, x + (x1 - x) * factor, y + (y1 - y) * factor];
    touch();
  }, { passive: false });
  canvas.onkeydown = (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
    if (event.key === "0") choose({ box: null });
    if (!by) return;
    event.preventDefault();
    const [x0, y0, x1, y1] = state.box ?? whole();
    const [i, j] = state.axes;
    start({ x: state.start[i] + (by[0] * (x1 - x0)) / 100, y: (state.start[j] ?? 0) + (by[1] * (y1 - y0)) / 100 });
  };
  $("surface").onpointermove = (event) => {
    if (!event.buttons) return;
    state.azimuth -= event.movementX / 120;
    state.elevation = Math.min(Math.max(state.elevation + event.movementY / 120, 0.1), 1.5);
    drawSurface();
  };
}
function settingsHands() {
  const canvas = $("stability");
  const set = (event) => {
    const axes = settings();
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const names = Object.keys(state.optimizers[0].numbers);
    const [u, w] = [(event.clientX - left) / width, 1 - (event.clientY - top) / height].map((x) => Math.min(Math.max(x, 0), 1));
    const shownBox = box();
    const { numbers } = state.optimizers[0];
    numbers[names[axes[0]]] = +Math.exp(shownBox[0] + (shownBox[2] - shownBox[0]) * u).toPrecision(4);
    if (axes[1] >= 0) numbers[names[axes[1]]] = +(shownBox[3] * w).toPrecision(4);
    choose({ optimizers: state.optimizers });
  };
  canvas.onpointerdown = (event) => (canvas.setPointerCapture(event.pointerId), set(event));
  canvas.onpointermove = (event) => event.buttons && set(event);
}
function playHands() {
  let playing = 0;
  const show = (at) => {
    state.at = Math.min(Math.max(at, 0), state.steps);
    drawMap(true);
    drawSurface();
    drawCurve();
    drawReadout();
  };
  const stop = () => {
    clearInterval(playing);
    playing = 0;
    $("play").textContent = "▶";
    $("play").ariaLabel = "Play";
  };
  $("play").onclick = () => {
    if (playing) return stop();
    $("play").textContent = "⏸";
    $("play").ariaLabel = "Pause";
    if (shownStep() === state.steps) state.at = 0;
    playing = setInterval(() => (shownStep() < state.steps ? show(shownStep() + Math.max(1, Math.round(state.steps / 200))) : stop()), 50);
  };
  $("at").oninput = () => (stop(), show(+$("at").value));
  $("back").onclick = () => (stop(), show(shownStep() - 1));
  $("on").onclick = () => (stop(), show(shownStep() + 1));
}

// --- links, code and pictures ---------------------------------------------------------------------
const KEPT = ["objective", "formula", "start", "steps", "optimizers", "map", "dtype", "axes", "box"];
const link = () => `#${encodeURIComponent(JSON.stringify(Object.fromEntries(KEPT.map((key) => [key, state[key]]))))}`;
function remember() {
  try {
    history.replaceState(null, "", link());
  } catch { /* a page inside another document has no address of its own */ }
}
function recall() {
  try {
    const found = JSON.parse(decodeURIComponent(location.hash.slice(1)));
    const known = found.optimizers.every(({ name }) => steppers.has(name)) && (found.formula ? formula(found.formula) : ours.has(found.objective));
    return known ? found : null;
  } catch {
    return null;
  }
}
function inPython() {
  const objectives = state.formula ? `gdjax.objectives.get("formula", expression=${JSON.stringify(state.formula)})` : `gdjax.objectives.get(${JSON.stringify(state.objective)})`;
  const made = state.optimizers.map(({ name, numbers }) => `gdjax.optimizers.get("${name}", ${Object.entries(numbers).map(([key, x]) => `${key}=${x}`).join(", ")})`);
  return `import gdjax\n\nf = ${objectives}\n${made.map((one, i) => `path${i || ""} = gdjax.descend(f, ${one}, start=[${state.start}], steps=${state.steps}, dtype="${state.dtype}")`).join("\n")}\n`;
}
function asCommand() {
  const { name, numbers } = state.optimizers[0];
  const { learning_rate: rate, ...others } = numbers;
  const usual = steppers.get(name).numbers;
  const changed = Object.entries(others).filter(([key, x]) => x !== usual[key]).map(([key, x]) => ` optimizer.${key}=${x}`).join("");
  const of = state.formula ? `objective=formula objective.expression="${state.formula}"` : `objective=${state.objective}`;
  return `gdjax run ${of} optimizer=${name}${rate === undefined ? "" : ` learning_rate=${rate}`}${changed} start=[${state.start}] steps=${state.steps} dtype=${state.dtype}`;
}
function asTable() {
  const o = objective();
  const names = o.variables.length === dimension() ? o.variables : range(dimension()).map((i) => `x${i + 1}`);
  const lines = descents.flatMap(({ rows, name }) => range(state.steps + 1).map((k) => [name, k, ...rows.subarray(k * (dimension() + 2), (k + 1) * (dimension() + 2))].join()));
  return `optimizer,step,${names.join()},value,gradient_norm\n${lines.join("\n")}\n`;
}
function asDrawing() {
  const v = view();
  const [px, py] = across(v, 600, 600);
  const size = v.dim + 2;
  const lines = descents.map(({ rows, colour }) => `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${range(state.steps + 1).map((k) => `${px(rows[k * size + v.axes[0]]).toFixed(1)},${py(rows[k * size + (v.axes[1] ?? 0)]).toFixed(1)}`).join(" ")}"/>`);
  contours(shaders, v, 600, 600);
  const canvas = Object.assign(document.createElement("canvas"), { width: 600, height: 600 });
  shaders.copyTo(canvas.getContext("2d"), 600, 600);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 600"><image width="600" height="600" href="${canvas.toDataURL()}"/>${lines.join("")}</svg>`;
}
function takeAway() {
  const copied = async (text, what) => {
    try {
      await navigator.clipboard.writeText(text);
      $("told").textContent = `${what} copied`;
    } catch {
      prompt(`Copy the ${what}:`, text);
    }
  };
  $("copy-link").onclick = () => copied(location.href.split("#")[0] + link(), "link");
  $("copy-python").onclick = () => copied(inPython(), "Python");
  $("copy-command").onclick = () => copied(asCommand(), "command");
  const save = (href, name) => Object.assign(document.createElement("a"), { href, download: name }).click();
  const file = (text, type, name) => save(URL.createObjectURL(new Blob([text], { type })), name);
  $("save").onchange = () => {
    const name = `${objective().name.replace(/\W+/g, "_")}`;
    const make = { png: () => save($("map").toDataURL(), `${name}.png`), svg: () => file(asDrawing(), "image/svg+xml", `${name}.svg`), csv: () => file(asTable(), "text/csv", `${name}.csv`) };
    make[$("save").value]?.();
    $("save").value = "";
  };
}

// For the console of a browser: what the map shows, as numbers, and from where the surface is seen.
globalThis.gdjax = {
  state,
  classes: (count) => fateOf(null, view().box, count).became,
  look(azimuth, elevation, start = state.start) {
    Object.assign(state, { azimuth, elevation });
    choose({ start });
  },
};

hands();
const remembered = recall();
const first = CATALOGUE.objectives[0].name;
if (remembered) choose(remembered);
else if (first === "qfsp") apply(PRESETS["The trap"]);
else choose({ optimizers: [plain(steppers.has("gradient_descent") ? "gradient_descent" : steppers.keys().next().value)], start: [...ours.get(first).start] });
