"""Planted sweeps: the right arm, or what to change, for each shape a sweep can have."""

import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest

from tasks.scores import Estimate, GateResult, SuiteScores
from tasks.sweep.choice import (
    ArmLine,
    Gap,
    Outcome,
    line_up,
    measure_gap,
    recommend,
    shared_counts,
)

Make = Callable[..., SuiteScores]
Holds = Literal["PASS", "FAIL", "INCONCLUSIVE"]
GOLD = ["a", "b"] * 100


def line(share: float, domain: float, holds: Holds, gap: float | None, **more: Any) -> ArmLine:
    """An arm whose gap to the best has a half-width of .02."""
    return ArmLine(
        arm=f"share {share:g}",
        domain_share=share,
        alpha=more.get("alpha", 1.0),
        seeds=more.get("seeds", 1),
        domain=Estimate(value=domain, low=domain - 0.05, high=domain + 0.05, n=100),
        retention=None,
        holds=holds,
        lost=() if holds == "PASS" else (f"general/bits_per_byte {holds}",),
        gap=None if gap is None else Gap(value=gap, low=gap - 0.02, high=gap + 0.02),
    )


def test_the_least_general_data_that_holds_is_taken_where_it_costs_the_domain_nothing() -> None:
    found = recommend(
        [
            line(1.0, 0.60, "FAIL", 0.05),
            line(0.9, 0.57, "FAIL", 0.02),
            line(0.75, 0.55, "PASS", None),
            line(0.5, 0.50, "PASS", -0.05),
        ]
    )
    assert found.arm == "share 0.75"
    assert found.alike == ()
    assert "share 0.9: general/bits_per_byte FAIL" in " ".join(found.reasons)


def test_arms_that_the_items_do_not_tell_apart_are_named() -> None:
    found = recommend([line(s, 0.5, "PASS", None if s == 0.5 else 0.0) for s in (1.0, 0.75, 0.5)])
    assert found.arm == "share 1"
    assert found.alike == ("share 0.75", "share 0.5")
    assert "do not tell it from share 0.75, share 0.5" in " ".join(found.reasons)


def test_a_frontier_that_turns_back_is_no_trouble() -> None:
    found = recommend(
        [
            line(1.0, 0.4, "PASS", -0.2),
            line(0.75, 0.6, "PASS", None),
            line(0.5, 0.45, "PASS", -0.15),
            line(0.25, 0.59, "PASS", -0.01),
        ]
    )
    assert found.arm == "share 0.75"
    assert found.alike == ("share 0.25",)


def test_where_no_arm_holds_it_says_what_to_change_and_on_what_evidence() -> None:
    found = recommend([line(1.0, 0.6, "FAIL", None), line(0.5, 0.5, "FAIL", -0.1)])
    assert found.arm is None
    told = " ".join(found.changes)
    assert "even share 0.5 fails (general/bits_per_byte FAIL)" in told
    assert "domain_share 0.25" in told
    assert "--alpha" in told
    tried = recommend([line(0.5, 0.6, "FAIL", None, alpha=0.5)])
    assert "--alpha" not in " ".join(tried.changes)


def test_what_was_only_not_shown_asks_for_more_items() -> None:
    found = recommend([line(1.0, 0.6, "FAIL", None), line(0.5, 0.5, "INCONCLUSIVE", -0.1)])
    assert found.arm is None
    assert found.changes[0].startswith("More dev items: share 0.5")


def test_no_arm_at_all_is_told() -> None:
    assert recommend([]).arm is None
    assert "No arm ended well" in recommend([]).changes[0]


def gate(verdict: Holds) -> GateResult:
    return GateResult(
        metric="general/bits_per_byte",
        rule="hold",
        verdict=verdict,
        base=1.0,
        candidate=1.1,
        difference=0.1,
        low=0.05,
        high=0.15,
        n=100,
        needed_n=None,
        reason="",
    )


