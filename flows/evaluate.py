"""Evaluation of any model by a recipe's suites."""

from pathlib import Path

from prefect import flow

from configs.loading import find_served, load_recipe
from configs.models import AdaptedModel, Model, Served, VllmModel
from configs.recipe import Recipe
from flows.calling import once
from flows.data import Data, check_sources, evaluation_context, refuse_blocked
from tasks.evaluation.items import EvalContext
from tasks.evaluation.task import evaluate_suite
from tasks.models.factory import Evaluated
from tasks.scores import SuiteScores


@flow(name="evaluate", persist_result=True)
def evaluate(recipe: Recipe | str, model: str | None = None) -> list[SuiteScores]:
    """Run a recipe's suites on a model, or on its base model.

    Args:
        recipe: The recipe itself, the name of a shipped one, or the path of a YAML file.
        model: A model folder; or a served or adapted model as a YAML file or inline mapping
            (``{kind: endpoint, url: ..., name: ..., key_env: ...}``).
    """
    return evaluate_model(load_recipe(recipe), model)


def evaluate_model(recipe: Recipe, model: str | None) -> list[SuiteScores]:
    """Return the scores of a model; inside a flow the steps are Prefect tasks."""
    spec = named(model) if model else recipe.model
    clean = check_sources(recipe)
    refuse_blocked(clean)
    chosen = recipe.evaluation
    context = EvalContext(chosen.split, recipe.seed, chosen.dtype, {c.name: c for c in clean})
    return _scored(recipe, context, prepared(spec))


def named(model: str) -> Model | Served:
    """Return the section that a model's name on the command line means."""
    return find_served(model) or Model(path=str(Path(model).resolve()))


def prepared(spec: Model | Served) -> Evaluated:
    """Return a model that can be evaluated: its folder on this machine, or where it is served."""
    from tasks.ingest.task import fetch_model
    from tasks.models.adapters import adapted
    from tasks.models.served.vllm import on_vllm

    match spec:
        case Model():
            return once(fetch_model, spec, True)  # type: ignore[no-any-return]
        case AdaptedModel():
            base = once(fetch_model, Model(path=spec.path, revision=spec.revision), True)
            return adapted(base, Path(spec.adapter).expanduser(), spec.alpha)
        case VllmModel():
            base = once(fetch_model, Model(path=spec.path, revision=spec.revision), True)
            return on_vllm(base, spec)
        case _:
            return spec


def scored(recipe: Recipe, data: Data, model: Evaluated) -> list[SuiteScores]:
    """Return every suite's scores of one model, one suite after the other."""
    return _scored(recipe, evaluation_context(recipe, data), model)


def _scored(recipe: Recipe, context: EvalContext, model: Evaluated) -> list[SuiteScores]:
    return [once(evaluate_suite, suite, model, context) for suite in recipe.evaluation.suites]
