from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.sources import Split
from tasks.quality.splits import apportion, assign, find_beyond_limit, find_overlaps, units

KEY = 17


def _frame(labels: list[str | None], **columns: Any) -> pd.DataFrame:
    count = len(labels)
    base = {
        "row_id": [f"row{i}" for i in range(count)],
        "prompt_key": [f"p{i}" for i in range(count)],
        "label": labels,
        "group": [None] * count,
        "split": [None] * count,
    }
    return pd.DataFrame(base | columns, dtype=pd.StringDtype("pyarrow"))


def _counts(names: Any) -> dict[str, int]:
    return dict(Counter(names.tolist()))


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 40), max_size=8),
    st.integers(0, 200),
)
def test_quotas_sum_to_what_is_asked_or_to_all_there_is(sizes: dict[str, int], count: int) -> None:
    room = {s: n - 1 for s, n in sizes.items()}
    given_ = apportion(sizes, count, room)
    assert sum(given_.values()) == min(count, sum(room.values()))
    assert all(0 <= given_[s] <= room[s] for s in sizes)


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3), st.integers(5, 40), min_size=1, max_size=8
    ),
    st.floats(0, 0.5),
)
def test_every_quota_is_within_one_of_its_share(sizes: dict[str, int], fraction: float) -> None:
    count = int(fraction * sum(sizes.values()))
    quotas = apportion(sizes, count, sizes)
    exact = {s: count * n / sum(sizes.values()) for s, n in sizes.items()}
    assert all(abs(quotas[s] - exact[s]) < 1 for s in sizes)


def test_fractions_are_met_over_all_rows() -> None:
    names = assign(_frame([None] * 1000), Split(dev=0.05, test=0.1), KEY, by_label=False)
    assert _counts(names) == {"train": 850, "dev": 50, "test": 100}


def test_every_label_gives_its_share() -> None:
    labels: list[str | None] = ["a"] * 100 + ["b"] * 40 + ["c"] * 20
    names = assign(_frame(labels), Split(dev=0.1, test=0.2), KEY, by_label=True)
    got = Counter(zip(labels, names, strict=True))
    assert [got[label, "test"] for label in "abc"] == [20, 8, 4]
    assert [got[label, "dev"] for label in "abc"] == [10, 4, 2]


@given(
    st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=60),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
)
def test_no_label_loses_its_last_training_row(labels: list[str], dev: float, test: float) -> None:
    names = assign(_frame(list(labels)), Split(dev=dev, test=test), KEY, by_label=True)
    trained = {label for label, name in zip(labels, names, strict=True) if name == "train"}
    assert trained == set(labels)


@given(st.permutations(range(40)))
def test_the_order_of_rows_changes_nothing(order: list[int]) -> None:
    frame = _frame(["a", "b"] * 20)
    names = assign(frame, Split(test=0.3), KEY, by_label=True)
    again = assign(frame.iloc[order].reset_index(drop=True), Split(test=0.3), KEY, by_label=True)
    assert [names[i] for i in order] == again.tolist()


