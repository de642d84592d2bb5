from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from configs.gates import HoldGate
from configs.suites.behaviour import BrittlenessSuite
from configs.suites.mmlu import LETTERS
from tasks.gates.pairing import pair
from tasks.gates.stage import judge
from tasks.metrics.templates import template_marks, worst_interval
from tasks.scores import SuiteScores

Make = Callable[..., SuiteScores]


def scored(make: Make, marks: np.ndarray) -> SuiteScores:
    """Scores of right (1) and wrong (0) answers, shape (templates, items)."""
    marks = marks.astype(float)
    worst, best = marks.mean(axis=1).argmin(), marks.mean(axis=1).argmax()
    rows: list[dict[str, Any]] = [
        {"item_id": f"q{i}", "form": f"under {t}", "gold": "a", "score": float(ok)}
        for t, row in enumerate(marks)
        for i, ok in enumerate(row)
    ]
    for i, own in enumerate(marks.T):
        scores = {
            "mean_accuracy": float(own.mean()),
            "worst_accuracy": float(own[worst]),
            "best_accuracy": float(own[best]),
            "spread": float(own[best] - own[worst]),
            "always_right": float(own.min()),
            "disagreement": float(own.min() != own.max()),
        }
        rows.append({"item_id": f"q{i}", "form": "item", "gold": "a", "scores": scores})
    return make("b", "brittleness", rows)


def test_the_worst_template_is_held_only_where_every_template_is(suite_scores: Make) -> None:
    rng = np.random.default_rng(0)
    base = rng.random((8, 300)) < 0.8
    fallen = base.copy()
    fallen[3, np.flatnonzero(base[3])[:60]] = False
    one, other = scored(suite_scores, base), scored(suite_scores, fallen)
    gate = HoldGate(rule="hold", metric="b/worst_accuracy", margin=0.1)
    assert judge(gate, one, other).verdict != "PASS"
    same = judge(gate, one, scored(suite_scores, base))
    assert (same.verdict, same.difference) == ("PASS", 0)
    found = pair(one, other).difference("worst_accuracy", 0.9)
    falls = [x.mean() - y.mean() for x, y in zip(fallen, base, strict=True)]
    assert found.low < min(falls)
    assert found.low <= found.value <= found.high


def test_a_template_that_falls_just_by_the_margin_passes_as_seldom_as_it_may() -> None:
    """The second model's worst template is any of eight; all stand where the gate's margin is."""
    from tasks.metrics.templates import worst_difference
    from tasks.metrics.values import ItemValues, Numbers

    rng, ids = np.random.default_rng(1), tuple(map(str, range(200)))
    passed = 0
    for _ in range(300):
        first = rng.random((8, 200)) < 0.7
        second = rng.random((8, 200)) < np.where(np.arange(8) == 5, 0.6, 0.7)[:, None]
        sides = [
            [ItemValues(ids, Numbers(m.astype(float), proportion=True)) for m in side]
            for side in (first, second)
        ]
        passed += worst_difference(*sides, 0.9).low > -0.1
    assert passed / 300 <= 0.06


def test_the_worst_accuracy_lies_in_its_interval_as_often_as_it_says(suite_scores: Make) -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(100):
        suite = scored(suite_scores, rng.random((4, 100)) < 0.6)
        estimate = suite.metrics["worst_accuracy"]
        held += estimate.low <= 0.6 <= estimate.high
        assert estimate.low <= estimate.value <= estimate.high
    assert held >= 91


@pytest.mark.parametrize("name", ["best_accuracy", "spread"])
def test_what_is_picked_by_the_items_has_no_interval_and_carries_no_gate(
    suite_scores: Make, name: str
) -> None:
    suite = scored(suite_scores, np.random.default_rng(3).random((4, 60)) < 0.6)
    estimate = suite.metrics[name]
    assert (estimate.low, estimate.high) == (0, 1)
    gate = HoldGate(rule="hold", metric=f"b/{name}", margin=0.5)
    found = judge(gate, suite, suite)
    assert found.verdict == "INCONCLUSIVE"
    assert "no interval that holds" in found.reason
    assert not BrittlenessSuite.METRICS[name].interval
    assert not LETTERS["ece"].interval


def test_an_item_that_was_not_answered_under_some_template_is_left_out_of_all(
    suite_scores: Make,
) -> None:
    suite = scored(suite_scores, np.ones((3, 40)))
    marks = template_marks(pair(suite, suite).first_items)
    assert [len(m) for m in marks] == [40, 40, 40]
    assert worst_interval(marks, 0.95).low < 1
