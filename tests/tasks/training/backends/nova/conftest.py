"""Recipes for Nova."""

from collections.abc import Callable
from typing import Any

import pytest

from configs.loading import load_recipe
from configs.recipe import Recipe

GROUP = "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/temper"


@pytest.fixture(scope="session")
def nova_recipe() -> Callable[..., Recipe]:
    """A function from weights of categories to a recipe; ``own`` is the weight of own general."""

    def made(
        weights: dict[str | None, float],
        domain: float = 0.5,
        own: float | None = 1.0,
        **fields: Any,
    ) -> Recipe:
        source = {"kind": "files", "path": "x.jsonl"}
        sources: list[dict[str, Any]] = [{**source, "name": "domain", "role": "domain"}]
        if own is not None:
            sources.append({**source, "name": "general", "role": "general", "weight": own})
        for i, (category, weight) in enumerate(weights.items()):
            named = {"category": category} if category else {}
            sources.append({"kind": "nova", "name": f"n{i}", "weight": weight, **named})
        training = fields.pop("training", {})
        backend = {"kind": "nova", "accept_eula": True, "model_package_group": GROUP, **fields}
        return load_recipe(
            {
                "name": "nova",
                "model": {"path": "m"},
                "sources": sources,
                "mixture": {"unit": "rows", "domain_share": domain},
                "training": {**training, "backend": backend},
                "evaluation": {"suites": [{"kind": "mmlu", "name": "mmlu"}]},
            }
        )

    return made
