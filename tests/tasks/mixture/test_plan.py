from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InsufficientData
from tasks.mixture.plan import INTERVAL, make_plan, read_cursors, write_cursors


def whole(plan):
    return plan.rows(0, len(plan))


def sizes(n, seed=0):
    return np.random.default_rng(seed).integers(1, 30, n).astype(np.int64)


def test_row_quotas_are_met_exactly():
    rows = {"a": np.ones(40, np.int64), "b": np.ones(7, np.int64)}
    plan = make_plan([{"a": 30, "b": 20}], rows, 17, rows_exact=True)
    assert np.bincount(whole(plan).source).tolist() == [30, 20]


@given(st.integers(1, 5000), st.integers(1, 3000), st.integers(0, 99))
def test_token_quotas_are_met_within_one_row(quota_a, quota_b, seed):
    rows = {"a": sizes(50, seed), "b": sizes(20, seed + 1)}
    plan = make_plan([{"a": quota_a, "b": quota_b}], rows, seed, rows_exact=False)
    for i, (name, quota) in enumerate((("a", quota_a), ("b", quota_b))):
        got = rows[name][whole(plan).row[whole(plan).source == i]].sum()
        assert abs(got - quota) <= rows[name].max()


def test_no_row_is_repeated_before_every_row_was_used():
    plan = make_plan([{"a": 25}], {"a": np.ones(10, np.int64)}, 17, rows_exact=True)
    assert whole(plan).epoch.tolist() == [0] * 10 + [1] * 10 + [2] * 5
    assert set(Counter(whole(plan).row[:20].tolist()).values()) == {2}


def test_each_epoch_has_its_own_order():
    plan = make_plan([{"a": 40}], {"a": np.ones(20, np.int64)}, 17, rows_exact=True)
    assert whole(plan).row[:20].tolist() != whole(plan).row[20:].tolist()


def test_adding_a_source_does_not_reorder_the_rows_inside_another():
    rows = {"a": sizes(30), "b": sizes(30, 1), "c": sizes(30, 2)}
    two = make_plan([{"a": 200, "b": 100}], rows, 17, rows_exact=False)
    three = make_plan([{"c": 50, "b": 100, "a": 200}], rows, 17, rows_exact=False)
    for name in ("a", "b"):
        orders = [
            whole(p).row[whole(p).source == p.names.index(name)].tolist() for p in (two, three)
        ]
        assert orders[0] == orders[1]


def test_the_digest_depends_on_the_seed_alone_when_all_else_is_equal():
    rows = {"a": sizes(30), "b": sizes(30, 1)}
    quota = {"a": 200, "b": 100}
    one, same = (make_plan([quota], rows, 17, False).digest() for _ in range(2))
    assert one == same != make_plan([quota], rows, 18, False).digest()


def test_an_empty_source_is_named():
    with pytest.raises(InsufficientData, match="'a' has no row to draw"):
        make_plan([{"a": 5}], {"a": np.ones(0, np.int64)}, 17, rows_exact=True)


def test_any_range_is_the_same_from_anywhere_with_cursors_or_without(tmp_path):
    rows = {"a": sizes(5000), "b": sizes(900, 1)}
    quota = {"a": 30 * INTERVAL, "b": 4 * INTERVAL}
    plan = make_plan([quota], rows, 17, False)
    everything = whole(plan)
    assert len(plan) > 2 * INTERVAL
    write_cursors(tmp_path / "cursors.json", plan)
    for start in (0, 1, INTERVAL - 3, INTERVAL, 2 * INTERVAL + 7, len(plan) - 2):
        fresh, helped = (make_plan([quota], rows, 17, False) for _ in range(2))
        helped.cursors.extend(read_cursors(tmp_path / "cursors.json"))
        for other in (fresh, helped):
            part = other.rows(start, start + 9)
            for column in ("source", "row", "epoch"):
                wanted = getattr(everything, column)[start : start + 9]
                assert getattr(part, column).tolist() == wanted.tolist()


def test_a_plan_made_again_from_its_draws_is_the_same_plan():
    rows = {"a": sizes(300), "b": sizes(90, 1)}
    stages = [{"a": 1800, "b": 200}, {"a": 200, "b": 1800}]
    plan = make_plan(stages, rows, 17, rows_exact=False)
    draws = [stage.draws.tolist() for stage in plan.stages]
    assert make_plan(stages, rows, 17, False, draws).digest() == plan.digest()


def test_a_schedule_draws_each_stage_in_turn_and_goes_on_with_the_same_rows():
    rows = {"a": sizes(300), "b": sizes(300, 1)}
    stages = [{"a": 1800, "b": 200}, {"a": 200, "b": 1800}]
    plan = make_plan(stages, rows, 17, rows_exact=False)
    part = whole(plan)
    units = np.array([rows[plan.names[s]][r] for s, r in zip(part.source, part.row, strict=True)])
    first = np.cumsum(units) <= 2000
    assert abs(units[first & (part.source == 0)].sum() - 1800) <= 30
    assert abs(units[~first & (part.source == 1)].sum() - 1800) <= 60
    drawn = list(zip(part.source.tolist(), part.row.tolist(), part.epoch.tolist(), strict=True))
    assert len(set(drawn)) == len(drawn)


def test_the_plan_is_the_same_on_every_machine():
    rows = {"a": np.arange(1, 41), "b": np.arange(1, 21)}
    assert make_plan([{"a": 700, "b": 300}], rows, 17, False).digest()[:16] == "ce9066f7374381f9"
