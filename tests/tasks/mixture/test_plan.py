from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InsufficientData
from tasks.mixture.plan import make_plan


def sizes(n, seed=0):
    return np.random.default_rng(seed).integers(1, 30, n).astype(np.int64)


def test_row_quotas_are_met_exactly():
    rows = {"a": np.ones(40, np.int64), "b": np.ones(7, np.int64)}
    plan = make_plan({"a": 30, "b": 20}, rows, 17, rows_exact=True)
    assert np.bincount(plan.source).tolist() == [30, 20]


@given(st.integers(1, 5000), st.integers(1, 3000), st.integers(0, 99))
def test_token_quotas_are_met_within_one_row(quota_a, quota_b, seed):
    rows = {"a": sizes(50, seed), "b": sizes(20, seed + 1)}
    plan = make_plan({"a": quota_a, "b": quota_b}, rows, seed, rows_exact=False)
    for i, (name, quota) in enumerate((("a", quota_a), ("b", quota_b))):
        got = rows[name][plan.row[plan.source == i]].sum()
        assert abs(got - quota) <= rows[name].max()


def test_no_row_is_repeated_before_every_row_was_used():
    plan = make_plan({"a": 25}, {"a": np.ones(10, np.int64)}, 17, rows_exact=True)
    assert plan.epoch.tolist() == [0] * 10 + [1] * 10 + [2] * 5
    assert set(Counter(plan.row[:20].tolist()).values()) == {2}


def test_each_epoch_has_its_own_order():
    plan = make_plan({"a": 40}, {"a": np.ones(20, np.int64)}, 17, rows_exact=True)
    assert plan.row[:20].tolist() != plan.row[20:].tolist()


def test_adding_a_source_does_not_reorder_the_rows_inside_another():
    rows = {"a": sizes(30), "b": sizes(30, 1), "c": sizes(30, 2)}
    two = make_plan({"a": 200, "b": 100}, rows, 17, rows_exact=False)
    three = make_plan({"c": 50, "b": 100, "a": 200}, rows, 17, rows_exact=False)
    for name in ("a", "b"):
        assert (two.row[two.source == two.names.index(name)].tolist()
                == three.row[three.source == three.names.index(name)].tolist())  # fmt: skip


def test_the_digest_depends_on_the_seed_alone_when_all_else_is_equal():
    rows = {"a": sizes(30), "b": sizes(30, 1)}
    quota = {"a": 200, "b": 100}
    one, same = (make_plan(quota, rows, 17, False).digest() for _ in range(2))
    assert one == same != make_plan(quota, rows, 18, False).digest()


def test_an_empty_source_is_named():
    with pytest.raises(InsufficientData, match="'a' has no row to draw"):
        make_plan({"a": 5}, {"a": np.ones(0, np.int64)}, 17, rows_exact=True)
