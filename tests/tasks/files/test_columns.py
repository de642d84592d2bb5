import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import Unusable
from tasks.files.columns import fill_template, has_value, list_holes, look_up, to_text

ROW = {"a": "x", "n": 3, "deep": [{"output": "y"}], "dotted.name": "z", "none": None, "{w}": "v"}


@pytest.mark.parametrize(
    ("path", "value"),
    [("a", "x"), ("deep.0.output", "y"), ("dotted.name", "z"), ("none", None)],
)
def test_a_path_reaches_columns_fields_and_positions(path: str, value: object) -> None:
    assert look_up(ROW, path) == value


@pytest.mark.parametrize("path", ["b", "deep.1.output", "deep.output", "a.b", "deep.-1.output"])
def test_a_path_that_leads_nowhere_says_so(path: str) -> None:
    assert not has_value(ROW, path)
    with pytest.raises(Unusable, match="has no"):
        look_up(ROW, path)


def test_a_template_is_filled_once_and_its_double_braces_are_braces() -> None:
    row = {"a": "{n}", "n": 3}
    assert fill_template(row, '{{"text": "{a}", "stars": {n}}}') == '{"text": "{n}", "stars": 3}'


def test_a_template_cannot_reach_attributes() -> None:
    with pytest.raises(Unusable, match="has no"):
        fill_template({"a": "x"}, "{a.__class__}")
    with pytest.raises(Unusable, match="has no"):
        fill_template({"a": "x"}, "{a!r}")


def test_a_template_with_nothing_to_say_is_empty() -> None:
    assert fill_template({"a": " ", "b": None}, "Classify: {a} {b}") == ""
    assert fill_template({"a": " ", "b": "x"}, "Classify: {a} {b}") == "Classify:   x"


def test_holes_are_the_paths_a_value_names() -> None:
    assert list_holes("Say {a} and {deep.0.output}, {{not this}}") == ["a", "deep.0.output"]
    assert list_holes("plain.name") == ["plain.name"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0, "0"), (True, "True"), (datetime.date(2024, 5, 1), "2024-05-01"), ("é", "é")],
)
def test_scalars_become_text(value: object, text: str) -> None:
    assert to_text(value, "c") == text


@pytest.mark.parametrize("value", [["x"], {"x": 1}, b"x"])
def test_what_is_not_a_scalar_is_refused_with_its_kind(value: object) -> None:
    with pytest.raises(Unusable, match="'c' is .*not text"):
        to_text(value, "c")


@given(st.text(min_size=1).filter(lambda t: t.strip() == t))
def test_any_text_comes_through_a_template_unchanged(text: str) -> None:
    assert fill_template({"t": text}, "<{t}>") == f"<{text}>"
