"""The per-item table: one row an item and form, from which every metric is computed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.parquet as pq

from configs.metrics import Metric
from configs.suites.union import Suite
from tasks.artifacts import CleanSource, SplitName
from tasks.models.api import Answer, Model
from tasks.progress import Progress
from tasks.storage import digest_of
from tasks.text.overlap import Item
from tasks.text.reasoning import has_unclosed_reasoning

ITEM_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("suite", pa.string(), nullable=False),
        pa.field("form", pa.string(), nullable=False),
        pa.field("cluster", pa.string()),
        pa.field("stratum", pa.string()),
        pa.field("prompt_digest", pa.string(), nullable=False),
        pa.field("prompt_tokens", pa.int64(), nullable=False),
        pa.field("gold", pa.string()),
        pa.field("prediction", pa.string()),
        pa.field("raw_output", pa.string()),
        pa.field("choice_logprobs", pa.list_(pa.float64())),
        pa.field("choice_bytes", pa.list_(pa.int64())),
        pa.field("gold_index", pa.int64()),
        pa.field("score", pa.float64()),
        pa.field("scores", pa.map_(pa.string(), pa.float64())),
        pa.field("nats", pa.float64()),
        pa.field("bytes", pa.int64()),
        pa.field("latency_s", pa.float64()),
        pa.field("truncated", pa.bool_()),
        pa.field("error", pa.string()),
    ]
)


class ItemRow(NamedTuple):
    """One item's answer; what a form doesn't have is None.

    Attributes:
        item_id: Identity of the item's content.
        form: How it was put: an item may be put in several forms.
        prompt_digest: Digest of the prompt's token ids.
        prompt_tokens: Tokens of the prompt.
        cluster: What joins items that depend on each other: a dialogue, a passage.
        stratum: The part of the suite it belongs to: a subject, a category.
        gold: The right answer.
        prediction: The model's, in the gold answers' words; None where it is none of them.
        raw_output: What the model wrote.
        choice_logprobs: Log-probability of each choice (nats).
        choice_bytes: UTF-8 length of each choice.
        gold_index: The right choice.
        score: 1 where the prediction is the gold answer, else 0.
        scores: Named scores of the item, each read by the metric of its name.
        nats: Negative log-probability of a text.
        bytes: UTF-8 length of that text.
        latency_s: Seconds the item took, its share of its batch.
        truncated: Whether prompt, text or answer was cut.
        error: Why there is no answer, where the model gave none after all attempts.
    """

    item_id: str
    form: str
    prompt_digest: str
    prompt_tokens: int
    cluster: str | None = None
    stratum: str | None = None
    gold: str | None = None
    prediction: str | None = None
    raw_output: str | None = None
    choice_logprobs: list[float] | None = None
    choice_bytes: list[int] | None = None
    gold_index: int | None = None
    score: float | None = None
    scores: dict[str, float] | None = None
    nats: float | None = None
    bytes: int | None = None
    latency_s: float = 0.0
    truncated: bool = False
    error: str | None = None


class SuiteRunner(Protocol):
    """A suite with its items, ready to be put to any model."""

    @property
    def content(self) -> str:
        """Digest of everything the model will be asked, the examples shown to it included."""

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The fixed label list, where there is one."""

    @property
    def needs(self) -> Literal["answers", "log_probs"]:
        """What it asks of a model."""

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Put every item to the model and return the answers, in the items' order."""

    def overlap(self) -> list[str | Item]:
        """Return what training rows may not hold."""


@runtime_checkable
class HasMetrics(Protocol):
    """A runner that knows more of its metrics than the section: the accuracy of a guess."""

    def metrics(self) -> dict[str, Metric]:
        """Return the metrics by name."""


@runtime_checkable
class CountsItems(Protocol):
    """A runner of which a metric may be over some of the items."""

    def count_items(self, metric: str) -> int:
        """Return how many items a metric is over."""


