import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from configs.gates import FloorGate, HoldGate, ImproveGate
from configs.suites.mmlu import CHAT, CLOZE, GROUPS, LETTERS, MmluSuite
from tasks.gates.compare import compare
from tasks.gates.pairing import pair
from tasks.gates.stage import judge
from tasks.metrics.chance import above_chance, centred, chance_f1, judged_above_chance
from tasks.metrics.estimates import estimate
from tasks.metrics.f1 import LabelledItems
from tasks.metrics.paired import point
from tasks.metrics.values import advantages, item_values
from tasks.scores import SuiteScores

Make = Callable[..., SuiteScores]
N = 600
LIKING = np.array([0.0, -1.2, -2.0, -3.0])
"""What a model that knows nothing says of each letter."""
FORMS = {"letters": "", "cloze": "cloze_"}


def options(
    rng: np.random.Generator, gold: np.ndarray, knows: float, flat: float = 1.0
) -> np.ndarray:
    """Log-probabilities of four letters by a model with favourites that knows a little."""
    scores = (LIKING + rng.normal(0, 0.7, (len(gold), 4))) * flat
    scores[np.arange(len(gold)), gold] += knows
    whole = np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return np.asarray(scores - whole - 0.2)


def rows(gold: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
    found = []
    for form in FORMS:
        for i, (right, own) in enumerate(zip(gold, scores, strict=True)):
            best = int(own.argmax())
            found.append(
                {
                    "item_id": f"q{i}",
                    "form": form,
                    "cluster": f"subject {i % 3}",
                    "gold_index": int(right),
                    "gold": "ABCD"[right],
                    "prediction": "ABCD"[best],
                    "score": float(best == right),
                    "choice_logprobs": [float(x) for x in own],
                    "choice_bytes": [1, 1, 1, 1],
                }
            )
    return found


def scored(make: Make, gold: np.ndarray, scores: np.ndarray) -> SuiteScores:
    return make("mmlu", "mmlu", rows(gold, scores))


def test_every_metric_of_multiple_choice_is_at_chance_with_other_questions_answers(
    suite_scores: Make,
) -> None:
    rng = np.random.default_rng(1)
    gold = rng.choice(4, N, p=[0.4, 0.3, 0.2, 0.1])
    known = options(rng, gold, 2.0)
    suite = scored(suite_scores, rng.permutation(gold), known)
    both = pair(suite, suite)
    checked = set()
    for name in suite.metrics:
        found, _ = both.above_chance(name)
        if found is None:
            continue
        assert found.excess is not None
        seen = estimate(found.excess)
        assert seen.low <= 0 <= seen.high, name
        assert found.chance == pytest.approx(suite.metrics[name].value, abs=0.2)
        checked.add(name)
        refused = judge(HoldGate(rule="hold", metric=f"mmlu/{name}", margin=0.05), suite, suite)
        if name not in ("gold_logprob", "cloze_gold_logprob"):
            assert refused.verdict == "INCONCLUSIVE", name
            assert "at chance" in refused.reason
    without_gold = {"letter_mass", "ece", "cloze_ece"}
    assert checked == suite.metrics.keys() - without_gold - GROUPS.keys()
    every = {**LETTERS, **CLOZE, **CHAT}.keys()
    assert {n for n in every if not n.startswith("chat_")} - checked <= without_gold | {
        "kl_from_base",
        "cloze_kl_from_base",
    }


def test_a_model_that_was_made_flat_passes_on_nothing_that_can_carry_a_gate(
    suite_scores: Make,
) -> None:
    """The base knows something; the ruined one knows nothing and has no favourites either."""
    rng = np.random.default_rng(2)
    gold = rng.integers(0, 4, N)
    base = scored(suite_scores, gold, options(rng, gold, 0.8))
    ruined = scored(suite_scores, gold, options(rng, gold, 0.0, 0.05))
    assert ruined.metrics["gold_margin"].value > base.metrics["gold_margin"].value
    assert ruined.metrics["brier"].value < base.metrics["brier"].value + 0.05
    for name in ("accuracy", "gold_margin", "brier", "advantage", "kl_from_base", "cloze_margin"):
        for gate in (
            HoldGate(rule="hold", metric=f"mmlu/{name}", margin=0.05),
            ImproveGate(rule="improve", metric=f"mmlu/{name}"),
        ):
            assert judge(gate, base, ruined).verdict != "PASS", (name, gate.rule)
    at = ruined.metrics["gold_margin"].value - 0.3
    floor = judge(FloorGate(rule="floor", metric="mmlu/gold_margin", at=at), base, ruined)
    assert floor.verdict == "INCONCLUSIVE"
    assert "the candidate is at chance" in floor.reason


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["gold_margin", "brier", "accuracy", "advantage"]))
def test_chance_is_the_mean_over_the_answers_of_all_other_questions(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 4, 12)
    scores = options(rng, gold, 1.0)
    table = pa.Table.from_pylist([{"suite": "m", **r} for r in rows(gold, scores)[:12]])
    items = item_values(table, name, LETTERS[name])
    found = above_chance(table, name, items)
    assert found is not None
    swapped = []
    for i in range(12):
        for j in range(12):
            if i != j:
                other = gold.copy()
                other[i] = gold[j]
                changed = table.set_column(
                    table.column_names.index("gold_index"), "gold_index", pa.array(other)
                ).set_column(
                    table.column_names.index("score"),
                    "score",
                    pa.array((scores.argmax(axis=1) == other).astype(float)),
                )
                data = item_values(changed, name, LETTERS[name]).data
                # The letters' means stay those of the whole table: they know no right answers.
                swapped.append(data.values[i])  # type: ignore[union-attr]
    assert found.chance == pytest.approx(float(np.mean(swapped)), abs=1e-9)


