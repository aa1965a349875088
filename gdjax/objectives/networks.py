"""Networks and regressions on the data that scikit-learn ships; backpropagation written out.

Their points are lists of layers, ``{"w": (in, out), "b": (out,)}``. They have no domain, stand
outside ``objective=all``, and are there where the extra ``networks`` is installed.
"""

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdjax._util.arguments import NOT_NEGATIVE, as_count, as_seed, number
from gdjax._util.errors import check_known
from gdjax._util.types import Flat, Function, PyTree
from gdjax.objectives.minibatches import Training
from gdjax.objectives.objective import Objective
from gdjax.objectives.registry import network

Layers = list[dict[str, Any]]
Data = tuple[Flat, Flat]  # inputs ``(n, i)`` and what is wanted ``(n, o)``
FISHER = "Fisher 1936, The use of multiple measurements in taxonomic problems"
DIGITS = "Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, UCI"


@network(dim=15)
def iris_logistic(penalty: float = 0.01, batch: int | None = None, seed: int = 0) -> Objective:
    """Softmax regression on iris, convex: mean cross entropy + penalty/2 ‖w‖²."""
    return _classifier("iris_logistic", iris(), (), "tanh", penalty, batch, seed, FISHER)


@network(dim=650)
def digits_logistic(penalty: float = 0.01, batch: int | None = None, seed: int = 0) -> Objective:
    """Softmax regression on digits of 8 × 8 pixels, convex, with a penalty on the weights."""
    return _classifier("digits_logistic", digits(), (), "tanh", penalty, batch, seed, DIGITS)


@network(dim=99)
def iris_mlp(activation: str = "tanh", batch: int | None = None, seed: int = 0) -> Objective:
    """A network 4-12-3 on iris, with tanh or relu, cross entropy."""
    return _classifier("iris_mlp", iris(), (12,), activation, 0.0, batch, seed, FISHER)


@network(dim=985)
def digits_mlp(
    activation: str = "tanh", hidden: int = 13, rows: int = 1797,
    batch: int | None = None, seed: int = 0,
) -> Objective:  # fmt: skip
    """A network 64-13-10 on digits, with tanh or relu, cross entropy."""
    inputs, labels = digits()
    rows = as_count("rows", rows, 10, len(labels))  # among the first ten is every digit
    hidden = as_count("hidden", hidden, 1)
    data = inputs[:rows], labels[:rows]
    return _classifier("digits_mlp", data, (hidden,), activation, 0.0, batch, seed, DIGITS)


@network(dim=1930)
def digits_permuted(rows: int = 300, batch: int | None = None, seed: int = 0) -> Objective:
    """A network 64-20-20-10 on digits with permuted labels, squared loss.

    Its sharpness rises to 2/α and hovers there for thousands of steps: the labels have to be
    learned by heart. With true ones the digits are so easy that it falls again at once.
    """
    inputs, labels = digits()
    rows = as_count("rows", rows, 1, len(labels))
    inputs = (inputs - inputs[:rows].mean(axis=0))[:rows]
    mixed = np.random.default_rng(5).permutation(labels[:rows])
    data = inputs / inputs.std(), mixed
    return _network(
        "digits_permuted", data, (20, 20), "tanh", "squared", 0.0, batch, seed, DIGITS, gain=0.6
    )  # small enough to begin below the edge


