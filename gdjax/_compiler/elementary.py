"""Elementary functions from additions, products and bit patterns, so that a kernel vectorises them.

Each reduces its argument and evaluates a polynomial (Chebyshev interpolation in 50 digits on the
reduced interval). What a polynomial cannot serve is left aside for the few lanes that need it: the
sine of a large float32 goes by way of float64, that of a large float64 and the rarer functions go
to the C library, as XLA's do on a CPU.

Errors in float32, against double precision: sin and cos 1e-7 absolute up to ``reach`` and half a
unit in the last place beyond; exp, log, tanh, atan and pow 2 units. NaN and infinities come out as
in IEEE 754; the sine of −0 is 0.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gdjax._compiler.operations import OPERATIONS
from gdjax._compiler.program import Program, Scalar


class Numbers(NamedTuple):
    """What one precision needs.

    Args:
        magic: adding it rounds to a whole number, whose low bits are then those of the sum.
        half_pi, ln2: the constants as sums of floats, largest first.
        sine, cosine, exponential, logarithm: coefficients, lowest power first.
        mantissa, bias: bits of the mantissa, and of the exponent the offset.
        reach: the largest argument whose sine the polynomial serves.
    """

    magic: float
    half_pi: tuple[float, float, float]
    ln2: tuple[float, float]
    sine: tuple[float, ...]
    cosine: tuple[float, ...]
    exponential: tuple[float, ...]
    logarithm: tuple[float, ...]
    mantissa: int
    bias: int
    reach: float


_SINGLE = Numbers(
    magic=1.5 * 2**23,
    half_pi=(1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    ln2=(0.6931471824645996, -1.9046542121259336e-09),
    sine=(-0.16666666663373741, 0.008333331691203202, -0.000198399895773847,
          2.7237577241177232e-06),
    cosine=(0.041666666663919334, -0.0013888887518862508, 2.4800519285940304e-05,
            -2.729065239797453e-07),
    exponential=(0.5000000014286223, 0.16666666682534356, 0.04166645680967788,
                 0.008333310024225292, 0.0013934541928270264, 0.0001989198131397769),
    logarithm=(0.6666666654988318, 0.40000125594554364, 0.28550396959618013, 0.23341943388714562),
    mantissa=23, bias=127, reach=1e4,
)  # fmt: skip
_DOUBLE = Numbers(
    magic=1.5 * 2**52,
    half_pi=(1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
    ln2=(0.6931471805599453, 2.3190468138462996e-17),
    sine=(-0.16666666666666666, 0.008333333333333331, -0.0001984126984126402,
          2.7557319218542833e-06, -2.5052105961377e-08, 1.605848950955874e-10,
          -7.584263996034166e-13),
    cosine=(0.041666666666666664, -0.0013888888888888887, 2.4801587301584066e-05,
            -2.755731922096008e-07, 2.087675564036913e-09, -1.1470437475266499e-11,
            4.7445191096480046e-14),
    exponential=(0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333325544,
                 0.0013888888888883327, 0.00019841269876864356, 2.4801587327007187e-05,
                 2.755725283351691e-06, 2.75572718102198e-07, 2.5106274733573296e-08,
                 2.0915442297780116e-09),
    logarithm=(0.6666666666666666, 0.4000000000000094, 0.2857142857076445, 0.2222222240054776,
               0.181817947008978, 0.15386290534658992, 0.13267418596474884, 0.1310072138350349),
    mantissa=52, bias=1023, reach=1e9,
)  # fmt: skip


def _numbers(x: Scalar) -> tuple[Numbers, Callable, np.dtype]:
    """The constants of a scalar's precision, its type, and the integer of the same width."""
    if x.dtype == np.float64:
        return _DOUBLE, np.float64, np.dtype(np.int64)
    return _SINGLE, np.float32, np.dtype(np.int32)


def _polynomial(p: Program, x: Scalar, coefficients: tuple[float, ...]) -> Scalar:
    """Horner's rule with fused multiply-adds."""
    *lower, result = map(x.dtype.type, coefficients)
    for coefficient in reversed(lower):
        result = p.emit("fma", result, x, coefficient)
    return result


