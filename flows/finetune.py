"""The main path: a recipe becomes a checkpoint with a verdict, and an MLflow run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from configs.loading import load_recipe, recipe_digest, recipe_text
from configs.nova import NovaBackend
from configs.recipe import Recipe
from flows.evaluate import find_slices, refuse_absent_champion
from flows.evaluators import Arm, open_evaluator
from flows.pipeline import Data, make_row_format, mix, prepare_data
from flows.report import NOT_JUDGED, RunReport, map_metrics
from flows.run_task import run_task
from flows.runner import task_runner
from tasks.artifacts import Checkpoint, HeldOut, MixtureReceipt
from tasks.export.formats import FormatName
from tasks.export.stage import Export, ExportRequest, export_mixture
from tasks.gates.stage import overall
from tasks.gates.task import count_looks
from tasks.mixture.task import hold_out_rows, pack_mixture
from tasks.models.local.loading import forget_model
from tasks.scores import GateResult, SuiteScores
from tasks.storage import digest_of, find, home
from tasks.tracking import task as track
from tasks.tracking.masking import flatten
from tasks.tracking.mlflow_run import LiveLosses, Status, refuse_other_recipe
from tasks.tracking.scorecard.card import Card
from tasks.training.backends.base import Job, open_backend, stop_on_break
from tasks.training.backends.nova.job import CHANNEL, Rows, nova_job
from tasks.training.job import Extras, find_checkpoint, make_job
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
    refuse_absent_champion(recipe)
    with track_run(recipe) as run_id:
        return specialise(recipe, run_id)


def specialise(recipe: Recipe, run_id: str) -> RunReport:
    """Return the report of a recipe that is run from its sources to its verdict.

    Args:
        recipe: What to run.
        run_id: The MLflow run that is told of it.
    """
    data = prepare_data(recipe)

    def keep_scores(arm: Arm, scores: list[SuiteScores]) -> None:
        run_task(track.track_scores, run_id, arm, scores)

    evaluator = open_evaluator(recipe, data, keep_scores)
    evaluator.refuse_gates()
    run_task(track.track_sources, run_id, list(data.clean))
    mixture = mix(recipe, data)
    run_task(track.track_mixture, run_id, mixture)
    evaluator.ask("base", data.model)
    checkpoint = train(recipe, data, mixture, run_id)
    run_task(track.track_training, run_id, checkpoint)
    evaluator.ask("candidate", checkpoint)
    base, candidate = evaluator.collect()
    gates = evaluator.judge(base, candidate)
    found = Evidence(run_id, data, mixture, checkpoint, base.scores, candidate.scores)
    return finish_run(recipe, found, gates)


@contextmanager
def track_run(recipe: Recipe, parent: str | None = None) -> Iterator[str]:
    """Give the id of this flow run's MLflow run, which ends as the flow does.

    Args:
        recipe: What is run.
        parent: The MLflow run it is shown below, where it is part of a sweep.
    """
    run_id = run_task(track.start_tracking, recipe, recipe_text(recipe), parent)
    try:
        # A flow run that is retried is given what it had opened before, without another look.
        refuse_other_recipe(run_id, recipe)
        yield run_id
    except BaseException as error:
        status: Status = "FAILED" if isinstance(error, Exception) else "KILLED"
        run_task(track.finish_tracking, run_id, status)
        raise
    run_task(track.finish_tracking, run_id, "FINISHED")


def train(
    recipe: Recipe, data: Data, mixture: MixtureReceipt, run_id: str | None = None
) -> Checkpoint:
    """Return the checkpoint of the recipe's training job, submitting it only if need be.

    Args:
        recipe: What to train.
        data: As prepared.
        mixture: What is trained on.
        run_id: The MLflow run that gets the losses while training goes on, where there is one.
    """
    job = make_training_job(recipe, data, mixture)
    checkpoint = find_checkpoint(job)
    if checkpoint is None:
        # Whatever was rewritten, generated or evaluated with it: the trainer needs the room.
        forget_model()
        live = LiveLosses(run_id) if run_id else None
        # The base that was evaluated makes room for the trainer, which is another process.
        forget_model()
        with stop_on_break() as running:
            handle = run_task(submit_training, job)
            stop = partial(open_backend(job.backend).cancel, handle)
            running[handle.name or handle.key] = stop
            checkpoint = run_task(wait_for_training, job, handle, live)
    if recipe.training.blend == 1:
        return checkpoint
    return run_task(blend_weights, data.model, checkpoint, recipe.training.blend)


def train_recipe(recipe: Recipe) -> Checkpoint:
    """Return what a recipe trains, from its sources on; nothing is evaluated."""
    data = prepare_data(recipe)
    return train(recipe, data, mix(recipe, data))


def make_training_job(recipe: Recipe, data: Data, mixture: MixtureReceipt) -> Job:
    """Return the training job of a recipe whose mixture is there.

    Raises:
        DataError: Too few or too many rows for the service.
    """
    section = recipe.training
    if isinstance(section.backend, NovaBackend):
        return nova_job(recipe, export_rows(mixture, section.backend))
    packs = run_task(pack_mixture, mixture, section.sequence_length) if section.packed else None
    extras = Extras(packs, hold_out(recipe, data))
    return make_job(data.model, mixture, section, recipe.seed, extras)


def export_rows(mixture: MixtureReceipt, backend: NovaBackend) -> Rows:
    """Return a mixture's rows as the service reads them; written once."""
    form: FormatName = "text" if backend.method == "cpt" else "converse"
    folder = home("exports", digest_of([mixture.digest, form])[:32])
    made = find(folder, Export) or export_mixture(mixture, ExportRequest(form, folder, strict=True))
    return Rows(made.digest, made.path / CHANNEL, made.rows)


def hold_out(recipe: Recipe, data: Data) -> HeldOut | None:
    """Return the rows that training is validated on, where the recipe says so."""
    section = recipe.training
    if section.validation is None:
        return None
    return run_task(
        hold_out_rows,
        data.clean,
        data.model,
        section.sequence_length,
        make_row_format(recipe),
        section.validation.rows,
    )


def finish_run(recipe: Recipe, found: Evidence, gates: list[GateResult]) -> RunReport:
    """Publish the scorecard of what was judged and keep the report."""
    if recipe.evaluation.split == "test":
        gates = run_task(count_looks, recipe.family, found.run_id, found.candidate, gates)
    card = Card(
        run_id=found.run_id,
        recipe=recipe,
        base=tuple(found.base),
        candidate=tuple(found.candidate),
        gates=tuple(gates),
        verdict=overall(gates) if gates else NOT_JUDGED,
        mixture=found.mixture,
        clean=found.data.clean,
        checkpoint=found.checkpoint,
        slices=find_slices(recipe, found.base, found.candidate),
    )
    page = run_task(track.publish_scorecard, card)
    report = RunReport(
        run_id=found.run_id,
        name=recipe.name,
        recipe_digest=recipe_digest(recipe),
        verdict=card.verdict,
        gates=card.gates,
        metrics={"base": map_metrics(card.base), "candidate": map_metrics(card.candidate)},
        scorecard=page,
        checkpoint=found.checkpoint.path,
        lock=found.mixture.lock,
        base_scores=card.base,
        candidate_scores=card.candidate,
        mixture=found.mixture,
        trained=found.checkpoint,
        registered=recipe.registered_name,
        settings=flatten(recipe.model_dump(mode="json", exclude_none=True)),
        ended=time.time(),
    )
    report.save()
    return report
