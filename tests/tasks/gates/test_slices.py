from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tasks.gates.pairing import pair
from tasks.gates.slices import slices
from tasks.scores import SuiteScores

Make = Callable[..., SuiteScores]
RNG = np.random.default_rng(0)


def letters(right: np.ndarray, margins: np.ndarray, subjects: int = 8) -> list[dict[str, Any]]:
    return [
        {
            "item_id": f"q{i}",
            "form": "letters",
            "stratum": f"subject {i % subjects}",
            "gold_index": 0,
            "score": float(ok),
            "choice_logprobs": [float(m) - 2, -2.0],
        }
        for i, (ok, m) in enumerate(zip(right, margins, strict=True))
    ]


def test_the_subject_that_broke_comes_first_and_alone_is_sure(suite_scores: Make) -> None:
    right, margins = (RNG.random(400) < 0.7).astype(float), RNG.normal(1, 1, 400)
    broken = np.arange(400) % 8 == 3
    after = np.where(broken & (right == 1) & (RNG.random(400) < 0.7), 0.0, right)
    both = pair(
        suite_scores("mmlu", "mmlu", letters(right, margins)),
        suite_scores("mmlu", "mmlu", letters(after, margins)[::-1]),
    )
    found = slices({"mmlu": both})
    assert len(found) == 8
    assert {s.metric for s in found} == {"mmlu/accuracy"}
    assert (found[0].name, found[0].part, found[0].n, found[0].worse) == (
        "subject 3",
        "stratum",
        50,
        True,
    )
    assert found[0].difference == pytest.approx(after[broken].mean() - right[broken].mean())
    assert found[0].adjusted < 0.001
    assert all(s.adjusted == 1 and s.difference == 0 and not s.worse for s in found[1:])


def test_a_gated_metric_has_its_slices_too_and_all_are_adjusted_together(
    suite_scores: Make,
) -> None:
    right, margins = np.ones(160), RNG.normal(1, 1, 160)
    moved = margins + RNG.normal(0.05, 0.4, 160)
    both = pair(*(suite_scores("mmlu", "mmlu", letters(right, m)) for m in (margins, moved)))
    found = slices({"mmlu": both}, ["mmlu/gold_margin"])
    assert len(found) == 16
    by_name = {s.name: s for s in found if s.metric == "mmlu/gold_margin"}
    for k in range(8):
        own = np.arange(160) % 8 == k
        assert by_name[f"subject {k}"].p == pytest.approx(
            stats.ttest_rel(moved[own], margins[own]).pvalue
        )
    theirs = multipletests([s.p for s in found], method="fdr_bh")[1]
    assert [s.adjusted for s in found] == pytest.approx(list(theirs))


def test_classes_are_slices_and_thin_ones_are_left_out(suite_scores: Make) -> None:
    gold = ["a"] * 30 + ["b"] * 20 + ["c"] * 4

    def answers(wrong: int) -> SuiteScores:
        said = [None if g == "b" and i < 30 + wrong else g for i, g in enumerate(gold)]
        rows = [
            {
                "form": "classification",
                "gold": g,
                "prediction": p,
                "score": float(g == p),
                "cluster": g,
            }
            for g, p in zip(gold, said, strict=True)
        ]
        return suite_scores("voc", "classification", rows, ["a", "b", "c"])

    found = slices({"voc": pair(answers(0), answers(9))}, ["voc/invalid_rate"])
    assert [(s.metric, s.name) for s in found if s.worse] == [
        ("voc/accuracy", "b"),
        ("voc/invalid_rate", "b"),
    ]
    assert {s.part for s in found} == {"class"}
    assert "c" not in {s.name for s in found}
    assert found[0].p == pytest.approx(2 * 0.5**9 - 0.5**9)


def test_dependent_items_are_not_counted_as_many(suite_scores: Make) -> None:
    def turns(right: np.ndarray) -> SuiteScores:
        rows = [
            {
                "form": "letters",
                "stratum": "chat",
                "cluster": f"dialogue {i // 5}",
                "gold_index": 0,
                "score": float(ok),
                "choice_logprobs": [-1.0, -2.0],
            }
            for i, ok in enumerate(right)
        ]
        other = [
            r | {"stratum": "other", "cluster": f"o{i}", "score": 1.0}
            for i, r in enumerate(rows[:20])
        ]
        return suite_scores(
            "mmlu", "mmlu", [r | {"item_id": f"q{i}"} for i, r in enumerate(rows + other)]
        )

    whole = np.ones(60)
    lost = np.where(np.arange(60) // 5 % 4 == 0, 0.0, 1.0)
    [first, *_] = slices({"mmlu": pair(turns(whole), turns(lost))})
    assert first.name == "chat"
    # Fifteen items flipped, but only three dialogues did.
    assert first.p > 0.05 > 2 * 0.5**15


def test_suites_without_parts_have_no_slices(suite_scores: Make) -> None:
    rows = [{"form": "text", "nats": 1.0 + i, "bytes": 9} for i in range(9)]
    texts = suite_scores("general", "bits_per_byte", rows)
    assert slices({"general": pair(texts, texts)}) == []