def _library(name: str) -> Callable[..., Scalar]:
    """A function of the C library, lane by lane."""

    def make(p: Program, *args: Scalar) -> Scalar:
        return p.emit(f"libm:{name}", np.True_, *args, dtype=args[0].dtype)

    return make


def _whole(p: Program, x: Scalar, scale: float) -> tuple[Scalar, Scalar]:
    """The whole number nearest to x · scale, as a float and in the low bits of an integer."""
    numbers, kind, integer = _numbers(x)
    shifted = p.emit("fma", x, kind(scale), kind(numbers.magic))
    return p.emit("sub", shifted, kind(numbers.magic)), p.emit("bitcast", shifted, dtype=integer)


def _trigonometric(p: Program, x: Scalar, name: str) -> Scalar:
    """Sin or cos: x − nπ/2 by three fused subtractions, then the polynomial of the quadrant."""
    numbers, kind, integer = _numbers(x)
    n, quadrant = _whole(p, x, 2 / np.pi)
    rest = x
    for part in numbers.half_pi:
        rest = p.emit("fma", n, kind(-part), rest)
    square = p.emit("mul", rest, rest)
    sine = p.emit("mul", p.emit("mul", square, rest), _polynomial(p, square, numbers.sine))
    sine = p.emit("add", sine, rest)
    cosine = p.emit("fma", square, kind(-0.5), kind(1))
    tail = p.emit("mul", p.emit("mul", square, square), _polynomial(p, square, numbers.cosine))
    cosine = p.emit("add", cosine, tail)
    if name == "cos":
        quadrant = p.emit("add", quadrant, integer.type(1))
    odd = p.emit("ne", p.emit("and", quadrant, 1), 0)
    # cos x = sin(x + π/2): the quadrant is one further, the reduced argument the same
    near = p.emit("select", odd, cosine, sine)
    flip = p.emit("shl", p.emit("and", quadrant, 2), 8 * integer.itemsize - 2)
    bits = p.emit("xor", p.emit("bitcast", near, dtype=integer), flip)
    near = p.emit("bitcast", bits, dtype=x.dtype)
    far = p.emit("gt", p.emit("abs", x), kind(numbers.reach))
    aside = "wide" if x.dtype == np.float32 else "libm"
    return p.emit("select", far, p.emit(f"{aside}:{name}", far, x, dtype=x.dtype), near)


def in_double(name: str) -> Program:
    """Sin or cos of a float32 by way of float64, which rounds once."""
    p = Program()
    x = p.emit("convert", p.input(np.float32), dtype=np.float64)
    p.outputs.append(p.emit("convert", _trigonometric(p, x, name), dtype=np.float32))
    return p


def tan(p: Program, x: Scalar) -> Scalar:
    """The tangent."""
    return p.emit("div", _trigonometric(p, x, "sin"), _trigonometric(p, x, "cos"))


def exp(p: Program, x: Scalar) -> Scalar:
    """The exponential: 2ⁿ eʳ with |r| ≤ ln 2 / 2, the power of two in two factors."""
    numbers, kind, integer = _numbers(x)
    edges = numbers.bias + 2, -numbers.bias - numbers.mantissa - 2  # beyond them infinity and 0
    high, low = (kind(b * np.log(2.0)) for b in edges)
    x = p.emit("select", p.emit("gt", x, high), high, x)
    x = p.emit("select", p.emit("lt", x, low), low, x)
    n, bits = _whole(p, x, 1 / np.log(2))
    rest = x
    for part in numbers.ln2:
        rest = p.emit("fma", n, kind(-part), rest)
    square = p.emit("mul", rest, rest)
    value = p.emit("fma", square, _polynomial(p, rest, numbers.exponential), rest)
    value = p.emit("add", value, kind(1))
    power = p.emit("sub", bits, kind(numbers.magic).view(integer))
    half = p.emit("ashr", power, 1)
    for exponent in (half, p.emit("sub", power, half)):
        shifted = p.emit("shl", p.emit("add", exponent, numbers.bias), numbers.mantissa)
        value = p.emit("mul", value, p.emit("bitcast", shifted, dtype=x.dtype))
    return value


