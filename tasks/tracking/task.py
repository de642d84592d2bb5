"""Tracking as Prefect tasks."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.runtime import flow_run

from configs.recipe import Recipe
from tasks.artifacts import Checkpoint, CleanSource, MixtureReceipt
from tasks.scores import SuiteScores
from tasks.tracking.scorecard.card import Card


@task(task_run_name="open the MLflow run", persist_result=True, cache_policy=NO_CACHE)
def start_tracking(recipe: Recipe, recipe_text: str, parent: str | None = None) -> str:
    """Start or resume this flow run's MLflow run, below a parent's, and return its id."""
    from tasks.tracking.mlflow_run import open_run

    own = flow_run.get_id()
    return open_run(recipe, recipe_text, own, parent=parent, abandoned=_mark_crashed)


def _mark_crashed(flow_run_id: str) -> None:
    """Say in Prefect that a flow run has crashed, where it still seems to go on."""
    if TaskRunContext.get() is None:
        return
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import State
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        state = client.read_flow_run(UUID(flow_run_id)).state
        if state is not None and not state.is_final():
            crashed: State[Any] = Crashed(message="The process of this run is gone: it was killed.")
            client.set_flow_run_state(UUID(flow_run_id), crashed, force=True)


@task(task_run_name="track the sources", cache_policy=NO_CACHE)
def track_sources(run_id: str, clean: list[CleanSource]) -> None:
    """Log the sources as datasets, with their verdicts."""
    from tasks.tracking.mlflow_run import Run

    Run(run_id).log_sources(clean)


@task(task_run_name="track the mixture", cache_policy=NO_CACHE)
def track_mixture(run_id: str, mixture: MixtureReceipt) -> None:
    """Log shares asked and got, and the lock."""
    from tasks.tracking.mlflow_run import Run

    Run(run_id).log_mixture(mixture)


@task(task_run_name="track the training", cache_policy=NO_CACHE)
def track_training(run_id: str, checkpoint: Checkpoint) -> None:
    """Log the losses, in all and by source."""
    from tasks.tracking.mlflow_run import Run

    Run(run_id).log_losses(checkpoint)


@task(task_run_name="track the {arm}'s scores", cache_policy=NO_CACHE)
def track_scores(run_id: str, arm: Literal["base", "candidate"], scores: list[SuiteScores]) -> None:
    """Log metrics with their intervals, and the per-item tables."""
    from tasks.tracking.mlflow_run import Run

    Run(run_id).log_scores(arm, scores)


@task(task_run_name="publish the scorecard", persist_result=True, cache_policy=NO_CACHE)
def publish_scorecard(card: Card) -> Path:
    """Write the page and return its path; MLflow and the Prefect UI get the gates with it."""
    from tasks.tracking.mlflow_run import Run
    from tasks.tracking.scorecard.notes import gates_markdown
    from tasks.tracking.scorecard.page import scorecard

    page, run = scorecard(card), Run(card.run_id)
    run.log_gates(card.verdict, card.gates)
    for file in (page, page.with_suffix(".json")):
        run.log_page(file)
    if TaskRunContext.get() is not None:
        text = gates_markdown(card.verdict, card.gates)
        create_markdown_artifact(text, key="gates", description=f"Verdict: {card.verdict}")
        create_link_artifact(page.as_uri(), link_text="scorecard.html", key="scorecard")
    return page


@task(task_run_name="publish the sweep", persist_result=True, cache_policy=NO_CACHE)
def publish_sweep(run_id: str, verdict: str, folder: Path) -> None:
    """Keep a sweep's page, record, picture and recommended recipe with its MLflow run."""
    from tasks.tracking.mlflow_run import Run

    Run(run_id).log_sweep(verdict, sorted(p for p in folder.iterdir() if p.is_file()))
    page = folder / "sweep.html"
    if TaskRunContext.get() is not None:
        create_link_artifact(page.as_uri(), link_text=page.name, key="sweep")


@task(task_run_name="end the MLflow run: {status}", cache_policy=NO_CACHE)
def finish_tracking(run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
    """End the MLflow run."""
    from tasks.tracking.mlflow_run import Run

    Run(run_id).finish(status)
