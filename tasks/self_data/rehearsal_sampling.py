"""The base model's answers to the shipped prompts, as it gives them.

They are kept apart from what is made of them: generating takes hours, and an edit of the rules for
what can be used asks the model nothing.
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from configs.sources import RehearsalSource
from tasks.artifacts import LocalModel
from tasks.errors import SourceError
from tasks.models.identity import stopping
from tasks.models.local.loading import load_weights, resolve_dtype
from tasks.storage import home, stage_key
from tasks.text.chat import load_tokenizer, prompt_ids
from tasks.text.keyed import key_of, keyed_rank
from tasks.text.rows import Message
from tasks.text.template import Tokenizer

PROMPTS = Path(__file__).parent / "prompts"
_CHUNK = pa.schema(
    [
        pa.field("prompt_id", pa.string()),
        pa.field("text", pa.string()),
        pa.field("truncated", pa.bool_()),
    ]
)


class ShippedPrompt(NamedTuple):
    """A shipped prompt."""

    id: str
    category: str
    prompt: str


class RehearsalAnswer(NamedTuple):
    """What the model wrote to a prompt in a round, cut at the limit or not."""

    prompt: ShippedPrompt
    round: int
    text: str
    truncated: bool

    @property
    def origin(self) -> str:
        """Prompt and round."""
        return f"{self.prompt.id}#{self.round}"


def load_prompts(category: str | None) -> list[ShippedPrompt]:
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
    prompts = [ShippedPrompt(r["id"], r["category"], r["prompt"]) for r in map(json.loads, lines)]
    chosen = [p for p in prompts if category in (None, p.category)]
    if not chosen:
        raise SourceError(
            "no shipped prompt is of that category.",
            where=f"category: {category}",
            fix="leave category: out, to take all prompts.",
        )
    return chosen


def encode_prompt(tokenizer: Tokenizer, prompt: ShippedPrompt) -> list[int]:
    """Return the token ids that the model is given for a prompt."""
    return prompt_ids(tokenizer, [Message(role="user", content=prompt.prompt)])


class SampledAnswers:
    """The model's answers by chunk: those kept from before, then new ones."""

    def __init__(
        self, source: RehearsalSource, model: LocalModel, prompts: list[ShippedPrompt], seed: int
    ) -> None:
        self._source, self._model, self._prompts, self._seed = source, model, prompts, seed
        self._dtype = resolve_dtype("auto")
        self.tokenizer = load_tokenizer(model.path, model.chat)
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
            __name__,
        )

    def read_chunks(self) -> Iterator[list[RehearsalAnswer]]:
        """Yield the answers of one batch after another, ``max_samples`` to every prompt."""
        size = self._source.batch_size
        for number in range(self._source.max_samples):
            order = key_of(self._seed, self._source.name, "order", number)
            prompts = sorted(self._prompts, key=lambda p: (keyed_rank(order, p.id), p.id))
            for start in range(0, len(prompts), size):
                yield self._read_chunk(number, start // size, prompts[start : start + size])

    def _read_chunk(
        self, number: int, chunk: int, prompts: list[ShippedPrompt]
    ) -> list[RehearsalAnswer]:
        file = home("rehearsal", self.key, f"{number:02d}-{chunk:04d}.parquet")
        if not file.is_file():
            self._generate_chunk(
                file, key_of(self._seed, self._source.name, number, chunk), prompts
            )
        rows = pq.read_table(file).to_pylist()
        return [
            RehearsalAnswer(prompt, number, row["text"], row["truncated"])
            for prompt, row in zip(prompts, rows, strict=True)
        ]

    def _generate_chunk(self, file: Path, seed: int, prompts: list[ShippedPrompt]) -> None:
        from tasks.models.api import Decoding
        from tasks.models.local.generation import generate

        decoding = Decoding(
            self._source.max_new_tokens,
            self._source.batch_size,
            self._source.temperature,
            self._source.top_p,
            seed,
        )
        model = load_weights(self._model, self._dtype)
        asked = [encode_prompt(self.tokenizer, p) for p in prompts]
        made = generate(model, self.tokenizer, asked, decoding)
        rows = [
            {"prompt_id": p.id, "text": g.text, "truncated": g.truncated}
            for p, g in zip(prompts, made, strict=True)
        ]
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
        pq.write_table(pa.Table.from_pylist(rows, schema=_CHUNK), aside)
        aside.rename(file)
