"""What is read of a person's table, whatever wrote it, and which line is said of what is none."""

import bz2
import gc
import gzip
import io
import lzma
import os
import sys
import weakref
import zipfile

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from gdjax import ArgumentError, objectives
from gdjax.objectives.columns import table

T, Y = [1.0, 2.0, 3.0], [1.5, 2.5, -3e2]
PLAIN = "t,y\n1,1.5\n2,2.5\n3,-3e2\n"
COMMAS = "t;y\n1,0;1,5\n2,0;2,5\n3,0;-3e2\n"


def zipped(*files):
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return into.getvalue()


READ = {  # what a file holds, how it is read → nothing but T and Y, and a word in the log
    "commas": (PLAIN, {}, ""),
    "semicolons": (PLAIN.replace(",", ";"), {}, ""),
    "tabs": (PLAIN.replace(",", "\t"), {}, ""),
    "spaces": (" t  y\n 1   1.5 \n2 2.5\n3\t-3e2\n", {}, ""),
    "bars": (PLAIN.replace(",", "|"), {"sep": "|"}, ""),
    "a word for it": (PLAIN.replace(",", ";"), {"sep": "semicolon"}, ""),
    "another one in a label": (
        "t,y,label\n1,1.5,a;b\n2,2.5,c;d\n3,-3e2,e;f\n", {}, ""),
    "comments": ("# made today\n\n  # by hand\n" + PLAIN + "# end\n", {}, ""),
    "# in a label": ("t,label,y\n1,#1,1.5\n2,a # b,2.5\n3,\"#3\",-3e2\n", {}, ""),
    "blank lines": ("\n\nt,y\n\n1,1.5\n2,2.5\n  \n3,-3e2\n\n", {}, ""),
    "no end of the last line": (PLAIN.rstrip(), {}, ""),
    "Windows": (PLAIN.replace("\n", "\r\n"), {}, ""),
    "an old Mac": (PLAIN.replace("\n", "\r"), {}, ""),
    "trailing separators": (PLAIN.replace("\n", ",\n"), {}, ""),
    "a trailing separator in some": ("t,y\n1,1.5,\n2,2.5\n3,-3e2,,\n", {}, ""),
    "quotes": ('"t","y"\n"1","1.5"\n2, "2.5"\n"3",-3e2\n', {}, ""),
    "quoted separators": ('a,t,y\n"x, ""y""",1,1.5\n"u\nv",2,2.5\n5",3,-3e2\n', {}, ""),
    "a cell in two lines": ('"t";"y";"a"\n"1";"1.5";"b\nc"\n2;2.5;""\n3;-3e2;d\n', {}, ""),
    "an index of pandas": (",t,y\n0,1,1.5\n1,2,2.5\n2,3,-3e2\n", {}, ""),
    "UTF-8 with a mark": (b"\xef\xbb\xbf" + PLAIN.encode(), {}, ""),
    "UTF-16": (PLAIN.encode("utf-16"), {}, "is read as UTF-16"),
    "UTF-16 without a mark": (PLAIN.encode("utf-16-le"), {}, "is read as UTF-16-LE"),
    "UTF-32": (PLAIN.encode("utf-32"), {}, "is read as UTF-32"),
    "Latin-1": (PLAIN.replace("y\n", "y,größe\n", 1).replace("5\n", "5,ü\n").replace("e2", "e2,é")
                .encode("latin-1"), {}, "is read as Latin-1"),
    "decimal commas": (COMMAS, {}, "decimal commas: 1,5 is read as 1.5"),
    "decimal commas and tabs": (COMMAS.replace(";", "\t"), {}, "decimal commas"),
    "decimal commas, quoted": ('t,y\n1,"1,5"\n2,"2,5"\n3,-3e2\n', {}, "decimal commas"),
    "decimal commas with thousandths": (COMMAS.replace("3,0", "3,000"), {}, "decimal commas"),
    "headers by name": ('"Time (s)";U / V\n1;1.5\n2;2.5\n3;-3e2\n',
                        {"columns": {"t": "Time (s)", "y": "U / V"}}, ""),
    "headers by number": ("u,u,u\n1,0,1.5\n2,0,2.5\n3,0,-3e2\n",
                          {"columns": (("t", 1), ("y", 3))}, ""),
    "a header in two lines": ('"t\n(s)";y\n1;1.5\n2;2.5\n3;-3e2\n', {"columns": {"t": 1}}, ""),
    "missing": ("t,label,y\n1,,1.5\n,a,9\n2,b,2.5\n4,c,NA\n3,NaN,-3e2\n#N/A,d,5\n",
                {"missing": "drop"}, "rows that lack a number are left out, 3 of 6"),
    "gzip": (gzip.compress(PLAIN.encode()), {}, ""),
    "bz2": (bz2.compress(PLAIN.encode()), {}, ""),
    "xz": (lzma.compress(PLAIN.encode()), {}, ""),
    "zip": (zipped(("a/", ""), ("a/b.csv", PLAIN), ("__MACOSX/a", "")), {}, ""),
}  # fmt: skip


