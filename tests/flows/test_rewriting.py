"""Targets in the base's own words, from the recipe to the plan and the mixture."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from configs.loading import load_recipe
from configs.recipe import Recipe
from tasks.models.api import Answer

pytest.importorskip("torch")
pytestmark = pytest.mark.slow
Fields = dict[str, Any]


class Echo:
    """An engine that says the reference again, with a word before it."""

    digest, log_probs = "echo", False

    def encode(self, prompts: Any) -> Any:
        from tasks.models.api import Encoded, ids_digest

        texts = [p.messages[-1]["content"] for p in prompts]
        return [Encoded(ids_digest([*t.encode()]), t) for t in texts]

    def generate_batches(self, asked: Any, decoding: Any, skip: Any = ()) -> Any:
        texts = [request.payload.split(" ANSWER ")[1] for request in asked]
        yield [
            (i, Answer(f"Well, {text}", False, 0.1, asked[i].digest, 5))
            for i, text in enumerate(texts)
        ]


@pytest.fixture
def fields(tiny_fields: Fields) -> Fields:
    """The tiny recipe with labels and free answers of the domain, both to be rewritten."""
    found = deepcopy(tiny_fields)
    rewrite = {"template": "{prompt} ANSWER {answer}"}
    reviews, general = found["sources"]
    own = {**general, "name": "own", "role": "domain", "rewrite": rewrite}
    found["sources"] = [{**reviews, "rewrite": rewrite}, own]
    found["mixture"] |= {"domain_share": 1.0, "exclude_overlap_with": []}
    return found


@pytest.fixture
def recipe(fields: Fields, temper_home: Path) -> Recipe:
    return load_recipe(fields)


def test_the_plan_says_what_will_be_rewritten_and_what_rewriting_does_nothing_for(
    recipe: Recipe,
) -> None:
    from flows.pipeline import plan_recipe
    from tasks.mixture.table import list_notes

    told = {line.name: line.note for line in plan_recipe(recipe).sources}
    assert told["own"].startswith("targets to be rewritten by the base")
    assert told["reviews"].startswith("rewrite does nothing here: the targets are labels")
    assert any("own: targets to be rewritten" in note for note in list_notes(plan_recipe(recipe)))


def test_the_mixture_has_the_rewritings_and_tests_have_what_they_had(
    recipe: Recipe, fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.pipeline import mix, prepare_data
    from tasks.self_data import rewriting
    from tasks.tracking.scorecard.card import rewritten_shares

    monkeypatch.setattr(rewriting, "open_model", lambda _: Echo())
    for source in fields["sources"]:
        source["rewrite"] = None
    plain, data = prepare_data(load_recipe(fields)), prepare_data(recipe)
    assert data.clean == plain.clean
    before, after = ({t.name: t for t in d.tokens} for d in (plain, data))
    assert after["own"].rows == before["own"].rows
    assert after["own"].supervised_tokens > before["own"].supervised_tokens
    assert after["reviews"].digest == before["reviews"].digest
    lock = json.loads(mix(recipe, data).lock.read_text())
    shares = rewritten_shares(lock)
    assert shares["reviews"] == 0
    assert 0.5 < shares["own"] <= 1
    steps = {s["name"]: [f["name"] for f in s["filters"]] for s in lock["sources"]}
    assert steps["own"].index("rewriting") < steps["own"].index("held_out")
    from tasks.export.data_card import make_data_card

    assert "## Rewritten targets" in make_data_card(lock, "openai", 1, {})
