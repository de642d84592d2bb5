import pytest
from pydantic import ValidationError

from configs.errors import RecipeError
from configs.loading import load_recipe
from configs.sources import REWRITE_TEMPLATE, Rewrite

NOVA = {
    "kind": "nova",
    "accept_eula": True,
    "model_package_group": "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/t",
}
FIELDS = {
    "name": "own-words",
    "model": {"path": "model"},
    "sources": [
        {"name": "voc", "role": "domain", "kind": "files", "path": "voc.jsonl", "rewrite": {}},
        {"name": "chat", "role": "general", "kind": "files", "path": "chat.jsonl"},
    ],
    "evaluation": {"suites": [{"kind": "mmlu", "name": "mmlu", "cloze": False}]},
}


def test_a_domain_source_may_be_rewritten():
    found = load_recipe(FIELDS).source("voc").rewrite
    assert found == Rewrite()
    assert REWRITE_TEMPLATE.index("{prompt}") < REWRITE_TEMPLATE.index("{answer}")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"training": {"method": "cpt"}}, "method cpt"),
        ({"training": {"method": "dpo"}}, "method dpo"),
        ({"training": {"backend": NOVA}, "mixture": {"unit": "rows"}}, "Nova's base model is not"),
        (
            {
                "sources": [
                    {**FIELDS["sources"][0], "rewrite": None},
                    {**FIELDS["sources"][1], "rewrite": {}},
                ]
            },
            "rehearsal gives the base's own",
        ),
    ],
)
def test_what_can_not_be_rewritten_is_refused(changes, says):
    with pytest.raises(RecipeError, match=f"(?i){says}"):
        load_recipe({**FIELDS, **changes})


@pytest.mark.parametrize(
    "template", ["{prompt}", "{answer} {prompt} {prompt}", "", "{ prompt } {answer}"]
)
def test_a_template_has_each_place_once(template):
    with pytest.raises(ValidationError, match="Fix: write it once"):
        Rewrite(template=template)
