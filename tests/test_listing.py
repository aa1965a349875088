import pytest

from gdjax import objectives


def test_the_table_has_a_line_for_every_objective_with_what_is_known():
    table = objectives.table()
    listed = {*objectives.names(), *objectives.network_names()}
    assert sorted(entry.name for entry in table) == sorted(listed)
    shubert = next(entry for entry in table if entry.name == "shubert")
    assert shubert[1:6] == ("ripples", "2", "smooth", 18, 0)
    header, *lines = str(table).splitlines()
    assert len(lines) == len(table)
    for entry, line in zip(table, lines, strict=True):
        assert line.startswith(entry.name)
        assert line[header.index("dim") :].split()[0] == entry.dim
        last = line.split()[-1]
        assert last == "none" if entry.fmin is None else float(last) == pytest.approx(entry.fmin)


def test_a_description_has_every_fact_and_cuts_long_lists():
    text = objectives.describe("six_hump_camel")
    assert text.startswith("six_hump_camel (basins): f(x, y) = ")
    assert "(0.0898420131, -0.712656403)" in text
    assert "f*            -1.0316284534898774" in text
    assert "[-3, 3] × [-2, 2]" in text
    assert "There are no other stationary points in the domain." in text
    assert "… and 52 more" in objectives.describe("alpine1")
    assert "[-600, 600] in each of 2 dimensions" in objectives.describe("griewank")
    assert "needs float64" in objectives.describe("brown_badly_scaled")
    assert "f*            none" in objectives.describe("saddle")