def log(p: Program, x: Scalar) -> Scalar:
    """The logarithm: e ln 2 + 2 artanh((m − 1)/(m + 1)) with m in [√½, √2)."""
    numbers, kind, integer = _numbers(x)
    tiny = p.emit("lt", x, np.finfo(x.dtype).tiny)
    lifted = p.emit("mul", x, kind(2.0**numbers.mantissa))
    bits = p.emit("bitcast", p.emit("select", tiny, lifted, x), dtype=integer)
    root = kind(np.sqrt(0.5)).view(integer)  # as an integer it orders as the float does
    above = p.emit("sub", bits, root)
    exponent = p.emit("ashr", above, numbers.mantissa)
    bits = p.emit("sub", bits, p.emit("shl", exponent, numbers.mantissa))
    m = p.emit("bitcast", bits, dtype=x.dtype)
    e = p.emit("convert", exponent, dtype=x.dtype)
    e = p.emit("select", tiny, p.emit("sub", e, kind(numbers.mantissa)), e)
    f = p.emit("sub", m, kind(1))
    s = p.emit("div", f, p.emit("add", f, kind(2)))
    square = p.emit("mul", s, s)
    # 2s = f − s f holds exactly what 2s rounds away
    tail = p.emit("mul", p.emit("mul", square, s), _polynomial(p, square, numbers.logarithm))
    tail = p.emit("sub", tail, p.emit("mul", s, f))
    tail = p.emit("fma", e, kind(numbers.ln2[1]), tail)
    value = p.emit("fma", e, kind(numbers.ln2[0]), p.emit("add", f, tail))
    value = p.emit("select", p.emit("lt", x, kind(np.inf)), value, x)  # infinity and NaN
    value = p.emit("select", p.emit("eq", x, kind(0)), kind(-np.inf), value)
    return p.emit("select", p.emit("lt", x, kind(0)), kind(np.nan), value)


def _with_sign_of(p: Program, value: Scalar, sign: Scalar) -> Scalar:
    """``value``, which is not negative, with the sign bit of ``sign``."""
    _, _, integer = _numbers(sign)
    top = p.emit("and", p.emit("bitcast", sign, dtype=integer), np.iinfo(integer).min)
    bits = p.emit("or", p.emit("bitcast", value, dtype=integer), top)
    return p.emit("bitcast", bits, dtype=sign.dtype)


_TANH = (-0.33333328944134255, 0.13332769736976327, -0.05385090957851358, 0.020997178999074752,
         -0.006096714165908197)  # fmt: skip
_ATAN = (-0.33333331686451945, 0.1999952339722771, -0.1426336657972561, 0.1073739696716272,
         -0.06431038710715442)  # fmt: skip


def _only_single(make: Callable[..., Scalar]) -> Callable[..., Scalar]:
    """What has a polynomial in float32 alone; float64 goes to the C library (a decorator)."""

    @functools.wraps(make)
    def either(p: Program, *args: Scalar) -> Scalar:
        single = args[0].dtype == np.float32
        return (make if single else _library(make.__name__))(p, *args)

    return either


@_only_single
def tanh(p: Program, x: Scalar) -> Scalar:
    """The hyperbolic tangent: a polynomial near 0, 1 − 2/(e²ˣ + 1) beyond."""
    size, square = p.emit("abs", x), p.emit("mul", x, x)
    near = p.emit("fma", p.emit("mul", square, x), _polynomial(p, square, _TANH), x)
    power = exp(p, p.emit("add", size, size))
    far = p.emit("sub", 1.0, p.emit("div", np.float32(2), p.emit("add", power, 1.0)))
    return p.emit("select", p.emit("lt", size, 0.625), near, _with_sign_of(p, far, x))


