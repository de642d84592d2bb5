"""Rehearsal: the base model's own answers to the shipped prompts, as a source of general rows."""

import json
import math
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from configs.sources import RehearsalSource
from tasks.artifacts import LocalModel, Snapshot
from tasks.errors import SourceError
from tasks.ingest.rehearsal_answers import complete_part, refusal
from tasks.ingest.snapshot import SnapshotWriter
from tasks.models.identity import stopping
from tasks.models.local.loading import load_model, resolve_dtype
from tasks.progress import Progress
from tasks.storage import building, commit, digest_of, find, home, stage_key
from tasks.text.chat import Tokenizer, load_tokenizer, prompt_ids, render
from tasks.text.keyed import key_of, keyed_rank
from tasks.text.normal import normal
from tasks.text.rows import ChatRow, Message, row_id

PROMPTS = Path(__file__).parent / "prompts"
SLACK = 1.15
"""Answers made for each one needed: some are lost to quality, overlap and duplicates later."""

TYPICAL_FILL = 0.7
"""Share of ``max_new_tokens`` that an answer fills; for estimates alone."""

Unit = Literal["supervised_tokens", "tokens", "rows"]
_CODE = ("tasks.inference", "tasks.text")
_CHUNK = pa.schema(
    [
        pa.field("prompt_id", pa.string()),
        pa.field("text", pa.string()),
        pa.field("truncated", pa.bool_()),
    ]
)


class Prompt(NamedTuple):
    """A shipped prompt."""

    id: str
    category: str
    prompt: str


class Answer(NamedTuple):
    """What the model wrote to a prompt in a round, cut at the limit or not."""

    prompt: Prompt
    round: int
    text: str
    truncated: bool

    @property
    def origin(self) -> str:
        """Prompt and round."""
        return f"{self.prompt.id}#{self.round}"


