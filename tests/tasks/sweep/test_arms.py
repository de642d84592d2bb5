"""Arms are recipes: every combination once, judged on the same dev items."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import RecipeError
from configs.recipe import Recipe
from configs.sweep import Sweep
from tasks.sweep.arms import confirm_recipe, list_arms

FIELDS: dict[str, Any] = {
    "name": "r",
    "seed": 5,
    "model": {"path": "m"},
    "sources": [
        {"kind": "files", "name": "voc", "role": "domain", "path": "a.jsonl"},
        {"kind": "rehearsal", "name": "own", "role": "general"},
    ],
    "evaluation": {"suites": [{"kind": "mmlu", "name": "mmlu"}]},
    "sweep": {"seeds": 2},
}
RECIPE = Recipe.model_validate(FIELDS)
shares = st.lists(st.sampled_from([1.0, 0.9, 0.75, 0.5, 0.25]), min_size=1, unique=True)


@given(shares, shares, st.integers(1, 3))
def test_every_combination_is_one_arm_and_seeds_stand_together(
    domain: list[float], alphas: list[float], seeds: int
) -> None:
    sweep = Sweep(
        domain_share=tuple(domain),
        alpha=tuple(alphas),
        vary={"training.learning_rate": (1e-4, 3e-4)},
        seeds=seeds,
    )
    arms = list_arms(RECIPE, sweep)
    found = [
        (a.domain_share, a.recipe.training.learning_rate, a.alpha, a.recipe.seed) for a in arms
    ]
    assert found == [
        (share, rate, alpha, 5 + i)
        for share in domain
        for rate in (1e-4, 3e-4)
        for alpha in alphas
        for i in range(seeds)
    ]
    assert len({a.name for a in arms}) == len(arms) / seeds


def test_all_arms_are_asked_the_same_dev_items_and_the_chosen_one_the_test_items() -> None:
    first, second = list_arms(RECIPE, Sweep(seeds=2))
    assert {a.recipe.evaluation.split for a in (first, second)} == {"dev"}
    assert {a.recipe.split_seed for a in (first, second)} == {5}
    final = confirm_recipe(RECIPE, second)
    assert (final.evaluation.split, final.split_seed, final.seed) == ("test", 5, 6)
    assert final.sweep is None
    assert final.name == "r"


def test_a_value_that_does_not_fit_is_told_with_its_path() -> None:
    with pytest.raises(RecipeError, match=r"training\.learning_rate"):
        list_arms(RECIPE, Sweep(vary={"training.learning_rate": (-1.0, 1e-4)}))


def test_shares_of_a_schedule_are_not_varied_as_one() -> None:
    stages = [{"until": 0.5, "domain_share": 0.5}, {"until": 1.0, "domain_share": 0.9}]
    recipe = Recipe.model_validate({**FIELDS, "mixture": {"schedule": stages}})
    with pytest.raises(RecipeError, match="schedule"):
        list_arms(recipe, Sweep(domain_share=(1.0, 0.5)))