@runtime_checkable
class CountsClasses(Protocol):
    """A runner whose items have classes, which a metric may average over alike."""

    def count_classes(self, metric: str) -> dict[str, int]:
        """Return the items of each class that a metric averages over; empty where it doesn't."""


def count_classes(runner: SuiteRunner, metric: str) -> dict[str, int]:
    """Return the items of each class that a metric averages over alike; empty where none are."""
    return runner.count_classes(metric) if isinstance(runner, CountsClasses) else {}


def count_items(runner: SuiteRunner, metric: str) -> int:
    """Return how many items a metric is over: its different ones unless it counts them a metric."""
    return runner.count_items(metric) if isinstance(runner, CountsItems) else len(runner.overlap())


def answer_row(item: str, form: str, answer: Answer) -> ItemRow:
    """Return a row with all that an answer says by itself; the suite adds gold and scores.

    Args:
        item: The item's id.
        form: How it was put.
        answer: The model's.
    """
    return ItemRow(
        item,
        form,
        answer.prompt_digest,
        answer.prompt_tokens,
        raw_output=answer.text,
        latency_s=answer.latency_s,
        truncated=answer.truncated,
        error=answer.error,
    )


def item_ids(contents: Sequence[object]) -> list[str]:
    """Return an identity for each item's content; the n-th copy of an item has its own.

    MMLU's test items hold 27 exact copies, which the reference counts like the others.
    """
    seen: dict[str, int] = {}
    ids = []
    for content in contents:
        digest = digest_of(content)
        copy = seen[digest] = seen.get(digest, 0) + 1
        ids.append(digest[:32] if copy == 1 else digest_of([digest, copy])[:32])
    return ids


def write_items(path: Path, suite: str, rows: Sequence[ItemRow], labels: object) -> None:
    """Write the per-item table; ``labels`` (JSON, or None) goes into the schema's metadata."""
    fields = [
        {"suite": suite, **row._asdict(), "scores": row.scores and list(row.scores.items())}
        for row in rows
    ]
    schema = ITEM_SCHEMA
    if labels is not None:
        schema = schema.with_metadata({b"labels": json.dumps(labels).encode()})
    pq.write_table(pa.Table.from_pylist(fields, schema=schema), path, compression="zstd")


def items_digest(rows: Sequence[ItemRow]) -> str:
    """Return the digest of the answers, times left out."""
    return digest_of([{**r._asdict(), "latency_s": 0} for r in rows])


def describe_protocol(suite: Suite, labels: object) -> dict[str, Any]:
    """Return how a suite's items are put: its section, less what changes no item or score.

    A harness task's limit is seen in its items, and no log of the harness says it.
    """
    free = {*suite.FREE, *(("limit",) if suite.kind == "harness" else ())}
    return {**suite.model_dump(mode="json", exclude=free), "labels": labels}


def count_truncated(rows: Sequence[ItemRow]) -> dict[str, int]:
    """Return how many items are ``truncated``, and how many answers' thoughts are ``unclosed``."""
    return {
        "truncated": len({row.item_id for row in rows if row.truncated}),
        "unclosed": sum(has_unclosed_reasoning(row.raw_output or "") for row in rows),
    }


def fingerprint(protocol: object, rows: Sequence[ItemRow]) -> str:
    """Return what two models' scores must share to be compared: protocol, items and prompts."""
    asked = sorted([r.form, r.item_id, r.prompt_digest] for r in rows)
    return digest_of({"protocol": protocol, "asked": asked})


# What the suites of a run share.


@dataclass(frozen=True)
class EvalContext:
    """Which rows, which choice of them, which dtype.

    Attributes:
        split: ``test`` to judge, ``dev`` to choose.
        seed: Of the items asked.
        dtype: ``auto``, ``bfloat16`` or ``float32``.
        sources: The sources that suites name, after quality.
    """

    split: SplitName = "test"
    seed: int = 17
    dtype: str = "auto"
    sources: Mapping[str, CleanSource] = field(default_factory=dict)