def written(folder, content, name="points.csv"):
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


@pytest.mark.parametrize("case", READ)
def test_a_table_is_read_whatever_wrote_it(case, tmp_path, caplog):
    content, chosen, word = READ[case]
    found = table(written(tmp_path, content), **chosen).numbers(["t", "y"])
    assert {key: each.tolist() for key, each in found.items()} == {"t": T, "y": Y}
    assert all(each.dtype == np.float64 and not each.flags.writeable for each in found.values())
    assert word in caplog.text
    assert bool(word) == bool(caplog.text)


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256))
LACKS = "t,y\n1,2\n\n# note\n2,\n3,4\nNA,5\n"
NUMBER = "must be a finite number; got"
REFUSED = {  # what a file holds, what is chosen → what is said
    "nothing": ("", {}, "points.csv needs a header and at least one row of numbers, and is empty"),
    "blank lines": ("\n \n", {}, "and is empty"),
    "no header": ("1,2\n3,4\n", {}, "got the numbers 1, 2; write one above them, such as x,y"),
    "no header, decimal commas": ("1,5;2\n3;4\n", {}, "got the numbers 1,5, 2"),
    "a header behind a #": ("# t y\n1 2\n3 4\n", {}, "if '# t y' is one, take its # away"),
    "a ragged row": ('t,y\n"a\nb",1\n\n1,2\n3\n', {}, "row 6: 2 cells expected, as in the header"),
    "one too long": ("t,y\n1,2\n3,4,5\n", {}, "row 3: 2 cells expected, as in the header (t, y)"),
    "lacking": (LACKS, {}, "row 5, column 'y' must be a finite number; the cell is empty; "
                "missing=drop leaves out the rows that lack a number, 2 of 4"),
    "nothing but lacking": ("t,y\n,1\n2,\n", {"missing": "drop"}, "has no row with a number in"),
    "another word": (PLAIN, {"missing": "skip"}, "unknown missing 'skip'; choose from drop"),
    "an underscore": ("t,y\n1,2\n1_0,3\n", {}, f"row 3, column 't' {NUMBER} '1_0'"),
    "thousands": ('t;y\n1;2\n"1,000";3\n', {}, f"{NUMBER} '1,000': write 1000, or 1.000 if"),
    "more thousands": ("t;y\n1;1,000,000\n", {}, f"{NUMBER} '1,000,000'"),
    "mixed decimals": ("t;y\n1,5;2\n1.5;3\n", {}, f"row 2, column 't' {NUMBER} '1,5'"),
    "hexadecimal": ("t,y\n0x10,2\n", {}, f"{NUMBER} '0x10'"),
    "too large": ("t,y\n1,1e400\n", {}, f"row 2, column 'y' {NUMBER} '1e400'"),
    "infinite": ("t,y\n1,2\n# -\n-inf,2\n", {}, f"row 4, column 't' {NUMBER} '-inf'"),
    "a date": ("t,y\n2020-01-01,2\n", {}, f"row 2, column 't' {NUMBER} '2020-01-01'"),
    "an error of Excel's": ("t,y\n1,2\n#DIV/0!,2\n", {}, f"row 3, column 't' {NUMBER} '#DIV/0!'"),
    "other digits": ("t,y\n٣,2\n", {}, f"{NUMBER} '٣'"),
    "a word": ("t,y\n1,yes\n", {}, f"{NUMBER} 'yes'"),
    "a quote without end": ('t,y\n1,2\n"3,4\n' + "5,6\n" * 200, {}, "a quote that begins in row 3"),
    "no name": ("t,,y\n1,2,3\n", {}, "no name for column 2 in its header; give one, as in colum"),
    "two of a name": ("t,y,t\n1,2,3\n", {}, "two columns named 't'; tell them apart by their numb"
                      "ers, as in columns={u: 1, v: 3}"),
    "a name twice": (PLAIN, {"columns": {"t": "y"}}, "two columns named 't'"),
    "an unknown header": (PLAIN, {"columns": {"u": "Y"}}, "unknown header of points.csv 'Y'"),
    "a number beyond": (PLAIN, {"columns": {"u": 3}}, "points.csv has columns 1 to 2, got 3"),
    "a function's name": (PLAIN, {"columns": {"exp": "t"}}, "columns must be names that"),
    "a column twice": (PLAIN, {"columns": {"u": "t", "v": 1}}, "u and v are both column 1"),
    "columns as a word": (PLAIN, {"columns": "t"}, 'columns must be names with headers, such as'),
    "a separator of two": (PLAIN, {"sep": "ab"}, "sep must be one character or one of tab"),
    "a letter": (PLAIN, {"sep": "x"}, "sep must be one character"),
    "a picture": (PNG, {}, "cannot be read as a table: it is no text"),
    "a workbook": (zipped(("[Content_Types].xml", ""), ("xl/a.xml", "")), {}, "is a workbook"),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + bytes(99), {}, "is a workbook: save its sheet"),
    "two files": (zipped(("a", PLAIN), ("b", PLAIN)), {}, "must hold one file, and holds 2"),
    "half a gzip": (gzip.compress(PLAIN.encode() * 99)[:40], {}, "cannot be read as a table"),
    "half a zip": (zipped(("a", PLAIN))[:50], {}, "cannot be read as a table"),
    "half of Parquet": (b"PAR1" + bytes(9), {}, "cannot be read: Parquet magic"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(9), {}, "is packed by zstd"),
}  # fmt: skip


