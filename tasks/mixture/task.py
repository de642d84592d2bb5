"""Prefect shells of the mixture stage."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from configs.mixture import Mixture
from tasks.artifacts import (
    CleanSource,
    HeldOut,
    LocalModel,
    MixtureReceipt,
    PackedMixture,
    TokenizedSource,
)
from tasks.mixture.build import Block, Build
from tasks.mixture.methods import SFT, How
from tasks.text.overlap import Item


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="tokenise-{clean.name}")
def tokenise_source(
    clean: CleanSource,
    model: LocalModel,
    sequence_length: int,
    exclusions: Mapping[str, Sequence[str | Item]],
    how: How = SFT,
) -> TokenizedSource:
    """Render, mask and count the training rows of one source."""
    from tasks.mixture.tokens import tokenise

    return tokenise(clean, model, sequence_length, exclusions, how)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="plan the mixture")
def plan_mixture(
    mixture: Mixture,
    sources: Sequence[TokenizedSource],
    weights: Mapping[str, float],
    seed: int,
) -> Build:
    """Plan the mixture; the UI gets the plan."""
    from tasks.mixture.build import open_build
    from tasks.mixture.planning import plan_table
    from tasks.mixture.table import markdown

    build = open_build(mixture, sources, weights, seed)
    if TaskRunContext.get() is not None:
        plan = plan_table(mixture, sources, weights, seed)
        create_markdown_artifact(markdown(plan), key="plan", description=f"in {plan.unit}")
    return build


@task(cache_policy=NO_CACHE, task_run_name="write shards from {block.first}")
def write_shards(block: Block) -> int:
    """Write one worker's part of the mixture."""
    from tasks.mixture.build import write_block

    return write_block(block)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="lock the mixture")
def finish_mixture(build: Build, model: LocalModel, recipe: Mapping[str, Any]) -> MixtureReceipt:
    """Write the lock, with the recipe it can be rebuilt from, and give the mixture its name."""
    from tasks.mixture.build import close_build

    return close_build(build, model, recipe)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="pack the mixture")
def pack_mixture(mixture: MixtureReceipt, capacity: int) -> PackedMixture:
    """Fill sequences of ``capacity`` tokens with whole rows; those longer are cut before."""
    from tasks.mixture.packed import pack

    return pack(mixture, capacity, "error")


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="hold out rows to validate on")
def hold_out_rows(
    clean: Sequence[CleanSource], model: LocalModel, length: int, how: How, rows: int
) -> HeldOut:
    """Render and mask dev rows of each role."""
    from tasks.mixture.held_out import hold_out

    return hold_out(clean, model, length, how, rows)
