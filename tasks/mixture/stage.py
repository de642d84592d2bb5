"""The mixture: its plan made once, its shards written by whoever is free, its lock last.

``mix`` makes the plan and writes it beside where the shards go. ``write_block`` reads it and writes
some of the shards; a shard is whole once it has its name, so a killed build goes on with those that
are missing. ``close_build`` writes the lock and gives the mixture its name.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from configs.mixture import Mixture
from configs.redaction import list_masked, redact_value
from tasks.artifacts import LocalModel, MixtureReceipt, TokenizedSource
from tasks.code_digest import code_digest
from tasks.locks import locked
from tasks.mixture.plan import Plan, make_plan, read_cursors, write_cursors
from tasks.mixture.rows import gather_rows, hash_rows, open_rows
from tasks.mixture.shards import name_shard, write_shard
from tasks.mixture.shares import Supply, plan_quotas
from tasks.mixture.table import PlanTable, make_table, read_sizes
from tasks.storage import (
    commit,
    digest_of,
    disk_errors,
    find,
    home,
    make_private_folder,
    stage_key,
    write_text,
)

COUNTS = ("tokens", "supervised_tokens")
"""Columns of a source's rows that a mixture can do without; every other one is the row."""
CURSORS, PLAN, LOCK = "cursors.json", "plan.json", "mixture.lock.json"


