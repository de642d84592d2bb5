"""The noise floor: one model, asked twice, and asked in batches of 1, 8 and 32.

    python tests/benchmarks/noise.py MODEL DATA [--items 4] [--subjects anatomy,virology]

MODEL is a model folder, hub id or package file; DATA is the folder of public data sets (gsm8k).
All in float32, each time in a home of its own, so that nothing is taken from a cache. Fails unless
the stored items are the same bit for bit, and no batch size changes what is chosen or said.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from configs.evaluation import Suite
from configs.models import Model
from configs.suites.generation import Gsm8kSuite
from configs.suites.mmlu import MmluSuite
from tasks.artifacts import LocalModel
from tasks.evaluation.items import EvalContext
from tasks.evaluation.stage import evaluate
from tasks.models.prepare import prepare_model

SIZES = (1, 8, 32)
TIMED = ("latency_s",)
"""Columns that differ by nature."""
Rows = list[dict[str, Any]]


def suites(data: Path, items: int, size: int, subjects: str = "") -> list[Suite]:
    """Return MMLU with five shots and GSM8K, asked ``size`` items (of some 600 tokens) a batch."""
    return [
        MmluSuite(
            kind="mmlu",
            name="mmlu",
            shots=5,
            items_per_subject=items,
            cloze=True,
            subjects=tuple(subjects.split(",")) if subjects else None,
            batch_tokens=600 * size,
        ),
        Gsm8kSuite(
            kind="gsm8k",
            name="gsm8k",
            path=str(data / "gsm8k" / "test.jsonl.gz"),
            examples=str(data / "gsm8k" / "train.jsonl.gz"),
            limit=16 * items,
            shots=1,
            max_new_tokens=48,
            batch_size=size,
        ),
    ]


def items(model: LocalModel, suite: Suite) -> Rows:
    """Return the items that an evaluation stores, made anew."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["TEMPER_HOME"] = home
        scores = evaluate(suite, model, EvalContext(dtype="float32"))
        return pq.read_table(scores.items).drop_columns(list(TIMED)).to_pylist()


def differing(first: Rows, second: Rows, columns: list[str] | None = None) -> int:
    """Return how many items differ, in these columns or in any."""
    kept = columns or list(first[0])
    return sum(any(a[c] != b[c] for c in kept) for a, b in zip(first, second, strict=True))


def main() -> int:
    """Return 0 where nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--items", type=int, default=4, help="MMLU questions a subject")
    parser.add_argument("--subjects", default="", help="of MMLU; all when empty")
    given = parser.parse_args()

    def asked(number: int, size: int) -> Rows:
        return items(model, suites(given.data, given.items, size, given.subjects)[number])

    model, worst = prepare_model(Model(path=given.model)), 0
    for number in range(len(suites(given.data, given.items, 1))):
        by_size = [asked(number, size) for size in SIZES]
        again = asked(number, SIZES[-1])
        twice = differing(by_size[-1], again)
        batched = [differing(by_size[0], rows, ["prediction", "raw_output"]) for rows in by_size]
        print(
            f"{len(again)} items: {twice} differ when asked twice; against batches of 1, "
            f"{batched[1]} are answered otherwise in batches of 8, {batched[2]} of 32",
            flush=True,
        )
        worst += twice + sum(batched)
    return int(bool(worst))


if __name__ == "__main__":
    sys.exit(main())
