"""The main path for Nova: its data mixing, its training, its evaluator, our gates and scorecard."""

from typing import Any

from prefect import flow

from configs.gates import FloorGate
from configs.nova import NovaBackend
from configs.recipe import Recipe
from flows import data as stages
from flows.calling import once
from flows.finetune import Evidence, published, tracked
from flows.nova import rows_of, trained_rows
from flows.nova_evaluation import asking, evaluated_by_nova, identity, refuse_gates
from flows.report import RunReport, champion_report
from flows.runner import task_runner
from tasks.artifacts import Checkpoint
from tasks.gates.task import judge_gates
from tasks.scores import SuiteScores
from tasks.tracking import task as track
from tasks.training.backends.nova.job import NovaJob, NovaModelReceipt, nova_job
from tasks.training.backends.nova.mixing import own_part


@flow(name="finetune-nova", persist_result=True, task_runner=task_runner())
def finetune_nova(recipe: Recipe) -> RunReport:
    """Customise a Nova model by a recipe and say whether it may ship.

    Both the base and the customised model are put to the recipe's suites by Nova's evaluator.

    Args:
        recipe: Its backend is Nova's.
    """
    with tracked(recipe) as run_id:
        own = own_part(recipe)
        gathered = stages.stored_data(own, weights=False)
        asked = asking(recipe, gathered)
        refuse_gates(recipe, asked)
        mixture = stages.mix(own, gathered)
        track.track_sources(run_id, list(gathered.clean))
        track.track_mixture(run_id, mixture)
        job = nova_job(recipe, rows_of(recipe, mixture))
        receipt = trained_rows(job)
        base, candidate = evaluated_by_nova(recipe, gathered, asked.opened, (None, receipt.model))
        track.track_scores(run_id, "base", base)
        track.track_scores(run_id, "candidate", candidate)
        found = Evidence(run_id, gathered, mixture, _standing(job, receipt), base, candidate)
        known = _references(recipe, base)
        return published(recipe, found, once(judge_gates, recipe.gates, known, candidate))


def _standing(job: NovaJob, receipt: NovaModelReceipt) -> Checkpoint:
    """Return what stands for a model whose weights stay with AWS."""
    backend: NovaBackend = job.backend
    return Checkpoint(
        path=job.folder,
        digest=identity(backend, receipt.model),
        name=receipt.model,
        tokenizer_digest="",
        has_weights=False,
        parent=identity(backend, None),
        steps=receipt.steps,
        adapter_digest="",
    )


def _references(recipe: Recipe, base: list[SuiteScores]) -> Any:
    """Return the scores of the models that gates name: the champion's are those of its own run.

    The original is the base, which is Nova's own model.
    """
    from tasks.gates.judge import References

    named = {g.against for g in recipe.gates if not isinstance(g, FloorGate)}
    champion = champion_report(recipe.registered_name) if "champion" in named else None
    return References(base, None, list(champion.candidate_scores) if champion else None)
