"""The Prefect shell of quality."""

import re
from collections.abc import Mapping, Sequence

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from configs.quality import Quality
from configs.sources import RehearsalSource, StoredSource
from tasks.artifacts import CleanSource, Snapshot


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="check quality of {snapshot.name}")
def check_quality(
    snapshot: Snapshot,
    source: StoredSource | RehearsalSource,
    quality: Quality,
    seed: int,
    control_tokens: Sequence[str] = (),
) -> CleanSource:
    """Judge a snapshot, set rows aside and divide the rest; the verdict shows in the Prefect UI."""
    from tasks.quality.report import verdict_line, verdict_table
    from tasks.quality.stage import clean_source

    done = clean_source(snapshot, source, quality, seed, control_tokens)
    if TaskRunContext.get() is not None:
        create_table_artifact(
            table=verdict_table(done), description=verdict_line(done), key=_artifact_key(done.name)
        )
    return done


@task(persist_result=True, cache_policy=NO_CACHE)
def remove_duplicates(
    cleans: Sequence[CleanSource],
    quality: Quality,
    kept: Sequence[CleanSource] = (),
    own: Mapping[str, Quality] | None = None,
) -> tuple[CleanSource, ...]:
    """Set aside what another source, or nearly another row, says already."""
    from tasks.quality.cross_source import drop_duplicates

    return drop_duplicates(cleans, quality, kept, own)


def _artifact_key(name: str) -> str:
    # Prefect takes small letters, digits and dashes only.
    return "quality-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