def load_prompts(category: str | None) -> list[Prompt]:
    """Return the shipped prompts, of one category or all.

    Raises:
        SourceError: None is of that category.
    """
    lines = [
        line
        for file in sorted(PROMPTS.glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    prompts = [Prompt(r["id"], r["category"], r["prompt"]) for r in map(json.loads, lines)]
    chosen = [p for p in prompts if category in (None, p.category)]
    if not chosen:
        raise SourceError(
            "no shipped prompt is of that category.",
            where=f"category: {category}",
            fix="leave category: out, to take all prompts.",
        )
    return chosen


def rehearsal_plan(
    source: RehearsalSource, model: LocalModel | None, need: int, unit: Unit
) -> dict[str, Any]:
    """Return what ``rehearse`` would have to make, as an estimate; nothing is generated.

    Args:
        source: The section.
        model: Whose tokenizer counts the prompts' tokens; None takes four letters a token.
        need: Quota of the mixture, in ``unit``.
        unit: The mixture's.

    Returns:
        ``prompts`` there are, ``prompt_tokens`` (mean), ``answers`` to make, ``samples`` a prompt,
        ``generated_tokens``, ``most`` (upper bound in ``unit``) and ``enough`` (whether that is
        within reach).
    """
    prompts = load_prompts(source.category)
    answer = max(1.0, TYPICAL_FILL * source.max_new_tokens)
    prompt_tokens = _prompt_tokens(prompts, model)
    each = {"rows": 1.0, "supervised_tokens": answer, "tokens": answer + prompt_tokens}[unit]
    answers = math.ceil(SLACK * need / each)
    samples = math.ceil(answers / len(prompts))
    return {
        "prompts": len(prompts),
        "prompt_tokens": prompt_tokens,
        "answers": answers,
        "samples": samples,
        "generated_tokens": round(answers * answer),
        "most": round(each * len(prompts) * source.max_samples),
        "enough": samples <= source.max_samples,
    }


def _prompt_tokens(prompts: list[Prompt], model: LocalModel | None) -> float:
    if model is None:
        return sum(len(p.prompt) for p in prompts) / len(prompts) / 4
    tokenizer = load_tokenizer(model.path)
    return sum(len(_asked(tokenizer, p)) for p in prompts) / len(prompts)


def _asked(tokenizer: Tokenizer, prompt: Prompt) -> list[int]:
    return prompt_ids(tokenizer, [Message(role="user", content=prompt.prompt)])


def rehearse(
    source: RehearsalSource,
    model: LocalModel,
    need: int,
    unit: Unit,
    seed: int,
    *,
    progress: Progress | None = None,
) -> Snapshot:
    """Return the base model's answers as a snapshot, as many as the quota needs plus 15 %.

    Each round samples one answer to every prompt, in a new order, ``batch_size`` at a time. Every
    batch is kept under a key without the quota: a larger quota goes on where a smaller one ended,
    and so does a run that was stopped. After ``max_samples`` rounds there is what there is.

    Args:
        source: The section.
        model: The base model.
        need: Quota of the mixture, in ``unit``.
        unit: The mixture's; supervised tokens are those of the answers, end of turn included.
        seed: The recipe's.
        progress: Called with what was accepted and what is to be, in ``unit``.

    Raises:
        SourceError: There are no prompts, or no answer can be used.
    """
    prompts = load_prompts(source.category)
    answers = _Answers(source, model, prompts, seed)
    parts = [answers.key, need, unit, source.max_samples, source.role]
    folder = home("snapshots", f"{source.name}-{digest_of(parts)[:12]}")
    named = {
        "name": source.name,
        "role": source.role,
        "category": source.category,
        "licence": source.licence,
        "uri": f"rehearsal:{model.name}",
    }
    known = find(folder, Snapshot)
    if known is not None:
        return known.model_copy(update=named)
    with building(folder) as aside:
        with SnapshotWriter(aside) as out:
            _fill(out, answers, _Quota(math.ceil(SLACK * need), unit), progress)
        if not out.rows:
            raise SourceError(
                "no answer of the model can be used.",
                where=source.name,
                fix="raise max_new_tokens, or use an instruction-tuned model.",
            )
        return commit(
            aside,
            Snapshot(
                path=folder,
                digest=out.digest,
                revision=model.digest,
                rows=out.rows,
                rejected=out.rejected,
                **named,
            ),
        )


class _Quota(NamedTuple):
    target: int
    unit: Unit


def _fill(
    out: SnapshotWriter, answers: "_Answers", quota: _Quota, progress: Progress | None
) -> None:
    got = 0
    seen: set[tuple[str, str]] = set()
    for chunk in answers.chunks():
        for answer in chunk:
            row = _row(answer, seen)
            if isinstance(row, str):
                out.reject(answer.origin, answer.text, row)
                continue
            out.write(row)
            got += _size(answers.tokenizer, row["messages"], quota.unit)
        if progress is not None:
            progress(min(got, quota.target), quota.target)
        if got >= quota.target:
            return


def _row(answer: Answer, seen: set[tuple[str, str]]) -> ChatRow | str:
    """Return the answer as a row, or why it is none."""
    reason = refusal(answer.text, answer.truncated)
    if reason is not None:
        return reason
    text = (complete_part(answer.text) if answer.truncated else answer.text.strip()) or ""
    if (answer.prompt.id, normal(text)) in seen:
        return "the same answer to this prompt as before"
    seen.add((answer.prompt.id, normal(text)))
    messages = [
        Message(role="user", content=answer.prompt.prompt),
        Message(role="assistant", content=text),
    ]
    # Answers to one prompt are a group, so that no split has some of them here and some there.
    return {
        "row_id": row_id(messages),
        "messages": messages,
        "label": None,
        "group": answer.prompt.id,
        "split": None,
        "origin": answer.origin,
    }


def _size(tokenizer: Tokenizer, messages: list[Message], unit: Unit) -> int:
    if unit == "rows":
        return 1
    rendered = render(tokenizer, messages)
    return rendered.supervised if unit == "supervised_tokens" else len(rendered.input_ids)


class _Answers:
    """The model's answers by chunk: those kept from before, then new ones."""

    def __init__(
        self, source: RehearsalSource, model: LocalModel, prompts: list[Prompt], seed: int
    ) -> None:
        self._source, self._model, self._prompts, self._seed = source, model, prompts, seed
        self._dtype = resolve_dtype("auto")
        self.tokenizer = load_tokenizer(model.path)
        drawn = source.model_dump(
            include={"name", "temperature", "top_p", "max_new_tokens", "batch_size"}
        )
        self.key = stage_key(
            "rehearsal",
            {
                "drawn": drawn,
                "seed": seed,
                "prompts": prompts,
                "dtype": self._dtype,
                "weights": model.digest,
                "tokenizer": model.tokenizer_digest,
                "stopping": stopping(model.path),
            },
            *_CODE,
        )

    def chunks(self) -> Iterator[list[Answer]]:
        """Yield the answers of one batch after another, ``max_samples`` to every prompt."""
        size = self._source.batch_size
        for number in range(self._source.max_samples):
            order = key_of(self._seed, self._source.name, "order", number)
            prompts = sorted(self._prompts, key=lambda p: (keyed_rank(order, p.id), p.id))
            for start in range(0, len(prompts), size):
                yield self._chunk(number, start // size, prompts[start : start + size])

    def _chunk(self, number: int, chunk: int, prompts: list[Prompt]) -> list[Answer]:
        file = home("rehearsal", self.key, f"{number:02d}-{chunk:04d}.parquet")
        if not file.is_file():
            self._make(file, key_of(self._seed, self._source.name, number, chunk), prompts)
        rows = pq.read_table(file).to_pylist()
        return [
            Answer(prompt, number, row["text"], row["truncated"])
            for prompt, row in zip(prompts, rows, strict=True)
        ]

    def _make(self, file: Path, seed: int, prompts: list[Prompt]) -> None:
        from tasks.models.local.generation import Decoding, generate

        decoding = Decoding(
            self._source.max_new_tokens,
            self._source.batch_size,
            self._source.temperature,
            self._source.top_p,
            seed,
        )
        model = load_model(self._model, self._dtype)
        asked = [_asked(self.tokenizer, p) for p in prompts]
        made = generate(model, self.tokenizer, asked, decoding)
        rows = [
            {"prompt_id": p.id, "text": g.text, "truncated": g.truncated}
            for p, g in zip(prompts, made, strict=True)
        ]
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
        pq.write_table(pa.Table.from_pylist(rows, schema=_CHUNK), aside)
        aside.rename(file)
