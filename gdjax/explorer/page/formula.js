// Formulas: the grammar of gdjax's objectives, with the gradient by reverse mode, as the same text.

const CONSTANTS = new Map([["pi", Math.PI], ["e", Math.E]]);
// What each function is in the text, and its derivative; a is the argument, r the result.
const ONE = new Map(Object.entries({
  abs: ["abs", (a) => `sign(${a})`],
  sqrt: ["sqrt", (a, r) => `(.5/${r})`],
  exp: ["exp", (a, r) => r],
  log: ["log", (a) => `(1./${a})`],
  expm1: ["expm1", (a, r) => `(${r}+1.)`],
  log1p: ["log1p", (a) => `(1./(1.+${a}))`],
  cbrt: ["cbrt", (a, r) => `(${r}==0.?0.:(1./(3.*(${r}*${r}))))`],
  sigmoid: ["logistic", (a, r) => `(${r}*(1.-${r}))`],
  erf: ["erf", (a) => `(1.1283791670955126*exp((-(${a}*${a}))))`],
  erfc: ["erfc", (a) => `((-1.1283791670955126)*exp((-(${a}*${a}))))`],
  sign: ["sign", () => ""],
  floor: ["floor", () => ""],
  ceil: ["ceil", () => ""],
  sin: ["sin", (a) => `cos(${a})`],
  cos: ["cos", (a) => `(-sin(${a}))`],
  tan: ["tan", (a, r) => `(1.+(${r}*${r}))`],
  asin: ["asin", (a) => `(1./sqrt((1.-(${a}*${a}))))`],
  acos: ["acos", (a) => `((-1.)/sqrt((1.-(${a}*${a}))))`],
  atan: ["atan", (a) => `(1./(1.+(${a}*${a})))`],
  sinh: ["sinh", (a) => `cosh(${a})`],
  cosh: ["cosh", (a) => `sinh(${a})`],
  tanh: ["tanh", (a, r) => `(1.-(${r}*${r}))`],
  asinh: ["asinh", (a) => `(1./sqrt((1.+(${a}*${a}))))`],
  acosh: ["acosh", (a) => `(1./sqrt(((${a}*${a})-1.)))`],
  atanh: ["atanh", (a) => `(1./(1.-(${a}*${a})))`],
}));
// What is made of others: its arguments as nodes of a tape → a node.
const times = (tape, a, factor) => tape.put("*", a, tape.put("number", factor));
const MADE = new Map(Object.entries({
  log2: (tape, a) => times(tape, tape.put("log", a), Math.LOG2E),
  log10: (tape, a) => times(tape, tape.put("log", a), Math.LOG10E),
  heaviside: (tape, a) => times(tape, tape.put("+", tape.put("sign", a), tape.put("number", 1)), 0.5),
  mod: (tape, a, b) => tape.put("-", a, tape.put("*", b, tape.put("floor", tape.put("/", a, b)))),
  hypot: (tape, ...all) => tape.put("length", all.map((a) => tape.put("*", a, a)).reduce((a, b) => tape.put("+", a, b))),
}));
const length = ["sqrt", (a, r) => `(${r}==0.?0.:(.5/${r}))`]; // a root that is 0 has the slope 0
// How many arguments, where that is not one; Infinity for any number from two on.
const COUNT = new Map(Object.entries({ max: Infinity, min: Infinity, hypot: Infinity, atan2: 2, mod: 2 }));
const KNOWN = new Set([...ONE.keys(), ...MADE.keys(), ...COUNT.keys()]);
const SPELLINGS = new Map(Object.entries({
  ln: "log", sgn: "sign", signum: "sign", ceiling: "ceil", arctan2: "atan2",
  ...Object.fromEntries(["asin", "acos", "atan", "asinh", "acosh", "atanh"].map((name) => [`arc${name.slice(1)}`, name])),
  ...Object.fromEntries(["asinh", "acosh", "atanh"].map((name) => [`ar${name.slice(1)}`, name])),
}));
const ELSEWHERE = new Set(["gamma", "lgamma", "gammaln", "loggamma", "piecewise", "sum", "product"]);
const LARGEST = { power: 100, size: 500, depth: 60 };

class FormulaError extends Error {}
const refuse = (message) => {
  throw new FormulaError(message);
};

