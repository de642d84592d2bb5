"""Prefect shells of the mixture stage."""

from collections.abc import Mapping, Sequence

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from configs.stages import Mixture
from tasks.artifacts import CleanSource, LocalModel, MixtureReceipt, TokenizedSource
from tasks.text.overlap import Item


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="tokenise-{clean.name}")
def tokenise_source(
    clean: CleanSource,
    model: LocalModel,
    sequence_length: int,
    exclusions: Mapping[str, Sequence[str | Item]],
) -> TokenizedSource:
    """Render, mask and count the training rows of one source."""
    from tasks.mixture.tokens import tokenise

    return tokenise(clean, model, sequence_length, exclusions)


@task(persist_result=True, cache_policy=NO_CACHE)
def build_mixture(
    mixture: Mixture,
    model: LocalModel,
    sources: Sequence[TokenizedSource],
    weights: Mapping[str, float],
    seed: int,
) -> MixtureReceipt:
    """Draw the planned rows into Parquet shards and write the lock; the UI gets the plan."""
    from tasks.mixture.build import build, plan_table
    from tasks.mixture.table import markdown

    receipt = build(mixture, model, sources, weights, seed)
    if TaskRunContext.get() is not None:
        plan = plan_table(mixture, sources, weights, seed)
        create_markdown_artifact(markdown(plan), key="plan", description=f"in {plan.unit}")
    return receipt
