// The surface over two axes, which turns, with the paths on it.
import { GROUND, raise, shade } from "./maps.js";
import { evaluator, once, range } from "./program.js";

const GRID = 140; // squares a side
const HEIGHT = 1.15;

// Seen from azimuth and elevation, the box [-1, 1]² × [0, 1] in view.
function camera(azimuth, elevation, aspect) {
  const [ca, sa, ce, se] = [Math.cos(azimuth), Math.sin(azimuth), Math.cos(elevation), Math.sin(elevation)];
  const s = 0.8;
  const [x, y] = aspect > 1 ? [s / aspect, s] : [s, s * aspect];
  return new Float32Array([x * ca, y * sa * se, 0.3 * sa * ce, 0, -x * sa, y * ca * se, 0.3 * ca * ce, 0,
    0, y * ce * HEIGHT, -0.3 * se, 0, 0, -y * ce * HEIGHT * 0.7, 0, 1]);
}

// Heights over the squares' corners, and how light each is, once for a view.
let built = {};
function grid({ objective, dim, axes, box, fixed, lift }) {
  const key = JSON.stringify([objective.key, axes, box, lift, dim > 2 && fixed]);
  if (built.key === key) return built;
  const { value } = evaluator(objective, dim);
  const side = GRID + 1;
  const p = [...fixed];
  const heights = Float32Array.from({ length: side * side }, (_, k) => {
    p[axes[0]] = box[0] + ((box[2] - box[0]) * (k % side)) / GRID;
    p[axes[1]] = box[1] + ((box[3] - box[1]) * Math.floor(k / side)) / GRID;
    const t = raise(lift, value(p));
    return Number.isFinite(t) ? Math.min(Math.max(t, -0.1), 1.15) : 1.15;
  });
  const light = heights.map((t, k) => {
    const [dx, dy] = [1, side].map((by) => (t - (heights[k + by] ?? heights[k - by])) * GRID);
    return 0.62 + (0.38 * Math.max(0, -0.5 * dx + 0.4 * dy + 2)) / (Math.hypot(dx, dy, 2) * Math.hypot(0.5, 0.4, 1));
  });
  built = { key, heights, light, fresh: true };
  return built;
}
const SQUARES = once("squares", () => Uint16Array.from({ length: 6 * GRID * GRID }, (_, k) => {
  const [square, corner] = [Math.floor(k / 6), [0, 1, 2, 2, 1, 3][k % 6]];
  return (Math.floor(square / GRID) + (corner >> 1)) * (GRID + 1) + (square % GRID) + (corner & 1);
}));

function surface(shaders, view, width, height, look, paths) {
  const { gl } = shaders;
  const values = { camera: camera(look.azimuth, look.elevation, width / height), lift: view.lift };
  const ground = shaders.program("surface", `${GROUND}in float t;in float shine;out vec4 colour;void main(){float line=t*18.;
float edge=abs(fract(line-.5)-.5)/max(fwidth(line),1e-6);colour=vec4(ground(t)*shine*mix(.72,1.,smoothstep(.3,1.3,edge)),1);}`,
    `in float height;in float light;uniform mat4 camera;out float t;out float shine;
void main(){t=height;shine=light;vec2 s=vec2(gl_VertexID%${GRID + 1},gl_VertexID/${GRID + 1})/${GRID}.;
gl_Position=camera*vec4(s*2.-1.,t,1);}`);
  const shape = grid(view);
  gl.enable(gl.DEPTH_TEST);
  gl.enable(gl.SCISSOR_TEST);
  shaders.use(ground, width, height, values);
  gl.scissor(0, 0, width, height);
  gl.clearColor(...look.background, 1);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.disable(gl.SCISSOR_TEST);
  shaders.squares ??= shaders.put(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer(), SQUARES);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, shaders.squares);
  shaders.ground ??= { heights: gl.createBuffer(), light: gl.createBuffer() };
  for (const [name, of] of [["heights", "height"], ["light", "light"]]) {
    gl.bindBuffer(gl.ARRAY_BUFFER, shaders.ground[name]);
    if (shape.fresh) gl.bufferData(gl.ARRAY_BUFFER, shape[name], gl.STATIC_DRAW);
    shaders.attribute(ground, of, 1, 0, 0);
  }
  shape.fresh = false;
  gl.drawElements(gl.TRIANGLES, SQUARES.length, gl.UNSIGNED_SHORT, 0);
  shaders.release();
  for (const path of paths) ribbon(shaders, values, path, width, height);
}