@network(dim=8)
def deep_linear() -> Objective:
    """f(W₁, W₂) = ½ ‖W₂ W₁ − diag(3, 1)‖²: two linear layers, no local minimum, and saddles.

    Every stationary point learns some of the singular values: all of them is the minimum, fewer a
    saddle. The one at 0 is where small initialisations begin.
    """

    def off(layers: PyTree, target: Flat) -> Array:
        return layers["w2"] @ layers["w1"] - target

    def fn(layers: PyTree, target: Flat) -> Array:
        return jnp.sum(off(layers, target) ** 2) / 2

    def gradient(layers: PyTree, target: Flat) -> PyTree:
        error = off(layers, target)
        return {"w1": layers["w2"].T @ error, "w2": error @ layers["w1"].T}

    def init(key: Array) -> PyTree:
        first, second = jax.random.split(key)
        return {
            "w1": 0.1 * jax.random.normal(first, (2, 2)),
            "w2": 0.1 * jax.random.normal(second, (2, 2)),
        }

    def learned(*values: float | int) -> PyTree:
        half = np.diag(np.sqrt(values))
        return {"w1": half, "w2": half}

    return Objective(
        name="deep_linear",
        fn=fn,
        gradient=gradient,
        start=_drawn(init, 0),
        args=(np.diag([3.0, 1.0]),),
        minima=[learned(3, 1)],
        fmin=0.0,
        saddles=[learned(3, 0), learned(0, 1), learned(0, 0)],
        training=Training(init=init),
        latex=r"\frac12 \| W_2 W_1 - \mathrm{diag}(3, 1) \|^2",
        reference="Baldi & Hornik 1989, Neural networks and principal component analysis",
    )


@network(dim=272)
def fractal(seed: int = 0) -> Objective:
    """A tanh network without biases, 16-16-1, on 272 random rows.

    Which rates of its two layers train it is a question with a fractal for an answer.
    """
    width, seed = 16, as_seed(seed)
    random = np.random.default_rng(0)
    count = width * width + width
    data = random.normal(size=(count, width)), random.normal(size=count)

    def hidden(layers: PyTree, inputs: Flat) -> Array:
        return jnp.tanh(inputs @ layers["w1"] / math.sqrt(width))

    def fn(layers: PyTree, batch: Data) -> Array:
        return jnp.mean((hidden(layers, batch[0]) @ layers["w2"] / width - batch[1]) ** 2)

    def gradient(layers: PyTree, batch: Data) -> PyTree:
        inputs, wanted = batch
        h = hidden(layers, inputs)
        error = 2 * (h @ layers["w2"] / width - wanted) / len(wanted)
        back = jnp.outer(error, layers["w2"] / width) * (1 - h**2)
        return {"w1": inputs.T @ back / math.sqrt(width), "w2": h.T @ error / width}

    def init(key: Array) -> PyTree:
        first, second = jax.random.split(key)
        return {
            "w1": jax.random.normal(first, (width, width)),
            "w2": jax.random.normal(second, (width,)),
        }

    return Objective(
        name="fractal",
        fn=fn,
        gradient=gradient,
        start=_drawn(init, seed),
        args=(data,),
        training=Training(init=init, seed=seed),
        reference="Sohl-Dickstein 2024, The boundary of neural network trainability is fractal",
    )


