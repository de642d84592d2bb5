from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from configs.evaluation import Gate, HoldGate, ImproveGate
from tasks.artifacts import GateResult, SuiteScores
from tasks.errors import EvaluationError
from tasks.gating.gates import judge, judge_all, overall

Make = Callable[..., SuiteScores]
N = 400


def letters(right: np.ndarray, margin: np.ndarray | None = None) -> list[dict[str, Any]]:
    gold = np.zeros(len(right)) if margin is None else margin
    return [{"item_id": f"q{i}", "form": "letters", "cluster": f"subject {i % 4}", "gold_index": 0,
             "score": float(ok), "choice_logprobs": [float(m) - 2, -2.0]}
            for i, (ok, m) in enumerate(zip(right, gold, strict=True))]  # fmt: skip


def texts(bits: np.ndarray) -> list[dict[str, Any]]:
    return [{"form": "text", "nats": float(b) * 100 * np.log(2), "bytes": 100} for b in bits]


def answers(gold: list[str], predicted: list[str | None]) -> list[dict[str, Any]]:
    return [{"form": "classification", "gold": g, "prediction": p, "score": float(g == p)}
            for g, p in zip(gold, predicted, strict=True)]  # fmt: skip


def flipped(right: np.ndarray, lose: int, gain: int) -> np.ndarray:
    out = right.copy()
    out[np.flatnonzero(right == 1)[:lose]] = 0
    out[np.flatnonzero(right == 0)[:gain]] = 1
    return out


BASE = (np.arange(N) % 10 < 6).astype(float)


def hold(margin: float, metric: str = "mmlu/accuracy") -> HoldGate:
    return HoldGate(rule="hold", metric=metric, margin=margin)


def improve(by: float, metric: str = "mmlu/accuracy") -> ImproveGate:
    return ImproveGate(rule="improve", metric=metric, by=by)


@pytest.mark.parametrize(
    ("gate", "lose", "gain", "verdict"),
    [
        (hold(0.05), 10, 10, "PASS"),
        (hold(0.05), 40, 0, "FAIL"),
        (hold(0.05), 40, 30, "INCONCLUSIVE"),
        (improve(0.05), 0, 40, "PASS"),
        (improve(0.05), 10, 10, "FAIL"),
        (improve(0.05), 10, 35, "INCONCLUSIVE"),
    ],
)
def test_a_verdict_follows_the_interval(
    suite_scores: Make, gate: Gate, lose: int, gain: int, verdict: str
) -> None:
    base = suite_scores("mmlu", "mmlu", letters(BASE))
    candidate = suite_scores("mmlu", "mmlu", letters(flipped(BASE, lose, gain)))
    found = judge(gate, base, candidate)
    assert found.verdict == verdict
    assert found.difference == pytest.approx((gain - lose) / N)
    assert found.low <= found.difference <= found.high
    assert found.n == N
    assert found.reason
    assert (found.needed_n is not None and found.needed_n > N) == (verdict == "INCONCLUSIVE")


def test_no_change_at_all_is_no_improvement_that_more_items_could_show(suite_scores: Make) -> None:
    base = suite_scores("mmlu", "mmlu", letters(BASE))
    found = judge(improve(0.0), base, base)
    assert (found.verdict, found.needed_n) == ("INCONCLUSIVE", None)
    assert "no number of items" in found.reason


def test_a_metric_that_is_better_lower_is_held_against_a_rise(suite_scores: Make) -> None:
    rng = np.random.default_rng(0)
    bits = rng.uniform(0.8, 1.2, 100)
    base = suite_scores("general", "bits_per_byte", texts(bits))
    for rise, verdict in ((0.005, "PASS"), (0.05, "FAIL"), (-0.3, "PASS")):
        moved = texts(bits + rise + rng.normal(0, 0.01, 100))
        found = judge(hold(0.02, "general/bits_per_byte"), base,
                      suite_scores("general", "bits_per_byte", moved))  # fmt: skip
        assert found.verdict == verdict
        assert found.difference == pytest.approx(rise, abs=0.005)
    gained = judge(improve(0.1, "general/bits_per_byte"), base,
                   suite_scores("general", "bits_per_byte", texts(bits - 0.3)))  # fmt: skip
    assert gained.verdict == "PASS"
    assert gained.difference == pytest.approx(-0.3)


def test_the_bounds_are_of_the_two_sided_interval_at_twice_alpha(suite_scores: Make) -> None:
    from tasks.metrics.intervals import tango

    base = suite_scores("mmlu", "mmlu", letters(BASE))
    candidate = suite_scores("mmlu", "mmlu", letters(flipped(BASE, 20, 10)))
    gate = HoldGate(rule="hold", metric="mmlu/accuracy", margin=0.05, alpha=0.1)
    found = judge(gate, base, candidate)
    assert (found.low, found.high) == pytest.approx(tango(10, 20, N, 0.8))


