import pytest

from tasks.files.records import DEEPEST, parse_json


def test_what_json_has_is_read_as_ever() -> None:
    assert parse_json('{"a": [1, 2.5, "ü", true, null], "b": {}}') == {
        "a": [1, 2.5, "ü", True, None],
        "b": {},
    }


def test_a_number_that_is_none_is_null() -> None:
    assert parse_json('{"a": NaN, "b": [Infinity, -Infinity]}') == {"a": None, "b": [None, None]}


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "c": 2, "a": 3}}]'])
def test_a_field_that_is_there_twice_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="'a' is there twice"):
        parse_json(text)


@pytest.mark.parametrize("levels", [DEEPEST + 1, 900, 100_000])
def test_nesting_has_an_end(levels: int) -> None:
    with pytest.raises(ValueError, match="too deep"):
        parse_json("[" * levels + "]" * levels)


def test_nesting_to_that_end_is_read_and_breadth_has_none() -> None:
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)
    assert len(parse_json("[" + ",".join(["[]"] * 5_000) + "]")) == 5_000


def test_a_number_without_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="limit"):
        parse_json('{"a": ' + "9" * 10_000 + "}")
