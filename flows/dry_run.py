"""What a recipe's training elsewhere would be asked for, and what speaks against it."""

from typing import Any, NamedTuple

from configs.recipe import Recipe
from flows.evaluators import open_evaluator
from flows.finetune import make_training_job
from flows.pipeline import keeps_weights, mix, plan_recipe, prepare_data
from tasks.mixture.table import PlanTable
from tasks.models.prepare import prepare_model
from tasks.training.backends.base import open_backend
from tasks.training.preflight.estimate import Load, Preflight


class DryRun(NamedTuple):
    """What a dry run says, or a plan where the backend mixes data of its own in.

    Attributes:
        table: The plan of the mixture.
        preflight: What was looked at; None for a plan.
        request: Exactly what would be sent.
    """

    table: PlanTable
    preflight: Preflight | None
    request: dict[str, Any]


def run_preflight(recipe: Recipe) -> Preflight:
    """Return the preflight of a recipe; nothing is built, uploaded or submitted."""
    table = plan_recipe(recipe)
    rows = sum(line.rows for line in table.sources)
    load = Load(
        tokens=sum(x.tokens for x in table.sources),
        supervised=sum(x.supervised_tokens for x in table.sources),
        steps=-(-rows // recipe.training.batch_rows),
    )
    base = prepare_model(recipe.model, weights=not keeps_weights(recipe))
    return open_backend(recipe.training.backend).check(recipe.training, base, load, rows)


def dry_run(recipe: Recipe, *, look: bool = True) -> DryRun:
    """Return the preflight and the exact request; the mixture is built on this machine alone.

    Args:
        recipe: What to train.
        look: Whether the backend is looked at first.
    """
    found = run_preflight(recipe) if look else None
    return DryRun(plan_recipe(recipe), found, plan_request(recipe))


def plan_request(recipe: Recipe) -> dict[str, Any]:
    """Return what submitting would send: the training, and evaluations of the base by a service.

    Those of the trained model name it as soon as it is there.
    """
    data = prepare_data(recipe)
    job = make_training_job(recipe, data, mix(recipe, data))
    request = open_backend(recipe.training.backend).plan(job)
    return request | open_evaluator(recipe, data).plan()
