"""Bits a byte on held-out text: how well the model predicts what it wasn't trained on."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow.parquet as pq

from configs.evaluation import BitsPerByteSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError
from tasks.evaluation.items import ItemRow, item_ids, prompt_digest
from tasks.evaluation.records import find_files, read_records
from tasks.inference.loading import TorchModel
from tasks.inference.progress import Progress
from tasks.inference.spans import Span
from tasks.storage import digest_of
from tasks.text.chat import IGNORED, Tokenizer, render
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.rows import TEXT_ROLE, Message, is_plain


class Held(NamedTuple):
    """A held-out row: one message of role ``text``, or a conversation."""

    messages: list[Message]
    group: str | None


class Measured(NamedTuple):
    """A text ready to be scored: its span, the bytes that the wanted tokens spell, cut or not."""

    span: Span
    bytes: int
    truncated: bool


@dataclass(frozen=True)
class TextExam:
    """Texts to be scored whole; of conversations, the assistant's answers in their context."""

    suite: BitsPerByteSuite
    texts: Sequence[Held]
    ids: Sequence[str]
    labels: None = None

    @property
    def content(self) -> str:
        """Digest of the texts."""
        return digest_of(list(self.ids))

    def sit(
        self, model: TorchModel, tokenizer: Tokenizer, progress: Progress | None = None
    ) -> list[ItemRow]:
        """Return the nats of each text; one whose kept tokens hold nothing to score is left out.

        Raises:
            EvaluationError: That leaves none.
        """
        from tasks.inference.scoring import sequence_nats

        start = time.perf_counter()
        found = [
            (item, held.group, text)
            for item, held in zip(self.ids, self.texts, strict=True)
            if (text := measure(tokenizer, held.messages, self.suite.max_tokens)).bytes
        ]
        if not found:
            raise EvaluationError("no text has anything to score in its first tokens.",
                                  where=f"evaluation.suites.{self.suite.name}",
                                  fix="raise max_tokens.")  # fmt: skip
        spans = [text.span for _, _, text in found]
        nats = sequence_nats(model, spans, self.suite.batch_tokens, progress)
        each = (time.perf_counter() - start) / len(found)
        return [
            ItemRow(item_id=item, form="text", prompt_digest=prompt_digest(text.span.ids),
                    prompt_tokens=len(text.span.ids), cluster=group, nats=value,
                    bytes=text.bytes, latency_s=each, truncated=text.truncated)
            for (item, group, text), value in zip(found, nats, strict=True)
        ]  # fmt: skip


def text_exam(
    suite: BitsPerByteSuite, source: CleanSource | None, split: SplitName, seed: int
) -> TextExam:
    """Return the suite's texts, ``limit`` of them chosen by seed.

    Args:
        suite: The section.
        source: The source it names, or None where it reads a path.
        split: Which rows of the source.
        seed: The recipe's.

    Raises:
        EvaluationError: There are no texts, or the file lacks the column.
    """
    held = _of_path(suite) if source is None else _of_source(source, split)
    held = [h for h in held if any(m["content"].strip() for m in h.messages)]
    if not held:
        raise EvaluationError("there are no texts.", where=f"evaluation.suites.{suite.name}",
                              fix=f"give it a source with {split} rows, or a path.")  # fmt: skip
    ids = item_ids([[[m["role"], m["content"]] for m in h.messages] for h in held])
    chosen = keyed_sample(ids, suite.limit, key_of(seed, "bits_per_byte"))
    return TextExam(suite, [held[i] for i in chosen], [ids[i] for i in chosen])


def measure(tokenizer: Tokenizer, messages: Sequence[Message], limit: int) -> Measured:
    """Return a text's first ``limit`` tokens as a span, and the bytes they spell.

    Plain text begins after the beginning-of-sequence token, as in lm-evaluation-harness's rolling
    log-likelihood, so that its first token counts too. Of a conversation the answers count,
    without the tokens that end a turn, since those spell no byte.
    """
    if messages[0]["role"] == TEXT_ROLE:
        return _plain(tokenizer, messages[0]["content"], limit)
    rendered = render(tokenizer, messages)
    special = set(tokenizer.all_special_ids)
    at = [i for i, label in enumerate(rendered.labels[:limit])
          if i and label != IGNORED and label not in special]  # fmt: skip
    cut = len(rendered.input_ids) > limit
    kept = [rendered.input_ids[i] for i in at]
    answers = [m["content"] for m in messages if m["role"] == "assistant"]
    spelled = tokenizer.decode(kept) if cut else "".join(answers)
    return Measured(Span(rendered.input_ids[:limit], at), len(spelled.encode()), cut)


def _plain(tokenizer: Tokenizer, text: str, limit: int) -> Measured:
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = encoded["input_ids"]
    cut = len(ids) > limit
    end = encoded["offset_mapping"][limit - 1][1] if cut else len(text)
    first = tokenizer.bos_token_id
    first = tokenizer.eos_token_id if first is None else first
    kept = ids[:limit]
    return Measured(Span([first, *kept], range(1, len(kept) + 1)), len(text[:end].encode()), cut)


def _of_source(source: CleanSource, split: SplitName) -> list[Held]:
    rows = pq.read_table(source.split(split)).to_pylist()
    other = next((row for row in rows if not is_plain(row)), None)
    if other is not None:
        raise EvaluationError(
            "the row has tools, reasoning or a second answer, and bits per byte measures texts "
            "alone.", where=other["origin"], fix="measure a source of plain conversations.",
        )  # fmt: skip
    return [Held([Message(role=m["role"], content=m["content"]) for m in row["messages"]],
                 row["group"]) for row in rows]  # fmt: skip


def _of_path(suite: BitsPerByteSuite) -> list[Held]:
    found = []
    for file in find_files(str(suite.path)):
        for number, record in enumerate(read_records(file), start=1):
            if not isinstance(record.get(suite.column), str):
                raise EvaluationError(
                    f"it has no text in column '{suite.column}'.", where=f"{file}:{number}",
                    fix=f"set column: to one of {', '.join(sorted(record))}.",
                )  # fmt: skip
            found.append(Held([Message(role=TEXT_ROLE, content=record[suite.column])], None))
    return found
