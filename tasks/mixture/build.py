"""The materialised plan: Parquet shards in plan order, and the lock, manifest last."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from configs.stages import Mixture
from tasks.artifacts import LocalModel, MixtureReceipt, TokenizedSource
from tasks.mixture.lock import Drawn, make_lock
from tasks.mixture.plan import Plan, make_plan
from tasks.mixture.shares import Stock, quotas, shares
from tasks.mixture.table import UNITS, PlanLine, PlanTable, Sizes, drawn, shares_got
from tasks.storage import building, commit, find, home, stage_key, write_text

Weights = Mapping[str, float]


def mixture_key(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights, seed: int
) -> str:
    """Return the key of a mixture: its section, the sources' digests and the seed."""
    return stage_key("mixture", {
        "mixture": mixture.model_dump(mode="json", exclude={"exclude_overlap_with"}),
        "sources": {s.name: [s.digest, weights[s.name]] for s in sources}, "seed": seed,
    }, "tasks.mixture")  # fmt: skip


def plan_of(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights, seed: int
) -> Plan:
    """Return the plan over tokenised sources.

    Raises:
        InsufficientData: A quota can't be met under the shortage policy.
    """
    sizes = sizes_of(sources)
    quota = quotas(mixture, stocks_of(mixture, sources, weights))
    units = {n: by_unit[mixture.unit] for n, by_unit in sizes.items()}
    return make_plan(quota, units, seed, mixture.unit == "rows")


def stocks_of(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights
) -> list[Stock]:
    """Return what each tokenised source offers, in the mixture's unit."""
    return [Stock(s.name, s.role, weights[s.name], int(getattr(s, mixture.unit))) for s in sources]


def sizes_of(sources: Sequence[TokenizedSource]) -> Sizes:
    """Return the units of every row: source -> unit -> int64 array."""
    sizes = {}
    for source in sources:
        table = pq.read_table(source.path / "rows.parquet", columns=["tokens", "supervised_tokens"])
        arrays = {u: table[u].to_numpy() for u in ("tokens", "supervised_tokens")}
        sizes[source.name] = {"rows": np.ones(source.rows, dtype=np.int64), **arrays}
    return sizes


def plan_table(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights, seed: int
) -> PlanTable:
    """Return the plan as it is shown and printed."""
    plan = plan_of(mixture, sources, weights, seed)
    return _table(mixture, sources, weights, plan)


def build(
    mixture: Mixture, model: LocalModel, sources: Sequence[TokenizedSource],
    weights: Weights, seed: int,
) -> MixtureReceipt:  # fmt: skip
    """Return the mixture as Parquet shards in plan order, beside its lock.

    Each row carries position, source, row_id, epoch, input_ids and labels. The digest is of
    logical rows in order, not of Parquet bytes.
    """
    folder = home("mixtures", mixture_key(mixture, sources, weights, seed)[:32])
    if (done := find(folder, MixtureReceipt)) is not None:
        return done
    plan = plan_of(mixture, sources, weights, seed)
    table = _table(mixture, sources, weights, plan)
    with building(folder) as aside:
        digest, shards = _write_shards(aside, plan, sources, mixture.rows_per_shard)
        lock = make_lock(mixture, model, Drawn(table, sources, digest), seed)
        write_text(aside / "mixture.lock.json", json.dumps(lock, indent=2, sort_keys=True))
        return commit(aside, MixtureReceipt(
            path=folder, digest=digest, rows=len(plan), shards=shards, sources=plan.names,
            tokens=sum(s.tokens for s in table.sources),
            supervised_tokens=sum(s.supervised_tokens for s in table.sources)))  # fmt: skip


def _write_shards(
    folder: Path, plan: Plan, sources: Sequence[TokenizedSource], rows: int
) -> tuple[str, tuple[str, ...]]:
    by_name = {s.name: pq.read_table(s.path / "rows.parquet") for s in sources}
    tables = [by_name[n].select(["row_id", "input_ids", "labels"]) for n in plan.names]
    state = hashlib.sha256()
    shards: list[str] = []
    for start in range(0, len(plan), rows):
        shard = _gather(plan, tables, slice(start, min(start + rows, len(plan))))
        _update(state, shard)
        shards.append(f"shard-{len(shards):05d}.parquet")
        pq.write_table(shard, folder / shards[-1], compression="zstd")
    return state.hexdigest(), tuple(shards)


def _gather(plan: Plan, tables: Sequence[pa.Table], part: slice) -> pa.Table:
    source, row = plan.source[part], plan.row[part]
    pieces, positions = [], []
    for i, table in enumerate(tables):
        at = np.flatnonzero(source == i)
        pieces.append(table.take(pa.array(row[at])))
        positions.append(at)
    back = np.argsort(np.concatenate(positions), kind="stable")
    gathered = pa.concat_tables(pieces).take(pa.array(back)).combine_chunks()
    names = pa.DictionaryArray.from_arrays(
        pa.array(source, pa.int32()), pa.array(plan.names, pa.string())
    )
    columns = {"position": pa.array(np.arange(part.start, part.stop)), "source": names,
               "epoch": pa.array(plan.epoch[part], pa.int32())}  # fmt: skip
    for name, column in columns.items():
        gathered = gathered.append_column(name, column)
    return gathered


def _update(state: "hashlib._Hash", shard: pa.Table) -> None:
    for row in shard.select(["source", "row_id", "epoch", "input_ids", "labels"]).to_pylist():
        state.update(json.dumps(list(row.values()), separators=(",", ":")).encode())


def _table(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights, plan: Plan
) -> PlanTable:
    sizes, parts = sizes_of(sources), shares(
        stocks_of(mixture, sources, weights), mixture.domain_share)  # fmt: skip
    units = {s.name: dict.fromkeys(UNITS, 0) for s in sources} | drawn(plan, sizes)
    got = shares_got(units)
    lines = tuple(
        PlanLine(name=s.name, role=s.role, weight=weights[s.name], share=float(parts[s.name]),
                 **units[s.name], epochs=units[s.name][mixture.unit] / max(
                     int(getattr(s, mixture.unit)), 1), share_got=got[s.name])
        for s in sources
    )  # fmt: skip
    total = sum(int(getattr(line, mixture.unit)) for line in lines)
    return PlanTable(digest=plan.digest(), unit=mixture.unit, total=total, sources=lines)