def outcome(
    make: Make, arm: str, share: float, right: float, verdict: Holds, seed: int = 1, **more: Any
) -> Outcome:
    """An arm that has so many answers right, which ones by seed."""
    rng = random.Random(f"{arm} {seed}")
    wrong = set(rng.sample(range(len(GOLD)), round((1 - right) * len(GOLD))))
    said = [{"a": "b", "b": "a"}[g] if i in wrong else g for i, g in enumerate(GOLD)]
    rows = [
        {"form": "classification", "gold": g, "prediction": p, "score": float(g == p)}
        for g, p in zip(GOLD, said, strict=True)
    ]
    return Outcome(
        arm=arm,
        settings={"mixture.domain_share": share},
        seed=seed,
        domain_share=share,
        alpha=1.0,
        scores=(make("voc", "classification", rows, ["a", "b"]),),
        gates=(gate(verdict),),
        tokens=1000,
        **more,
    )


def test_the_best_is_among_those_that_hold_and_an_arm_that_failed_has_no_line(
    suite_scores: Make,
) -> None:
    outcomes = [
        outcome(suite_scores, "share 1", 1.0, 0.95, "FAIL"),
        outcome(suite_scores, "share 0.5", 0.5, 0.85, "PASS"),
        outcome(suite_scores, "share 0.25", 0.25, 0.60, "PASS"),
        outcome(suite_scores, "share 0.1", 0.1, 0.99, "PASS").model_copy(
            update={"state": "failed", "reason": "the disk is full", "scores": ()}
        ),
    ]
    lines = {x.arm: x for x in line_up(outcomes, "voc/accuracy", None)}
    assert list(lines) == ["share 1", "share 0.5", "share 0.25"]
    assert lines["share 0.5"].gap is None
    gap = lines["share 0.25"].gap
    assert gap is not None
    assert gap.value == pytest.approx(-0.25)
    assert gap.high < 0
    assert recommend(list(lines.values())).arm == "share 0.5"


def test_an_arm_holds_only_where_it_does_under_every_seed(suite_scores: Make) -> None:
    verdicts: Sequence[Holds] = ("PASS", "INCONCLUSIVE", "PASS")
    outcomes = [
        outcome(suite_scores, "share 0.5", 0.5, 0.8, verdict, seed)
        for seed, verdict in enumerate(verdicts)
    ]
    (only,) = line_up(outcomes, "voc/accuracy", None)
    assert (only.holds, only.seeds, only.tokens) == ("INCONCLUSIVE", 3, 3000)


def test_a_gap_over_seeds_is_no_narrower_than_the_items_and_the_seeds_make_it(
    suite_scores: Make,
) -> None:
    def arm(name: str, rights: Sequence[float]) -> list[Outcome]:
        return [
            outcome(suite_scores, name, 0.5, right, "PASS", seed)
            for seed, right in enumerate(rights)
        ]

    first, steady = arm("a", [0.8, 0.8, 0.8]), arm("b", [0.7, 0.7, 0.7])
    shaky = arm("c", [0.5, 0.7, 0.9])
    one = measure_gap(first[:1], steady[:1], "voc/accuracy")
    three = measure_gap(first, steady, "voc/accuracy")
    wide = measure_gap(first, shaky, "voc/accuracy")
    assert one.value == pytest.approx(-0.1)
    assert three.high - three.low >= one.high - one.low - 0.02
    # Student's t at two degrees of freedom: 4.303 * 0.2 / sqrt(3).
    assert wide.high - wide.value > 4.30 * 0.2 / 3**0.5
    assert wide.value == pytest.approx(-0.1)


def test_a_gap_below_zero_is_worse_and_needs_a_seed_that_both_have(suite_scores: Make) -> None:
    better = outcome(suite_scores, "a", 0.5, 0.9, "PASS")
    worse = outcome(suite_scores, "b", 0.5, 0.6, "PASS")
    assert measure_gap([better], [worse], "voc/accuracy").value == pytest.approx(-0.3)
    with pytest.raises(ValueError, match="no seed"):
        measure_gap([better], [worse.model_copy(update={"seed": 2})], "voc/accuracy")


def test_what_is_shared_is_counted_as_made_once_and_used_often() -> None:
    assert shared_counts({"mixtures": ["x", "y", "x"]}) == {"mixtures": (2, 3)}
