// The surface over two axes, which turns, with the paths on it.
import { GROUND, raise, shade } from "./maps.js";
import { evaluator, range, shaderCalls } from "./program.js";

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

const placedIn = (dim, axes) => range(dim).map((i) =>
  `float p${i}=${i === axes[0] ? "at.x" : i === axes[1] ? "at.y" : `q[${i}]`};`).join("");

function surface(shaders, view, width, height, look, paths) {
  const { gl } = shaders;
  const { objective, dim, axes } = view;
  const camera_ = camera(look.azimuth, look.elevation, width / height);
  const values = { box: view.box, q: view.fixed, lift: view.lift, camera: camera_ };
  const ground = shaders.program(`surface ${objective.key} ${axes}`,
    `${GROUND}in float t;in float light;out vec4 colour;void main(){float line=t*18.;float edge=abs(fract(line-.5)-.5)/max(fwidth(line),1e-6);
colour=vec4(ground(t)*light*mix(.72,1.,smoothstep(.3,1.3,edge)),1);}`,
    `${GROUND}${shaderCalls(objective, dim)}uniform vec4 box;uniform float q[${dim}];uniform mat4 camera;out float t;out float light;
float at_(vec2 s){vec2 at=mix(box.xy,box.zw,s);${placedIn(dim, axes)}float r=raised(value(${range(dim).map((i) => `p${i}`).join()}));return abs(r)<1e30?clamp(r,-.1,1.15):1.15;}
void main(){int square=gl_VertexID/6;int corner=int[6](0,1,2,2,1,3)[gl_VertexID%6];
vec2 s=vec2(square%${GRID}+(corner&1),square/${GRID}+(corner>>1))/${GRID}.;t=at_(s);float e=1./${GRID}.;
vec3 normal=normalize(vec3((t-at_(s+vec2(e,0)))/e,(t-at_(s+vec2(0,e)))/e,2.));light=.62+.38*max(0.,dot(normal,normalize(vec3(-.5,.4,1.))));
gl_Position=camera*vec4(s*2.-1.,t,1);}`);
  gl.enable(gl.DEPTH_TEST);
  gl.enable(gl.SCISSOR_TEST);
  shaders.use(ground, width, height, values);
  gl.scissor(0, 0, width, height);
  gl.clearColor(...look.background, 1);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.disable(gl.SCISSOR_TEST);
  gl.drawArrays(gl.TRIANGLES, 0, 6 * GRID * GRID);
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
  for (let k = 1; k < points.length; k++) {
    for (const side of corners) data.push(...points[k - 1], ...points[k], ...side);
  }
  if (!data.length) return;
  shaders.use(made, width, height, { ...values, size: [width, height], ink: colour });
  shaders.buffer ??= gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, shaders.buffer);
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(data), gl.STREAM_DRAW);
  [["from", 3, 0], ["to", 3, 12], ["side", 2, 24]].forEach(([name, size, offset]) => {
    const at = gl.getAttribLocation(made.program, name);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, gl.FLOAT, false, 32, offset);
  });
  gl.drawArrays(gl.TRIANGLES, 0, data.length / 8);
  range(3).forEach((at) => gl.disableVertexAttribArray(at));
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
