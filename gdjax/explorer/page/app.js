// The page: what is chosen, what is drawn of it, and what the hands do.
import { FormulaError, formula } from "./formula.js";
import { IN_SCRIPT, Painter, Shaders, atOnce, contours, fates, inLevels, liftOf, outcome, painted, raise, shares } from "./maps.js";
import { evaluator, once, path, range } from "./program.js";
import { standing, surface, surfaceInScript } from "./surface.js";

const { catalogue: CATALOGUE, core: CORE } = globalThis.EXPLORER;
const $ = (id) => document.getElementById(id);
const LONGEST = 5000; // steps
const RATES = [1e-7, 10];

const ours = new Map(CATALOGUE.objectives.map((o) => [o.name, { ...o, key: o.name }]));
const steppers = new Map(CATALOGUE.optimizers.map((o) => [o.name, o]));
const shaders = once("shaders", () => new Shaders());
const scripted = !shaders.gl || new URLSearchParams(location.search).has("nogl");
const COARSE = scripted ? 32 : 100; // cells a side of a map while something is dragged
const FINE = scripted ? { map: 140, stability: 90 } : { map: 320, stability: 200 };
const PATIENCE = 400; // milliseconds that a fine map may take

const readable = (name) => name.replaceAll("_", " ");

// --- state --------------------------------------------------------------------------------------
const plain = (name) => ({ name, numbers: { ...steppers.get(name).numbers } });
const PRESETS = {
  "The trap": { objective: "qfsp", start: [7.11, 6.97], steps: 300, optimizers: [["gradient_descent", { learning_rate: 0.1 }]] },
  "The escape": { objective: "qfsp", start: [7.11, 6.97], steps: 300, optimizers: [["heavy_ball", { learning_rate: 0.1, momentum: 0.5 }], ["gradient_descent", { learning_rate: 0.1 }]] },
  "Too much momentum": { objective: "qfsp", start: [7.11, 6.97], steps: 300, optimizers: [["heavy_ball", { learning_rate: 0.1, momentum: 0.7 }], ["gradient_descent", { learning_rate: 0.1 }]] },
  "A bowl": { objective: "sphere", steps: 40, optimizers: [["gradient_descent", { learning_rate: 0.1 }]] },
  "Overshoot": { objective: "sphere", steps: 40, optimizers: [["gradient_descent", { learning_rate: 0.98 }]] },
  "A saddle": { objective: "saddle", steps: 80, optimizers: [["gradient_descent", { learning_rate: 0.05 }], ["adam", { learning_rate: 0.05 }]] },
};
const state = { objective: CATALOGUE.objectives[0].name, formula: "", start: [], steps: 300, optimizers: [], map: "contours", dtype: "float64",
  axes: [0, 1], box: null, at: null, azimuth: 0.75, elevation: 0.75, arrows: false };
