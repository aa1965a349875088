"""Starts: every kind fills the domain as its definition says, piece by piece, and by its seed."""

import jax
import numpy as np
import pytest
from scipy.stats import qmc

import gdjax
from gdjax import starts

# Neither square nor centred: axes that are mixed up or shifted are seen.
F = gdjax.Objective(name="f", fn=lambda p: p[0], domain=[(-1, 1), (2, 10)], start=(0.5, 3.0))
LOW, HIGH = np.array([-1.0, 2.0]), np.array([1.0, 10.0])
IN_A_DOMAIN = [kind for kind in starts.MAKERS if kind != "init"]
SEEDED = [kind for kind in IN_A_DOMAIN if kind != "grid"]


def drawn(kind, number=64, first=0, last=None, **seed):
    made = starts.make(kind, number=number, **seed)
    return made.take(F, first, made.count(2) if last is None else last)


def cells(points, parts):
    """In which of the equal parts of its axis each coordinate lies."""
    return np.floor((points - LOW) / (HIGH - LOW) * parts).astype(int)


@pytest.mark.parametrize("kind", SEEDED)
def test_a_seed_decides_the_points(kind):
    points = drawn(kind, seed=3)
    np.testing.assert_array_equal(points, drawn(kind, seed=3))
    assert not np.isin(points, drawn(kind, seed=4)).any()
    np.testing.assert_array_equal(drawn(kind), drawn(kind, seed=0))
    assert starts.make(kind, number=64, seed=3).seed == 3


@pytest.mark.parametrize("kind", IN_A_DOMAIN)
def test_any_piece_is_that_part_of_the_whole(kind):
    options = {} if kind == "grid" else {"seed": 5}
    whole = drawn(kind, 16, **options)
    for first, last in ((0, 3), (3, 4), (7, len(whole))):
        np.testing.assert_array_equal(drawn(kind, 16, first, last, **options), whole[first:last])


@pytest.mark.parametrize("kind", SEEDED)
def test_a_sample_fills_the_domain_evenly(kind):
    points = drawn(kind, 4096, seed=1)
    assert points.shape == (4096, 2)
    assert (points >= LOW).all()
    assert (points <= HIGH).all()
    unit = (points - LOW) / (HIGH - LOW)
    # Of 4096 independent points a share of 1/4 is known to 0.007.
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert np.mean((cells(points, 2) == corner).all(axis=1)) == pytest.approx(0.25, abs=0.03)
    assert unit.min() < 0.002
    assert unit.max() > 0.998
    assert abs(np.corrcoef(unit.T)[0, 1]) < 0.06


def test_a_grid_holds_both_ends_and_its_first_axis_is_the_slowest():
    expected = [(x, y) for x in (-1, 0, 1) for y in (2, 6, 10)]
    np.testing.assert_array_equal(drawn("grid", 3), expected)
    assert (starts.grid(3).count(2), starts.grid(3).shape(2)) == (9, (3, 3))
    assert (starts.uniform(3).count(2), starts.uniform(3).shape(2)) == (3, (3,))
    assert starts.grid(3).seed == 0


def test_every_slice_of_a_latin_hypercube_holds_one_point():
    slices = cells(drawn("latin_hypercube", 37, seed=2), 37)
    assert (np.sort(slices, axis=0) == np.arange(37)[:, None]).all()
    assert not (slices[:, 0] == slices[:, 1]).all()


def test_sobol_points_are_balanced_in_every_elementary_box():
    points = drawn("sobol", 64, seed=2)
    for x, y in ((64, 1), (1, 64), (8, 8), (2, 32)):
        boxes = np.floor((points - LOW) / (HIGH - LOW) * [x, y])
        assert len(np.unique(boxes, axis=0)) == 64


@pytest.mark.parametrize(
    ("kind", "sampler"), [("sobol", qmc.Sobol), ("latin_hypercube", qmc.LatinHypercube)]
)
def test_sequences_are_scipys_of_that_seed(kind, sampler):
    unit = sampler(2, rng=np.random.default_rng(9)).random(32)
    np.testing.assert_array_equal(drawn(kind, 32, seed=9), LOW + (HIGH - LOW) * unit)


