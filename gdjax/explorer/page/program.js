// Programs: what Python wrote as text, as functions of JavaScript and as shaders.

const SAME = "sin cos tan exp log atan asin acos sinh cosh asinh acosh atanh tanh expm1 log1p cbrt sqrt atan2 pow"
  .split(" ");
// What the text calls, in double precision and with each result rounded to single precision.
const double = SAME.map((name) => `${name}=Math.${name}`).join();
const rounded = SAME.map((name) => `${name}=(x,y)=>R(Math.${name}(x,y))`).join();
const shared = `{sign,abs,floor,ceil,min,max,imul}=Math,single=Math.fround,INF=Infinity,NAN=NaN,float=Number,
int=Math.trunc,power=pow,remainder=(x,y)=>x%y,exp2=x=>pow(2,x),rsqrt=x=>R(1/sqrt(x)),
logistic=x=>R(1/R(1+exp(-x))),roundEven=x=>{const r=Math.round(x);return Math.abs(x%1)===.5&&r%2?r-1:r},
series=x=>{let t=x,s=x;for(let n=1;n<200&&abs(t)>1e-17*abs(s);n++){t*=-x*x/n;s+=t/(2*n+1)}return s*1.1283791670955126},
tail=x=>{let f=0;for(let n=60;n>0;n--)f=n/2/(x+f);return Math.exp(-x*x)/(x+f)*.5641895835477563},
erf=x=>R(abs(x)<2.5?series(x):sign(x)*(1-tail(abs(x)))),erfc=x=>R(x<2.5?1-erf(x):tail(x)),
lgamma=x=>{let shift=0;for(;x<12;x++)shift+=Math.log(abs(x));const i=1/(x*x);
return R((x-.5)*Math.log(x)-x+.9189385332046728+(1/12-i*(1/360-i*(1/1260-i/1680)))/x-shift)};`;
const HEADS = { float64: `const R=x=>x,${double},${shared}`, float32: `const R=Math.fround,${rounded},${shared}` };

export const SHADER_HEAD = `#version 300 es
precision highp float;precision highp int;
#define INF uintBitsToFloat(0x7f800000u)
#define NAN uintBitsToFloat(0x7fc00000u)
#define single(x) (x)
#define rsqrt inversesqrt
float power(float x,float y){if(y==0.)return 1.;if(x==0.)return y>0.?0.:INF;float r=pow(abs(x),y);return x<0.&&abs(mod(y,2.))==1.?-r:r;}
float power(float x,int y){return power(x,float(y));}
float hyperbolic(float x){return abs(x)>9.?sign(x):tanh(x);}
#define tanh hyperbolic
float remainder(float x,float y){return x-y*trunc(x/y);}
float atan2(float y,float x){return x==0.&&y==0.?0.:atan(y,x);}
float logistic(float x){return 1./(1.+exp(-x));}
float cbrt(float x){return x==0.?0.:sign(x)*pow(abs(x),1./3.);}
float expm1(float x){return abs(x)<.01?x*(1.+x*(.5+x/6.)):exp(x)-1.;}
float log1p(float x){return abs(x)<.01?x*(1.-x*(.5-x/3.)):log(1.+x);}
float erf(float x){float t=1./(1.+.3275911*abs(x));return sign(x)*(1.-t*(.254829592+t*(-.284496736+t*(1.421413741+t*(-1.453152027+t*1.061405429))))*exp(-x*x));}
float erfc(float x){return 1.-erf(x);}
float lgamma(float x){float s=0.;for(int k=0;k<12;k++){if(x>=12.)break;s+=log(abs(x));x+=1.;}return (x-.5)*log(x)-x+.9189385+1./(12.*x)-s;}
int imul(int x,int y){return x*y;}
`;

// Declarations for a shader: the first letters of a name tell its type.
export const forShader = (text) =>
  text
    .replace(/\b(?:const|let) (?=(?:(i_|b_)\w)?)/g, (_, kind) => ({ i_: "int ", b_: "bool " })[kind] ?? "float ")
    .replace(/(?<![\w.])(?:\d+\.?\d*|\.\d+)e[-+]?\d+/g, (number) => {
      const near = Math.fround(+number);
      return near === Infinity ? "INF" : near === 0 ? "0." : number;
    });