const BOTH = "float64 and float32";

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
    const run = (dtype, into) => path(objective(), made, dim, dtype)(state.start, made.numbers, state.steps, into);
    run(state.dtype === "float32" ? "float32" : "float64", rows);
    const found = { rows, colour: colourOf(i), name: chosen.name, fate: outcome(objective(), dim, rows, state.steps, ...frame()) };
    if (state.dtype !== BOTH) return found;
    const single = new Float64Array(rows.length);
    run("float32", single);
    return { ...found, single, parted: parting(rows, single, dim) };
  });
}
// The first step at which two paths stand apart, by a thousandth of the domain; -1 if none.
function parting(rows, others, dim) {
  const [, width] = frame();
  const apart = (k) => range(dim).some((i) => Math.abs(rows[k * (dim + 2) + i] - others[k * (dim + 2) + i]) > 1e-3 * width[i]);
  return range(state.steps + 1).findIndex(apart);
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
  const seen = { objective: o, dim, axes: state.axes, fixed, box };
  const key = JSON.stringify([o.key, state.axes, box, dim > 2 && fixed]);
  if (lifted.key !== key) lifted = { key, lift: liftOf(o, dim, state.axes, fixed, box) };
  return { ...seen, lift: lifted.lift };
}
let lifted = {};
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
function fateOf({ code, minimum, step }, rows) {
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
// What is asked of a map of fates: of starts, or of two settings of the first optimizer.
function fatesAsked(settings, box) {
  const v = view();
  const made = programOf(state.optimizers[0]);
  const [middle, width] = frame();
  const uniforms = { box, n: made.numbers.length ? made.numbers : [0], q: settings ? state.start : v.fixed, i_steps: state.steps, middle, width };
  return { kind: "fates", view: { ...v, optimizer: made, settings }, uniforms };
}
const fatesNow = ({ view: seen, uniforms }, count) => (scripted
  ? atOnce(IN_SCRIPT.fates({ view: seen, uniforms, width: count, height: count }))
  : fates(shaders, seen, count, count, uniforms));

// Maps as they were last drawn. Shaders draw at once, as finely as there is time for; a script
// draws in a thread of its own, and what it has drawn before stays until then.
const drawn = { map: {}, stability: {} };
function drawFates(id, job, fine) {
  if (scripted) return inThread(id, job, [COARSE, FINE[id]]);
  const key = keyOf(job);
  const { took = 10 } = drawn[id];
  const most = COARSE * Math.sqrt(PATIENCE / took);
  const count = fine ? Math.round(Math.min(Math.max(most, COARSE), FINE[id])) : COARSE;
  if (drawn[id].key === key && drawn[id].count >= count) return;
  const began = performance.now();
  drawn[id] = { took, key, count, picture: fatesNow(job, count) };
  if (!fine) drawn[id].took = Math.max(performance.now() - began, 1);
}
// What a map depends on: not on the two settings that are its axes.
function keyOf({ kind, view: { objective: o, optimizer, settings: axes, box: seen, axes: shown, fixed, dim }, uniforms = {} }) {
  const numbers = uniforms.n?.map((x, i) => (axes?.includes(i) ? 0 : x));
  const place = axes || dim > 2 ? [fixed, uniforms.q] : 0;
  return JSON.stringify([kind, o.key, optimizer?.key, axes, seen, uniforms.box, shown, place, numbers, uniforms.i_steps]);
}
function inThread(id, job, sides) {
  const key = keyOf(job);
  if (drawn[id].key === key) return;
  const kept = drawn[id].kind === job.kind ? drawn[id].picture : null;
  drawn[id] = { key, kind: job.kind, picture: kept, waiting: true };
  once(`painter ${id}`, () => new Painter(CORE)).paint({ ...job, sides }, (picture, last) => {
    Object.assign(drawn[id], { picture, waiting: !last });
    if (id === "map") drawMap(true);
    else drawStability(true);
    told("fine");
  });
}

function drawMap(fine) {
  const { context, width, height, scale } = sized("map");
  const v = view();
  legend([]);
  if (v.dim === 1) return drawLine(context, v, width, height, scale);
  if (state.map === "basins" && state.optimizers.length) {
    drawFates("map", fatesAsked(null, v.box), fine);
    const { picture } = drawn.map;
    context.imageSmoothingEnabled = false;
    if (picture) copy(painted(picture, CATALOGUE.classes), context);
    if (picture) legend(shares(picture));
  } else if (scripted) {
    inThread("map", { kind: "contours", view: v }, [80, 300]);
    context.imageSmoothingEnabled = true;
    if (drawn.map.picture) copy(inLevels(drawn.map.picture), context);
  } else {
    const kept = once("contours", () => document.createElement("canvas"));
    const key = `${keyOf({ kind: "contours", view: v })} ${width} ${height}`;
    if (kept.key !== key) {
      contours(shaders, v, width, height);
      Object.assign(kept, { width, height, key });
      shaders.copyTo(kept.getContext("2d"), width, height);
    }
    context.drawImage(kept, 0, 0);
  }
  drawOver(context, v, width, height, scale);
}
const fateName = (fate) => ({ 250: "still moving", 251: "at rest elsewhere", 252: "diverged", 253: "not finite" })[fate]
  ?? `at (${objective().minima[fate].map((x) => +x.toPrecision(3)).join(", ")})`;
const fateColour = (fate) => ({ 250: "#e2e2e2", 251: "#969696", 252: "#222222", 253: "#5a1414" })[fate]
  ?? CATALOGUE.classes[fate % CATALOGUE.classes.length];
// The shares of a basin map, or what the hands can do on any other.
function legend(found) {
  if (!found.length) {
    $("shares").textContent = "click or drag: start · wheel or two fingers: zoom · Shift and drag: move · ☆ minimum";
    return;
  }
  $("shares").replaceChildren(...found.slice(0, 6).map(({ fate, share }) => {
    const one = document.createElement("span");
    one.append(swatch(fateColour(fate)), `${(100 * share).toFixed(1)} % ${fateName(fate)}`);
    return one;
  }));
}
const swatch = (colour) => Object.assign(document.createElement("span"), { className: "swatch", style: `background:${colour}` });

// Round numbers from low to high, four or so, and how each is written.
function roundNumbers(low, high, most = 5) {
  const rough = (high - low) / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * size).find((x) => x >= rough);
  return range(most + 2).map((k) => (Math.ceil(low / step) + k) * step).filter((x) => x <= high).map((x) => [x, +x.toPrecision(6)]);
}
// Numbers along the lower and the left edge, legible on any ground.
function ticks(context, scale, width, height, across_, up, names) {
  context.font = `${12 * scale}px system-ui, sans-serif`;
  context.lineWidth = 3 * scale;
  context.lineJoin = "round";
  const write = (text, x, y) => {
    context.strokeStyle = "rgba(255,255,255,.8)";
    context.strokeText(text, x, y);
    context.fillStyle = "#111";
    context.fillText(text, x, y);
  };
  context.textAlign = "center";
  const free = width - context.measureText(names[0]).width - 24 * scale;
  for (const [x, text] of across_) if (x > 30 * scale && x < free) write(text, x, height - 5 * scale);
  context.textAlign = "left";
  for (const [y, text] of up) if (y > 24 * scale && y < height - 22 * scale) write(text, 4 * scale, y + 4 * scale);
  write(names[1], 4 * scale, 14 * scale);
  context.textAlign = "right";
  write(names[0], width - 4 * scale, height - 5 * scale);
}
const variable = (i) => objective().variables[i] ?? `x${i + 1}`;

