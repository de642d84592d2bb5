"""The main path: a recipe becomes a checkpoint with a verdict, and an MLflow run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from configs.loading import load_recipe, recipe_digest, recipe_text
from configs.recipe import Recipe
from flows import data as stages
from flows.calling import once
from flows.data import Data
from flows.evaluate import scored
from flows.gates import judged, references, sliced
from flows.report import RunReport, metric_map
from flows.runner import task_runner
from tasks.artifacts import Checkpoint, HeldOut, MixtureReceipt
from tasks.gates.task import count_looks
from tasks.scores import GateResult, SuiteScores
from tasks.tracking import task as track
from tasks.training.job import TrainingJob
from tasks.training.task import blend_weights, submit_training, wait_for_training


@dataclass(frozen=True)
class Evidence:
    """Everything a verdict rests on."""

    run_id: str
    data: Data
    mixture: MixtureReceipt
    checkpoint: Checkpoint
    base: list[SuiteScores]
    candidate: list[SuiteScores]


def _run_name() -> str:
    recipe: Any = flow_run.parameters["recipe"]
    if isinstance(recipe, str):
        return recipe.rsplit("/", 1)[-1]
    return str(recipe["name"] if isinstance(recipe, dict) else recipe.name)


@flow(name="finetune", flow_run_name=_run_name, persist_result=True, task_runner=task_runner())
def finetune(recipe: Recipe | str) -> RunReport:
    """Specialise a model by a recipe and say whether it may ship.

    Args:
        recipe: The recipe itself, the name of a shipped one, or the path of a YAML file.
    """
    recipe = load_recipe(recipe)
    with tracked(recipe) as run_id:
        data = stages.all_data(recipe)
        track.track_sources(run_id, list(data.clean))
        mixture = stages.mix(recipe, data)
        track.track_mixture(run_id, mixture)
        base = scored(recipe, data, data.model)
        track.track_scores(run_id, "base", base)
        checkpoint = trained(recipe, data, mixture, run_id)
        track.track_training(run_id, checkpoint)
        candidate = scored(recipe, data, checkpoint)
        track.track_scores(run_id, "candidate", candidate)
        return conclude(recipe, Evidence(run_id, data, mixture, checkpoint, base, candidate))


@contextmanager
def tracked(recipe: Recipe) -> Iterator[str]:
    """Give the id of this flow run's MLflow run, which ends as the flow does."""
    run_id = track.start_tracking(recipe, recipe_text(recipe))
    try:
        yield run_id
    except BaseException as error:
        track.finish_tracking(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    track.finish_tracking(run_id, "FINISHED")


def trained(
    recipe: Recipe, data: Data, mixture: MixtureReceipt, run_id: str | None = None
) -> Checkpoint:
    """Return the checkpoint of the recipe's training job, submitting it only if need be.

    Args:
        recipe: What to train.
        data: As prepared.
        mixture: What is trained on.
        run_id: The MLflow run that gets the losses while training goes on, where there is one.
    """
    from tasks.tracking.mlflow_run import LiveLosses
    from tasks.training.job import find_checkpoint

    job = job_of(recipe, data, mixture)
    checkpoint = find_checkpoint(job)
    if checkpoint is None:
        handle = once(submit_training, job)
        told = LiveLosses(run_id) if run_id else None
        checkpoint = once(wait_for_training, job, handle, told)
    if recipe.training.blend == 1:
        return checkpoint
    kept: Checkpoint = once(blend_weights, data.model, checkpoint, recipe.training.blend)
    return kept


def held_out(recipe: Recipe, data: Data) -> HeldOut | None:
    """Return the rows that training is validated on, where the recipe says so."""
    from tasks.mixture.task import hold_out_rows

    spec = recipe.training
    if spec.validation is None:
        return None
    found: HeldOut = once(
        hold_out_rows,
        data.clean,
        data.model,
        spec.sequence_length,
        stages.row_kind(recipe),
        spec.validation.rows,
    )
    return found


def job_of(recipe: Recipe, data: Data, mixture: MixtureReceipt) -> TrainingJob:
    """Return the training job of a recipe whose mixture is there."""
    from tasks.mixture.task import pack_mixture
    from tasks.training.job import Extras, make_job

    spec = recipe.training
    packs = once(pack_mixture, mixture, spec.sequence_length) if spec.packed else None
    extras = Extras(packs, held_out(recipe, data))
    return make_job(data.model, mixture, spec, recipe.seed, extras)


def conclude(recipe: Recipe, found: Evidence) -> RunReport:
    """Judge the gates, publish the scorecard and keep the report."""
    models = (found.data.model, found.checkpoint)
    known = references(recipe, found.data, found.base, scored)
    gates = judged(recipe, found.data, models, (known, found.candidate), scored)
    return published(recipe, found, gates)


def published(recipe: Recipe, found: Evidence, gates: list[GateResult]) -> RunReport:
    """Publish the scorecard of what was judged and keep the report."""
    from tasks.gates.judge import overall
    from tasks.tracking.scorecard.card import Card

    if recipe.evaluation.split == "test":
        gates = count_looks(recipe.family, found.run_id, found.candidate, gates)
    card = Card(
        run_id=found.run_id,
        recipe=recipe,
        base=tuple(found.base),
        candidate=tuple(found.candidate),
        gates=tuple(gates),
        verdict=overall(gates),
        mixture=found.mixture,
        clean=found.data.clean,
        checkpoint=found.checkpoint,
        slices=sliced(recipe, found.base, found.candidate),
    )
    page = track.publish_scorecard(card)
    report = RunReport(
        run_id=found.run_id,
        name=recipe.name,
        recipe_digest=recipe_digest(recipe),
        verdict=card.verdict,
        gates=card.gates,
        metrics={"base": metric_map(card.base), "candidate": metric_map(card.candidate)},
        scorecard=page,
        checkpoint=found.checkpoint.path,
        lock=found.mixture.lock,
        base_scores=card.base,
        candidate_scores=card.candidate,
        mixture=found.mixture,
        trained=found.checkpoint,
        registered=recipe.registered_name,
    )
    report.save()
    return report