def refusal(*asked, **chosen):
    """The one line that is said."""
    with pytest.raises(ArgumentError) as caught:
        table(*asked, **chosen).numbers(["t", "y"])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_table_is_told_in_one_line(case, tmp_path):
    content, chosen, said = REFUSED[case]
    assert said in refusal(written(tmp_path, content), **chosen)


def test_blocks_of_rows_are_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr("gdjax.objectives.delimited.BLOCK", 1)
    assert "row 5, column 'y'" in refusal(written(tmp_path, LACKS))
    assert refusal(written(tmp_path, LACKS)).endswith("2 of 4")
    found = table(written(tmp_path, "t;y\n1;2\n1,5;3\n")).numbers(["t", "y"])
    assert found["t"].tolist() == [1, 1.5]
    said = refusal(written(tmp_path, "t;y\n1.5;2\n1,5;3\n"))  # not both in one table
    assert said.endswith(
        "row 3, column 't' must be a finite number; got '1,5': write a decimal point"
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("https://a.b/points.csv", "must be a file on this machine: download 'https://a.b"),
        (".", "data must be a file, and '.' is a folder"),
        ("", "data must be a file"),
        ("pionts.csv", "there is no file 'pionts.csv'; did you mean 'points.csv'?"),
        ("a\0b", "there is no file"), ("x" * 5000, "cannot be read"),
        *([("/dev/null", "is a device or a pipe")] if os.name == "posix" else []),
        (3, "data must be the path of a file, a DataFrame, arrays by the names of columns"),
        (np.ones((3, 2)), 'give names, as in {"x": a[:, 0], "y": a[:, 1]}'),
        (None, "data must be the path"), ({}, "the mapping has no columns"),
        ({"t": [1, 2], "y": [1]}, "must be of one length, got 2 for 't' and 1 for 'y'"),
        ({"t": [[1], [2]], "y": [1, 2]}, "column 't' of the mapping must be of shape (n,), got"),
        ({"t": [], "y": []}, "the mapping needs at least one row"),
        ({"t": [1, "2"], "y": [1, 2]}, "(from 0), column 't' must be a finite number; got '1'"),
        ({"t": [1, 2j], "y": [1, 2]}, "complex"),
        ({"t": [1, 2], "y": [True, False]}, "column 'y' of the mapping must hold numbers"),
        ({"t": [1, np.inf], "y": [1, 2]}, f"row 1 (from 0), column 't' {NUMBER} inf"),
        ({"t": [1, None], "y": [1, 2]}, f"row 1 (from 0), column 't' {NUMBER} None; mis"),
        (pd.DataFrame([[1, 2]]), "needs names for its columns, got 0, 1; give them, as in"),
        (pd.DataFrame([[1, 2]], columns=["t", "t"]), "the DataFrame has two columns named 't'"),
        (pd.DataFrame({"t": pd.to_datetime(["2020-01-01"]), "y": [1]}), "must hold num"),
        (pd.DataFrame({"t": pd.array([1, None], "Int64"), "y": 0.0}), "row 1 (from 0), colu"),
    ],
)  # fmt: skip
def test_no_data_at_all_are_told_in_one_line(data, said, tmp_path, monkeypatch, untyped):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, PLAIN)
    assert said in refusal(data)


