"""The Prefect shells of ingest."""

from functools import partial
from typing import Any, Literal

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.models import Model
from configs.sources import RehearsalSource, StoredSource
from tasks.artifacts import LocalModel, Snapshot
from tasks.errors import SourceUnreachable
from tasks.progress import report

Unit = Literal["supervised_tokens", "tokens", "rows"]


def _may_pass(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.data, SourceUnreachable)


@task(
    persist_result=True,
    cache_policy=NO_CACHE,
    task_run_name="ingest {source.name}",
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=_may_pass,
)
def ingest_source(source: StoredSource) -> Snapshot:
    """Read a stored source and keep it as a snapshot; tries again where a store didn't answer."""
    from tasks.ingest.ingest import ingest

    return ingest(source)


@task(
    persist_result=True,
    cache_policy=NO_CACHE,
    task_run_name="fetch model",
    retries=1,
    retry_delay_seconds=10,
    retry_condition_fn=_may_pass,
)
def fetch_model(model: Model, weights: bool) -> LocalModel:
    """Bring the base model to this machine; a GGUF file is converted once."""
    from tasks.models.prepare import prepare_model

    return prepare_model(model, weights=weights)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="rehearse {source.name}")
def generate_rehearsal(
    source: RehearsalSource, model: LocalModel, need: int, unit: Unit, seed: int
) -> Snapshot:
    """Have the base model answer the shipped prompts until ``need`` units are there."""
    from tasks.ingest.rehearsal import rehearse

    return rehearse(source, model, need, unit, seed, progress=partial(report, "rehearsal"))
