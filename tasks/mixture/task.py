"""Prefect shells of the mixture stage."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from tasks.artifacts import (
    CleanSource,
    HeldOut,
    LocalModel,
    MixtureReceipt,
    PackedMixture,
    TokenizedSource,
)
from tasks.mixture.stage import Block, Build, mix
from tasks.mixture.table import PlanTable, render_markdown
from tasks.mixture.tokenize import SFT, RowFormat
from tasks.text.overlap import Item

plan_mixture = task(
    name="plan_mixture",
    persist_result=True,
    cache_policy=NO_CACHE,
    task_run_name="plan the mixture",
)(mix)
"""Opens the build of a mixture; there is nothing to add to the stage's own function."""


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="tokenise-{clean.name}")
def tokenise_source(
    clean: CleanSource,
    model: LocalModel,
    sequence_length: int,
    exclusions: Mapping[str, Sequence[str | Item]],
    row_format: RowFormat = SFT,
) -> TokenizedSource:
    """Render, mask and count the training rows of one source."""
    from tasks.mixture.tokenize import tokenise

    return tokenise(clean, model, sequence_length, exclusions, row_format)


@task(cache_policy=NO_CACHE, task_run_name="show the plan")
def show_plan(table: PlanTable) -> None:
    """Give the plan to the Prefect UI."""
    if TaskRunContext.get() is not None:
        text = render_markdown(table)
        create_markdown_artifact(text, key="plan", description=f"in {table.unit}")


@task(cache_policy=NO_CACHE, task_run_name="write shards from {block.first}")
def write_shards(block: Block) -> int:
    """Write one worker's part of the mixture."""
    from tasks.mixture.stage import write_block

    return write_block(block)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="lock the mixture")
def finish_mixture(build: Build, model: LocalModel, recipe: Mapping[str, Any]) -> MixtureReceipt:
    """Write the lock, with the recipe it can be rebuilt from, and give the mixture its name."""
    from tasks.mixture.stage import close_build

    return close_build(build, model, recipe)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="pack the mixture")
def pack_mixture(mixture: MixtureReceipt, capacity: int) -> PackedMixture:
    """Fill sequences of ``capacity`` tokens with whole rows; those longer are cut before."""
    from tasks.mixture.packs import pack

    return pack(mixture, capacity, "error")


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="hold out rows to validate on")
def hold_out_rows(
    clean: Sequence[CleanSource],
    model: LocalModel,
    length: int,
    row_format: RowFormat,
    rows: int,
) -> HeldOut:
    """Render and mask dev rows of each role."""
    from tasks.mixture.held_out import hold_out

    return hold_out(clean, model, length, row_format, rows)