IN_HAND = {
    "a mapping of lists": lambda f: {name: f[name].tolist() for name in f},
    "a mapping of arrays": lambda f: {name: np.asarray(f[name], np.float32) for name in f},
    "a frame": lambda f: f,
    "its Int64": lambda f: f.astype({"t": "Int64"}),
    "its objects": lambda f: f.astype(object),
    "a dataset": lambda f: f.to_xarray(),
    "a structured array": lambda f: f.to_records(index=False),
    "with a mask": lambda f: {
        name: np.ma.masked_equal([*f[name].tolist(), 77.0], 77.0) for name in f
    },
}


@pytest.mark.parametrize("kind", IN_HAND)
def test_what_is_in_hand_is_copied(kind):
    data = IN_HAND[kind](pd.DataFrame({"t": T, "y": Y}))
    found = table(data, missing="drop").numbers(["t", "y"])
    assert {key: each.tolist() for key, each in found.items()} == {"t": T, "y": Y}
    assert not np.shares_memory(found["t"], np.asarray(data["t"]))
    assert "sep is of text files" in refusal(data, sep=",")


def test_parquet_is_read_by_column(tmp_path):
    frame = pd.DataFrame({"label": ["a", "b", "c"], "t": T, "y": Y})
    frame.to_parquet(tmp_path / "plain")
    frame.set_index("t").to_parquet(tmp_path / "indexed.parquet")
    for name in ("plain", "indexed.parquet"):
        found = table(tmp_path / name).numbers(["t", "y"])
        assert {key: each.tolist() for key, each in found.items()} == {"t": T, "y": Y}
    with pytest.raises(
        ArgumentError, match=r"row 0 \(from 0\), column 'label' must be a finite number; got"
    ):
        table(tmp_path / "plain").numbers(["label"])


numbers = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.filterwarnings("ignore:.* will not write the byte order mark")
@settings(max_examples=40)
@given(
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30),
    st.sampled_from([",", ";", "\t", " "]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    st.sampled_from([None, "gzip", "bz2", "xz", "zip"]),
    st.sampled_from([".", ","]),
    st.booleans(),
)
def test_what_pandas_writes_is_read_back_bit_for_bit(
    tmp_path_factory, rows, sep, encoding, packed, point, index
):
    frame = pd.DataFrame(rows, columns=["t", "größe"]).assign(label="ä ü", y=[b for _, b in rows])
    into = io.BytesIO()
    options = {"sep": sep, "encoding": encoding, "compression": packed, "decimal": point}
    frame.to_csv(into, index=index and sep != " ", **options)  # it leaves the corner blank
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gdjax.objectives.delimited.BLOCK", 7)
        found = table(written(tmp_path_factory.getbasetemp(), into.getvalue())).numbers(
            ["t", "größe", "y"]
        )
    for name, column in found.items():
        np.testing.assert_array_equal(column, frame[name].to_numpy())