def test_uniform_points_do_not_depend_on_how_many_or_on_where_a_piece_begins():
    short, long = starts.uniform(10, 3), starts.uniform(200_000, 3)
    np.testing.assert_array_equal(short.take(F, 0, 10), long.take(F, 0, 10))
    whole = long.take(F, 0, 200_000)
    assert len(np.unique(whole, axis=0)) == 200_000  # no block is drawn twice
    for edge in range(starts.BLOCK, 200_000, starts.BLOCK):
        for first, last in ((edge - 2, edge + 2), (edge, edge + 1), (edge - 1, edge)):
            np.testing.assert_array_equal(long.take(F, first, last), whole[first:last])
    np.testing.assert_array_equal(long.take(F, 5, 150_000), whole[5:150_000])


@pytest.mark.parametrize(
    ("given", "points"),
    [
        (None, [(0.5, 3.0)]),
        ((1, 2), [(1.0, 2.0)]),
        ([(1, 2), (3, 4)], [(1.0, 2.0), (3.0, 4.0)]),
        (np.float32([[0.1, 2]]), np.float32([[0.1, 2]])),
    ],
)
def test_points_are_taken_as_they_are_given(given, points):
    found = starts.as_starts(given, F)
    np.testing.assert_array_equal(found.take(F, 0, found.count(2)), points)
    assert (found.kind, found.count(2), found.shape(2)) == ("array", len(points), (len(points),))
    assert found.take(F, 1, 2).tolist() == np.asarray(points)[1:2].tolist()
    if isinstance(given, np.ndarray):
        assert found.points.dtype == given.dtype


def test_in_one_dimension_a_list_of_numbers_is_as_many_points():
    line = gdjax.Objective(name="line", fn=lambda p: p[0], domain=[(0, 1)])
    found = starts.as_starts([0.25, 0.5, 1.0], line)
    np.testing.assert_array_equal(found.points, [[0.25], [0.5], [1.0]])
    assert starts.as_starts(starts.uniform(3), F) == starts.uniform(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: starts.grid(0), "number of starts must be a whole number, at least 1, got 0"),
        (lambda: starts.uniform(True), "of starts must be a whole number, at least 1, got True"),
        (lambda: starts.uniform(2.0), "of starts must be a whole number, at least 1, got 2.0"),
        (lambda: starts.uniform(2, -1), "seed must be a whole number, at least 0, got -1"),
        (lambda: starts.latin_hypercube(2, True), "seed must be a whole number, at least 0, got T"),
        (lambda: starts.sobol(2, 0.5), "seed must be a whole number, at least 0, got 0.5"),
        (lambda: starts.sobol(3), "must be a power of two, got 3; take 4"),
        (lambda: starts.sobol(1000), "must be a power of two, got 1000; take 1024"),
        (lambda: starts.make("sobl", number=2), "unknown kind of starts 'sobl'; did you mean 'sob"),
        (lambda: starts.as_starts("here", F), "starts must be points of 2 numbers, got 'here'"),
        (lambda: starts.as_starts([(1, 2, 3)], F), "starts must have shape (n, 2), as f needs, go"),
        (lambda: starts.as_starts(3.0, F), "starts must have shape (n, 2), as f needs, got ()"),
        (lambda: starts.as_starts(np.zeros((0, 2)), F), "must hold at least one point, got none"),
        (
            lambda: starts.as_starts([(0, 1), (np.nan, 2), (np.inf, 3)], F),
            "starts must be finite, got (nan, 2.0) at index 1",
        ),
    ],
)
def test_bad_starts_are_refused_in_words(untyped, call, message):
    with pytest.raises(gdjax.ArgumentError) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", IN_A_DOMAIN)
def test_a_single_start_and_a_first_seed_are_allowed(kind):
    assert drawn(kind, 1, **({} if kind == "grid" else {"seed": 0})).shape == (1, 2)


@pytest.mark.parametrize("kind", SEEDED)
def test_a_sample_of_what_has_no_domain_and_draws_its_own_is_of_those(kind):
    f = gdjax.problem(
        lambda w, x: ((x @ w) ** 2).mean(),
        data=np.eye(3),
        init=lambda key: jax.random.normal(key, (3,)),
    )
    made = starts.make(kind, number=4, seed=3)
    np.testing.assert_array_equal(made.take(f, 1, 4), starts.init(4, seed=3).take(f, 1, 4))
    given = starts.given_or_drawn(f, 3, seed=3)
    np.testing.assert_array_equal(given[1:], starts.init(2, seed=3).take(f, 0, 2))
    with pytest.raises(gdjax.ArgumentError, match="needs a domain, and lambda has none"):
        starts.grid(2).take(f, 0, 8)
