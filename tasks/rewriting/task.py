"""The Prefect shell of rewriting."""

import re
from functools import partial

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from configs.sources import Rewrite
from tasks.artifacts import CleanSource, LocalModel
from tasks.progress import report


@task(
    persist_result=True, cache_policy=NO_CACHE, task_run_name="rewrite the targets of {clean.name}"
)
def rewrite_targets(
    clean: CleanSource, spec: Rewrite, model: LocalModel, length: int, seed: int
) -> CleanSource:
    """Have the base model say a source's targets in its own words; the UI gets how many stayed."""
    from tasks.rewriting.rewrite import rewritten
    from tasks.rewriting.telling import told_after

    done = rewritten(clean, spec, model, (length, seed), partial(report, f"rewriting {clean.name}"))
    if TaskRunContext.get() is not None:
        # Prefect takes small letters, digits and dashes only.
        name = re.sub(r"[^a-z0-9]+", "-", clean.name.lower()).strip("-")
        create_markdown_artifact(told_after(done), key=f"rewriting-{name}")
    return done
