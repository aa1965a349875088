"""A reader of printed formulas: LaTeX, as a title has it, back into a formula as it is typed."""

import re

_TOKEN = re.compile(
    r"\\left\\[lr](?:floor|ceil)|\\right\\[lr](?:floor|ceil)|\\left\\\{|\\right\\\}|\\left\||\\right\|"
    r"|\\left|\\right|\\operatorname\{\w+\}|\\mathrm\{\w+\}|\\[A-Za-z]+|\\[ ,;]|\d+(?:\.\d+)?|\S"
)
_PLAIN = {"\\left", "\\right", "\\ ", "\\,"}
_GREEK = {"\\Gamma": "gamma", "\\sigma": "sigmoid", "\\psi": "digamma", "\\theta": "heaviside"}
_BETWEEN = {"\\left|": ("abs", "\\right|"), "\\left\\lfloor": ("floor", "\\right\\rfloor"),
            "\\left\\lceil": ("ceil", "\\right\\rceil")}  # fmt: skip
_SIGNS = {"\\leq": "<=", "\\geq": ">=", "\\neq": "!=", "=": "==", "<": "<", ">": ">",
          "\\wedge": " and ", "\\vee": " or "}  # fmt: skip
_FUNCTIONS = re.compile(r"\\(?:operatorname\{\w+\}|sin|cos|tan|sinh|cosh|tanh|log|max|min)$")


class _Reader:
    def __init__(self, text):
        self.left = [t for t in _TOKEN.findall(text) if t not in _PLAIN]

    def peek(self):
        return self.left[0] if self.left else ""

    def take(self, *expected):
        assert not expected or self.peek() in expected, (expected, self.left[:9])
        return self.left.pop(0)

    def sum(self):
        told = "-" * (self.peek() == "-" and bool(self.take())) + self.term()
        while self.peek() in ("+", "-"):
            told += self.take() + self.term()
        if self.peek() in _SIGNS:  # of a condition
            told += _SIGNS[self.take()] + self.sum()
        return told

    def term(self):
        factors = [self.factor()]
        while self.peek() not in ("", "+", "-", ")", "}", "]", ",", ";", "\\;", *_SIGNS) and not (
            self.peek().startswith(("\\right", "\\mathrm"))
        ):
            if self.peek() == "\\cdot":
                self.take()
            factors.append(self.factor())
        return "*".join(factors)

    def group(self):
        self.take("{")
        told = self.sum()
        self.take("}")
        return f"({told})"

    def power(self):
        if self.peek() != "^":
            return ""
        self.take()
        return "**" + (self.group() if self.peek() == "{" else self.take())

    def factor(self):
        told = self.base()
        return told + self.power()

    def base(self):
        token = self.take()
        if token == "\\frac":
            return f"({self.group()}/{self.group()})"
        if token == "\\neg":
            return f"(not {self.factor()})"
        if token == "\\sqrt":
            if self.peek() != "[":
                return f"sqrt{self.group()}"
            self.take()
            root = self.sum()
            self.take("]")
            inside = self.group()
            return f"cbrt{inside}" if root == "3" else f"{inside}**(1/{root})"
        if token == "\\left\\{":
            return self.cases()
        if token in _BETWEEN:
            name, end = _BETWEEN[token]
            told = self.sum()
            self.take(end)
            return f"{name}({told})"
        if token in _GREEK or _FUNCTIONS.match(token):
            return self.call(_GREEK.get(token) or re.findall(r"\w+", token)[-1])
        if token in "({":
            told = self.sum()
            self.take({"(": ")", "{": "}"}[token])
            return f"({told})"
        name = token.lstrip("\\")
        return name + (self.group().strip("()") if self.peek() == "_" and self.take() else "")

    def call(self, name):
        if name == "atan" and self.peek() == "_":
            self.take()
            name += self.group()[1:-1]
        power = self.power()
        if name == "log" and self.peek() == "\\left|":  # of the gamma function
            self.take()
            inside = self.base()
            self.take("\\right|")
            return f"l{inside}"
        opened = self.take("{", "(")
        if opened == "{":
            self.take("(")
        args = [self.sum()]
        while self.peek() == ",":
            self.take()
            args.append(self.sum())
        self.take(")")
        if opened == "{":
            self.take("}")
        return f"{name}({', '.join(args)}){power}"

    def cases(self):
        told = []
        while True:
            value = self.sum()
            if self.take("\\mathrm{if}", "\\mathrm{otherwise}") == "\\mathrm{otherwise}":
                self.take("\\right\\}")
                return f"piecewise({', '.join([*told, value])})"
            told += [self.sum(), value]
            self.take("\\;", ";")
            if self.peek() == "\\;":
                self.take()


def typed(latex):
    """The formula of a printed one.

    Example:
        >>> typed(r"\\frac{x^{2}}{2} + 3 \\sin{\\left(x \\right)}")
        '((x**(2))/(2))+3*sin(x)'
    """
    reader = _Reader(latex)
    told = reader.sum()
    assert not reader.left, reader.left
    return told
