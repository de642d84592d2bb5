from hypothesis import given
from hypothesis import strategies as st

from configs.recipe import Recipe
from tasks.tracking.masking import flatten, mask_text


def test_a_recipe_becomes_dotted_parameters_with_members_by_name(recipe: Recipe) -> None:
    flat = flatten(recipe.model_dump(mode="json"))
    assert flat["name"] == "voc-75"
    assert flat["sources.chat.weight"] == "2.0"
    assert flat["gates.1.margin"] == "0.1"
    assert flat["training.adapter.rank"] == "16"
    assert flat["training.micro_batch_tokens"] == "2048"
    assert flat["model.revision"] == "null"
    assert flat["mixture.exclude_overlap_with"] == "[]"


def test_secrets_are_masked_by_key_and_in_addresses(recipe: Recipe) -> None:
    flat = flatten(
        {
            "hub": {"hf_token": "abc", "api-key": "k", "max_tokens": 9},
            "path": "https://me:pw@host/x?sig=zzz&page=2",
        }
    )
    assert flat == {
        "hub.hf_token": "***",
        "hub.api-key": "***",
        "hub.max_tokens": "9",
        "path": "https://***@host/x?sig=***&page=2",
    }
    assert "pw" not in flatten(recipe.model_dump(mode="json"))["sources.voc.path"]


def test_the_recipe_file_keeps_its_text_but_no_secrets() -> None:
    text = (
        "name: x  # a comment\ntoken: abc\nmax_tokens: 5\n  - {password: hunter2, a: 1}\n"
        "path: s3://key:secret@b/x\n"
    )
    masked = mask_text(text)
    assert "# a comment" in masked
    assert "max_tokens: 5" in masked
    for secret in ("abc", "hunter2", "key:secret"):
        assert secret not in masked


@given(st.dictionaries(st.sampled_from("abc"), st.text(max_size=600)))
def test_values_are_cut_to_what_mlflow_takes(fields: dict[str, str]) -> None:
    assert all(len(v) <= 500 for v in flatten(fields).values())
