"""The Prefect shells of self-made data."""

import re
from functools import partial
from typing import Literal

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from configs.sources import RehearsalSource, Rewrite
from tasks.artifacts import CleanSource, LocalModel, Snapshot
from tasks.progress import report


@task(
    persist_result=True, cache_policy=NO_CACHE, task_run_name="rewrite the targets of {clean.name}"
)
def rewrite_targets(
    clean: CleanSource, spec: Rewrite, model: LocalModel, length: int, seed: int
) -> CleanSource:
    """Have the base model say a source's targets in its own words; the UI gets how many stayed."""
    from tasks.self_data.rewriting import RewritingRequest
    from tasks.self_data.stage import make_self_data
    from tasks.self_data.summary import describe_result

    request = RewritingRequest(clean, spec, length, seed)
    done = make_self_data(request, model, partial(report, f"rewriting {clean.name}"))
    if TaskRunContext.get() is not None:
        # Prefect takes small letters, digits and dashes only.
        name = re.sub(r"[^a-z0-9]+", "-", clean.name.lower()).strip("-")
        create_markdown_artifact(describe_result(done), key=f"rewriting-{name}")
    return done


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="rehearse {source.name}")
def generate_rehearsal(
    source: RehearsalSource,
    model: LocalModel,
    need: int,
    unit: Literal["supervised_tokens", "tokens", "rows"],
    seed: int,
) -> Snapshot:
    """Have the base model answer the shipped prompts until ``need`` units are there."""
    from tasks.self_data.rehearsal import RehearsalRequest
    from tasks.self_data.stage import make_self_data

    request = RehearsalRequest(source, need, unit, seed)
    return make_self_data(request, model, partial(report, "rehearsal"))