def fit(data, model="a*exp(-b*t)", **chosen):
    return objectives.get("curve_fit", data=data, model=model, **chosen)


def test_equal_numbers_give_one_objective_that_nobody_keeps():
    frame = pd.DataFrame({"t": T, "y": Y, "label": "a"})
    f = fit(frame)
    assert fit(frame.assign(label="b")) is f
    assert fit(frame.assign(y=1.0)) is not f
    frame.loc[0, "y"] = 9.0
    assert fit(frame) is not f
    assert f.fit.observed.tolist() == Y
    left = weakref.ref(f)
    del f
    gc.collect()
    assert left() is None


def test_reading_is_not_counted_as_work_on_the_formula():
    seen = []

    class Watching(dict):
        def __getitem__(self, name):
            seen.append(sys.getprofile())
            return super().__getitem__(name)

    fit(Watching(t=T, y=Y), "a*exp(-b*t)")
    assert seen == [None, None]


def test_a_file_that_has_changed_is_another(tmp_path):
    f = fit(written(tmp_path, PLAIN))
    assert fit(written(tmp_path, PLAIN)) is f
    assert fit(written(tmp_path, PLAIN.replace("1.5", "1.6"))) is not f


ODD = '"Time (s)",U / V,2nd,max\n1,1.5,2,3\n2,2.5,3,4\n'


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("a*exp(-b*Time)", "model: 'Time (s)' of points.csv cannot stand in a formula: write "
         'columns={Time: "Time (s)"}, and Time in the model; or, if these are parameters, '
         'parameters=[Time,a,b]'),
        ("a*Time (s)", 'write columns={Time: "Time (s)"}, and Time in the model'),
        ("a*2nd", 'write columns={nd: "2nd"}, and nd in the model'),
        ("a*max", 'write columns={max_4: "max"}, and max_4 in the model'),
        ("a*exp(-b*t)", 'name those that are no names: columns={Time: "Time (s)", U: "U / V", '
         'nd: "2nd", max_4: "max"}'),
    ],
)  # fmt: skip
def test_a_header_that_is_no_name_is_told_with_what_to_write(model, said, tmp_path):
    with pytest.raises(ArgumentError) as caught:
        fit(written(tmp_path, ODD), model, response="max")
    assert said in str(caught.value)


def test_named_headers_are_fitted(tmp_path):
    data = written(tmp_path, ODD)
    f = fit(data, "a*Time + nd", columns={"Time": "Time (s)", "nd": 3}, response="U / V")
    assert (f.variables, sorted(f.fit.columns)) == (("a",), ["Time", "nd"])
    assert float(f((2.0,))) == (1.5 - 4) ** 2 + (2.5 - 7) ** 2
    micro = fit({"µ": [1, 2], "y": [2, 4]}, "a*µ")  # two characters that look alike
    assert float(micro((2.0,))) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["objective.data=odd.csv", 'objective.columns={t: "Time (s)"}', "objective.response=max",
          "objective.model=a + b*t"], 0, ""),
        (["objective.data=lacks.csv", "objective.model=a + b*t"], 2, "missing=drop"),
        (["objective.data=lacks.csv", "objective.model=a + b*t", "objective.missing=drop",
          "objective.sep=comma"], 0, ""),
        (["objective.data=lacks.csv", "objective.model=a + b*t", "objective.sep=3"], 2,
         "sep must be"),
        (["objective.data=.", "objective.model=a + b*t"], 2, "is a folder"),
        (["objective.data=picture.png", "objective.model=a + b*t"], 2, "it is no text"),
    ],
)  # fmt: skip
def test_the_command_line_reads_tables_too(gdjax, untyped, tmp_path, words, code, said):
    written(tmp_path, ODD, "odd.csv")
    written(tmp_path, LACKS, "lacks.csv")
    written(tmp_path, PNG, "picture.png")
    found, _, err = gdjax("check", "objective=curve_fit", "points=2", *words)
    assert found == code, err
    assert said in err
    assert err.count("\n") == (code == 2)
