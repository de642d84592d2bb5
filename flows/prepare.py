"""Sources to mixture, without training."""

from prefect import flow

from configs.loading import load_recipe
from configs.recipe import Recipe
from flows.data import all_data, mix
from flows.runner import task_runner
from tasks.artifacts import MixtureReceipt


@flow(name="prepare", persist_result=True, task_runner=task_runner())
def prepare(recipe: Recipe | str) -> MixtureReceipt:
    """Ingest, check and mix a recipe's sources; rehearsal is generated if it has any."""
    recipe = load_recipe(recipe)
    return mix(recipe, all_data(recipe))
