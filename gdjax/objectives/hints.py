"""What to write in a formula instead of what it cannot hold."""

import ast
import keyword
import re

from gdjax.objectives.functions import EVERY, FUNCTIONS, SPELLINGS
from gdjax.objectives.sums import HOW, SUMS

ALLOWED = (
    "numbers, names, + - * / **, pi, e, sums and products over an index, and the functions "
    f"{', '.join(FUNCTIONS)}"
)
_PIECEWISE = "write piecewise(x < 2, a, b) for a where x < 2, and b elsewhere"
INSTEAD: dict[type, str] = {
    ast.BitXor: "write ** for powers, not ^",
    ast.Attribute: "write sin(x), not np.sin(x): nothing has parts",
    ast.BitOr: "write abs(x), not |x|; between conditions, write or",
    ast.BitAnd: "write and between conditions",
    ast.Invert: "write not before a condition",
    ast.Subscript: f"write x1, x2, … for components, not x[0], x[1]; in a sum, {HOW['sum']}",
    ast.Compare: f"{_PIECEWISE}, or heaviside(x)",
    ast.BoolOp: _PIECEWISE,
    ast.Not: _PIECEWISE,
    ast.IfExp: _PIECEWISE,
    ast.Mod: "write mod(x, 2) for x % 2",
    ast.FloorDiv: "write floor(x/y) for x // y",
    ast.MatMult: "write x1*y1 + x2*y2 + … for products of vectors",
    ast.GeneratorExp: HOW["sum"],
    ast.ListComp: HOW["sum"],
    ast.Starred: HOW["sum"],
    ast.NamedExpr: "write the whole in one formula",
}  # fmt: skip
CONDITION = "a condition compares, such as x < 2, 0 <= x < 1 or x < 0 or y > 1"

# What other languages and textbooks call functions, and what to write instead.
CALLED: dict[str, str] = {
    **dict.fromkeys(("Gamma", "Γ", "tgamma", "gammafn"), "gamma(x)"),
    **dict.fromkeys(("factorial", "fac", "fact"), "gamma(x + 1)"),
    **dict.fromkeys(("logistic", "expit", "σ", "Sigmoid", "logit_inverse"), "sigmoid(x)"),
    "logit": "log(x/(1 - x))",
    **dict.fromkeys(("relu", "ReLU", "ramp", "positive"), "max(x, 0)"),
    **dict.fromkeys(("leaky_relu", "lrelu"), "max(x, 0.01*x)"),
    "relu6": "min(max(x, 0), 6)",
    "elu": "max(x, 0) + expm1(min(x, 0))",
    **dict.fromkeys(("softplus", "SoftPlus"), "max(x, 0) + log1p(exp(-abs(x)))"),
    "log_sigmoid": "min(x, 0) - log1p(exp(-abs(x)))",
    "softsign": "x/(1 + abs(x))",
    **dict.fromkeys(("silu", "swish"), "x*sigmoid(x)"),
    "gelu": "x*(1 + erf(x/sqrt(2)))/2",
    "logaddexp": "max(x, y) + log1p(exp(-abs(x - y)))",
    **dict.fromkeys(("norm_cdf", "ndtr", "Phi"), "(1 + erf(x/sqrt(2)))/2"),
    "sec": "1/cos(x)",
    **dict.fromkeys(("csc", "cosec"), "1/sin(x)"),
    **dict.fromkeys(("cot", "cotan", "ctg", "cotg"), "1/tan(x)"),
    "sech": "1/cosh(x)",
    "csch": "1/sinh(x)",
    "coth": "1/tanh(x)",
    **dict.fromkeys(("asec", "arcsec"), "acos(1/x)"),
    **dict.fromkeys(("acsc", "arccsc"), "asin(1/x)"),
    **dict.fromkeys(("acot", "arccot"), "atan(1/x)"),
    **dict.fromkeys(("asech", "arcsech"), "acosh(1/x)"),
    **dict.fromkeys(("acsch", "arccsch"), "asinh(1/x)"),
    **dict.fromkeys(("acoth", "arccoth"), "atanh(1/x)"),
    "tg": "tan(x)",
    **dict.fromkeys(("arctg", "atg"), "atan(x)"),
    "sh": "sinh(x)",
    "ch": "cosh(x)",
    "th": "tanh(x)",
    "sinc": "piecewise(x == 0, 1, sin(x)/x)",
    "sind": "sin(pi*x/180)",
    "cosd": "cos(pi*x/180)",
    "tand": "tan(pi*x/180)",
    **dict.fromkeys(("rad", "radians", "deg2rad"), "pi*x/180"),
    **dict.fromkeys(("deg", "degrees", "rad2deg"), "180*x/pi"),
    **dict.fromkeys(("fabs", "Abs", "absolute", "mod_abs"), "abs(x)"),
    **dict.fromkeys(("maximum", "fmax", "Max", "amax"), "max(x, y)"),
    **dict.fromkeys(("minimum", "fmin", "Min", "amin"), "min(x, y)"),
    **dict.fromkeys(("clip", "clamp"), "min(max(x, a), b)"),
    **dict.fromkeys(("pow", "power", "Pow"), "x**y"),
    **dict.fromkeys(("square", "sqr", "sq"), "x**2"),
    "cube": "x**3",
    **dict.fromkeys(("reciprocal", "inv"), "1/x"),
    "rsqrt": "1/sqrt(x)",
    **dict.fromkeys(("root", "nthroot"), "x**(1/n)"),
    "exp2": "2**x",
    "exp10": "10**x",
    **dict.fromkeys(("Exp", "EXP"), "exp(x)"),
    "lg": "log10(x), or log2(x)",
    **dict.fromkeys(("lb", "ld"), "log2(x)"),
    "logb": "log(x)/log(b)",
    **dict.fromkeys(("round", "rint", "nint"), "floor(x + 0.5)"),
    **dict.fromkeys(("trunc", "fix", "int"), "sign(x)*floor(abs(x))"),
    **dict.fromkeys(("frac", "fract"), "mod(x, 1)"),
    **dict.fromkeys(("remainder", "fmod", "rem", "modulo", "Mod"), "mod(x, y)"),
    "floor_divide": "floor(x/y)",
    **dict.fromkeys(("step", "Heaviside", "theta", "Theta", "θ", "unit_step"), "heaviside(x)"),
    **dict.fromkeys(("where", "select", "cond", "iif", "If", "Piecewise", "cases", "ifelse"),
                    "piecewise(x < 2, a, b)"),
    "boxcar": "piecewise(0 <= x < 1, 1, 0)",
    **dict.fromkeys(("Sum", "SUM", "Σ", "nsum", "summation"), "sum(x[i]**2, i, 1, 10)"),
    **dict.fromkeys(("Product", "prod", "Prod", "Π", "nprod"), "product(x[i], i, 1, 10)"),
    **dict.fromkeys(("mean", "average", "avg"), "sum(x[i], i, 1, 10)/10"),
    **dict.fromkeys(("norm", "length", "magnitude"), "hypot(x, y)"),
    **dict.fromkeys(("dot", "inner"), "sum(x[i]*y[i], i, 1, 10)"),
    **dict.fromkeys(("beta", "Beta"), "gamma(x)*gamma(y)/gamma(x + y)"),
    **dict.fromkeys(("binomial", "comb", "choose", "nCr"),
                    "gamma(n + 1)/(gamma(k + 1)*gamma(n - k + 1))"),
    **dict.fromkeys(("Erf", "ERF"), "erf(x)"),
    "atan2d": "180*atan2(y, x)/pi",
}  # fmt: skip


