"""Nova instead of a model of one's own: the same recipe, its rows uploaded, its request shown."""

from typing import Any

from configs.recipe import Recipe
from flows import data
from flows.calling import once
from flows.nova_stopping import stopped_on_break
from flows.planning import planned
from tasks.artifacts import MixtureReceipt
from tasks.export.formats import FormatName
from tasks.storage import digest_of, home
from tasks.training.backends.nova.job import CHANNEL, NovaJob, NovaModelReceipt, Rows, nova_job
from tasks.training.backends.nova.mixing import own_part
from tasks.training.backends.nova.task import submit_nova, wait_for_nova
from tasks.training.backends.nova.training_jobs import NovaJobs


def planned_request(recipe: Recipe) -> tuple[Any, dict[str, Any]]:
    """Return the plan of the recipe's own rows and the exact request.

    The rows are written to this machine, since the request names them by digest; nothing is sent.
    With it are the requests of the base model's evaluations; those of the trained model name it as
    soon as it is there.
    """
    from flows.nova_evaluation import planned_evaluations

    own = own_part(recipe)
    request = NovaJobs(ready_job(recipe)).planned()
    gathered = data.stored_data(own, weights=False)
    return planned(own), {**request, "evaluations": planned_evaluations(recipe, gathered)}


def trained_nova(recipe: Recipe) -> NovaModelReceipt:
    """Return the Nova model of a recipe, submitting its training only if need be."""
    return trained_rows(ready_job(recipe))


def trained_rows(job: NovaJob) -> NovaModelReceipt:
    """Return the Nova model of a job whose rows are ready."""
    with stopped_on_break() as running:
        name = once(submit_nova, job)
        running[name] = NovaJobs(job)
        receipt: NovaModelReceipt = once(wait_for_nova, job, name)
        return receipt


def ready_job(recipe: Recipe) -> NovaJob:
    """Return the job with its rows written to this machine."""
    own = own_part(recipe)
    gathered = data.stored_data(own, weights=False)
    return nova_job(recipe, rows_of(recipe, data.mix(own, gathered)))


def rows_of(recipe: Recipe, mixture: MixtureReceipt) -> Rows:
    """Return a mixture's rows as the service reads them; written once."""
    from tasks.export.stage import Export, ExportRequest, export_mixture
    from tasks.storage import find

    backend = recipe.training.backend
    assert backend.kind == "nova"
    form: FormatName = "text" if backend.method == "cpt" else "converse"
    folder = home("exports", digest_of([mixture.digest, form])[:32])
    made = find(folder, Export) or export_mixture(mixture, ExportRequest(form, folder, strict=True))
    return Rows(made.digest, made.path / CHANNEL, made.rows)
