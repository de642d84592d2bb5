"""Shares as Nova's percentages: exact, complete, and within all its rules."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.nova import NOVA_2_TEXT
from configs.recipe import Recipe
from tasks.training.backends.nova.mixing import (
    CUSTOMER,
    check_mix,
    mix_of,
    nova_share,
    own_part,
    percentages,
    plain,
)

Make = Callable[..., Recipe]
CATEGORIES = st.dictionaries(
    st.sampled_from(sorted(NOVA_2_TEXT)), st.floats(0.01, 100), min_size=1, max_size=23
)


@given(CATEGORIES)
def test_percentages_sum_to_exactly_a_hundred_and_follow_the_weights(
    weights: dict[str, float],
) -> None:
    exact = {c: Fraction(str(w)) for c, w in weights.items()}
    found = percentages(exact, tuple(NOVA_2_TEXT))
    assert set(found) == set(NOVA_2_TEXT)
    assert sum(found.values()) == 100
    # Added up as floats, too, they pass a test of 1e-9.
    assert abs(sum(map(float, found.values())) - 100) < 1e-9
    total = sum(exact.values())
    for category, percent in found.items():
        asked = 100 * exact.get(category, Fraction(0)) / total
        assert abs(Fraction(percent) - asked) <= Fraction(1, 10_000)
        assert (percent == 0) == (category not in weights)


@given(CATEGORIES, st.floats(0.01, 0.99), st.floats(0.1, 10))
def test_the_customer_has_what_nova_leaves_of_the_whole(
    nova_recipe: Make, weights: dict[str, float], domain: float, own: float
) -> None:
    domain = round(domain, 4)
    recipe = nova_recipe(weights, domain, own)
    mix = mix_of(recipe)
    assert mix is not None
    share = nova_share(recipe)
    assert 0 < share < 1
    assert abs(Fraction(mix.customer) - 100 * (1 - share)) <= Fraction(1, 20_000)
    numbers = {c: float(p) for c, p in (mix.nova or {}).items()}
    check_mix(float(mix.customer), numbers, NOVA_2_TEXT)
    # The own rows keep the domain's part of the whole.
    part = own_part(recipe)
    kept = Fraction(str(part.mixture.domain_share)) * (1 - share)
    assert abs(kept - Fraction(str(domain))) < Fraction(1, 10**9)
    assert all(s.kind != "nova" for s in part.sources)


def test_an_example_by_hand(nova_recipe: Make) -> None:
    # Half is domain. Of the other half, own general data weighs 1 and Nova's 3 + 1: 40 % of all.
    mix = mix_of(nova_recipe({"instruction-following": 3, "code": 1}, 0.5, 1))
    assert mix is not None
    assert mix.customer == 60
    flat = mix.flat()
    assert len(flat) == 24
    assert flat[CUSTOMER] == "60"
    assert flat["nova_instruction-following_percent"] == "75"
    assert flat["nova_code_percent"] == "25"
    assert flat["nova_reasoning-chat_percent"] == "0"
    assert mix.nested(NOVA_2_TEXT)["sources"]["customer_data"] == {"percent": 60.0}


def test_three_equal_categories_pass_the_strict_sum(nova_recipe: Make) -> None:
    mix = mix_of(nova_recipe({"chat": 1, "code": 1, "math": 1}))
    assert mix is not None
    assert mix.nova is not None
    assert sorted(mix.nova.values())[-3:] == [
        Decimal("33.3333"),
        Decimal("33.3333"),
        Decimal("33.3334"),
    ]


def test_the_default_mix_names_no_category_or_all(nova_recipe: Make) -> None:
    mix = mix_of(nova_recipe({None: 1}, 0.75, None))
    assert mix is not None
    assert mix.flat() == {CUSTOMER: "75"}
    nested = mix.nested(NOVA_2_TEXT)["sources"]["nova_data"]
    assert nested == pytest.approx(NOVA_2_TEXT)


def test_without_nova_sources_nothing_is_mixed_in(nova_recipe: Make) -> None:
    recipe = nova_recipe({})
    assert mix_of(recipe) is None
    assert own_part(recipe) == recipe


def test_a_budget_is_of_the_whole(nova_recipe: Make) -> None:
    recipe = nova_recipe({"code": 1}, 0.5, None)
    size = recipe.mixture.size.model_copy(update={"domain_epochs": None, "budget": 1000})
    recipe = recipe.model_copy(update={"mixture": recipe.mixture.model_copy(update={"size": size})})
    assert own_part(recipe).mixture.size.budget == 500


@pytest.mark.parametrize(
    ("customer", "nova", "said"),
    [
        (101, None, "outside 0 to 100"),
        (-1, None, "outside 0 to 100"),
        (50, {"code": 101}, "outside 0 to 100"),
        (50, {"code": 50}, "sum to 50, not 100"),
        (50, {"chat": 33.33, "code": 33.33, "math": 33.33}, "sum to 99.99, not 100"),
        (100, {"code": 50}, "although no such data is used"),
        (50, {"art": 100}, "no such category"),
        (100, {"code": 100}, "although no such data is used"),
    ],
)
def test_percentages_are_refused(customer: float, nova: dict[str, float] | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_mix(customer, nova, NOVA_2_TEXT)


@pytest.mark.parametrize(
    ("customer", "nova"),
    [
        (0, None),
        (100, None),
        (100, {}),
        (100, {"code": 0}),
        (0, {"code": 100}),
        (75, NOVA_2_TEXT),
        (50, {"chat": 33.4, "code": 33.3, "math": 33.3}),
    ],
)
def test_percentages_are_accepted(customer: float, nova: Any) -> None:
    check_mix(customer, nova, NOVA_2_TEXT)


@given(st.integers(0, 1_000_000))
def test_a_percentage_is_written_without_exponent_or_idle_zeros(steps: int) -> None:
    text = plain(Decimal(steps) / 10_000)
    assert Decimal(text) == Decimal(steps) / 10_000
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))


def test_our_percentages_are_those_of_the_sdk_s_own_config(nova_recipe: Make) -> None:
    sdk = pytest.importorskip("sagemaker.train.data_mixing_config")
    mix = mix_of(nova_recipe({"chat": 1, "code": 1, "math": 1}, 0.7, 0.3))
    assert mix is not None
    assert mix.nova is not None
    theirs = sdk.DataMixingConfig(
        customer_data_percent=float(mix.customer),
        nova_data_percentages={c: float(p) for c, p in mix.nova.items()},
    )
    assert theirs.to_hyperparameters() == mix.flat()
