"""``mixture.lock.json``: everything a mixture was made from, in one file."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from configs.stages import Mixture
from tasks.artifacts import LocalModel, TokenizedSource
from tasks.mixture.table import PlanTable
from tasks.storage import source_digest


class Drawn(NamedTuple):
    """What came out: the plan's table, its sources, and the digest of the logical rows."""

    table: PlanTable
    sources: Sequence[TokenizedSource]
    digest: str


def make_lock(mixture: Mixture, model: LocalModel, drawn: Drawn, seed: int) -> dict[str, Any]:
    """Return the lock of a mixture."""
    lines = {line.name: line for line in drawn.table.sources}
    return {
        "version": 1,
        "mixture_digest": drawn.digest,
        "plan_digest": drawn.table.digest,
        "code_digest": source_digest("tasks.mixture", "tasks.text"),
        "seed": seed,
        "mixture": mixture.model_dump(mode="json"),
        "unit": drawn.table.unit,
        "total": drawn.table.total,
        "tokenizer_digest": model.tokenizer_digest,
        "sources": [_source(s, lines[s.name].model_dump(mode="json")) for s in drawn.sources],
    }


def _source(source: TokenizedSource, line: dict[str, Any]) -> dict[str, Any]:
    return {
        **line,
        **source.origin.model_dump(exclude={"name", "role"}),
        "clean_digest": source.clean_digest,
        "rows_in": source.rows_in,
        "findings": source.findings,
        "digest": source.digest,
        "rows_available": source.rows,
        "left_out": source.left_out,
        "filters": _filters(source),
    }


def _filters(source: TokenizedSource) -> list[dict[str, Any]]:
    return [step.model_dump(mode="json") for step in source.filters]
