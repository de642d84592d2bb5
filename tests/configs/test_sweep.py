"""The section and the options of a sweep."""

from typing import Any

import pytest
from pydantic import ValidationError

from configs.errors import RecipeError
from configs.sweep import Sweep, read_sweep


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "nothing varies"),
        ({"domain_share": (0.5, 0.5)}, "there twice"),
        ({"domain_share": (0.0,)}, "greater than 0"),
        ({"alpha": (1.5,)}, "less than or equal to 1"),
        ({"vary": {"a.b": ()}}, "no values"),
        ({"vary": {"mixture.domain_share": (1, 2)}}, "use domain_share"),
        ({"vary": {"seed": (1, 2)}}, "use seeds"),
    ],
)
def test_what_makes_no_sweep_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Sweep.model_validate(fields)


def test_the_command_line_changes_and_adds_to_the_recipes_section() -> None:
    own = Sweep(domain_share=(1.0, 0.5), seeds=2)
    found = read_sweep(own, {"alpha": "0.5, 1", "seeds": None}, ["training.learning_rate=1.0e-4,3"])
    assert found == Sweep(
        domain_share=(1.0, 0.5),
        alpha=(0.5, 1.0),
        seeds=2,
        vary={"training.learning_rate": (1e-4, 3)},
    )
    assert read_sweep(own, {"domain_share": "0.9"}, []) == Sweep(domain_share=(0.9,), seeds=2)
    assert read_sweep(None, {"alpha": None}, []) is None


def test_an_option_that_makes_no_sweep_is_one_paragraph() -> None:
    with pytest.raises(RecipeError) as error:
        read_sweep(None, {"domain_share": "0.5,2"}, [])
    assert "sweep.domain_share.1" in error.value.where
    with pytest.raises(RecipeError, match="there twice"):
        read_sweep(None, {"alpha": "0.5,0.5"}, [])