// A line of a few pixels: two triangles a segment, a little nearer than the ground it lies on.
function ribbon(shaders, values, { points, colour }, width, height) {
  const { gl } = shaders;
  const made = shaders.program("ribbon", "uniform vec3 ink;out vec4 colour;void main(){colour=vec4(ink,1);}",
    `in vec3 from;in vec3 to;in vec2 side;uniform mat4 camera;uniform vec2 size;
void main(){vec4 a=camera*vec4(from,1);vec4 b=camera*vec4(to,1);vec2 along=(b.xy-a.xy)*size;
along=length(along)>1e-6?normalize(along):vec2(1,0);vec4 here=side.x>0.?b:a;
gl_Position=vec4(here.xy+(vec2(-along.y,along.x)*side.y+along*(side.x*2.-1.)*.5)*3./size,here.z-.012,1);}`);
  const corners = [[0, -1], [0, 1], [1, -1], [1, -1], [0, 1], [1, 1]];
  const data = [];
  let last = points[0];
  for (const here of points) {
    if (here.every((x, i) => Math.abs(x - last[i]) < 2e-3)) continue; // not to be seen
    for (const side of corners) data.push(...last, ...here, ...side);
    last = here;
  }
  if (!data.length) return;
  shaders.use(made, width, height, { ...values, size: [width, height], ink: colour });
  shaders.lines ??= gl.createBuffer();
  shaders.put(gl.ARRAY_BUFFER, shaders.lines, new Float32Array(data));
  for (const [name, size, offset] of [["from", 3, 0], ["to", 3, 12], ["side", 2, 24]]) shaders.attribute(made, name, size, 32, offset);
  gl.drawArrays(gl.TRIANGLES, 0, data.length / 8);
  shaders.release();
}

// Where a point of the landscape stands in the box of the surface.
function standing(view, p, z) {
  const [x0, y0, x1, y1] = view.box;
  const unit = (x, low, high) => (2 * (x - low)) / (high - low) - 1;
  const t = raise(view.lift, z);
  return [unit(p[view.axes[0]], x0, x1), unit(p[view.axes[1]], y0, y1), Math.min(Math.max(t, -0.1), 1.15)];
}

// Without shaders: squares from the farthest to the nearest, and the paths over them.
function surfaceInScript(context, view, look, paths) {
  const { width, height } = context.canvas;
  const { value } = evaluator(view.objective, view.dim);
  const turned = camera(look.azimuth, look.elevation, width / height);
  const seen = ([x, y, z]) => range(3).map((i) => turned[i] * x + turned[4 + i] * y + turned[8 + i] * z + turned[12 + i]);
  const onto = ([x, y]) => [((x + 1) / 2) * width, ((1 - y) / 2) * height];
  const count = 40;
  const [x0, y0, x1, y1] = view.box;
  const nodes = range((count + 1) ** 2).map((k) => {
    const p = [...view.fixed];
    p[view.axes[0]] = x0 + ((x1 - x0) * (k % (count + 1))) / count;
    p[view.axes[1]] = y0 + ((y1 - y0) * Math.floor(k / (count + 1))) / count;
    return standing(view, p, value(p));
  });
  const squares = range(count * count).map((k) => {
    const at = Math.floor(k / count) * (count + 1) + (k % count);
    const corners = [at, at + 1, at + count + 2, at + count + 1].map((i) => nodes[i]);
    return { corners, depth: Math.max(...corners.map((c) => seen(c)[2])), t: corners.reduce((sum, c) => sum + c[2] / 4, 0) };
  });
  squares.sort((a, b) => b.depth - a.depth);
  context.clearRect(0, 0, width, height);
  for (const { corners, t } of squares) {
    context.fillStyle = context.strokeStyle = `rgb(${shade(t).map(Math.round)})`;
    context.beginPath();
    corners.forEach((corner) => context.lineTo(...onto(seen(corner))));
    context.fill();
    context.stroke();
  }
  for (const { points, ink } of paths) {
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.beginPath();
    points.forEach((p) => context.lineTo(...onto(seen(p))));
    context.stroke();
  }
}

export { standing, surface, surfaceInScript };
