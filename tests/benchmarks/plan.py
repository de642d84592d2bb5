"""Planning, against ``datasets.interleave_datasets`` (map style, probabilities, seed)."""

from collections.abc import Mapping

import numpy as np
from pair import Benchmark

ROWS = 1_000_000


def plan() -> Benchmark:
    """Plan three sources of 1 M rows at 70/20/10, by rows."""
    return _pair({"a": 0.7, "b": 0.2, "c": 0.1}, ROWS, by_tokens=False, target=40)


def plan_24() -> Benchmark:
    """Plan 24 sources of unlike weight, by rows."""
    weights = {f"s{i:02}": 1.0 + i % 7 for i in range(24)}
    return _pair(weights, 100_000, by_tokens=False, target=10)


def plan_tokens() -> Benchmark:
    """Plan three sources of 1 M rows at 70/20/10, by supervised tokens of 1 to 399 a row."""
    return _pair({"a": 0.7, "b": 0.2, "c": 0.1}, ROWS, by_tokens=True, target=10)


def _pair(weights: Mapping[str, float], rows: int, *, by_tokens: bool, target: float) -> Benchmark:
    """Return the pair that goes on until the largest source is used up, as the peer does."""
    from datasets import Dataset, interleave_datasets

    from tasks.mixture.plan import make_plan

    draw = np.random.default_rng(17)
    total = sum(weights.values())
    shares = {n: w / total for n, w in weights.items()}
    ones = np.ones(rows, np.int64)
    sizes = {n: draw.integers(1, 400, rows) if by_tokens else ones for n in weights}
    unit = 200 if by_tokens else 1
    wanted = rows / max(shares.values())
    quotas = {n: round(wanted * s) * unit for n, s in shares.items()}
    parts = [Dataset.from_dict({"x": np.arange(rows)}) for _ in weights]

    def ours() -> object:
        made = make_plan([quotas], sizes, 17, not by_tokens)
        return made.rows(0, len(made))

    def peer() -> object:
        return interleave_datasets(
            parts, probabilities=list(shares.values()), seed=17, stopping_strategy="first_exhausted"
        )

    kind = "supervised tokens" if by_tokens else "rows"
    return Benchmark(
        metric=f"rows/s, {len(weights)} sources of {rows:,} rows by {kind}",
        units=round(wanted),
        ours=ours,
        peer=peer,
        peer_name="datasets",
        target=target,
    )
