"""Bits a byte on held-out text: how well the model predicts what it wasn't trained on."""

from typing import Literal, NamedTuple

import pyarrow.parquet as pq

from configs.suites.bits_per_byte import BitsPerByteSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import of_files, path_for
from tasks.evaluation.items import ItemRow, item_ids
from tasks.evaluation.runner import CaseRunner
from tasks.models.api import Model, Text
from tasks.progress import Progress
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.overlap import Item
from tasks.text.rows import TEXT_ROLE, Message, full_text, is_plain


class HeldOutText(NamedTuple):
    """A held-out row: one message of role ``text``, or a conversation."""

    messages: list[Message]
    group: str | None


class TextRunner(CaseRunner[BitsPerByteSuite, HeldOutText]):
    """Texts to be scored whole; of conversations, the assistant's answers in their context."""

    @property
    def needs(self) -> Literal["log_probs"]:
        """Log-probabilities."""
        return "log_probs"

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Return the nats of each text; one whose kept tokens hold nothing to score is left out.

        Raises:
            EvaluationError: That leaves none.
        """
        texts = [Text(held.messages, self.suite.max_tokens) for _, held in self.cases]
        measured = model.negative_log_likelihood(texts, self.suite.batch_tokens, progress)
        rows = [
            ItemRow(
                item_id=item,
                form="text",
                prompt_digest=found.prompt_digest,
                prompt_tokens=found.prompt_tokens,
                cluster=held.group,
                nats=found.nats,
                bytes=found.bytes,
                latency_s=found.latency_s,
                truncated=found.truncated,
            )
            for (item, held), found in zip(self.cases, measured, strict=True)
            if found.bytes
        ]
        if not rows:
            raise EvaluationError(
                "no text has anything to score in its first tokens.",
                where=f"evaluation.suites.{self.suite.name}",
                fix="raise max_tokens.",
            )
        return rows

    def overlap(self) -> list[str | Item]:
        """Return the texts."""
        return [full_text(held.messages) for _, held in self.cases]


def open_bits_per_byte(
    suite: BitsPerByteSuite, source: CleanSource | None, split: SplitName, seed: int
) -> TextRunner:
    """Return the suite's texts, ``limit`` of them chosen by seed.

    Args:
        suite: The section.
        source: The source it names, or None where it reads a path.
        split: Which rows of the source, or which of its files.
        seed: The recipe's.

    Raises:
        EvaluationError: There are no texts, or the file lacks the column.
    """
    held = _of_path(suite, split) if source is None else _of_source(source, split)
    held = [h for h in held if any(m["content"].strip() for m in h.messages)]
    if not held:
        raise EvaluationError(
            "there are no texts.",
            where=f"evaluation.suites.{suite.name}",
            fix=f"give it a source with {split} rows, or a path.",
        )
    ids = item_ids([[[m["role"], m["content"]] for m in h.messages] for h in held])
    chosen = keyed_sample(ids, suite.limit, key_of(seed, "bits_per_byte"))
    return TextRunner(suite, [(ids[i], held[i]) for i in chosen])


def _of_source(source: CleanSource, split: SplitName) -> list[HeldOutText]:
    rows = pq.read_table(source.split(split)).to_pylist()
    other = next((row for row in rows if not is_plain(row)), None)
    if other is not None:
        raise EvaluationError(
            "the row has tools, reasoning or a second answer, and bits per byte measures texts "
            "alone.",
            where=other["origin"],
            fix="measure a source of plain conversations.",
        )
    return [
        HeldOutText(
            [Message(role=m["role"], content=m["content"]) for m in row["messages"]], row["group"]
        )
        for row in rows
    ]


def _of_path(suite: BitsPerByteSuite, split: SplitName) -> list[HeldOutText]:
    found = []
    for record, where in of_files(path_for(suite, split)):
        if not isinstance(record.get(suite.column), str):
            raise EvaluationError(
                f"it has no text in column '{suite.column}'.",
                where=where,
                fix=f"set column: to one of {', '.join(sorted(record))}.",
            )
        found.append(HeldOutText([Message(role=TEXT_ROLE, content=record[suite.column])], None))
    return found
