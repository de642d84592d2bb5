"""CSV and its relatives beside Python's own reader, and with quotes where none belongs."""

import codecs
import csv
import io
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import SourceError
from tasks.files.locate import locate_files
from tasks.files.readers import read_file
from tasks.files.records import BadLine

SIGNS = ['"', "'", ",", ";", "\t", "|", " ", "a", "Zoë", "👍", "ก้", "\n", "\r\n", "x y", "5"]
DIALECTS = [(".csv", ","), (".csv", ";"), (".csv", "|"), (".csv", "\t"), (".tsv", "\t")]
QUOTING = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]


def read(path: Path) -> tuple[list[dict[str, Any]], list[tuple[str, BadLine]]]:
    found = list(read_file(locate_files(str(path))[0]))
    good = [dict(row) for _, row in found if not isinstance(row, BadLine)]
    return good, [(origin, row) for origin, row in found if isinstance(row, BadLine)]


def read_with_python(text: str, delimiter: str) -> list[dict[str, str]]:
    header, *rows = [r for r in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if r]
    return [dict(zip(header, row, strict=True)) for row in rows]


def make_file(draw: random.Random, *, lines_in_fields: bool) -> list[list[str]]:
    width = draw.randint(2, 5)
    signs = [s for s in SIGNS if lines_in_fields or s not in ("\n", "\r\n")]
    rows = [
        ["".join(draw.choices(signs, k=draw.randint(0, 6))) for _ in range(width)]
        for _ in range(draw.randint(1, 30))
    ]
    return [[f"column {i}" for i in range(width)], *rows]


def write(rows: list[list[str]], delimiter: str, end: str, quoting: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("seed", range(500))
def test_a_file_is_read_as_pythons_reader_reads_it(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    ending, delimiter = draw.choice(DIALECTS)
    end = draw.choice(["\n", "\r\n", "\r"])
    # Python's writer leaves line breaks other than its own without quotes.
    quoting = draw.choice(QUOTING) if end != "\r" else csv.QUOTE_ALL
    mark = draw.choice([b"", codecs.BOM_UTF8])
    made = make_file(draw, lines_in_fields=bool(seed % 2))
    text = write(made, delimiter, end, quoting)
    path = tmp_path / f"a{ending}"
    path.write_bytes(mark + text.encode())
    good, bad = read(path)
    wanted = read_with_python(text, delimiter)
    # The one difference: lines that would be rows of their own, between two quotes.
    doubtful = [row for row in wanted if row not in good]
    assert good == [row for row in wanted if row not in doubtful]
    reasons = {row.reason for _, row in bad}
    assert all("read in two ways" in reason for reason in reasons), reasons
    assert all(any("\n" in value or "\r" in value for value in row.values()) for row in doubtful)
    assert len(doubtful) <= len(bad)
    assert bool(bad) == bool(doubtful)
    if not seed % 2:
        assert not bad


LETTERS = st.text("abc é👍'5", min_size=1, max_size=8)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(
    st.integers(2, 5).flatmap(
        lambda n: st.lists(st.lists(LETTERS, min_size=n, max_size=n), min_size=2, max_size=60)
    ),
    st.sampled_from(DIALECTS),
    st.data(),
)
def test_a_stray_quote_costs_its_own_row_alone(
    tmp_path: Path, rows: list[list[str]], dialect: tuple[str, str], data: st.DataObject
) -> None:
    ending, delimiter = dialect
    place = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.integers(0, len(rows[0]) - 1))
    header = [f"h{i}" for i in range(len(rows[0]))]
    broken = [list(row) for row in rows]
    broken[place][field] = '"' + broken[place][field]
    path = tmp_path / f"a{ending}"
    path.write_text("".join(delimiter.join(row) + "\n" for row in [header, *broken]))
    good, bad = read(path)
    left = [row for i, row in enumerate(rows) if i != place]
    assert good == [dict(zip(header, row, strict=True)) for row in left]
    assert [origin for origin, _ in bad] == [f"a{ending}:{place + 2}"]


@pytest.mark.parametrize(("first", "last"), [(10, 500), (3, 12), (0, 999)])
@pytest.mark.parametrize("ending", [".tsv", ".csv"])
def test_two_stray_quotes_that_make_one_field_count_as_all_their_lines(
    tmp_path: Path, first: int, last: int, ending: str
) -> None:
    sign = "\t" if ending == ".tsv" else ","
    lines = [f"ticket {i}{sign}billing" for i in range(1000)]
    lines[first] = f'ticket{sign}"billing'
    lines[last] = f'ticket{sign}billing"'
    path = tmp_path / f"a{ending}"
    path.write_text("\n".join([f"prompt{sign}completion", *lines]))
    good, bad = read(path)
    assert len(good) == 1000 - (last - first + 1)
    assert [origin for origin, _ in bad] == [f"a{ending}:{i + 2}" for i in range(first, last + 1)]
    assert "one row with a quoted field of" in bad[0][1].reason


def test_a_broken_row_of_several_lines_counts_as_its_lines_and_its_rest_is_no_row(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        'prompt,completion\na,b\n"first line\nsecond one\nthird",b,too many\n'
        '"He said "hello" to\nme",label\nc,d\n'
    )
    good, bad = read(path)
    assert good == [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}]
    assert [origin for origin, _ in bad] == ["a.csv:3", "a.csv:4", "a.csv:5", "a.csv:6", "a.csv:7"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(text=st.text('ab"\n,', max_size=200))
def test_every_physical_line_is_in_a_row_or_counted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + text)
    try:
        found = list(read_file(locate_files(str(path))[0]))
    except SourceError:
        return
    lines = [line for line in text.split("\n") if line]
    kept = sum(
        0 if isinstance(row, BadLine) else 1 + sum(v.count("\n") for v in row.values())
        for _, row in found
    )
    bad = sum(isinstance(row, BadLine) for _, row in found)
    blank_inside = sum(
        v.count("\n\n") + v.startswith("\n") + v.endswith("\n")
        for _, row in found
        if not isinstance(row, BadLine)
        for v in row.values()
    )
    assert len(lines) <= kept + bad <= len(lines) + blank_inside + text.count("\n\n") + 2
