"""The Prefect shell of ingest."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.sources import StoredSource
from tasks.artifacts import Snapshot
from tasks.ingest.problems import SourceUnreachable


def _may_pass(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.data, SourceUnreachable)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="ingest {source.name}",
      retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=_may_pass)  # fmt: skip
def ingest_source(source: StoredSource) -> Snapshot:
    """Read a stored source and keep it as a snapshot; tries again where a store didn't answer."""
    from tasks.ingest.ingest import ingest

    return ingest(source)
