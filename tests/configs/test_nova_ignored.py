"""Options that would be ignored by Nova's service are refused, with their place and what to do."""

from typing import Any

import pytest
import yaml

from configs.errors import RecipeError
from configs.loading import load_recipe, recipe_text
from configs.nova_ignored import HONOURED
from configs.recipe import Recipe
from configs.training import Training

GROUP = "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/temper"
POD = {"hyperpod": {"cluster": "c"}, "model_package_group": None}
Fields = dict[str, Any]


def fields_of(training: Fields | None = None, **backend: Any) -> Fields:
    """A recipe for Nova with those options of training and of its backend."""
    theirs = {"kind": "nova", "accept_eula": True, "model_package_group": GROUP, **backend}
    return {
        "name": "n",
        "model": {"path": "m"},
        "sources": [{"kind": "files", "path": "x.jsonl", "name": "own", "role": "domain"}],
        "mixture": {"unit": "rows", "domain_share": 1},
        "training": {**(training or {}), "backend": theirs},
        "evaluation": {"suites": [{"kind": "mmlu", "name": "mmlu"}]},
    }


VALUES: Fields = {
    "optimiser": "sgd",
    "learning_rate": 1e-4,
    "schedule": "linear",
    "warmup_ratio": 0.1,
    "weight_decay": 0.1,
    "beta1": 0.8,
    "beta2": 0.95,
    "max_grad_norm": 0.5,
    "batch_rows": 32,
    "micro_batch_tokens": 4096,
    "packing": "on",
    "loss_weight": {"own": 2.0},
    "kl_to_base": 0.1,
    "blend": 0.5,
    "gradient_checkpointing": True,
    "kernels": "off",
    "save_steps": 10,
    "dtype": "float32",
    "validation": {"stop_on": "domain"},
    "dpo": {"beta": 0.2},
    "rft": {"generations": 4},
    "quantization": "4bit",
    "extra": {"adam_epsilon": 1e-7},
}


def test_every_option_of_training_is_either_honoured_or_refused() -> None:
    assert {*HONOURED, *VALUES} == set(Training.model_fields)


@pytest.mark.parametrize("pod", [{}, POD], ids=["serverless", "hyperpod"])
@pytest.mark.parametrize("name", VALUES)
def test_an_option_of_training_that_has_no_place_is_refused(name: str, pod: Fields) -> None:
    with pytest.raises(RecipeError, match=rf"training\.{name}.*would be ignored.* Fix: "):
        load_recipe(fields_of({name: VALUES[name]}, **pod))


REFUSED: dict[str, tuple[Fields, str]] = {
    "warm-up of a serverless job": (fields_of(warmup_steps=200), r"backend\.warmup_steps"),
    "alpha of a serverless job": (fields_of(lora_alpha=192), r"backend\.lora_alpha"),
    "a default that is set in vain": (fields_of(warmup_steps=15), r"backend\.warmup_steps"),
    "a key for a cluster": (fields_of(**POD, kms_key="k"), r"backend\.kms_key"),
    "tags for a cluster": (fields_of(**POD, tags={"a": "b"}), r"backend\.tags"),
    "a time for a cluster": (fields_of(**POD, max_runtime_hours=3), r"backend\.max_runtime_hours"),
    "a version for a cluster": (fields_of(**POD, model_version="1.0.0"), r"backend\.model_version"),
    "a group for a cluster": (
        fields_of(hyperpod={"cluster": "c"}),
        r"backend\.model_package_group",
    ),
    "no warm-up of a serverless job": (fields_of(warmup_steps=0), r"backend\.warmup_steps"),
    "alpha of no adapter": (fields_of(**POD, peft="full", lora_alpha=96), r"backend\.lora_alpha"),
    "an adapter of pre-training": (
        fields_of({"method": "cpt"}, **POD, method="cpt", peft="lora"),
        r"backend\.peft",
    ),
    "reasoning of pre-training": (
        fields_of({"method": "cpt"}, **POD, method="cpt", reasoning=True),
        r"backend\.reasoning",
    ),
    "a rank": (fields_of({"adapter": {"rank": 64}}), r"training\.adapter\.rank"),
    "an adapter beside all parameters": (
        fields_of({"adapter": {"kind": "lora"}}, peft="full"),
        r"training\.adapter: peft: full",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_not_be_sent_is_refused(what: str) -> None:
    fields, where = REFUSED[what]
    with pytest.raises(RecipeError, match=where):
        load_recipe(fields)


ACCEPTED: dict[str, Fields] = {
    "nothing": fields_of(),
    "how long rows may be": fields_of({"sequence_length": 512, "overflow": "split"}),
    "an adapter as such": fields_of({"adapter": {"kind": "lora"}}),
    "all parameters": fields_of({"adapter": None}, peft="full"),
    "warm-up and alpha on a cluster": fields_of(**POD, warmup_steps=200, lora_alpha=192),
    "pre-training": fields_of({"method": "cpt"}, **POD, method="cpt"),
    "a serverless job's own": fields_of(
        kms_key="k", tags={"a": "b"}, max_runtime_hours=3, learning_rate=1e-5, model_version="1.0.0"
    ),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_what_is_honoured_loads_and_loads_again_as_it_was_written_out(what: str) -> None:
    recipe = load_recipe(ACCEPTED[what])
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    assert load_recipe(yaml.safe_load(recipe_text(recipe))) == recipe


def test_a_recipe_written_out_whole_still_refuses_what_is_not_a_default() -> None:
    fields = load_recipe(fields_of()).model_dump(mode="json")
    fields["training"]["learning_rate"] = 3e-4
    with pytest.raises(RecipeError, match=r"training\.learning_rate.*backend\.learning_rate"):
        load_recipe(fields)


def test_other_backends_keep_their_options() -> None:
    fields = fields_of()
    fields["training"] = {"learning_rate": 3e-4, "batch_rows": 4}
    assert load_recipe(fields).training.learning_rate == 3e-4
