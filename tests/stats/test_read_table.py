"""One reader of tables: the same answer in every dialect, text keys, refusals by row."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from reader_study.cli.stats import app
from reader_study.stats.read_table import read_table

CODECS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with byte order mark",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 without byte order mark",
    "utf-16-be": "UTF-16 without byte order mark",
    "latin-1": "Latin-1",
}


def write(
    path,
    table,
    *,
    delimiter=",",
    decimal=".",
    codec="utf-8",
    newline="\n",
    sep=False,
    quote=csv.QUOTE_MINIMAL,
    blank_after=(),
    tail=False,
):
    """A file of the cells of ``table`` (strings and numbers) in one dialect; rows of the file."""
    out, rows, at = io.StringIO(), [], 1 + sep
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quote)
    out.write(f"sep={delimiter}{newline}" if sep else "")
    writer.writerow([*table, *([""] if tail else [])])
    for number, cells in enumerate(table.itertuples(index=False)):
        if number in blank_after:
            out.write(newline)
            at += 1
        at += 1
        rows.append(at)
        text = [
            ""
            if c is None or c != c
            else repr(c).replace(".", decimal)
            if isinstance(c, float)
            else c
            for c in cells
        ]
        writer.writerow([*text, *([""] if tail else [])])
    path.write_bytes(out.getvalue().encode(codec))
    return rows


# Cell texts that a careless reader takes for numbers, gaps or columns; no two alike when folded.
LABELS = [
    "NA",
    "None",
    "null",
    "1.10",
    "1.1",
    "1",
    "01",
    "1e3",
    "é Ü",
    "a,b",
    "a;b",
    'q"q',
    "2,5",
    "nan",
    "TRUE",
    "x\ty",
    "R|1",
    "-",
    "0x10",
    "line\nbreak",
]
dialects = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "decimal": st.sampled_from(",."),
        "codec": st.sampled_from(sorted(CODECS)),
        "newline": st.sampled_from(["\n", "\r\n", "\r"]),
        "sep": st.booleans(),
        "quote": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        "tail": st.booleans(),
        "blank_after": st.sets(st.integers(0, 5), max_size=3),
    }
).map(lambda d: {**d, "quote": csv.QUOTE_ALL} if d["newline"] == "\r" else d)
tables = st.integers(2, 8).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            "reader": st.lists(st.sampled_from(LABELS), min_size=n, max_size=n),
            "case": st.lists(st.sampled_from(LABELS), min_size=n, max_size=n),
            "rating": st.lists(
                st.floats(-1e3, 1e3).map(lambda x: round(x, 2)), min_size=n, max_size=n
            ),
        }
    )
)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cells=tables, dialect=dialects)
def test_any_dialect_gives_the_same_table_and_the_rows_of_the_file(tmp_path, cells, dialect):
    table = pd.DataFrame(cells)
    rows = write(tmp_path / "t.csv", table, **dialect)
    got = read_table(tmp_path / "t.csv")
    for name in ("reader", "case"):
        assert got[name].tolist() == [label.strip() for label in cells[name]]
    assert got["rating"].tolist() == cells["rating"]
    assert got.index.tolist() == rows
    assert got.attrs["file"]["delimiter"] == dialect["delimiter"]
    ascii_only = all(label.isascii() for name in ("reader", "case") for label in cells[name])
    if not (ascii_only and dialect["codec"] == "latin-1"):  # then it is UTF-8 as well
        assert got.attrs["file"]["encoding"] == CODECS[dialect["codec"]]


@pytest.fixture
def ask(tmp_path):
    def go(command, content, *words):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        done = CliRunner().invoke(app, [command, str(path), *words, "--json"])
        if done.exception:
            assert isinstance(done.exception, ValueError), done.exception
            return str(done.exception)
        return json.loads(done.stdout)

    return go


def study(seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (reader, case, arm, k % 2, round(float(rng.normal(k % 2)), 1))
        for reader in ("NA", "R2", "R3")
        for k, case in enumerate(["1.1", "1.10", "2", "3", "4", "5"])
        for arm in ("None", "full")
    ]
    return pd.DataFrame(rows, columns=["reader", "case", "arm", "truth", "rating"])


@pytest.mark.parametrize("command", ["mrmc", "vgc", "signed-rank", "clmm"])
def test_commands_answer_alike_in_every_dialect(tmp_path, command):
    words = {"clmm": ["--formula", "rating ~ arm + (1|reader)"], "vgc": ["--draws", "99"]}
    answers = []
    for dialect in (
        {},
        {"delimiter": ";", "decimal": ",", "codec": "utf-16"},
        {"delimiter": "\t", "decimal": ",", "codec": "utf-8-sig", "newline": "\r\n"},
        {"sep": True, "delimiter": "|", "blank_after": {1, 2}},
    ):
        table = study()
        if command == "clmm":
            table["rating"] = table["rating"].round()
        write(tmp_path / "t.csv", table, **dialect)
        done = CliRunner().invoke(
            app, [command, str(tmp_path / "t.csv"), *words.get(command, []), "--json"]
        )
        assert done.exit_code == 0, done.exception
        facts = json.loads(done.stdout)
        assert facts.pop("file")["rows"] == len(table)
        answers.append(facts)
    assert all(facts == answers[0] for facts in answers)
    if command == "mrmc":
        assert set(answers[0]["auc"]["None"]) == {"NA", "R2", "R3"}


def test_how_a_table_was_read_is_said(tmp_path):
    write(tmp_path / "t.csv", study(), delimiter=";", decimal=",")
    said = CliRunner().invoke(app, ["mrmc", str(tmp_path / "t.csv")]).stdout.splitlines()[-1]
    assert said == "36 rows read: semicolon between cells, decimal comma, UTF-8"


HEAD = "reader,case,arm,truth,rating\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + "R1,a,x,0,1\nR1,b,x,1,2,\nR1,c,x,1\n", "got 6 in row 3 (not right: rows 3, 4)"),
        (HEAD + "\n\nR1,a,x,0,1\nR1,b,x,1\n", "got 4 in row 5"),
        ("sep=,\n" + HEAD + "R1,a,x,0,1\nR1,b,x,1\n", "got 4 in row 4"),
        ("reader,case,case\nR1,1,1\n", "'case' more than once in the header"),
        ("reader,case,,arm\nR1,1,2,x\n", "got none for column 3"),
        (HEAD + 'R1,"a,x,0,1\n', "matching quotes"),
        (HEAD + 'R1,a,x,0,"1,234"\n', "which may be thousands"),
        ("reader;case;a;b\nR1;1;2,5;2.5\n", "expected one decimal mark"),
        (b"PK\x03\x04junk", "got a spreadsheet"),
        ("", "got an empty file"),
        (HEAD + "R1,a,full,0,1\nR1,b,Full,1,2\n", "'full' in row 2 and 'Full' in row 3"),
        (HEAD + 'R1,a,full,0,1\n\n"R1 ",a,full,1,2\n', "'R1' in row 2 and 'R1 ' in row 4"),
    ],
)
@pytest.mark.parametrize("method", ["delong", "ustat"])
def test_tables_that_say_two_things_are_refused_by_row(ask, content, message, method):
    assert message in ask("mrmc", content, "--method", method)


def test_labels_that_look_alike_are_refused_in_tables_of_python_too():
    from reader_study.stats.roc.mrmc import mrmc

    table = study()
    table.loc[4, "arm"] = "full "
    with pytest.raises(
        ValueError, match="'full' in rows 3, 5, 7, 9, 11 and 13 more and 'full ' in row 6"
    ):
        mrmc(table.assign(arm=table["arm"].replace("None", "low")), method="ustat")


def test_row_names_of_r_and_empty_columns_are_left_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('"","subject","R1","R2",""\n"1","a",1,1,\n"2","b",2,1,\n"3","c",1,1,\n')
    got = read_table(path)
    assert list(got) == ["subject", "R1", "R2"]
    assert got.attrs["file"]["left_out"] == "row names left out; empty column 5 left out"


def test_rows_are_those_of_the_file_after_where_and_blank_lines(ask):
    lines = [
        f"R{j},c{k},{arm},{s},{1 + (j + k) % 3}"
        for j in range(2)
        for k in range(3)
        for arm in "ab"
        for s in (1, 2)
    ]
    lines[15] = "R1,c0,b,2,good"
    lines.insert(2, "")
    said = ask(
        "clmm",
        "reader,case,arm,showing,rating\n" + "\n".join(lines) + "\n",
        "--formula",
        "rating ~ arm + (1|reader)",
        "--where",
        "showing=2",
    )
    assert "('good') in row 18 " in said
    said = ask(
        "clmm",
        "reader,case,arm,showing,rating\n" + "\n".join(lines[:9]) + "\n",
        "--formula",
        "rating ~ arm",
        "--where",
        "showing=3",
    )
    assert "column 'showing' holds '1', '2'" in said


@pytest.mark.parametrize(
    ("cells", "same"),
    [
        ([("1", "1.0"), ("2", "2.0"), ("1", "1.0")], True),  # whole numbers with a gap in pandas
        ([("1.1", "1.10"), ("2", "2"), ("1.1", "1.10")], False),  # names of categories
        ([("None", "None"), ("mild", "mild"), ("NA", "mild")], True),
    ],
)
def test_nominal_labels_are_text_unless_all_are_whole_numbers(ask, cells, same):
    rows = "".join(f"s{k},{a},{b}\n" for k, (a, b) in enumerate(cells))
    got = ask("agreement", "subject,R1,R2\n" + rows)
    assert (got["percent"]["value"] == 1) is same


def test_nominal_labels_spelt_two_ways_are_refused(ask):
    head = "subject,R1,R2\n"
    assert "'Mild' in row 2 and column 'R2' 'mild' in row 3" in ask(
        "agreement", head + "a,Mild,none\nb,none,mild\n"
    )
    assert "categories '1' and '1.0' in rows 2, 3" in ask(
        "agreement", head + "a,1,1.0\nb,1.1,1\nc,2,2\n"
    )
    assert "'s1' in row 2 and 'S1 ' in row 3" in ask("agreement", head + "s1,1,1\nS1 ,1,2\n")


def test_false_positive_marks_need_no_lesion_number(tmp_path):
    marks = "reader,arm,case,mark,lesion,rating\n" + "".join(
        f"R{j},{arm},c{k},{'LL' if k % 2 else 'NL'},{'1' if k % 2 else ''},{10 * j + k + 1}\n"
        for j in range(3)
        for arm in "ab"
        for k in range(6)
    )
    cases = "case,truth,n_lesions\n" + "".join(f"c{k},{k % 2},{k % 2}\n" for k in range(6))
    (tmp_path / "cases.csv").write_text(cases)
    said = []
    for text in (marks, marks.replace("NL,,", "NL,0,"), marks.replace("LL,1", "LL,")):
        (tmp_path / "m.csv").write_text(text)
        done = CliRunner().invoke(
            app, ["froc", str(tmp_path / "m.csv"), "--cases", str(tmp_path / "cases.csv"), "--json"]
        )
        said.append(str(done.exception) if done.exception else json.loads(done.stdout)["auc"])
    assert said[0] == said[1]
    assert "'lesion' is empty beside LL in rows 3, 5, 7" in said[2]


def test_logical_truth_and_answers_are_one_and_nothing_else(ask):
    table = study().assign(truth=study()["truth"].map({1: "TRUE", 0: "FALSE"}))
    said = ask("mrmc", table.to_csv(index=False))
    plain = ask("mrmc", study().to_csv(index=False))
    assert (said["difference"], said["p"]) == (plain["difference"], plain["p"])
    assert "no number ('yes') in row 2" in ask("mrmc", HEAD + "R1,a,x,yes,1\nR1,b,x,0,1\n")
    pairs = "patient,lesion,a,b\n" + "".join(f"p{k},1,{k % 2},{int(k < 4)}\n" for k in range(9))
    words = pairs.replace(",1\n", ",TRUE\n").replace(",0\n", ",FALSE\n")
    got, plain = ask("mcnemar", words), ask("mcnemar", pairs)
    assert {**got, "file": 0} == {**plain, "file": 0}


def test_thousands_beside_semicolons_are_refused_and_decimals_are_read(ask):
    head = "reader;case;arm;measure\n"
    said = ask("limits", head + "R1;1;a;1.234\nR1;2;a;980\n")
    assert "got '1.234' in column 'measure', row 2, which may be thousands" in said
    assert "without the point" in said
    rows = "".join(f"R{r};{k};{arm};{k}.{r}{k}5\n" for r in (1, 2) for k in (1, 2) for arm in "ab")
    assert "first" in ask("limits", head + rows.replace(";1.115", ";0.115"))


IMRMC = """Simulated, two readers
NR: 2
BEGIN DATA:
-1,n1,0,0
-1,d1,0,1
{rows}
"""


def test_files_of_imrmc_are_read_with_their_truth(ask, tmp_path):
    rows = [
        f"r{r},{case},{arm},{round(1 + r * 0.3 + (case == 'd1') + (arm == 'B') * 0.1, 2)}"
        for r in (1, 2)
        for case in ("n1", "d1")
        for arm in "AB"
    ]
    path = tmp_path / "t.imrmc"
    path.write_text(IMRMC.format(rows="\n".join(rows)))
    got = read_table(path)
    assert list(got) == ["reader", "case", "arm", "truth", "rating"]
    assert got["truth"].tolist() == [0, 0, 1, 1] * 2
    assert got["rating"].tolist()[:4] == [1.3, 1.4, 2.3, 2.4]
    assert got.index.tolist() == list(range(6, 14))
    frame = "caseID,readerID,modalityID,score\nn1,truth,truth,0\nd1,truth,truth,1\n" + "".join(
        f"{case},{reader},{arm},{score}\n"
        for reader, case, arm, score in (row.split(",") for row in rows)
    )
    path.write_text(frame)
    pd.testing.assert_frame_equal(
        read_table(path).reset_index(drop=True), got.reset_index(drop=True)
    )
    bad = IMRMC.format(rows="\n".join([*rows, "r1,x9,A,1"]))
    assert "got none for 'x9' of row 14" in ask("mrmc", bad)
    assert "got 3 cells in row 6" in ask("mrmc", IMRMC.format(rows="r1,n1,A"))
    twice = bad.replace("-1,d1,0,1", "-1,d1,0,1\n-1,d1,0,0")
    assert "one truth for each case, got 1 and 0 for 'd1' (row 6)" in ask("mrmc", twice)


@pytest.mark.parametrize(
    ("first", "cells"),
    [
        ("id", "a"),
        ("patient", "7"),
        ("number", None),  # 1, 2, 3, ...
        ("film", "f{k}"),
    ],
)
def test_a_column_of_names_is_no_rater(ask, first, cells):
    rows = "".join(
        f"{(k + 1) if cells is None else cells.format(k=k)},{k % 3},{k % 2}\n" for k in range(9)
    )
    for level in ("nominal", "interval"):
        said = ask("agreement", f"{first},R1,R2\n{rows}", "--level", level)
        assert f"got {first!r}, which names the rows" in said
    got = ask("agreement", f"subject,R1,R2\n{rows}") if cells != "a" and cells != "7" else None
    assert got is None or got["rater_names"] == ["R1", "R2"]
