"""Near-duplicate search, against ``datasketch.MinHashLSH``."""

import random

import numpy as np
from pair import Benchmark

ROWS, BYTES, COPIED = 6_000, 400, 0.1


def documents(rows: int, seed: int = 17) -> list[str]:
    """Return texts of about 0.4 kB in normal form, a tenth of them an earlier one, touched up."""
    chance = random.Random(seed)
    vocabulary = [f"term{int(chance.paretovariate(0.7)) % 20_000}" for _ in range(200_000)]
    texts: list[str] = []
    for i in range(rows):
        if i and chance.random() < COPIED:
            words = texts[chance.randrange(i)].split(" ")
            words[chance.randrange(len(words))] = "changed"
        else:
            words = chance.choices(vocabulary, k=BYTES // 6)
        texts.append(" ".join(words))
    return texts


def neardup() -> Benchmark:
    """Find near-duplicates at 0.8 among texts of 0.4 kB, against ``datasketch.MinHashLSH``."""
    from configs.quality import NearDuplicates
    from tasks.quality.near_duplicates import find_kept

    texts, settings = documents(ROWS), NearDuplicates()
    kinds = np.full(ROWS, -1, dtype=np.int64)
    return Benchmark(
        metric=f"rows/s, {ROWS:,} texts of 0.4 kB at 0.8",
        units=ROWS,
        ours=lambda: find_kept(texts, kinds, settings),
        peer=lambda: _peer(texts, settings.threshold, settings.words),
        peer_name="datasketch",
        target=20.0,
    )


def _peer(texts: list[str], threshold: float, n: int) -> int:
    from datasketch import MinHash, MinHashLSH

    index, kept = MinHashLSH(threshold=threshold, num_perm=128), 0
    for i, text in enumerate(texts):
        words = text.split(" ")
        sketch = MinHash(num_perm=128)
        sketch.update_batch(
            [" ".join(words[j : j + n]).encode() for j in range(len(words) - n + 1)]
        )
        if not index.query(sketch):
            index.insert(i, sketch)
            kept += 1
    return kept