const across = (v, width, height) => [(x) => ((x - v.box[0]) / (v.box[2] - v.box[0])) * width, (y) => height - ((y - v.box[1]) / (v.box[3] - v.box[1])) * height];
function drawOver(context, v, width, height, scale) {
  const [px, py] = across(v, width, height);
  const [i, j] = v.axes;
  const size = v.dim + 2;
  context.lineJoin = "round";
  if (state.arrows) drawArrows(context, v, px, py, width, height, scale);
  const [x0, y0, x1, y1] = v.box;
  ticks(context, scale, width, height, roundNumbers(x0, x1).map(([x, text]) => [px(x), text]), roundNumbers(y0, y1).map(([y, text]) => [py(y), text]), [variable(i), variable(j)]);
  for (const { rows, single, colour } of descents) {
    const along = (all) => {
      context.beginPath();
      let [lastX, lastY] = [NaN, NaN];
      for (let k = 0; k <= shownStep(); k++) {
        const [x, y] = [px(all[k * size + i]), py(all[k * size + j])];
        if (Math.abs(x - lastX) + Math.abs(y - lastY) < 0.5) continue; // not to be seen
        context.lineTo(x, y);
        [lastX, lastY] = [x, y];
      }
      context.stroke();
    };
    for (const [line, ink] of [[4.5, "rgba(255,255,255,.85)"], [2.2, colour]]) {
      context.strokeStyle = context.fillStyle = ink;
      context.lineWidth = line * scale;
      along(rows);
    }
    if (single) {
      context.strokeStyle = "#000";
      context.setLineDash([3 * scale, 4 * scale]);
      along(single);
      context.setLineDash([]);
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
  ticks(context, scale, width, height, roundNumbers(v.box[0], v.box[2]).map(([x, text]) => [px(x), text]), roundNumbers(low, high).map(([y, text]) => [py(y), text]), [variable(0), "value"]);
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
  const least = o.fmin === null ? 0 : 1e-17; // the lowest seen itself has no logarithm
  const logs = descents.map(({ rows }) => range(state.steps + 1).map((k) => Math.log10(Math.max(rows[k * size + dim] - floor, least))));
  const seen = logs.flat().filter(Number.isFinite);
  const low = Math.max(Math.floor(Math.min(...seen)), -16);
  const first = Math.max(...logs.map((ys) => ys[0]).filter(Number.isFinite));
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
  context.imageSmoothingEnabled = false;
  drawFates("stability", fatesAsked(axes, shownBox), fine);
  if (drawn.stability.picture) copy(painted(drawn.stability.picture, CATALOGUE.classes), context);
  const px = (rate) => ((Math.log(rate) - shownBox[0]) / (shownBox[2] - shownBox[0])) * width;
  const py = (share) => height * (1 - share / shownBox[3]);
  const decades = range(30).map((k) => k - 20).map((k) => [px(10 ** k), `1e${k}`]);
  const upward = axes[1] < 0 ? [] : [0.2, 0.4, 0.6, 0.8].map((share) => [py(share), share]);
  ticks(context, scale, width, height, decades, upward, [readable(names[axes[0]]), axes[1] < 0 ? "" : readable(names[axes[1]])]);
  const known = descents[0] && theory(0);
  $("stability-title").textContent = `where ${readable(state.optimizers[0].name)} ends from this start${known ? "; line: the limit in theory" : ""}`;
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
  $("readout").tBodies[0].replaceChildren(...descents.map(({ rows, colour, name, fate, parted }) => {
    const k = shownStep();
    const row = document.createElement("tr");
    const slope = rows[k * size + dim + 1];
    const cells = [readable(name), `(${range(dim).map((i) => number(rows[k * size + i])).join(", ")})`, number(rows[k * size + dim]), Number.isFinite(slope) ? +slope.toPrecision(2) : String(slope), k < fate.step ? "" : fateOf(fate, rows)];
    if (parted !== undefined) cells[4] += parted < 0 ? "; float32 agrees" : `; float32 parts at step ${parted}`;
    for (const text of cells) row.append(Object.assign(document.createElement("td"), { textContent: text }));
    row.firstChild.prepend(swatch(colour));
    return row;
  }));
  $("at").max = state.steps;
  $("at").value = shownStep();
  $("shown").textContent = `step ${shownStep()} of ${state.steps}`;
}

let asked = 0;
let later = 0;
function touch() {
  document.body.dataset.painted = "asked";
  asked ||= requestAnimationFrame(() => {
    asked = 0;
    paint(false);
    clearTimeout(later);
    later = setTimeout(() => {
      later = 0;
      paint(true);
    }, 180);
  });
}
function paint(fine) {
  const began = performance.now();
  if (!fine) descend();
  drawMap(fine);
  if (!fine) drawSurface(), drawCurve(), drawReadout(), remember();
  drawStability(fine);
  told(fine ? "fine" : "coarse", performance.now() - began);
}
// How far the picture is, for whoever waits for it.
function told(how, took = 0) {
  const waiting = drawn.map.waiting || drawn.stability.waiting || later;
  document.body.dataset.painted = `${waiting ? "coarse" : how} ${took.toFixed(1)}`;
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
    const select = Object.assign(document.createElement("select"), { ariaLabel: side ? "axis upwards" : "axis to the right" });
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
    legend.append(swatch(colourOf(i)), select);
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
  $("absent").hidden = !Object.keys(CATALOGUE.missing).length;
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
  $("absent").append(...Object.entries(CATALOGUE.missing).map(([name, why]) =>
    Object.assign(document.createElement("p"), { textContent: `${readable(name)}: ${why}` })));
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
  const zoom = (factor, centre) => {
    const [x0, y0, x1, y1] = state.box ?? whole();
    const { x, y } = centre ?? { x: (x0 + x1) / 2, y: (y0 + y1) / 2 };
    show([x + (x0 - x) * factor, y + (y0 - y) * factor, x + (x1 - x) * factor, y + (y1 - y) * factor]);
  };
  const pan = (dx, dy, [x0, y0, x1, y1] = state.box ?? whole()) => show([x0 + dx, y0 + dy, x1 + dx, y1 + dy]);
  const show = (wanted) => {
    const [across_, up] = [wanted[2] - wanted[0], wanted[3] - wanted[1]];
    const far = Math.max(...wanted.map(Math.abs));
    if (!(Math.min(across_, up) > 1e-9 * far && far < 1e9)) return; // nothing to be seen there
    state.box = wanted;
    touch();
  };
  let held = null; // where the view was taken hold of
  const fingers = new Map();
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    if (event.button === 2 || event.shiftKey) held = { ...placeOf(event), box: state.box ?? whole() };
    else if (fingers.size < 2) start(placeOf(event));
  };
  canvas.onpointermove = (event) => {
    if (!event.buttons) return;
    if (fingers.size > 1) {
      const before = spread();
      fingers.set(event.pointerId, event);
      return zoom(before / Math.max(spread(), 1), placeOf(event));
    }
    if (!held) return start(placeOf(event));
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const [x0, y0, x1, y1] = held.box;
    pan(held.x - (x0 + ((x1 - x0) * (event.clientX - left)) / width), held.y - (y1 - ((y1 - y0) * (event.clientY - top)) / height), held.box);
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => {
    fingers.delete(event.pointerId);
    held = null;
  };
  canvas.oncontextmenu = (event) => event.preventDefault();
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(1.0015 ** event.deltaY, placeOf(event));
  }, { passive: false });
  $("closer").onclick = () => zoom(0.7);
  $("farther").onclick = () => zoom(1 / 0.7);
  canvas.onkeydown = (event) => {
    if (event.key === "0") choose({ box: null });
    if ("+-=".includes(event.key)) zoom(event.key === "-" ? 1 / 0.9 : 0.9);
    const by = arrow(event);
    if (!by) return;
    const [x0, y0, x1, y1] = state.box ?? whole();
    const [dx, dy] = [(by[0] * (x1 - x0)) / 100, (by[1] * (y1 - y0)) / 100];
    const [i, j] = state.axes;
    if (event.shiftKey) pan(5 * dx, 5 * dy);
    else start({ x: state.start[i] + dx, y: (state.start[j] ?? 0) + dy });
  };
  const turn = (x, y) => {
    state.azimuth -= x;
    state.elevation = Math.min(Math.max(state.elevation + y, 0.1), 1.5);
    drawSurface();
  };
  $("surface").onpointerdown = (event) => $("surface").setPointerCapture(event.pointerId);
  $("surface").onpointermove = (event) => event.buttons && turn(event.movementX / 120, event.movementY / 120);
  $("surface").onkeydown = (event) => {
    const by = arrow(event);
    if (by) turn(by[0] / 12, -by[1] / 12);
  };
}
// Which way an arrow key points.
function arrow(event) {
  const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
  if (by) event.preventDefault();
  return by;
}
function settingsHands() {
  const canvas = $("stability");
  // The settings at shares of the width and height.
  const set = (...place) => {
    const axes = settings();
    const names = Object.keys(state.optimizers[0].numbers);
    const [u, w] = place.map((x) => Math.min(Math.max(x, 0), 1));
    const shownBox = box();
    const { numbers } = state.optimizers[0];
    numbers[names[axes[0]]] = +Math.exp(shownBox[0] + (shownBox[2] - shownBox[0]) * u).toPrecision(4);
    if (axes[1] >= 0) numbers[names[axes[1]]] = +(shownBox[3] * w).toPrecision(4);
    choose({ optimizers: state.optimizers });
  };
  const pointed = (event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    set((event.clientX - left) / width, 1 - (event.clientY - top) / height);
  };
  canvas.onpointerdown = (event) => (canvas.setPointerCapture(event.pointerId), pointed(event));
  canvas.onpointermove = (event) => event.buttons && pointed(event);
  canvas.onkeydown = (event) => {
    const by = arrow(event);
    if (!by) return;
    const axes = settings();
    const numbers = Object.values(state.optimizers[0].numbers);
    const shownBox = box();
    const u = (Math.log(numbers[axes[0]]) - shownBox[0]) / (shownBox[2] - shownBox[0]);
    set(u + by[0] / 100, (axes[1] < 0 ? 0 : numbers[axes[1]] / shownBox[3]) + by[1] / 100);
  };
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
const KEPT = ["objective", "formula", "start", "steps", "optimizers", "map", "dtype", "axes", "box", "arrows"];
const link = () => `#${encodeURIComponent(JSON.stringify(Object.fromEntries(KEPT.map((key) => [key, state[key]]))))}`;
function remember() {
  try {
    history.replaceState(null, "", link());
  } catch { /* a page inside another document has no address of its own */ }
}
// What the address says, if all of it makes sense here.
function recall() {
  try {
    const found = JSON.parse(decodeURIComponent(location.hash.slice(1)));
    const finite = (list, count) => list.length === count && list.every(Number.isFinite);
    const dim = found.formula ? formula(found.formula).variables.length : ours.get(found.objective).domain.length;
    const sensible = found.optimizers.length <= 4
      && found.optimizers.every(({ name, numbers }) => finite(Object.values(numbers), Object.keys(steppers.get(name).numbers).length)
        && Object.keys(numbers).every((key) => key in steppers.get(name).numbers))
      && finite(found.start, dim)
      && found.steps >= 1 && found.steps <= LONGEST && found.steps % 1 === 0
      && ["contours", "basins"].includes(found.map) && ["float64", "float32", BOTH].includes(found.dtype)
      && finite(found.axes, Math.min(dim, 2)) && found.axes.every((i) => i in found.start) && new Set(found.axes).size === found.axes.length
      && (found.box === null || (finite(found.box, 4) && found.box[0] < found.box[2] && found.box[1] < found.box[3]));
    return sensible ? Object.fromEntries(KEPT.map((key) => [key, found[key] ?? state[key]])) : null;
  } catch {
    return null;
  }
}
const dtype = () => (state.dtype === BOTH ? "float64" : state.dtype);
const unknown = (o) => !state.formula && o.family === "yours";
function inPython() {
  const o = objective();
  const f = state.formula ? `gdjax.objectives.get("formula", expression=${JSON.stringify(state.formula)})`
    : unknown(o) ? `...  # your objective ${o.name}` : `gdjax.objectives.get("${o.name}")`;
  const lines = state.optimizers.flatMap(({ name, numbers }, i) => {
    const given = Object.entries(numbers).map(([key, x]) => `, ${key}=${x}`).join("");
    const made = steppers.get(name).known ? `gdjax.optimizers.get("${name}"${given})` : `...  # your optimizer ${name}${given}`;
    return [`optimizer = ${made}`, `path${i + 1} = gdjax.descend(f, optimizer, start=[${state.start.join(", ")}], steps=${state.steps}, dtype="${dtype()}")`];
  });
  return `import gdjax\n\nf = ${f}\n${lines.join("\n")}\n`;
}
function asCommand() {
  const { name, numbers } = state.optimizers[0];
  const { learning_rate: rate, ...others } = numbers;
  const usual = steppers.get(name).numbers;
  const changed = Object.entries(others).filter(([key, x]) => x !== usual[key]).map(([key, x]) => ` optimizer.${key}=${x}`).join("");
  const of = state.formula ? `objective=formula objective.expression="${state.formula}"`
    : unknown(objective()) ? "fn=my_file.py:f domain=[[-5,5],[-5,5]]" : `objective=${state.objective}`;
  return `gdjax run ${of} optimizer=${name}${rate === undefined ? "" : ` learning_rate=${rate}`}${changed} start=[${state.start}] steps=${state.steps} dtype=${dtype()}`;
}
function asTable() {
  const o = objective();
  const names = o.variables.length === dimension() ? o.variables : range(dimension()).map((i) => `x${i + 1}`);
  const lines = descents.flatMap(({ rows, name }) => range(state.steps + 1).map((k) => [name, k, ...rows.subarray(k * (dimension() + 2), (k + 1) * (dimension() + 2))].join()));
  return `optimizer,step,${names.join()},value,gradient_norm\n${lines.join("\n")}\n`;
}
// The paths as lines over a picture of the ground; of one variable, the curve and the steps on it.
function asDrawing() {
  const v = view();
  const size = v.dim + 2;
  const { value } = evaluator(v.objective, v.dim);
  const columns = v.dim > 1 ? v.axes : [0, 1];
  const curve = v.dim > 1 ? [] : range(300).map((k) => v.box[0] + ((v.box[2] - v.box[0]) * k) / 299).map((x) => [x, value([x])]);
  const heights = curve.map(([, y]) => y).filter(Number.isFinite);
  const framed = v.dim > 1 ? v.box : [v.box[0], Math.min(...heights), v.box[2], Math.max(...heights)];
  const [px, py] = across({ box: framed }, 600, 600);
  const line = (points, ink) => `<polyline fill="none" stroke="${ink}" stroke-width="2" points="${points.filter((p) => p.every(Number.isFinite)).map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(" ")}"/>`;
  const paths = descents.map(({ rows, colour }) => line(range(state.steps + 1).map((k) => columns.map((i) => rows[k * size + i])), colour));
  const ground = v.dim > 1 ? `<image width="600" height="600" href="${groundOf(v).toDataURL()}"/>` : line(curve, "#000");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 600">${ground}${paths.join("")}</svg>`;
}
function groundOf(v) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 600, height: 600 });
  const context = canvas.getContext("2d");
  if (scripted) copy(inLevels(atOnce(IN_SCRIPT.contours({ view: v, width: 300, height: 300 }))), context);
  else {
    contours(shaders, v, 600, 600);
    shaders.copyTo(context, 600, 600);
  }
  return canvas;
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
  paint: () => paint(false),
  classes: (count) => fatesNow(fatesAsked(null, view().box), count).became,
  look(azimuth, elevation, start = state.start) {
    Object.assign(state, { azimuth, elevation });
    choose({ start });
  },
};

hands();
const remembered = recall();
const first = CATALOGUE.objectives[0];
const front = CATALOGUE.front.slice(0, 4);
if (remembered) choose(remembered);
else if (first.name === "qfsp" && !front.length) apply(PRESETS["The trap"]);
else {
  choose({ optimizers: (front.length ? front : ["gradient_descent"]).map(plain), start: [...first.start] });
  if (!front.length) state.optimizers.forEach(calm);
  buildOptimizers();
}