function tokens(text) {
  const found = [];
  const pattern = /\s*(?:((?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|([A-Za-z_]\w*)|(\*\*|[-+*/(),]))/y;
  while (pattern.lastIndex < text.trimEnd().length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) {
      const sign = text.slice(at).trim()[0];
      refuse(sign === "^" ? "write ** for powers, not ^" : `${sign} at column ${at + 1} is not allowed`);
    }
    const [, number, name, symbol] = match;
    found.push({ number, name, symbol, column: at + 1 });
  }
  return found;
}

// The syntax tree: ["number", v], ["name", n], [operator, a, b], ["neg", a] or ["call", f, …].
function parse(text) {
  const list = tokens(text);
  if (!list.length) refuse("type a formula of x and y, such as x**2 + 10*y**2");
  let at = 0;
  let depth = 0;
  const is = (...symbols) => symbols.includes(list[at]?.symbol);
  const expect = (symbol) => {
    if (!is(symbol)) refuse(`${symbol} is missing at ${list[at] ? `column ${list[at].column}` : "the end"}`);
    at++;
  };
  const nested = (inside) => {
    if (++depth > LARGEST.depth) refuse(`nested more than ${LARGEST.depth} levels deep`);
    const tree = inside();
    depth--;
    return tree;
  };
  const chain = (symbols, next) => () => {
    let left = next();
    while (is(...symbols)) left = [list[at++].symbol, left, next()];
    return left;
  };
  const unary = () => {
    if (is("-")) return at++, ["neg", nested(unary)];
    if (is("+")) return at++, nested(unary);
    const base = atom();
    return is("**") ? (at++, ["**", base, nested(unary)]) : base;
  };
  const sum = chain(["+", "-"], chain(["*", "/"], unary));
  function atom() {
    const token = list[at++];
    if (!token) refuse("the formula ends too early");
    if (token.number !== undefined) return ["number", +token.number];
    if (token.symbol === "(") {
      const inner = nested(sum);
      expect(")");
      return inner;
    }
    if (token.symbol) refuse(`${token.symbol} at column ${token.column} has nothing before it`);
    const { name: typed } = token;
    const name = is("(") ? SPELLINGS.get(typed) ?? typed : typed;
    const known = KNOWN.has(name);
    if (!is("(")) {
      if (known) refuse(`${name} is a function: write ${name}(x)`);
      return CONSTANTS.has(name) ? ["number", CONSTANTS.get(name)] : ["name", name];
    }
    if (ELSEWHERE.has(name)) refuse(`${name} is not in this box: hand the formula over from Python`);
    if (!known) refuse(`unknown function ${name}`);
    at++;
    const given = [nested(sum)];
    while (is(",")) at++, given.push(nested(sum));
    expect(")");
    const count = COUNT.get(name) ?? 1;
    const told = count === 1 ? "1 argument" : count === 2 ? "2 arguments" : "at least 2 arguments";
    if (count === Infinity ? given.length < 2 : given.length !== count) refuse(`${name} takes ${told}, got ${given.length}`);
    return ["call", name, ...given];
  }
  const tree = sum();
  if (at < list.length) refuse(`column ${list[at].column}: an operator is missing before ${list[at].name ?? list[at].number ?? list[at].symbol}`);
  return tree;
}

const literal = (value) => {
  const told = String(Math.abs(value));
  const dotted = /[.e]/.test(told) ? told : `${told}.`;
  return value < 0 ? `(-${dotted})` : dotted;
};

// Nodes in the order in which they can be computed; equal ones are one.
class Tape {
  nodes = [];
  #known = new Map();

  put(op, ...args) {
    const key = [op, ...args].join();
    if (!this.#known.has(key)) {
      if (this.nodes.length > 4 * LARGEST.size) refuse("the formula is too long");
      this.#known.set(key, this.nodes.push([op, ...args]) - 1);
    }
    return this.#known.get(key);
  }

  read(tree, variables) {
    const [op, ...rest] = tree;
    if (op === "number") return this.put("number", rest[0]);
    if (op === "name") return this.put("input", variables.indexOf(rest[0]));
    if (op === "**") return this.power(rest, variables);
    if (op !== "call") return this.put(op, ...rest.map((part) => this.read(part, variables)));
    const [name, ...given] = rest;
    const args = given.map((part) => this.read(part, variables));
    if (MADE.has(name)) return MADE.get(name)(this, ...args);
    return args.slice(1).reduce((a, b) => this.put(name, a, b), args.length > 1 ? args[0] : this.put(name, args[0]));
  }

  power([base, exponent], variables) {
    const sign = exponent[0] === "neg" ? -1 : 1;
    const inner = sign < 0 ? exponent[1] : exponent;
    const a = this.read(base, variables);
    if (inner[0] === "number" && inner[1] > LARGEST.power) refuse(`the power ${inner[1]} is too large, at most ${LARGEST.power}`);
    if (inner[0] !== "number" || inner[1] % 1) return this.put("power", a, this.read(exponent, variables));
    let result = this.put("number", 1);
    for (let square = a, left = inner[1]; left; left >>= 1) {
      if (left & 1) result = this.nodes[result][0] === "number" ? square : this.put("*", result, square);
      if (left > 1) square = this.put("*", square, square);
    }
    return sign < 0 ? this.put("/", this.put("number", 1), result) : result;
  }
}

const names = (tree) => (tree[0] === "name" ? [tree[1]] : tree.slice(1).filter(Array.isArray).flatMap(names));
const size = (tree) => 1 + tree.filter(Array.isArray).reduce((sum, part) => sum + size(part), 0);
const natural = (a, b) => a.localeCompare(b, "en", { numeric: true });

// {variables, value, slope}: programs as Python writes them.
function formula(text) {
  const tree = parse(text);
  if (size(tree) > LARGEST.size) refuse(`a formula in this box may hold ${LARGEST.size} names, numbers and operations`);
  const variables = [...new Set(names(tree))].sort(natural);
  if (!variables.length) refuse("the formula must depend on a variable, such as x");
  if (variables.length > 8) refuse(`at most 8 variables, got ${variables.length}`);
  const tape = new Tape();
  const root = tape.read(tree, variables);
  const { nodes } = tape;
  const call = (k) => {
    const [op, ...args] = nodes[k];
    if (op === "number") return literal(args[0]);
    if (op === "input") return `p${args[0]}`;
    return `r${k}`;
  };
  const lines = nodes.map(([op, ...args], k) => {
    if (op === "number" || op === "input") return "";
    const told = args.map(call);
    const right = op === "neg" ? `(-${told[0]})` : /^\w/.test(op) ? `${(op === "length" ? length : ONE.get(op))?.[0] ?? op}(${told})` : `(${told[0]}${op}${told[1]})`;
    return `const r${k}=${right};`;
  });
  return { variables, value: [lines.join(""), call(root)], ...gradient(nodes, root, lines, call, variables) };
}

// Each node adds to the adjoints of its arguments, the last one first.
function gradient(nodes, root, lines, call, variables) {
  const adjoints = nodes.map(() => []);
  adjoints[root].push("1.");
  const back = [];
  for (let k = nodes.length - 1; k >= 0; k--) {
    const [op, ...args] = nodes[k];
    if (!adjoints[k].length || op === "number") continue;
    back.push(`const d${k}=${adjoints[k].reduce((sum, part) => `(${sum}+${part})`)};`);
    if (op !== "input") partials(op, args.map(call), call(k), nodes[args[1]]?.[0] === "number")
      .forEach((part, i) => part && adjoints[args[i]].push(`(d${k}*${part})`));
  }
  const slope = variables.map((_, i) => {
    const k = nodes.findIndex(([op, at]) => op === "input" && at === i);
    return k >= 0 && adjoints[k].length ? `d${k}` : "0.";
  });
  return { slope: [lines.join("") + back.join(""), call(root), ...slope] };
}

function partials(op, [a, b], r, fixed) {
  const chosen = (sign) => [`(${a}${sign}${b}?1.:(${a}==${b}?.5:0.))`, `(${b}${sign}${a}?1.:(${a}==${b}?.5:0.))`];
  switch (op) {
    case "+": return ["1.", "1."];
    case "-": return ["1.", "(-1.)"];
    case "*": return [b, a];
    case "/": return [`(1./${b})`, `(-(${r}/${b}))`];
    case "neg": return ["(-1.)"];
    case "power": return [`(${b}*power(${a},(${b}-1.)))`, fixed ? "" : `(${r}*log(${a}))`];
    case "max": return chosen(">");
    case "min": return chosen("<");
    case "atan2": return [`(${b}/((${a}*${a})+(${b}*${b})))`, `(-(${a}/((${a}*${a})+(${b}*${b}))))`];
    case "length": return [length[1](a, r)];
    default: return [ONE.get(op)[1](a, r)];
  }
}

export { formula, FormulaError };
