from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from configs.gates import FloorGate, Gate, HoldGate, ImproveGate
from tasks.errors import EvaluationError
from tasks.gates.stage import References, judge, judge_against, judge_all, overall
from tasks.scores import GateResult, SuiteScores

Make = Callable[..., SuiteScores]
N = 400


def letters(right: np.ndarray, margin: np.ndarray | None = None) -> list[dict[str, Any]]:
    """Questions with four letters; a wrong answer is any other letter, so that a guess gets .25."""
    rng = np.random.default_rng(0)
    gold, other = rng.integers(0, 4, len(right)), rng.integers(1, 4, len(right))
    said = np.where(right == 1, gold, (gold + other) % 4)
    scores = np.full((len(right), 4), -2.0)
    scores[np.arange(len(right)), said if margin is None else gold] += (
        0.1 if margin is None else margin
    )
    return [
        {
            "item_id": f"q{i}",
            "form": "letters",
            "cluster": f"subject {i % 4}",
            "gold_index": int(gold[i]),
            "score": float(ok),
            "choice_logprobs": [float(x) for x in scores[i]],
        }
        for i, ok in enumerate(right)
    ]


def texts(bits: np.ndarray) -> list[dict[str, Any]]:
    return [{"form": "text", "nats": float(b) * 100 * np.log(2), "bytes": 100} for b in bits]


def answers(gold: list[str], predicted: list[str | None]) -> list[dict[str, Any]]:
    return [
        {"form": "classification", "gold": g, "prediction": p, "score": float(g == p)}
        for g, p in zip(gold, predicted, strict=True)
    ]


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
    bits = rng.uniform(0.8, 1.2, 1000)
    base = suite_scores("general", "bits_per_byte", texts(bits))
    for rise, verdict in ((0.005, "PASS"), (0.05, "FAIL"), (-0.3, "PASS")):
        moved = texts(bits + rise + rng.normal(0, 0.01, 1000))
        found = judge(
            hold(0.02, "general/bits_per_byte"),
            base,
            suite_scores("general", "bits_per_byte", moved),
        )
        assert found.verdict == verdict
        assert found.difference == pytest.approx(rise, abs=0.005)
    few = [suite_scores("general", "bits_per_byte", texts(b[:40])) for b in (bits, bits + 0.005)]
    unseen = judge(hold(0.02, "general/bits_per_byte"), *few)
    assert unseen.verdict == "INCONCLUSIVE"
    assert unseen.high == pytest.approx(0.005 + 4 * (1 - 0.05 ** (1 / 40)))
    assert unseen.needed_n is not None
    assert 590 < unseen.needed_n < 610
    gained = judge(
        improve(0.1, "general/bits_per_byte"),
        base,
        suite_scores("general", "bits_per_byte", texts(bits - 0.3)),
    )
    assert gained.verdict == "PASS"
    assert gained.difference == pytest.approx(-0.3)


def test_the_bounds_are_of_the_two_sided_interval_at_twice_alpha(suite_scores: Make) -> None:
    from tasks.metrics.intervals import paired_score

    base = suite_scores("mmlu", "mmlu", letters(BASE))
    candidate = suite_scores("mmlu", "mmlu", letters(flipped(BASE, 20, 10)))
    gate = HoldGate(rule="hold", metric="mmlu/accuracy", margin=0.05, alpha=0.1)
    found = judge(gate, base, candidate)
    assert (found.low, found.high) == pytest.approx(paired_score(10, 20, N, 0.8))


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
    assert found.reason.startswith("the base is at its floor: 0 (0 to ")


def test_a_margin_as_large_as_all_there_is_to_lose_shows_nothing(suite_scores: Make) -> None:
    near_chance = (np.arange(N) % 10 < 4).astype(float)
    base = suite_scores("mmlu", "mmlu", letters(near_chance))
    found = judge(hold(0.16), base, base)
    assert (found.verdict, found.needed_n) == ("INCONCLUSIVE", None)
    assert "lets everything be lost" in found.reason
    assert judge(hold(0.1), base, base).verdict == "PASS"


def test_all_answers_invalid_leave_nothing_to_lose(suite_scores: Make) -> None:
    gold = ["a", "b"] * 20
    base = suite_scores("voc", "classification", answers(gold, [None] * 40), ["a", "b"])
    found = judge(hold(0.1, "voc/invalid_rate"), base, base)
    assert (found.verdict, found.needed_n) == ("INCONCLUSIVE", None)


def floor(at: float, metric: str = "mmlu/accuracy", policy: str = "block") -> FloorGate:
    return FloorGate(rule="floor", metric=metric, at=at, on_inconclusive=policy)


@pytest.mark.parametrize(("at", "verdict"), [(0.5, "PASS"), (0.7, "FAIL"), (0.58, "INCONCLUSIVE")])
def test_a_floor_asks_of_the_candidate_alone(suite_scores: Make, at: float, verdict: str) -> None:
    candidate = suite_scores("mmlu", "mmlu", letters(BASE))
    for other in (BASE, 1 - BASE):
        found = judge(floor(at), suite_scores("mmlu", "mmlu", letters(other)), candidate)
        assert found.verdict == verdict
        assert found.against is None
        assert found.difference == pytest.approx(0.6 - at)
        exact = stats.binomtest(240, N).proportion_ci(0.9, "exact")
        assert (found.low, found.high) == pytest.approx((exact.low - at, exact.high - at))
        assert (found.needed_n is not None and found.needed_n > N) == (verdict == "INCONCLUSIVE")


