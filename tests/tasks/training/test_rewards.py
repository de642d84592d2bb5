import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.training import Reward
from tasks.errors import TrainingError
from tasks.training.rewards import (
    exact_match,
    json_valid,
    label_match,
    labels_of,
    length_under,
    open_reward,
    reward_of,
    verify,
)

ROW = {"row_id": "r", "reference": None, "labels": ["card", "card payment", "top up"]}


@pytest.mark.parametrize(
    ("answer", "reference", "value"),
    [
        ("Paris", "paris", 1),
        (" New  York\n", "new york", 1),
        ("Paris.", "Paris", 0),
        ("4", 4, 1),
        ("x", {"answer": "X", "why": "..."}, 1),
        ("x", {"label": "x"}, 1),
        ("", None, 1),
    ],
)
def test_exact_match_forgives_case_and_spaces_alone(answer, reference, value):
    assert exact_match(answer, reference, ROW) == value


@pytest.mark.parametrize(
    ("answer", "reference", "value"),
    [
        ("I think: Card.", "card", 1),
        ("card payment", "card payment", 1),
        ("card payment", "card", 0),
        ("card or top up", "card", 0),
        ("nothing", "card", 0),
        ("discarded", "card", 0),
        ("card payment, by card", "card payment", 0),
    ],
)
def test_label_match_wants_the_one_label_and_no_other(answer, reference, value):
    assert label_match(answer, reference, ROW) == value


@pytest.mark.parametrize(
    ("answer", "gold", "labels", "value"),
    [
        ("Yes, as far as I know.", "yes", ["yes", "no"], 1),
        ("I cannot say.", "no", ["yes", "no"], 0),
        ("Nobody can say yes", "yes", ["yes", "no"], 1),
        ("No", "no", ["yes", "no"], 1),
        ("yes and no", "yes", ["yes", "no"], 0),
        ("It is C++.", "C++", ["c", "c++"], 1),
        ("snake_case", "case", ["case", "snake"], 0),
        ("na\u00efve", "na", ["na", "ve"], 0),
        ("\u6211\u8bf4\u4e0d\u662f", "\u4e0d\u662f", ["\u662f", "\u4e0d\u662f"], 1),
    ],
)
def test_labels_stand_in_whole_words(answer, gold, labels, value):
    assert label_match(answer, gold, {"labels": labels}) == value


@pytest.mark.parametrize(
    ("answer", "reference", "value"),
    [
        ('{"a": 1}', None, 1),
        ('```json\n{"a": 1}\n```', {"a": 0}, 1),
        ('{"a": 1}', {"a": 0, "b": 0}, 0.5),
        ("[1]", {"a": 0}, 0.5),
        ("{a: 1}", None, 0),
        ("", None, 0),
    ],
)
def test_json_is_valid_whole_or_lacks_keys(answer, reference, value):
    assert json_valid(answer, reference, ROW) == value


@given(st.integers(1, 100), st.integers(0, 400))
def test_length_falls_from_one_to_nothing_at_twice_the_limit(limit, length):
    value = length_under(limit)("x" * length, None, ROW)
    assert 0 <= value <= 1
    assert (value == 1) == (length <= limit)
    assert (value == 0) == (length >= 2 * limit)


def test_labels_are_what_references_name():
    assert labels_of(["Card", {"label": "card"}, None, "top  up"]) == ["card", "top up"]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's own on the path."""
    (tmp_path / "my_rewards_here.py").write_text(
        "def good(answer, reference, row): return len(answer)\n"
        "def text(answer, reference, row): return 'much'\n"
        "def broken(answer, reference, row): return row['missing']\n"
        "def infinite(answer, reference, row): return float('nan')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_rewards_here"
    sys.modules.pop("my_rewards_here", None)


def test_a_reward_of_ones_own_is_called_like_a_shipped_one(own):
    reward = Reward(name=f"{own}:good")
    verify(reward, [ROW])
    assert reward_of(open_reward(reward), reward.name, "four", ROW) == 4.0


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("text", "gave 'much', not a finite number"),
        ("broken", "failed on a row: KeyError"),
        ("infinite", "not a finite number"),
        ("absent", "can't be imported"),
    ],
)
def test_a_reward_that_can_not_be_used_is_refused_on_sample_rows(own, name, why):
    with pytest.raises(TrainingError, match=why):
        verify(Reward(name=f"{own}:{name}"), [ROW])


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(TrainingError, match="no_such_module_here"):
        verify(Reward(name="no_such_module_here:f"), [ROW])


def test_a_shipped_reward_that_can_teach_nothing_on_these_rows_is_refused():
    with pytest.raises(TrainingError, match="whatever the answer is"):
        verify(Reward(name="label_match"), [{**ROW, "reference": "not a label of the list"}])
    verify(Reward(name="label_match"), [{**ROW, "reference": "card"}])
