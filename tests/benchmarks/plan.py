"""Planning, against ``datasets.interleave_datasets``."""

import numpy as np
from pair import Benchmark


def plan() -> Benchmark:
    """Plan three sources by rows at 70/20/10, against ``datasets.interleave_datasets``."""
    from datasets import Dataset, interleave_datasets

    from tasks.mixture.plan import make_plan

    rows, shares = 100_000, (0.7, 0.2, 0.1)
    ones = np.ones(rows, dtype=np.int64)
    quotas = {f"s{i}": round(rows * p) for i, p in enumerate(shares)}
    parts = [Dataset.from_dict({"x": np.arange(rows)}) for _ in shares]
    return Benchmark(
        metric="rows/s, 3 sources by rows, 100,000 planned",
        units=rows,
        ours=lambda: make_plan(quotas, dict.fromkeys(quotas, ones), 17, rows_exact=True),
        peer=lambda: interleave_datasets(parts, probabilities=list(shares), seed=17),
        peer_name="datasets",
        target=40.0,
    )