class Build(BaseModel):
    """A mixture being made: all that a worker needs to write any of its shards.

    Attributes:
        folder: Where the mixture will stand.
        aside: Where it is made.
        mixture: The recipe's section.
        table: The plan as people read it.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    aside: Path
    mixture: Mixture
    supplies: tuple[Supply, ...]
    seed: int
    table: PlanTable

    @property
    def rows(self) -> int:
        """Positions of the plan."""
        return sum(line.rows for line in self.table.sources)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.rows // self.mixture.rows_per_shard)


class Block(BaseModel):
    """A run of shards, from ``first`` to before ``stop``, for one worker."""

    model_config = ConfigDict(frozen=True)

    build: Build
    first: int
    stop: int


class PlanFile(BaseModel):
    """``plan.json``: the plan but for its sources' row sizes, so that no worker makes it again.

    Attributes:
        quotas: Units to draw from each source, for every stage of the schedule in turn.
        draws: Rows drawn from each source, by name, at the end of each stage.
    """

    model_config = ConfigDict(frozen=True)

    table: PlanTable
    quotas: tuple[dict[str, int], ...]
    draws: tuple[tuple[int, ...], ...]


def mix(section: Mixture, supplies: Sequence[Supply], seed: int) -> Build:
    """Return the build of a mixture, its plan made and written beside where its shards go.

    Nothing is planned anew where that was done before.

    Args:
        section: The recipe's section on mixing.
        supplies: The tokenised sources with their weights.
        seed: The recipe's seed.

    Raises:
        InsufficientData: A quota can't be met under the shortage policy.
        StorageError: The disk is full.
    """
    folder = home("mixtures", mixture_key(section, supplies, seed)[:32])
    aside = folder.parent / f".{folder.name}.building"
    table = _find_table(folder, aside)
    if table is None:
        make_private_folder(folder.parent)
        quotas = plan_quotas(section, supplies)
        sizes = read_sizes(supplies, section.unit)
        plan = make_plan(quotas, sizes, seed, rows_exact=section.unit == "rows")
        table = make_table(section, supplies, plan, estimates={})
        draws = tuple(tuple(stage.draws.tolist()) for stage in plan.stages)
        record = PlanFile(table=table, quotas=tuple(quotas), draws=draws)
        with disk_errors(aside):
            aside.mkdir(parents=True, exist_ok=True)
            write_cursors(aside / CURSORS, plan)
            write_text(aside / PLAN, record.model_dump_json())
    return Build(
        folder=folder,
        aside=aside,
        mixture=section,
        supplies=tuple(supplies),
        seed=seed,
        table=table,
    )


def _find_table(folder: Path, aside: Path) -> PlanTable | None:
    """Return the plan of a mixture that is finished or begun, None of another."""
    if find(folder, MixtureReceipt) is not None:
        lock = json.loads((folder / LOCK).read_text())
        return PlanTable.model_validate({**lock, "digest": lock["plan_digest"]})
    return _read_plan(aside).table if (aside / PLAN).is_file() else None


def mixture_key(mixture: Mixture, supplies: Sequence[Supply], seed: int) -> str:
    """Return the key of a mixture: its section, its sources and the seed.

    Where the sources are from is part of it, since the lock says so; a training job's key holds
    the mixture's digest, so the same rows from elsewhere are not trained on again.
    """
    sources = {}
    for supply in supplies:
        tokens = _tokens_of(supply)
        sources[supply.name] = [
            tokens.digest,
            supply.weight,
            tokens.origin,
        ]
    section = mixture.model_dump(mode="json", exclude={"exclude_overlap_with"})
    inputs = {"mixture": section, "sources": sources, "seed": seed}
    return stage_key("mixture", inputs, __name__)


def split_blocks(build: Build, workers: int) -> list[Block]:
    """Return the build's shards in at most ``workers`` runs; none when it is done."""
    if find(build.folder, MixtureReceipt) is not None:
        return []
    count = min(workers, build.shards)
    cuts = [build.shards * i // count for i in range(count + 1)]
    return [Block(build=build, first=a, stop=b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


def write_block(block: Block) -> int:
    """Write the block's missing shards; return how many that were."""
    build = block.build
    try:
        plan = _load_plan(build)
        numbers = range(block.first, block.stop)
        missing = [n for n in numbers if not (build.aside / name_shard(n)).is_file()]
        with disk_errors(build.aside):
            for number in missing:
                _write_shard(build, plan, number)
    except FileNotFoundError:
        # Another process that made the same mixture has finished it meanwhile.
        if find(build.folder, MixtureReceipt) is None:
            raise
        return 0
    return len(missing)


def _write_shard(build: Build, plan: Plan, number: int) -> None:
    """Write one shard, and beside it the hashes of its rows."""
    files = {s.name: _tokens_of(s).rows_file for s in build.supplies}
    sources = [open_rows(files[name]) for name in plan.names]
    columns = [column for column in sources[0].schema.names if column not in COUNTS]
    size = build.mixture.rows_per_shard
    rows = plan.rows(number * size, (number + 1) * size)
    table = gather_rows(rows, plan.names, sources, columns)
    name, mark = name_shard(number), f".{uuid.uuid4().hex}"
    hashes, path = build.aside / f"{name}.hash", build.aside / name
    # The hashes first: a shard that has its name has its hashes too.
    hash_rows(table).astype("<u8").tofile(hashes.with_suffix(mark))
    hashes.with_suffix(mark).rename(hashes)
    write_shard(table, path.with_suffix(mark))
    path.with_suffix(mark).rename(path)


def close_build(build: Build, model: LocalModel, recipe: Mapping[str, Any]) -> MixtureReceipt:
    """Return the mixture of a build whose shards are all there, with its lock written.

    Its digest is of logical rows in order, not of Parquet bytes, nor of how they are cut.

    Args:
        build: As ``mix`` opened it.
        model: Whose tokenizer rendered the rows.
        recipe: What the lock keeps so that the mixture can be made again.
    """
    with locked(build.aside.with_name(f"{build.aside.name}.close.lock")):
        if (done := find(build.folder, MixtureReceipt)) is not None:
            shutil.rmtree(build.aside, ignore_errors=True)
            return done
        return _close(build, model, recipe)


def _close(build: Build, model: LocalModel, recipe: Mapping[str, Any]) -> MixtureReceipt:
    names = tuple(name_shard(number) for number in range(build.shards))
    state, lines = hashlib.sha256(), build.table.sources
    for name in names:
        state.update(np.fromfile(build.aside / f"{name}.hash", "<u8").tobytes())
    lock = redact_value(make_lock(build, model, state.hexdigest()) | {"recipe": dict(recipe)})
    # Who makes it again is told which values aren't those that were used.
    lock["masked"] = list_masked(dict(recipe))
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
                sources=tuple(line.name for line in lines if line.rows),
                tokens=sum(line.tokens for line in lines),
                supervised_tokens=sum(line.supervised_tokens for line in lines),
            ),
        )


def make_lock(build: Build, model: LocalModel, digest: str) -> dict[str, Any]:
    """Return the lock: everything a mixture was made from, in one file.

    Args:
        build: What was made.
        model: Whose tokenizer rendered the rows.
        digest: Of the logical rows.
    """
    table, sources = build.table, []
    for supply, line in zip(build.supplies, table.sources, strict=True):
        tokens = _tokens_of(supply)
        sources.append(
            {
                **line.model_dump(mode="json"),
                **tokens.origin.model_dump(exclude={"name", "role"}),
                "clean_digest": tokens.clean_digest,
                "rows_in": tokens.rows_in,
                "findings": tokens.findings,
                "digest": tokens.digest,
                "rows_available": tokens.rows,
                "left_out": tokens.left_out,
                "filters": [step.model_dump(mode="json") for step in tokens.filters],
            }
        )
    return {
        "version": 1,
        "mixture_digest": digest,
        "plan_digest": table.digest,
        "code_digest": digest_of([code_digest("tasks.mixture.tokenize"), code_digest(__name__)]),
        "seed": build.seed,
        "mixture": build.mixture.model_dump(mode="json"),
        "unit": table.unit,
        "total": table.total,
        "tokenizer_digest": model.tokenizer_digest,
        "sources": sources,
    }


def _load_plan(build: Build) -> Plan:
    """Return the plan as ``mix`` made it."""
    record = _read_plan(build.aside)
    sizes = read_sizes(build.supplies, build.mixture.unit)
    exact = build.mixture.unit == "rows"
    plan = make_plan(record.quotas, sizes, build.seed, exact, record.draws)
    plan.cursors.extend(read_cursors(build.aside / CURSORS))
    return plan


def _read_plan(aside: Path) -> PlanFile:
    return PlanFile.model_validate_json((aside / PLAN).read_text())


def _tokens_of(supply: Supply) -> TokenizedSource:
    if supply.tokens is None:
        raise ValueError(f"source '{supply.name}' has no rows yet")
    return supply.tokens