def test_a_stratum_is_exchanged_within_itself_and_small_ones_together() -> None:
    rng = np.random.default_rng(3)
    values, gold = rng.normal(size=(80, 4)), rng.integers(0, 4, 80)
    there = np.ones((80, 4), dtype=bool)
    strata = np.repeat([0, 1], 40)
    apart = centred(values, there, gold, strata)
    for half in (slice(0, 40), slice(40, 80)):
        alone = centred(values[half], there[half], gold[half])
        assert apart[half] == pytest.approx(alone)
    tiny = np.repeat(np.arange(40), 2)
    assert centred(values, there, gold, tiny) == pytest.approx(centred(values, there, gold))


def test_a_file_whose_right_answer_is_always_the_first_is_compared_with_its_other_options() -> None:
    rng = np.random.default_rng(7)
    values, there = rng.normal(size=(50, 4)), np.ones((50, 4), dtype=bool)
    found = centred(values, there, np.zeros(50, dtype=np.int64))
    assert found == pytest.approx(values[:, 0] - values.mean(axis=1))


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_an_f1_by_chance_is_its_mean_over_all_orders_of_the_references(average: Any) -> None:
    rng = np.random.default_rng(4)
    gold, predicted = rng.choice(3, 200, p=[0.6, 0.3, 0.1]), rng.integers(-1, 3, 200)
    found = chance_f1(LabelledItems(gold, predicted, ("a", "b", "c"), average))
    orders = [
        f1_score(rng.permutation(gold), predicted, labels=[0, 1, 2], average=average)
        for _ in range(300)
    ]
    assert found == pytest.approx(np.mean(orders), abs=4 * np.std(orders) / math.sqrt(300))


def test_one_label_for_everything_is_at_chance_however_common_it_is(suite_scores: Make) -> None:
    gold = ["common"] * 80 + ["rare"] * 20
    answers = [
        {"form": "classification", "gold": g, "prediction": "common", "score": float(g == "common")}
        for g in gold
    ]
    suite = suite_scores("voc", "classification", answers, ["common", "rare"])
    for name in ("accuracy", "macro_f1", "micro_f1", "weighted_f1"):
        found = judge(HoldGate(rule="hold", metric=f"voc/{name}", margin=0.1), suite, suite)
        assert found.verdict == "INCONCLUSIVE"
        assert "at chance" in found.reason


def test_an_advantage_takes_out_what_a_letter_is_worth_whatever_is_asked() -> None:
    rng = np.random.default_rng(5)
    gold = rng.integers(0, 4, 300)
    scores = options(rng, gold, 0.5)
    liked = scores + np.array([3.0, 0.0, -1.0, -5.0]) + rng.normal(size=(300, 1))
    assert advantages(scores) == pytest.approx(advantages(liked))
    assert advantages(scores).mean(axis=1) == pytest.approx(np.zeros(300), abs=1e-12)
    assert advantages(scores).mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    two = np.where(np.arange(4) < 2, scores, -np.inf)
    assert advantages(two)[:, 2:] == pytest.approx(np.zeros((300, 2)))


def test_the_divergence_from_the_base_is_that_of_the_options_alone(suite_scores: Make) -> None:
    rng = np.random.default_rng(6)
    gold = rng.integers(0, 4, N)
    one, two = options(rng, gold, 0.5), options(rng, gold, 0.3)
    base, candidate = scored(suite_scores, gold, one), scored(suite_scores, gold, two - 3.0)
    p, q = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (one, two))
    by_hand = float((p * np.log(p / q)).sum(axis=1).mean())
    metric, zero, apart = pair(base, candidate).values("kl_from_base")
    assert (metric.better, point(zero)) == ("lower", 0)
    assert point(apart) == pytest.approx(by_hand)
    wide = judge(HoldGate(rule="hold", metric="mmlu/kl_from_base", margin=2.0), base, candidate)
    assert (wide.verdict, wide.base) == ("PASS", 0)
    tight = judge(HoldGate(rule="hold", metric="mmlu/kl_from_base", margin=0.01), base, candidate)
    assert tight.verdict == "FAIL"
    assert (
        judge(HoldGate(rule="hold", metric="mmlu/kl_from_base", margin=0.05), base, base).high
        < 0.05
    )
    listed = {r.metric for r in compare([base.model_copy(update={"about": LETTERS})], [candidate])}
    assert "mmlu/kl_from_base" in listed
    assert "kl_from_base" not in base.metrics
    assert "kl_from_base" in MmluSuite(kind="mmlu", name="m").metric_table()


def test_margins_and_brier_scores_are_judged_above_chance_and_nothing_else_is() -> None:
    found = {name for name in {**LETTERS, **CLOZE, **CHAT} if judged_above_chance(name)}
    assert found == {"gold_margin", "cloze_margin", "chat_gold_margin", "brier"}