def test_what_is_at_chance_cannot_be_held(suite_scores: Make) -> None:
    chance = (np.arange(N) % 4 == 0).astype(float)
    base = suite_scores("mmlu", "mmlu", letters(chance))
    found = judge(hold(0.2), base, base)
    assert found.verdict == "INCONCLUSIVE"
    assert "at chance" in found.reason
    assert found.needed_n is None
    better = suite_scores("mmlu", "mmlu", letters(flipped(chance, 0, 100)))
    assert judge(improve(0.1), base, better).verdict == "PASS"


def test_an_f1_of_zero_is_at_its_floor(suite_scores: Make) -> None:
    gold = ["a", "b"] * 20
    base = suite_scores("voc", "classification", answers(gold, [None] * 40), ["a", "b"])
    found = judge(hold(0.9, "voc/macro_f1"), base, base)
    assert (found.verdict, found.needed_n) == ("INCONCLUSIVE", None)
    assert "at chance" in found.reason


@pytest.mark.parametrize("gate", [hold(0.9, "voc/macro_f1"), improve(0.0, "voc/macro_f1")])
def test_macro_f1_is_not_judged_on_a_class_of_under_five_items(
    suite_scores: Make, gate: Gate
) -> None:
    gold = ["a"] * 50 + ["b"] * 3
    base = suite_scores("voc", "classification", answers(gold, ["a"] * 53), ["a", "b", "c"])
    right = suite_scores("voc", "classification", answers(gold, list(gold)), ["a", "b", "c"])
    found = judge(gate, base, right)
    assert found.verdict == "INCONCLUSIVE"
    assert found.reason.startswith("1 of 2 classes have fewer than 5 items ('b' has 3)")
    assert found.needed_n == 55


def test_a_continuous_metric_sees_what_accuracy_does_not(suite_scores: Make) -> None:
    rng = np.random.default_rng(1)
    margin = rng.normal(1, 1, N)
    base = suite_scores("mmlu", "mmlu", letters(BASE, margin))
    worse = suite_scores("mmlu", "mmlu", letters(BASE, margin - 0.2 + rng.normal(0, 0.1, N)))
    assert judge(hold(0.05), base, worse).verdict == "PASS"
    assert judge(hold(0.05, "mmlu/gold_margin"), base, worse).verdict == "FAIL"


def test_other_versions_and_other_items_are_refused_by_name(suite_scores: Make) -> None:
    base = suite_scores("mmlu", "mmlu", letters(BASE))
    other = suite_scores("mmlu", "mmlu", letters(BASE), fingerprint="e" * 64)
    with pytest.raises(EvaluationError, match="fingerprint is ffffffffffff for the first and eeee"):
        judge(hold(0.1), base, other)
    fewer = suite_scores("mmlu", "mmlu", letters(BASE)[2:])
    with pytest.raises(EvaluationError, match=r"2 items only in the first: q0 \(letters\), q1"):
        judge(hold(0.1), base, fewer)


def test_the_order_of_items_does_not_matter(suite_scores: Make) -> None:
    base = suite_scores("mmlu", "mmlu", letters(BASE))
    candidate = letters(flipped(BASE, 20, 5))
    there, back = (judge(hold(0.05), base, suite_scores("mmlu", "mmlu", rows))
                   for rows in (candidate, candidate[::-1]))  # fmt: skip
    assert there == back


def test_gates_are_judged_in_the_recipes_order(suite_scores: Make) -> None:
    base = [suite_scores("mmlu", "mmlu", letters(BASE)),
            suite_scores("general", "bits_per_byte", texts(np.linspace(0.8, 1.2, 50)))]  # fmt: skip
    gates = (hold(0.1, "general/bits_per_byte"), hold(0.1))
    assert [r.metric for r in judge_all(gates, base, base[::-1])] == [g.metric for g in gates]
    with pytest.raises(EvaluationError, match="'voc' was not run"):
        judge_all((improve(0.1, "voc/macro_f1"),), base, base)
    with pytest.raises(EvaluationError, match="gives no 'cloze_margin'"):
        judge_all((hold(0.1, "mmlu/cloze_margin"),), base, base)


@pytest.mark.parametrize(
    ("verdicts", "all_of_them"),
    [([], "PASS"), (["PASS", "PASS"], "PASS"), (["PASS", "INCONCLUSIVE"], "INCONCLUSIVE"),
     (["INCONCLUSIVE", "FAIL", "PASS"], "FAIL")],
)  # fmt: skip
def test_all_gates_must_pass(verdicts: list[Any], all_of_them: str) -> None:
    zeros = dict.fromkeys(("base", "candidate", "difference", "low", "high"), 0.0)
    results = [GateResult(metric="s/m", rule="hold", verdict=v, **zeros, n=1, needed_n=None,
                          reason="") for v in verdicts]  # fmt: skip
    assert overall(results) == all_of_them
