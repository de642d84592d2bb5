"""Nova's categories and the rules of mixing them in, as a recipe meets them."""

from typing import Any

import pytest

from configs import nova
from configs.errors import RecipeError
from configs.loading import load_recipe

GROUP = "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/temper"
Fields = dict[str, Any]


def fields_of(
    categories: list[str | None], backend: Fields | None = None, **mixture: Any
) -> Fields:
    """A recipe with a domain source, a general one of its own, and Nova sources."""
    theirs: list[Fields] = [
        {"kind": "nova", "name": f"nova-{i}", **({"category": c} if c else {})}
        for i, c in enumerate(categories)
    ]
    own = {"kind": "files", "path": "x.jsonl"}
    return {
        "name": "n",
        "model": {"path": "m"},
        "sources": [
            {**own, "name": "domain", "role": "domain"},
            {**own, "name": "general", "role": "general"},
            *theirs,
        ],
        "mixture": {"unit": "rows", "domain_share": 0.5, **mixture},
        "training": {
            "backend": {
                "kind": "nova",
                "accept_eula": True,
                "model_package_group": GROUP,
                **(backend or {}),
            }
        },
        "evaluation": {"suites": [{"kind": "mmlu", "name": "mmlu"}]},
    }


@pytest.mark.parametrize(
    ("known", "count"),
    [
        (nova.NOVA_2_TEXT, 23),
        (nova.NOVA_2_MULTIMODAL, 11),
        (nova.NOVA_1_TEXT, 10),
        (nova.NOVA_1_MULTIMODAL, 9),
        (nova.CPT_TEXT, 16),
    ],
)
def test_each_default_mix_sums_to_a_hundred(known: nova.Percentages, count: int) -> None:
    assert len(known) == count
    assert sum(known.values()) == pytest.approx(100, abs=1e-9)


@pytest.mark.parametrize(
    ("model", "modality", "method", "known"),
    [
        ("nova-textgeneration-lite-v2", "text", "sft", nova.NOVA_2_TEXT),
        ("nova-textgeneration-lite-v2", "multimodal", "sft", nova.NOVA_2_MULTIMODAL),
        ("nova-textgeneration-pro", "text", "sft", nova.NOVA_1_TEXT),
        ("nova-textgeneration-micro", "text", "sft", nova.NOVA_1_TEXT),
        ("nova-textgeneration-lite", "multimodal", "sft", nova.NOVA_1_MULTIMODAL),
        ("nova-textgeneration-lite-v2", "text", "cpt", nova.CPT_TEXT),
    ],
)
def test_categories_go_by_model_modality_and_method(
    model: str, modality: Any, method: Any, known: nova.Percentages
) -> None:
    assert nova.get_categories(model, modality, method) == known


def test_every_category_of_nova_2_is_accepted_and_no_other() -> None:
    for category in nova.NOVA_2_TEXT:
        assert load_recipe(fields_of([category])).sources[2].category == category
    for strange in ("reasoning", "math2", "perception", "Charts", "charts"):
        with pytest.raises(RecipeError, match=rf"sources\.2\.category: .*'{strange}'.*baseline"):
            load_recipe(fields_of([strange]))


def test_aws_s_default_mix_is_a_source_without_category() -> None:
    assert load_recipe(fields_of([None])).sources[2].category is None


CLUSTER = {"hyperpod": {"cluster": "c"}, "model_package_group": None}
REFUSED: dict[str, tuple[Fields, str]] = {
    "the default mix beside a category": (fields_of([None, "code"]), r"sources\.2\.category"),
    "a category twice": (fields_of(["code", "code"]), r"sources\.3\.category: 'code' is there"),
    "other units than rows": (fields_of(["code"], unit="tokens"), r"mixture\.unit"),
    "nothing left for Nova's data": (fields_of(["code"], domain_share=1), r"mixture\.domain_share"),
    "a schedule": (
        fields_of(["code"], schedule=[{"until": 1, "domain_share": 0.5}]),
        r"mixture\.schedule",
    ),
    "mixing in serverless jobs of Nova 1": (
        fields_of(["code"], {"model": "nova-textgeneration-pro"}),
        r"sources\.2\.kind: serverless",
    ),
    "mixing in serverless multimodal jobs": (
        fields_of(["charts"], {"modality": "multimodal"}),
        r"sources\.2\.kind: serverless",
    ),
    "pictures for Nova Micro": (
        fields_of([], {"model": "nova-textgeneration-micro", "modality": "multimodal"}),
        r"backend\.modality",
    ),
    "pre-training without a cluster": (fields_of([], {"method": "cpt"}), r"backend\.method"),
    "another method than the training's": (
        fields_of([], {"method": "cpt", **CLUSTER}),
        r"backend\.method: it is cpt",
    ),
    "terms not accepted": (fields_of([], {"accept_eula": False}), r"backend\.accept_eula"),
    "no group for the model": (
        fields_of([], {"model_package_group": None}),
        r"backend\.model_package_group",
    ),
    "reasoning by Nova 1": (
        fields_of([], {"model": "nova-textgeneration-pro", "reasoning": True}),
        r"backend\.reasoning",
    ),
    "fewer than four steps": (fields_of([], {"max_steps": 3}), r"backend\.max_steps"),
    "a length the service doesn't have": (
        fields_of([], {"max_length": 4096}),
        r"backend\.max_length",
    ),
    "a batch the service doesn't have": (
        fields_of([], {"global_batch_size": 16}),
        r"backend\.global_batch_size",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_service_refuses_is_refused_before(what: str) -> None:
    fields, where = REFUSED[what]
    with pytest.raises(RecipeError, match=where):
        load_recipe(fields)


def test_nova_sources_need_the_nova_backend() -> None:
    fields = fields_of(["code"])
    fields["training"] = {"backend": {"kind": "local"}}
    with pytest.raises(RecipeError, match=r"sources\.2\.kind: Nova's data is mixed in by its own"):
        load_recipe(fields)


def test_rehearsal_is_not_for_nova() -> None:
    fields = fields_of([])
    fields["sources"].append({"kind": "rehearsal", "name": "own"})
    with pytest.raises(RecipeError, match=r"sources\.2\.kind: Nova's weights"):
        load_recipe(fields)


@pytest.mark.parametrize("model", ["nova-textgeneration-pro", "nova-textgeneration-lite-v2"])
@pytest.mark.parametrize("modality", ["text", "multimodal"])
def test_a_cluster_mixes_for_every_model(model: str, modality: str) -> None:
    category = "text" if modality == "multimodal" else "chat"
    backend = {"model": model, "modality": modality, **CLUSTER}
    assert load_recipe(fields_of([category], backend)).sources[2].category == category
