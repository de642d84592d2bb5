"""The reference of keys is the schema, and the page beside it is fresh."""

import os
from pathlib import Path

import pytest

from configs.errors import RecipeError
from configs.recipe import Recipe
from configs.reference import describe_section, recipe_schema, reference_markdown

PAGE = Path(__file__).parents[2] / "configs" / "REFERENCE.md"


def test_every_key_of_the_recipe_is_described() -> None:
    (page,) = describe_section()
    assert [k.name for k in page.keys] == list(Recipe.model_fields)
    assert {k.name for k in page.keys if k.default is None} == {
        "name",
        "model",
        "sources",
        "evaluation",
    }


def test_a_section_of_several_kinds_has_a_page_for_each_and_a_kind_narrows_it() -> None:
    kinds = [page.kind for page in describe_section("gates")]
    assert kinds == ["rule: improve", "rule: hold", "rule: floor"]
    (only,) = describe_section("gates.hold")
    assert "margin" in {k.name for k in only.keys}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("trainin", "did you mean 'training'"),
        ("sources.fils", "did you mean 'files'"),
        ("training.learning_rate", "ask for training"),
    ],
)
def test_what_is_no_section_is_told_with_what_was_meant(path: str, says: str) -> None:
    with pytest.raises(RecipeError) as error:
        describe_section(path)
    assert says in error.value.paragraph()


def test_bounds_and_choices_are_told() -> None:
    (mixture,) = describe_section("mixture")
    types = {k.name: k.type for k in mixture.keys}
    assert types["domain_share"] == "number > 0 <= 1"
    assert types["unit"] == "supervised_tokens | tokens | rows"


def test_the_page_beside_the_schema_is_fresh() -> None:
    made = reference_markdown()
    if os.environ.get("TEMPER_RECORD_GOLDEN"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "TEMPER_RECORD_GOLDEN=1 writes it anew"
    assert "## sources, kind: files" in made


def test_the_schema_is_one_that_an_editor_reads() -> None:
    schema = recipe_schema()
    assert schema["type"] == "object"
    assert "$defs" in schema
