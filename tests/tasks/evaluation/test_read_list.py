import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.read_list import read_list

values = st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.lists(st.integers()))
lists = st.lists(values, max_size=4)


@given(lists, st.text(alphabet="abc .:\n", max_size=20), st.text(max_size=20))
def test_a_whole_array_is_read_whatever_is_around_it(
    elements: list[object], before: str, after: str
) -> None:
    assert read_list(before + json.dumps(elements) + after) == (elements, "whole")


@given(st.lists(values, min_size=1, max_size=4), st.data())
def test_a_cut_array_gives_its_whole_elements(elements: list[object], data: st.DataObject) -> None:
    text = json.dumps(elements)
    cut = data.draw(st.integers(0, len(text) - 1))
    found = read_list(text[:cut])
    ends = [len(json.dumps(elements[: k + 1])) - 1 for k in range(len(elements))]
    whole = sum(end <= cut for end in ends)
    assert found == (elements[:whole], "partial" if whole else "broken")


@pytest.mark.parametrize(
    ("answer", "elements", "state"),
    [
        ('["a", "b"]', ["a", "b"], "whole"),
        ('["a", "b', ["a"], "partial"),
        ("[1] and [2]", [], "broken"),
        ("[]", [], "whole"),
        ("[] {}", [], "whole"),
        ('{"a": 1} {"a": 2', [{"a": 1}], "partial"),
        ('{"a": [1, 2]}', [1, 2], "whole"),
        ('{"a": [1], "b": 2}', [{"a": [1], "b": 2}], "whole"),
        ("{", [], "broken"),
        ('[{"a": 1} {"a": 2}]', [{"a": 1}, {"a": 2}], "partial"),
    ],
)
def test_lists_are_read_by_the_rules(answer: str, elements: list[object], state: str) -> None:
    assert read_list(answer) == (elements, state)
