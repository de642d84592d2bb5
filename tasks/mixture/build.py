"""The materialised plan: Parquet shards in plan order, and the lock, manifest last.

A build is opened, its blocks of shards are written by whoever is free, and it is closed. A shard
is whole once it has its name, so a killed build goes on with the shards that are missing.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from configs.stages import Mixture
from tasks.artifacts import LocalModel, MixtureReceipt, TokenizedSource
from tasks.mixture.gather import gather, row_hashes
from tasks.mixture.lock import Drawn, make_lock
from tasks.mixture.plan import Plan, read_cursors, write_cursors
from tasks.mixture.planning import ROWS, Weights, plan_of, table_of
from tasks.mixture.rows import open_rows
from tasks.mixture.shards import write_shard
from tasks.mixture.table import PlanTable
from tasks.storage import commit, disk_errors, find, home, stage_key, write_text

CODE = tuple(
    f"tasks.mixture.{name}"
    for name in (
        "build",
        "gather",
        "order",
        "permute",
        "plan",
        "planning",
        "rows",
        "shards",
        "shares",
    )
)
"""What makes the rows of a mixture: an edit of other modules makes no mixture anew."""
COUNTS = ("tokens", "supervised_tokens")
"""Columns of a source's rows that a mixture can do without; every other one is the row."""
CURSORS, TABLE, LOCK = "cursors.json", "plan.json", "mixture.lock.json"


class Build(BaseModel):
    """A mixture being made: all that a worker needs to write any of its shards.

    Attributes:
        folder: Where the mixture will stand.
        aside: Where it is made.
        shards: How many there are.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    aside: Path
    mixture: Mixture
    sources: tuple[TokenizedSource, ...]
    weights: dict[str, float]
    seed: int
    rows: int
    shards: int


class Block(BaseModel):
    """A run of shards, from ``first`` to before ``stop``, for one worker."""

    model_config = ConfigDict(frozen=True)

    build: Build
    first: int
    stop: int


def mixture_key(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights, seed: int
) -> str:
    """Return the key of a mixture: its section, its sources and the seed.

    Where the sources are from is part of it, since the lock says so; a training job's key holds
    the mixture's digest, so the same rows from elsewhere are not trained on again.
    """
    return stage_key(
        "mixture",
        {
            "mixture": mixture.model_dump(mode="json", exclude={"exclude_overlap_with"}),
            "sources": {s.name: [s.digest, weights[s.name], s.origin] for s in sources},
            "seed": seed,
        },
        *CODE,
    )


def open_build(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights, seed: int
) -> Build:
    """Return the build of a mixture, its plan made and its cursors written beside it.

    Raises:
        InsufficientData: A quota can't be met under the shortage policy.
        StorageError: The disk is full.
    """
    folder = home("mixtures", mixture_key(mixture, sources, weights, seed)[:32])
    plan = plan_of(mixture, sources, weights, seed)
    aside = folder.parent / f".{folder.name}.building"
    build = Build(
        folder=folder,
        aside=aside,
        mixture=mixture,
        sources=tuple(sources),
        weights=dict(weights),
        seed=seed,
        rows=len(plan),
        shards=-(-len(plan) // mixture.rows_per_shard),
    )
    if find(folder, MixtureReceipt) is None and not (aside / TABLE).is_file():
        with disk_errors(aside):
            aside.mkdir(parents=True, exist_ok=True)
            table = table_of(mixture, sources, weights, plan)
            write_cursors(aside / CURSORS, plan)
            write_text(aside / TABLE, table.model_dump_json())
    return build


def blocks(build: Build, workers: int) -> list[Block]:
    """Return the build's shards in at most ``workers`` runs; none when it is done."""
    if find(build.folder, MixtureReceipt) is not None:
        return []
    count = min(workers, build.shards)
    cuts = [build.shards * i // count for i in range(count + 1)]
    return [Block(build=build, first=a, stop=b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


def write_block(block: Block) -> int:
    """Write the block's missing shards; return how many that were."""
    build = block.build
    plan = plan_of(build.mixture, build.sources, build.weights, build.seed)
    plan.cursors.extend(read_cursors(build.aside / CURSORS))
    wanted = [n for n in range(block.first, block.stop) if not (build.aside / shard(n)).is_file()]
    with disk_errors(build.aside):
        for number in wanted:
            _write_shard(build, plan, number)
    return len(wanted)


def shard(number: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{number:05d}.parquet"


def _write_shard(build: Build, plan: Plan, number: int) -> None:
    size = build.mixture.rows_per_shard
    by_name = {s.name: s for s in build.sources}
    rows = [open_rows(by_name[n].path / ROWS) for n in plan.names]
    columns = [name for name in rows[0].schema.names if name not in COUNTS]
    table = gather(plan.part(number * size, (number + 1) * size), plan.names, rows, columns)
    mark = f".{os.getpid()}-{number}"
    hashes, path = build.aside / f"{shard(number)}.hash", build.aside / shard(number)
    # The hashes first: a shard that has its name has its hashes too.
    row_hashes(table).astype("<u8").tofile(hashes.with_suffix(mark))
    hashes.with_suffix(mark).rename(hashes)
    write_shard(table, path.with_suffix(mark))
    path.with_suffix(mark).rename(path)


def close_build(build: Build, model: LocalModel, recipe: Mapping[str, Any]) -> MixtureReceipt:
    """Return the mixture of a build whose shards are all there, with its lock written.

    Its digest is of logical rows in order, not of Parquet bytes, nor of how they are cut.

    Args:
        build: As opened.
        model: Whose tokenizer rendered the rows.
        recipe: What the lock keeps so that the mixture can be made again.
    """
    if (done := find(build.folder, MixtureReceipt)) is not None:
        shutil.rmtree(build.aside, ignore_errors=True)
        return done
    names = tuple(shard(n) for n in range(build.shards))
    state = hashlib.sha256()
    for name in names:
        state.update(np.fromfile(build.aside / f"{name}.hash", "<u8").tobytes())
    table = PlanTable.model_validate_json((build.aside / TABLE).read_text())
    drawn = Drawn(table, build.sources, state.hexdigest())
    lock = make_lock(build.mixture, model, drawn, build.seed) | {"recipe": dict(recipe)}
    with disk_errors(build.aside):
        write_text(build.aside / LOCK, json.dumps(lock, indent=2, sort_keys=True))
        for name in sorted({p.name for p in build.aside.iterdir()} - {*names, LOCK, CURSORS}):
            (build.aside / name).unlink()
        return commit(
            build.aside,
            MixtureReceipt(
                path=build.folder,
                digest=state.hexdigest(),
                rows=build.rows,
                shards=names,
                sources=tuple(s.name for s in table.sources if s.rows),
                tokens=sum(s.tokens for s in table.sources),
                supervised_tokens=sum(s.supervised_tokens for s in table.sources),
            ),
        )


def build(
    mixture: Mixture,
    model: LocalModel,
    sources: Sequence[TokenizedSource],
    weights: Weights,
    seed: int,
) -> MixtureReceipt:
    """Return the mixture, built here by one worker."""
    opened = open_build(mixture, sources, weights, seed)
    for block in blocks(opened, workers=1):
        write_block(block)
    return close_build(opened, model, {})
