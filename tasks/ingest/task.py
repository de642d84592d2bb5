"""The Prefect shells of ingest."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.models import Model
from configs.sources import StoredSource
from tasks.artifacts import LocalModel, Snapshot
from tasks.errors import SourceUnreachable


def _is_worth_a_retry(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.data, SourceUnreachable)


@task(
    persist_result=True,
    cache_policy=NO_CACHE,
    task_run_name="ingest {source.name}",
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=_is_worth_a_retry,
)
def ingest_source(source: StoredSource) -> Snapshot:
    """Read a stored source and keep it as a snapshot; tries again where a store didn't answer."""
    from tasks.ingest.stage import make_snapshot

    return make_snapshot(source)


@task(
    persist_result=True,
    cache_policy=NO_CACHE,
    task_run_name="fetch model",
    retries=1,
    retry_delay_seconds=10,
    retry_condition_fn=_is_worth_a_retry,
)
def fetch_model(model: Model, weights: bool) -> LocalModel:
    """Bring the base model to this machine; a GGUF file is converted once."""
    from tasks.models.prepare import prepare_model

    return prepare_model(model, weights=weights)
