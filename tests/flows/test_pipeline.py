"""Which seed decides what: the recipe's the training, the evaluation's what is held out."""

from pathlib import Path

from configs.loading import load_recipe
from flows.pipeline import Data, check_sources, make_context
from tasks.artifacts import LocalModel


def test_recipes_that_differ_in_their_seed_alone_hold_out_the_same_rows(
    tiny_recipe: Path, temper_home: Path
) -> None:
    def held_out(*overrides: str) -> list[str]:
        recipe = load_recipe(tiny_recipe, overrides)
        clean = check_sources(recipe)
        context = make_context(recipe, Data(LocalModel.model_construct(), clean))
        return [c.digest for c in clean] + [str(context.seed)]

    assert held_out("seed=1", "evaluation.seed=9") == held_out("seed=2", "evaluation.seed=9")
    assert held_out("seed=1") != held_out("seed=2")
