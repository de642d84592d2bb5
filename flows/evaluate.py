"""Evaluation of any model by a recipe's suites."""

from pathlib import Path

from prefect import flow

from configs.loading import load_recipe
from configs.recipe import Recipe
from configs.stages import Model
from flows.calling import once
from flows.data import Data, check_sources, evaluation_context, refuse_blocked
from tasks.artifacts import LocalModel, SuiteScores
from tasks.evaluation.task import evaluate_suite


@flow(name="evaluate", persist_result=True)
def evaluate(recipe: Recipe | str, model: str | None = None) -> list[SuiteScores]:
    """Run a recipe's suites on a model folder, or on its base model."""
    return evaluate_model(load_recipe(recipe), model)


def evaluate_model(recipe: Recipe, model: str | None) -> list[SuiteScores]:
    """Return the scores of a model; inside a flow the steps are Prefect tasks."""
    from tasks.ingest.task import fetch_model

    clean = check_sources(recipe)
    refuse_blocked(clean)
    spec = Model(path=str(Path(model).resolve())) if model else recipe.model
    local = once(fetch_model, spec, True)
    return scored(recipe, Data(local, clean), local)


def scored(recipe: Recipe, data: Data, model: LocalModel) -> list[SuiteScores]:
    """Return every suite's scores of one model, one suite after the other."""
    context = evaluation_context(recipe, data)
    return [once(evaluate_suite, suite, model, context) for suite in recipe.evaluation.suites]
