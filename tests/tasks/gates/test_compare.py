from collections.abc import Callable

import pytest

from tasks.errors import EvaluationError
from tasks.gates.compare import compare
from tasks.gates.pairing import unmatched
from tasks.scores import SuiteScores

Make = Callable[..., SuiteScores]
GOLD = ["a", "b"] * 20


def scores(make: Make, predicted: list[str | None], suite: str = "voc") -> SuiteScores:
    rows = [
        {"form": "classification", "gold": g, "prediction": p, "score": float(g == p)}
        for g, p in zip(GOLD, predicted, strict=True)
    ]
    return make(suite, "classification", rows, ["a", "b"])


def test_every_shared_metric_has_its_difference_and_flips(suite_scores: Make) -> None:
    first = scores(suite_scores, [None, None, *GOLD[2:]])
    second = scores(suite_scores, [*GOLD[:-1], "a"])
    rows = {r.metric: r for r in compare([first], [second])}
    assert list(rows) == [f"voc/{m}" for m in first.metrics]
    accuracy = rows["voc/accuracy"]
    assert accuracy.difference == pytest.approx(1 / 40)
    assert accuracy.low < accuracy.difference < accuracy.high
    assert (accuracy.to_wrong, accuracy.to_right) == (1, 2)
    assert (rows["voc/macro_f1"].to_wrong, rows["voc/macro_f1"].to_right) == (1, 2)
    invalid = rows["voc/invalid_rate"]
    assert invalid.difference == pytest.approx(-2 / 40)
    assert (invalid.to_wrong, invalid.to_right) == (0, 2)


def test_metrics_that_are_neither_right_nor_wrong_have_no_flips(suite_scores: Make) -> None:
    rows = [{"form": "text", "nats": 1.0 + i, "bytes": 9} for i in range(9)]
    texts = suite_scores("general", "bits_per_byte", rows)
    (row,) = compare([texts], [texts])
    assert row.difference == 0
    assert row.low == -row.high < 0
    assert row.to_wrong is None
    assert row.to_right is None


def test_suites_that_only_one_has_are_named(suite_scores: Make) -> None:
    voc, other = scores(suite_scores, list(GOLD)), scores(suite_scores, list(GOLD), "other")
    assert unmatched([voc, other], [voc]) == ["other"]
    with pytest.raises(EvaluationError, match="share no suite"):
        compare([voc], [other])