@_only_single
def atan2(p: Program, y: Scalar, x: Scalar) -> Scalar:
    """The angle of (x, y), in the quadrant that the signs tell, signed zeros included."""
    wide, high = p.emit("abs", x), p.emit("abs", y)
    steep = p.emit("gt", high, wide)
    small = p.emit("select", steep, wide, high)
    large = p.emit("select", steep, high, wide)
    safe = p.emit("select", p.emit("eq", large, 0.0), np.float32(1), large)
    ratio = p.emit("div", small, safe)
    ratio = p.emit("select", p.emit("eq", small, np.inf), np.float32(1), ratio)
    outer = p.emit("gt", ratio, 0.41421356237309503)  # tan(π/8)
    turned = p.emit("div", p.emit("sub", ratio, 1.0), p.emit("add", ratio, 1.0))
    t = p.emit("select", outer, turned, ratio)
    square = p.emit("mul", t, t)
    angle = p.emit("fma", p.emit("mul", square, t), _polynomial(p, square, _ATAN), t)
    angle = p.emit("select", outer, p.emit("add", angle, np.pi / 4), angle)
    angle = p.emit("select", steep, p.emit("sub", np.float32(np.pi / 2), angle), angle)
    back = p.emit("lt", p.emit("bitcast", x, dtype=np.int32), 0)
    angle = p.emit("select", back, p.emit("sub", np.float32(np.pi), angle), angle)
    nan = p.emit("or", p.emit("ne", x, x), p.emit("ne", y, y))
    return p.emit("select", nan, np.float32(np.nan), _with_sign_of(p, angle, y))


@_only_single
def atan(p: Program, x: Scalar) -> Scalar:
    """The arc tangent."""
    return atan2(p, x, np.float32(1))


def power(p: Program, x: Scalar, y: Scalar) -> Scalar:
    """xʸ; in float32 as e^(y log x) in double precision, which rounds once."""
    y = p.emit("convert", y, dtype=x.dtype)
    if x.dtype == np.float64:
        return _library("pow")(p, x, y)
    wide = [p.emit("convert", a, dtype=np.float64) for a in (p.emit("abs", x), y)]
    slope = log(p, wide[0])
    product = p.emit("mul", wide[1], slope)
    value = exp(p, p.emit("select", p.emit("eq", slope, 0.0), slope, product))  # 1 to any power
    value = p.emit("convert", value, dtype=np.float32)
    half = p.emit("mul", y, np.float32(0.5))
    odd = p.emit("ne", p.emit("floor", half), half)
    signed = p.emit("select", odd, p.emit("neg", value), value)
    whole = p.emit("eq", p.emit("floor", y), y)
    below = p.emit("lt", p.emit("bitcast", x, dtype=np.int32), 0)  # −0 is
    value = p.emit("select", p.emit("and", below, whole), signed, value)
    root = p.emit("and", p.emit("lt", x, 0.0), p.emit("gt", x, np.float32(-np.inf)))
    none = p.emit("and", root, p.emit("not", whole))
    value = p.emit("select", none, np.float32(np.nan), value)
    return p.emit("select", p.emit("eq", y, 0.0), np.float32(1), value)


def sign(p: Program, x: Scalar) -> Scalar:
    """The sign of a number; 0 and NaN are their own."""
    one = x.dtype.type(1)
    negative = p.emit("select", p.emit("lt", x, 0), p.emit("neg", one), x)
    return p.emit("select", p.emit("gt", x, 0), one, negative)


def rsqrt(p: Program, x: Scalar) -> Scalar:
    """1/√x."""
    return p.emit("div", x.dtype.type(1), p.emit("sqrt", x))


def logistic(p: Program, x: Scalar) -> Scalar:
    """1/(1 + e⁻ˣ)."""
    one = x.dtype.type(1)
    return p.emit("div", one, p.emit("add", one, exp(p, p.emit("neg", x))))


FUNCTIONS: dict[str, Callable[..., Scalar]] = {
    row.name: _library(row.llvm.removeprefix("libm."))
    for row in OPERATIONS.values()
    if row.llvm.startswith("libm.")
}
FUNCTIONS |= {
    "sin": functools.partial(_trigonometric, name="sin"),
    "cos": functools.partial(_trigonometric, name="cos"),
    "tan": tan, "exp": exp, "log": log, "tanh": tanh, "atan": atan,
    "atan2": atan2, "pow": power, "sign": sign, "rsqrt": rsqrt, "logistic": logistic,
}  # fmt: skip