// Single precision: numbers and every operation are rounded, and each operation has parentheses.
const forSingle = (text) =>
  text
    .replace(/(?<![\w.])(?:\d+\.\d*|\.\d+|\d+(?=e))(?:e[-+]?\d+)?/g, (number) => String(Math.fround(+number)))
    .replace(/(^|[^\w])\(/g, "$1R(");

export const range = (count) => Array.from({ length: count }, (_, i) => i);
const results = (program, names) => names.map((name, i) => `${name}=${program[1 + i]};`).join("");
const zero = (name) => (name.startsWith("b_") ? "false" : name.startsWith("i_") ? "0" : "0.");

// What an optimizer calls that evaluates the objective by itself.
function calls(objective, dim, declare) {
  const given = range(dim).map((i) => `p${i}`);
  const all = { value: objective.value, ...Object.fromEntries(range(dim).map((i) =>
    [`slope${i}`, [objective.slope[0], objective.slope[2 + i]]])) };
  return Object.entries(all).map(([name, [body, result]]) => declare(name, given, `${body}return ${result};`)).join("");
}
const declareInShader = (name, given, body) =>
  `float ${name}(${given.map((p) => `float ${p}`).join()}){${forShader(body)}}`;
export const shaderCalls = (objective, dim) => calls(objective, dim, declareInShader);

// A descent of p0, p1, … by the numbers n0, n1, …, as text; `each` stands before every step, and
// `fixed` is what is done when a step leads nowhere, as all later ones will.
export function descent(objective, optimizer, dim, each, fixed = "") {
  const point = range(dim).map((i) => `p${i}`);
  const slope = ["f0", ...range(dim).map((i) => `g${i}`)];
  const moved = [...point, ...optimizer.state];
  const next = moved.map((name, i) => name.replace(/[ps]\d+$/, `t${i}`));
  return `${[...slope, ...optimizer.state].map((name) => `let ${name}=${zero(name)};`).join("")}
{${optimizer.init[0]}${results(optimizer.init, optimizer.state)}}
for(let i_k=0;i_k<=i_steps;i_k++){
{${objective.slope[0]}${results(objective.slope, slope)}}
${each}
{${optimizer.step[0]}${next.map((name, i) => `const ${name}=${optimizer.step[1 + i]};`).join("")}
${fixed && `if(${moved.map((name, i) => `${name}==${next[i]}`).join("&&")})${fixed}`}
${moved.map((name, i) => `${name}=${next[i]};`).join("")}}}`;
}

// A function from its source. A script of its own is allowed where `eval` is not.
let build = (args, body) => {
  const script = document.createElement("script");
  script.textContent = `globalThis.built=(${args})=>{${body}}`;
  document.head.append(script);
  script.remove();
  return globalThis.built;
};
export const buildWith = (other) => (build = other);

const made = new Map();
export function once(key, make) {
  if (!made.has(key)) made.set(key, make());
  return made.get(key);
}

// (point) → value, and (point, out) → value with the gradient in out; [arguments, body] of each.
const evaluatorSource = (objective, dim) => {
  const given = range(dim).map((i) => `const p${i}=p[${i}];`).join("");
  const fill = range(dim).map((i) => `out[${i}]=${objective.slope[2 + i]};`).join("");
  return {
    value: ["p", `${HEADS.float64}${given}${objective.value[0]}return ${objective.value[1]};`],
    slope: ["p,out", `${HEADS.float64}${given}${objective.slope[0]}${fill}return ${objective.slope[1]};`],
  };
};
export const evaluator = (objective, dim) => once(`f${objective.key}`, () => {
  const { value, slope } = evaluatorSource(objective, dim);
  return { value: build(...value), slope: build(...slope) };
});

// (start, numbers, steps, out): rows of the point, its value and the length of its gradient.
function pathSource(objective, optimizer, dim, dtype) {
  const width = dim + 2;
  const text = dtype === "float32" ? forSingle : (same) => same;
  const square = range(dim).map((i) => `g${i}*g${i}`).join("+");
  const row = [...range(dim).map((i) => `p${i}`), "f0", `Math.sqrt(${square})`];
  const put = row.map((told, i) => `out[m+${i}]=${told};`).join("");
  const rounded = dtype === "float32" ? "Math.fround" : "";
  const each = `${put}m+=${width};if(i_k==i_steps)return;`;
  const rewritten = Object.fromEntries(Object.entries({ slope: objective.slope, value: objective.value })
    .map(([key, parts]) => [key, parts.map(text)]));
  const stepping = { ...optimizer, init: optimizer.init.map(text), step: optimizer.step.map(text) };
  const functions = calls(rewritten, dim, (name, given, body) => `const ${name}=(${given})=>{${body}};`);
  const whole = optimizer.step.some((part) => /\b(value|slope\d+)\(/.test(part));
  return ["p,n,i_steps,out", `${HEADS[dtype]}${whole ? functions : ""}
${range(dim).map((i) => `let p${i}=${rounded}(p[${i}]);`).join("")}
${optimizer.names.map((_, i) => `const n${i}=${rounded}(n[${i}]);`).join("")}let m=0;
${descent(rewritten, stepping, dim, each)}`];
}
export const path = (objective, optimizer, dim, dtype) =>
  once(`p${objective.key}|${optimizer.key}|${dtype}`, () => build(...pathSource(objective, optimizer, dim, dtype)));

// A script in which `build` finds every function of an objective and an optimizer ready made.
export function readyMade(objective, optimizer, dim) {
  const sources = [...Object.values(evaluatorSource(objective, dim))];
  if (optimizer) sources.push(pathSource(objective, optimizer, dim, "float64"));
  return `const READY=new Map([${sources.map(([args, body]) => `[${JSON.stringify(args + body)},(${args})=>{${body}}]`)}]);
build=(args,body)=>READY.get(args+body);`;
}

// One step alone: (point, state, numbers, value, gradient) → the next point before the next state.
export const stepper = (optimizer) => {
  const given = (names, letter) => names.map((name, i) => `const ${name}=${letter}[${i}];`).join("");
  const count = optimizer.step.length - 1 - optimizer.state.length;
  const [point, slope] = ["p", "g"].map((letter) => range(count).map((i) => `${letter}${i}`));
  return build("p,s,n,f0,g", `${HEADS.float64}${given(point, "p")}${given(optimizer.state, "s")}${given(slope, "g")}
${optimizer.names.map((_, i) => `const n${i}=n[${i}];`).join("")}${optimizer.step[0]}return [${optimizer.step.slice(1)}];`);
};