def of_call(name: str, count: int) -> str:
    """What to write instead of a call; empty if nobody knows."""
    if name in CALLED:
        return f"write {CALLED[name]}"
    if name in SUMS:
        return HOW[name]
    if name == "log" and count == 2:
        return "write log(x)/log(b) for a logarithm to the base b"
    if name == "atan" and count == 2:
        return "write atan2(y, x)"
    return ""


def of_text(text: str) -> str:
    """What to write instead of something that Python cannot read; empty if nobody knows."""
    if found := re.search(r"√\s*\(?", text):
        return "write sqrt(x), not √x"
    if found := re.search(r"[∛∑∏∫∂∇∞°‖⌊⌈]", text):
        return f"{found[0]} is not allowed; {_SIGNS[found[0]]}"
    if re.search(r"&&|\|\|", text):
        return "write and, or between conditions"
    if re.search(r"(?<![=<>!])=(?!=)", text):
        return "write what stands right of the = alone"
    if re.search(r"!(?!=)", text):
        return "write gamma(n + 1) for n!, and not for the opposite of a condition"
    if "?" in text:
        return _PIECEWISE
    if "|" in text:
        return "write abs(x), not |x|"
    if found := re.search(r"([A-Za-z_]\w*)\s*\*\*\s*\(?\s*(-?\d+)\s*\)?\s*\(?\s*[A-Za-z]", text):
        name, power = found[1], found[2]
        if SPELLINGS.get(name, name) in FUNCTIONS:
            return f"write {name}(x)**{power}, not {name}**{power} x"
    for word in re.findall(r"[A-Za-z_]\w*", text):
        if word in ("if", "else"):
            return _PIECEWISE
        if keyword.iskeyword(word) and word not in ("and", "or", "not"):
            return f"{word} is a word of Python's: take another name, such as {word[:3]}"
    if found := re.search(r"(?<![\w.])(\d+\.?\d*)\s*([A-Za-z_]\w*)", text):
        return f"write {found[1]}*{found[2]}, not {found[0]}"
    if re.search(r"[\w)]\s+\w", text) is None and text.count("(") != text.count(")"):
        kind = "closing" if text.count("(") > text.count(")") else "opening"
        return f"its {kind} parenthesis is missing"
    if found := re.search(r"(\w+|\))\s+(\w+)|(\))\s*(\w+)", text):
        before, after = found[1] or found[3], found[2] or found[4]
        if SPELLINGS.get(before, before) in FUNCTIONS:
            return f"write {before}({after}), not {found[0]}"
        return f"an operator is missing before {after}"
    return ""


_SIGNS = {
    "∛": "write cbrt(x)", "∑": HOW["sum"], "∏": HOW["product"],
    "∫": "there are no integrals", "∂": "derivatives are taken for you",
    "∇": "derivatives are taken for you", "∞": "write a finite number",
    "°": "write pi*x/180", "‖": "write hypot(x, y)", "⌊": "write floor(x)", "⌈": "write ceil(x)",
}  # fmt: skip


def of_name(name: str, text: str) -> str:
    """What to write for a function that stands without its argument."""
    row = EVERY[name]
    if re.search(rf"\b{name}\s*\*\*", text):
        return f"write {name}(x)**2 for a power of it"
    return f"write {name}({', '.join('xyz'[: max(row.least, 1)])})"