def test_where_lower_is_better_a_floor_is_a_ceiling(suite_scores: Make) -> None:
    gold = ["a", "b"] * 50
    some = suite_scores("voc", "classification", answers(gold, [None] * 5 + gold[5:]), ["a", "b"])
    assert judge(floor(0.2, "voc/invalid_rate"), some, some).verdict == "PASS"
    assert judge(floor(0.01, "voc/invalid_rate"), some, some).verdict == "FAIL"
    assert judge(floor(0.05, "voc/invalid_rate"), some, some).verdict == "INCONCLUSIVE"


def test_a_gate_that_only_warns_does_not_block(suite_scores: Make) -> None:
    scores = [suite_scores("mmlu", "mmlu", letters(BASE))]
    for policy, verdict in (("block", "INCONCLUSIVE"), ("warn", "PASS")):
        results = judge_all((floor(0.5), floor(0.6, policy=policy)), scores, scores)
        assert results[1].verdict == "INCONCLUSIVE"
        assert overall(results) == verdict
    assert overall(judge_all((floor(0.9, policy="warn"),), scores, scores)) == "FAIL"


def test_a_record_names_both_weights_and_what_was_asked(suite_scores: Make) -> None:
    base, candidate = (suite_scores("mmlu", "mmlu", letters(BASE)) for _ in "ab")
    found = judge(hold(0.1), base, candidate)
    assert found.reference_digest == base.weights_digest
    assert found.candidate_digest == candidate.weights_digest != base.weights_digest
    assert (found.against, found.alpha, found.look) == ("base", 0.05, 1)
    assert found.fingerprint == candidate.fingerprint


def test_each_gate_is_judged_against_the_model_it_names(suite_scores: Make) -> None:
    def run(lose: int) -> list[SuiteScores]:
        return [suite_scores("mmlu", "mmlu", letters(flipped(BASE, lose, 0)))]

    gates = [
        HoldGate(rule="hold", metric="mmlu/accuracy", margin=0.05, against=a)
        for a in ("base", "original", "champion")
    ]
    references = References(base=run(30), original=run(0), champion=run(20))
    found = judge_against(gates, references, run(40))
    # Each step loses little; against the original they add up.
    assert [r.verdict for r in found] == ["PASS", "FAIL", "INCONCLUSIVE"]
    assert [r.reference_digest for r in found] == [
        references.base[0].weights_digest,
        references.original[0].weights_digest,
        references.champion[0].weights_digest,
    ]
    alone = judge_against(gates, References(base=run(30)), run(40))
    assert [r.verdict for r in alone] == ["PASS", "PASS", "PASS"]
    assert alone[2].reason.startswith("no model was released yet")


def test_a_second_look_has_what_the_first_left_of_the_error(suite_scores: Make) -> None:
    gate = HoldGate(rule="hold", metric="mmlu/accuracy", margin=0.05, on_inconclusive="extend")
    few, many = (
        suite_scores("mmlu", "mmlu", letters(flipped(np.tile(BASE, k), 10 * k, 10 * k)))
        for k in (1, 4)
    )
    strict = gate.model_copy(update={"margin": 0.018})
    first = judge(strict, suite_scores("mmlu", "mmlu", letters(BASE)), few)
    assert (first.verdict, first.look) == ("INCONCLUSIVE", 1)
    assert first.alpha == pytest.approx(0.0179, abs=1e-4)
    base = suite_scores("mmlu", "mmlu", letters(np.tile(BASE, 4)))
    second = judge(strict, base, many, first)
    assert (second.verdict, second.look, second.n) == ("PASS", 2, 4 * N)
    assert first.alpha < second.alpha < gate.alpha
    assert "second look, after 400 items" in second.reason


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
    there, back = (
        judge(hold(0.05), base, suite_scores("mmlu", "mmlu", rows))
        for rows in (candidate, candidate[::-1])
    )
    assert there == back.model_copy(update={"candidate_digest": there.candidate_digest})


def test_gates_are_judged_in_the_recipes_order(suite_scores: Make) -> None:
    base = [
        suite_scores("mmlu", "mmlu", letters(BASE)),
        suite_scores("general", "bits_per_byte", texts(np.linspace(0.8, 1.2, 50))),
    ]
    gates = (hold(0.1, "general/bits_per_byte"), hold(0.1))
    assert [r.metric for r in judge_all(gates, base, base[::-1])] == [g.metric for g in gates]
    with pytest.raises(EvaluationError, match="'voc' was not run"):
        judge_all((improve(0.1, "voc/macro_f1"),), base, base)
    with pytest.raises(EvaluationError, match="gives no 'cloze_margin'"):
        judge_all((hold(0.1, "mmlu/cloze_margin"),), base, base)


@pytest.mark.parametrize(
    ("verdicts", "all_of_them"),
    [
        ([], "PASS"),
        (["PASS", "PASS"], "PASS"),
        (["PASS", "INCONCLUSIVE"], "INCONCLUSIVE"),
        (["INCONCLUSIVE", "FAIL", "PASS"], "FAIL"),
    ],
)
def test_all_gates_must_pass(verdicts: list[Any], all_of_them: str) -> None:
    zeros = dict.fromkeys(("base", "candidate", "difference", "low", "high"), 0.0)
    results = [
        GateResult(metric="s/m", rule="hold", verdict=v, **zeros, n=1, needed_n=None, reason="")
        for v in verdicts
    ]
    assert overall(results) == all_of_them