@functools.cache
def iris() -> tuple[np.ndarray, np.ndarray]:
    """Iris: 150 rows of 4 standardised measures, and which of 3 species each is."""
    from sklearn.datasets import load_iris  # an extra

    inputs, labels = map(np.asarray, load_iris(return_X_y=True))
    return (inputs - inputs.mean(axis=0)) / inputs.std(axis=0), labels


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Digits: 1,797 rows of 64 pixels from −½ to ½, and which digit each is."""
    from sklearn.datasets import load_digits  # an extra

    inputs, labels = map(np.asarray, load_digits(return_X_y=True))
    return inputs / 16 - 0.5, labels


def _classifier(
    name: str, data: tuple[np.ndarray, np.ndarray], hidden: tuple[int, ...], activation: str,
    penalty: float | int, batch: int | None, seed: int, reference: str,
) -> Objective:  # fmt: skip
    return _network(name, data, hidden, activation, "entropy", penalty, batch, seed, reference)


def _network(
    name: str, data: tuple[np.ndarray, np.ndarray], hidden: tuple[int, ...], activation: str,
    misfit: str, penalty: float | int, batch: int | None, seed: int, reference: str,
    gain: float = 1.0,
) -> Objective:  # fmt: skip
    """A network of dense layers with its loss, both differentiated by hand."""
    check_known("activation", activation, ("tanh", "relu"))
    penalty, seed = number(NOT_NEGATIVE)("penalty", penalty), as_seed(seed)
    inputs, labels = data
    batch = None if batch is None else as_count("batch", batch, 1, len(labels))
    wanted = np.eye(labels.max() + 1)[labels]
    sizes = (inputs.shape[1], *hidden, wanted.shape[1])
    smooth = activation == "tanh" or not hidden

    def fn(layers: Layers, batch: Data) -> Array:
        found = activations(layers, batch[0], activation)[-1]
        if misfit == "squared":
            value = jnp.mean(jnp.sum((found - batch[1]) ** 2, axis=1)) / 2
        else:
            value = -jnp.mean(jnp.sum(jax.nn.log_softmax(found) * batch[1], axis=1))
        return value + penalty / 2 * sum(jnp.sum(layer["w"] ** 2) for layer in layers)

    def gradient(layers: Layers, batch: Data) -> Layers:
        return backpropagated(layers, batch, activation, misfit, penalty)

    def metric(layers: Layers, batch: Data) -> Array:
        found = activations(layers, batch[0], activation)[-1]
        return jnp.mean(found.argmax(axis=1) == batch[1].argmax(axis=1))

    def init(key: Array) -> Layers:
        pairs = list(itertools.pairwise(sizes))
        keys = jax.random.split(key, len(pairs))
        return [
            {"w": gain * jax.random.normal(k, (a, b)) / math.sqrt(a), "b": jnp.zeros(b)}
            for k, (a, b) in zip(keys, pairs, strict=True)
        ]

    metric.__name__ = "accuracy"
    return Objective(
        name=name,
        fn=fn,
        gradient=gradient,
        start=_drawn(init, seed),
        args=((inputs, wanted),),
        smoothness="smooth" if smooth else "kink",
        training=Training(init=init, metric=metric, batch=batch, seed=seed),
        reference=reference,
    )


def activations(layers: Layers, inputs: Flat, activation: str) -> list[Any]:
    """What goes into each dense layer, and what comes out of the last one."""
    found = [inputs]
    for layer in layers[:-1]:
        before = found[-1] @ layer["w"] + layer["b"]
        found.append(jnp.tanh(before) if activation == "tanh" else jnp.maximum(before, 0))
    return [*found, found[-1] @ layers[-1]["w"] + layers[-1]["b"]]


def backpropagated(
    layers: Layers, batch: Data, activation: str,
    misfit: str, penalty: float | int,
) -> Layers:  # fmt: skip
    """The gradient of a network's loss: errors are handed back from layer to layer.

    Both losses have the same error at the output, what came out less what was wanted; of cross
    entropy that is of the probabilities.

    Reference:
        Rumelhart, Hinton & Williams 1986, Learning representations by back-propagating errors.
    """
    found = activations(layers, batch[0], activation)
    out = found[-1] if misfit == "squared" else jax.nn.softmax(found[-1])
    error = (out - batch[1]) / len(batch[1])
    gradient: Layers = []
    for layer, given in zip(reversed(layers), reversed(found[:-1]), strict=True):
        slope = {"w": given.T @ error + penalty * layer["w"], "b": error.sum(axis=0)}
        gradient.insert(0, slope)
        back = error @ layer["w"].T
        # Of the inputs this means nothing, and is not used.
        error = back * ((1 - given**2) if activation == "tanh" else given > 0)
    return gradient


def _drawn(init: Function, seed: int) -> PyTree:
    """An initialisation, in single precision, so that both precisions begin at one point."""
    with jax.enable_x64(False), jax.ensure_compile_time_eval():
        return jax.tree.map(np.asarray, init(jax.random.key(seed)))
