"""Recipes whose training runs elsewhere: what would be asked for, and what speaks against it."""

from typing import Any, NamedTuple

from configs.recipe import Recipe
from flows.commands import Answer
from flows.data import Data, mix
from flows.planning import planned
from tasks.artifacts import LocalModel
from tasks.training.backends.nova.mixing import own_part
from tasks.training.preflight.estimate import Load, Preflight


class Told(NamedTuple):
    """What a dry run, or a plan for Nova, says.

    Attributes:
        table: The plan of the mixture.
        found: What was looked at; None for a plan.
        request: Exactly what would be sent.
    """

    table: Any
    found: Preflight | None
    request: dict[str, Any]


def looked(recipe: Recipe) -> Preflight:
    """Return the preflight of a recipe; nothing is built, uploaded or submitted."""
    from tasks.training.preflight.run import preflight

    own = own_part(recipe)
    table = planned(own)
    rows = sum(line.rows for line in table.sources)
    load = Load(
        tokens=sum(x.tokens for x in table.sources),
        supervised=sum(x.supervised_tokens for x in table.sources),
        steps=-(-rows // recipe.training.batch_rows),
    )
    return preflight(recipe.training, _base(recipe), load, rows)


def _base(recipe: Recipe) -> LocalModel:
    """Return the base model; without its weights where Nova's are trained."""
    from tasks.models.prepare import prepare_model

    return prepare_model(recipe.model, weights=recipe.training.backend.kind != "nova")


def answered(command: str, recipe: Recipe) -> Answer:
    """Return what ``plan``, ``train`` or ``run`` say of a recipe for Nova, or of a dry run."""
    if getattr(recipe.training.backend, "dry_run", False) and command != "plan":
        return _told(dry_run(recipe))
    from flows.nova import planned_request, trained_nova

    if command == "plan":
        table, request = planned_request(recipe)
        return _told(Told(table, None, request))
    if command == "run":
        return _run(recipe)
    receipt = trained_nova(recipe)
    return Answer(receipt.model_dump(mode="json"), receipt, view="nova")


def _run(recipe: Recipe) -> Answer:
    from flows.commands import run_answer
    from flows.nova_run import finetune_nova

    return run_answer(finetune_nova(recipe))


def dry_run(recipe: Recipe) -> Told:
    """Return the preflight and the exact request; the mixture is built on this machine alone."""
    found, table = looked(recipe), planned(own_part(recipe))
    if recipe.training.backend.kind == "nova":
        from flows.nova import planned_request

        return Told(table, found, planned_request(recipe)[1])
    return Told(table, found, request_of(recipe))


def request_of(recipe: Recipe) -> dict[str, Any]:
    """Return what submitting would send."""
    from flows.data import all_data
    from flows.finetune import job_of

    data: Data = all_data(recipe)
    job = job_of(recipe, data, mix(recipe, data))
    backend = recipe.training.backend
    if backend.kind == "sagemaker":
        from tasks.training.backends.sagemaker.jobs import SagemakerJobs

        return {"CreateTrainingJob": SagemakerJobs(backend).planned(job)}
    if backend.kind == "work_pool":
        from tasks.training.backends.work_pool.jobs import PoolJobs

        return PoolJobs(backend).planned(job)
    raise AssertionError(f"no request for {backend.kind}")


def _told(told: Told) -> Answer:
    found = told.found
    fields = {
        "plan": told.table.model_dump(mode="json"),
        "request": told.request,
        "preflight": found.model_dump(mode="json") if found else None,
    }
    code = 0 if found is None or found.ok else 2
    return Answer(fields, told, code, view="told")
