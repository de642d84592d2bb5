from typing import Any

import pytest

from configs.errors import RecipeError
from configs.loading import load_recipe
from configs.recipe import Licences, Recipe


def fields(licence: str | None, allow: list[str] | None) -> dict[str, Any]:
    domain = {"kind": "files", "name": "voc", "role": "domain", "path": "a.jsonl"}
    return {
        "name": "r",
        "model": {"path": "m"},
        "mixture": {"domain_share": 1.0},
        "sources": [domain | ({"licence": licence} if licence is not None else {})],
        "evaluation": {"suites": [{"kind": "mmlu", "name": "mmlu"}]},
    } | ({"licences": {"allow": allow}} if allow else {})


@pytest.mark.parametrize(
    ("licence", "allow"),
    [
        ("apache-2.0", ["MIT", "Apache-2.0"]),
        ("CC BY 4.0", ["CC-BY-4.0"]),
        ("MIT OR GPL-3.0-only", ["mit"]),
        ("MIT and ISC", ["MIT", "ISC"]),
        (" MIT ", ["mit"]),
    ],
)
def test_a_listed_licence_is_allowed_whatever_its_spelling(licence: str, allow: list[str]) -> None:
    assert load_recipe(fields(licence, allow)).licences == Licences(allow=tuple(allow))


@pytest.mark.parametrize("licence", ["MIT AND ISC", "MIT-0", "GPL-3.0-only", "M"])
def test_another_licence_is_refused_with_source_and_licence(licence: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe(fields(licence, ["MIT"]))
    said = error.value.paragraph()
    assert "sources.0.licence" in said
    assert f"source 'voc' has licence '{licence}'" in said
    assert "licences.allow" in error.value.fix


@pytest.mark.parametrize("licence", [None, "", "  "])
def test_a_source_without_a_licence_is_refused_under_a_list(licence: str | None) -> None:
    with pytest.raises(RecipeError, match=r"sources\.0\.licence.*'voc' names no licence"):
        load_recipe(fields(licence, ["MIT"]))


def test_without_a_list_nothing_is_checked() -> None:
    assert load_recipe(fields(None, None)).licences is None
    assert load_recipe(fields("whatever", None)).licences is None


@pytest.mark.parametrize("licences", [None, {"allow": ["CC0-1.0"]}])
def test_weights_from_sizes_refuse_a_source_that_has_no_size(
    tiny_fields: dict[str, Any], licences: dict[str, Any] | None
) -> None:
    own = {"name": "own", "role": "general", "kind": "rehearsal", "licence": "CC0-1.0"}
    sources = [{**s, "licence": "CC0-1.0"} for s in tiny_fields["sources"]]
    fields = {
        **tiny_fields,
        "sources": [*sources, own],
        "licences": licences,
        "mixture": {**tiny_fields["mixture"], "weight_from": "size"},
    }
    with pytest.raises(ValueError, match="a rehearsal source has no size"):
        Recipe.model_validate(fields)


def test_a_seed_of_the_evaluation_keeps_splits_and_items_while_the_recipes_changes(
    tiny_fields: dict[str, Any],
) -> None:
    def seeds(evaluation: dict[str, Any]) -> list[int]:
        fields = {**tiny_fields, "evaluation": {**tiny_fields["evaluation"], **evaluation}}
        return [Recipe.model_validate({**fields, "seed": seed}).split_seed for seed in (1, 2)]

    assert seeds({}) == [1, 2]
    assert seeds({"seed": 9}) == [9, 9]