def test_another_seed_divides_otherwise_and_the_same_seed_alike() -> None:
    frame = _frame([None] * 200)
    one, same, other = (assign(frame, Split(), key, by_label=False) for key in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()


def test_rows_of_one_prompt_stay_together() -> None:
    frame = _frame([None] * 300, prompt_key=[f"p{i % 100}" for i in range(300)])
    names = assign(frame, Split(dev=0.2, test=0.2), KEY, by_label=False)
    assert pd.Series(names).groupby(frame["prompt_key"]).nunique().max() == 1
    assert _counts(names) == {"train": 180, "dev": 60, "test": 60}


def test_rows_of_one_group_stay_together() -> None:
    frame = _frame([None] * 300, group=[f"g{i % 30}" for i in range(300)])
    names = assign(frame, Split(dev=0.2, test=0.2), KEY, by_label=False)
    assert pd.Series(names).groupby(frame["group"]).nunique().max() == 1


def test_given_splits_are_honoured_and_take_the_place_of_fractions() -> None:
    frame = _frame([None] * 100, split=["test"] * 10 + [None] * 90)
    names = assign(frame, Split(dev=0.1, test=0.4, test_path="t.jsonl"), KEY, by_label=False)
    assert names[:10].tolist() == ["test"] * 10
    assert _counts(names) == {"test": 10, "dev": 9, "train": 81}


def test_a_source_of_one_row_trains_on_it() -> None:
    for by_label in (True, False):
        assert assign(_frame(["a"]), Split(test=0.5), KEY, by_label=by_label).tolist() == ["train"]


def test_no_rows_have_no_splits() -> None:
    assert assign(_frame([]), Split(), KEY, by_label=True).tolist() == []


def test_a_prompt_of_a_later_split_is_a_leak() -> None:
    frame = _frame([None] * 6, prompt_key=["p", "q", "r", "p", "q", "q"])
    names = np.array(["train", "train", "train", "test", "dev", "test"], dtype=object)
    assert find_overlaps(frame, names).tolist() == [True, True, False, False, True, False]


def test_a_limit_takes_training_rows_only_and_a_smaller_one_fewer_of_the_same() -> None:
    frame = _frame([None] * 100)
    names = assign(frame, Split(), KEY, by_label=False)
    small, large = (find_beyond_limit(frame["row_id"], names, n, KEY) for n in (20, 50))
    assert int((~small & (names == "train")).sum()) == 20
    assert not (small & (names != "train")).any()
    assert (large <= small).all()
    assert not find_beyond_limit(frame["row_id"], names, None, KEY).any()
    assert not find_beyond_limit(frame["row_id"], names, 1000, KEY).any()


@pytest.mark.parametrize("by_label", [True, False])
def test_adding_rows_moves_few_of_the_others(by_label: bool) -> None:
    frame = _frame(["a", "b"] * 500)
    before = assign(frame[:980], Split(), KEY, by_label=by_label)
    after = assign(frame, Split(), KEY, by_label=by_label)[:980]
    assert (before != after).mean() < 0.03


TIMES = st.lists(st.integers(0, 12), min_size=1, max_size=60)


@given(TIMES, st.floats(0, 0.5), st.floats(0, 0.5))
def test_later_rows_are_judged_on_and_rows_of_one_time_stay_together(
    times: list[int], dev: float, test: float
) -> None:
    frame = _frame([None] * len(times)).assign(time=np.array(times, dtype=float))
    names = assign(frame, Split(dev=dev, test=test, time="at"), KEY, by_label=False)
    of = {
        n: [t for t, name in zip(times, names, strict=True) if name == n]
        for n in ("train", "dev", "test")
    }
    assert of["train"]
    ordered = [sorted(set(of[n])) for n in ("train", "dev", "test")]
    assert sum(ordered, []) == sorted(set(times))
    asked = int(np.floor(test * len(times) + 0.5))
    if len(of["test"]) > asked:
        earliest = min(of["test"])
        assert sum(t > earliest for t in of["test"]) < asked


def test_a_group_goes_where_its_latest_row_goes() -> None:
    frame = _frame([None] * 10, group=["g"] * 2 + [None] * 8).assign(
        time=np.array([0.0, 9, *range(1, 9)])
    )
    names = assign(frame, Split(dev=0, test=0.2, time="at"), KEY, by_label=False)
    assert names.tolist() == ["test", "test"] + ["train"] * 8


@given(
    st.lists(
        st.tuples(st.integers(0, 15), st.sampled_from([None, "a", "b", "c"]), st.integers(0, 8)),
        min_size=1,
        max_size=60,
    ),
    st.booleans(),
)
def test_near_duplicates_and_groups_are_on_one_side(
    rows: list[tuple[int, str | None, int]], by_label: bool
) -> None:
    frame = _frame(
        ["x" if i % 3 else "y" for i in range(len(rows))],
        group=[g for _, g, _ in rows],
        prompt_key=[f"p{p}" for p, _, _ in rows],
    ).assign(near=[n for _, _, n in rows])
    names = pd.Series(assign(frame, Split(dev=0.3, test=0.3), KEY, by_label=by_label))
    assert names.groupby(frame["near"]).nunique().max() == 1
    own = frame["group"].where(frame["group"].notna(), frame["prompt_key"])
    assert names.groupby(own).nunique().max() == 1
    assert "train" in set(names)


def test_units_are_not_joined_without_a_reason() -> None:
    frame = _frame([None] * 4, group=[None, None, "g", "g"]).assign(near=[0, 1, 2, 3])
    assert units(frame).tolist() == ["p0", "p1", "g", "g"]


def test_a_near_duplicate_of_a_given_test_item_is_a_leak() -> None:
    frame = _frame([None] * 3).assign(near=[0, 0, 1])
    names = np.array(["train", "test", "train"], dtype=object)
    assert find_overlaps(frame, names).tolist() == [True, False, False]
