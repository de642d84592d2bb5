from collections.abc import Callable
from typing import Any

import pytest

from configs.loading import load_recipe
from configs.recipe import Recipe
from tasks.scores import Estimate, SuiteScores
from tasks.tracking.scorecard.card import Arm, arm_of, axes

Scored = Callable[[float], tuple[SuiteScores, ...]]
VALUE = Estimate(value=1.0, low=0.9, high=1.1, n=9)
EVERY = (
    "voc-intent/macro_f1",
    "voc-intent/accuracy",
    "mmlu/gold_margin",
    "mmlu/letter_mass",
    "text/bits_per_byte",
)
TEXT = {"kind": "bits_per_byte", "name": "text", "path": "x.txt"}


def with_gates(recipe: Recipe, *gates: dict[str, Any], more: tuple[Any, ...] = ()) -> Recipe:
    fields = recipe.model_dump(mode="json")
    fields["gates"] = list(gates)
    fields["evaluation"]["suites"] += list(more)
    return load_recipe(fields)


def test_scores_become_suite_slash_metric(scored: Scored) -> None:
    arm = arm_of("base", scored(0.5))
    assert {"voc-intent/macro_f1", "mmlu/gold_margin"} <= arm.metrics.keys()


def test_the_gates_choose_the_axes(recipe: Recipe) -> None:
    base = Arm(name="base", metrics=dict.fromkeys(EVERY, VALUE))
    drawn = axes(recipe, base)
    assert drawn is not None
    assert (drawn[0].metric, drawn[1].metric) == ("mmlu/gold_margin", "voc-intent/macro_f1")
    assert drawn[0].floor == pytest.approx(0.9)
    other = with_gates(
        recipe,
        {"metric": "text/bits_per_byte", "rule": "hold", "margin": 0.02},
        {"metric": "voc-intent/accuracy", "rule": "improve"},
        more=(TEXT,),
    )
    drawn = axes(other, base)
    assert drawn is not None
    assert (drawn[0].metric, drawn[1].metric) == ("text/bits_per_byte", "voc-intent/accuracy")
    assert not drawn[0].higher_is_better
    assert drawn[0].floor == pytest.approx(1.02)


def test_without_gates_the_suites_choose(recipe: Recipe) -> None:
    base = Arm(name="base", metrics=dict.fromkeys(EVERY, VALUE))
    drawn = axes(with_gates(recipe), base)
    assert drawn is not None
    assert (drawn[0].metric, drawn[1].metric) == ("mmlu/letter_mass", "voc-intent/macro_f1")
    assert drawn[0].floor is None


def test_a_missing_axis_means_no_picture(recipe: Recipe) -> None:
    fields = recipe.model_dump(mode="json")
    fields |= {"gates": [], "evaluation": {"suites": [TEXT]}}
    base = Arm(name="base", metrics=dict.fromkeys(EVERY, VALUE))
    assert axes(load_recipe(fields), base) is None
    assert axes(recipe, Arm(name="base", metrics={})) is None
