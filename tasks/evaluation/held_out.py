"""The held-out rows of a source as prompts with the answer that was given."""

from typing import NamedTuple

import pyarrow.parquet as pq

from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError
from tasks.text.rows import Message, is_plain


class HeldOut(NamedTuple):
    """A conversation before its last answer.

    Attributes:
        prompt: Every message but the last.
        answer: The last, an assistant's.
        group: What rows that depend on each other share.
        origin: Where the row came from.
    """

    prompt: list[Message]
    answer: str
    group: str | None
    origin: str


def held_out(suite: str, source: CleanSource, split: SplitName) -> list[HeldOut]:
    """Return a source's rows of a split.

    Args:
        suite: Name of the suite that reads them, for errors.
        source: After quality.
        split: Which rows.

    Raises:
        EvaluationError: There are none, or one isn't a plain conversation that ends in an answer.
    """
    rows = pq.read_table(source.split(split)).to_pylist()
    if not rows:
        raise EvaluationError(
            f"source '{source.name}' has no {split} rows.",
            where=f"evaluation.suites.{suite}.source",
            fix=f"give its split.{split} a fraction or a path.",
        )
    return [_held_out(row, source.name) for row in rows]


def _held_out(row: dict[str, object], source: str) -> HeldOut:
    messages, origin = row["messages"], str(row["origin"])
    if not is_plain(row):
        raise EvaluationError(
            "the row has tools, reasoning or a second answer, and the suite compares one text.",
            where=origin,
            fix="use a source of plain questions and answers.",
        )
    assert isinstance(messages, list)
    last = messages[-1]
    if last["role"] != "assistant" or not last["content"].strip() or len(messages) < 2:
        raise EvaluationError(
            "the row doesn't end in an answer (a last assistant message).",
            where=origin,
            fix=f"map prompt and completion of source '{source}' with columns:.",
        )
    prompt = [Message(role=m["role"], content=m["content"]) for m in messages[:-1]]
    group = row["group"]
    return HeldOut(prompt, last["content"].strip(), None if group is None else str(group), origin)
