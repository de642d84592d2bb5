"""Answers kept by content as they come: a stopped evaluation goes on, a new scorer asks nothing."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.models.api import (
    Answer,
    Batch,
    Choice,
    ChoiceScores,
    Decoding,
    Encoded,
    Engine,
    Prompt,
    Text,
    TextScore,
    gathered,
)
from tasks.progress import Progress
from tasks.storage import digest_of, disk_errors, home

R = TypeVar("R", Answer, ChoiceScores, TextScore)
EVERY_S = 5.0
"""Seconds of work that a kill may cost: batches are written together when this long has passed."""

_SCHEMA = pa.schema([("key", pa.string()), ("call", pa.string()), ("value", pa.string())])


class Cached:
    """A model whose answers are kept under ``TEMPER_HOME/answers`` and asked for once.

    An answer's key holds the model's digest, the digest of what it is shown, and how answers are
    drawn; never a path or a name. Errors are not kept, so that the next run asks again.
    """

    def __init__(self, engine: Engine, every_s: float | None = None) -> None:
        self._engine = engine
        self._every_s = EVERY_S if every_s is None else every_s

    @property
    def digest(self) -> str:
        """The model's."""
        return self._engine.digest

    @property
    def log_probs(self) -> bool:
        """Whether the model gives log-probabilities."""
        return self._engine.log_probs

    def answers(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Answer]:
        """Return the answer to each prompt, in their order."""
        drawn = {k: v for k, v in vars(decoding).items() if k != "batch_size"}
        if decoding.temperature == 0:
            drawn = {k: v for k, v in drawn.items() if k not in ("top_p", "seed")}
        call = _Call(
            self._engine.encode(prompts),
            drawn,
            decoding.batch_size,
            alone=decoding.temperature == 0,
        )
        return self._gathered(
            Answer,
            call,
            progress,
            lambda asked, skip: self._engine.generate_batches(asked, decoding, skip),
        )

    def choices(
        self, asked: Sequence[Choice], batch_tokens: int = 2048, progress: Progress | None = None
    ) -> list[ChoiceScores]:
        """Return how likely each option of each context is, in their order."""
        call = _Call(self._engine.encode(asked), {}, batch_tokens)
        return self._gathered(
            ChoiceScores,
            call,
            progress,
            lambda todo, skip: self._engine.score_choice_batches(todo, batch_tokens, skip),
        )

    def negative_log_likelihood(
        self, texts: Sequence[Text], batch_tokens: int = 2048, progress: Progress | None = None
    ) -> list[TextScore]:
        """Return how well each text is predicted, in their order."""
        call = _Call(self._engine.encode(texts), {}, batch_tokens)
        return self._gathered(
            TextScore,
            call,
            progress,
            lambda todo, skip: self._engine.score_text_batches(todo, batch_tokens, skip),
        )

    def _gathered(
        self,
        kind: type[R],
        call: "_Call",
        progress: Progress | None,
        run: Callable[[list[Encoded], Container[int]], Iterator[Batch[R]]],
    ) -> list[R]:
        content = {
            "model": self.digest,
            "kind": kind.__name__,
            "fields": kind._fields,
            "drawn": call.drawn,
        }
        store = AnswerStore(home("answers", digest_of(content)), self._every_s)
        parts = _known_first(kind, call, store, run)
        try:
            return gathered(parts, len(call.keys), progress)
        finally:
            store.flush()


class _Call:
    """What is asked at one time, with the key of each item.

    Where answers are drawn, or come in another batch, they may differ in their last bits: what an
    earlier call of the same content left is taken up batch by batch, to the same bits.
    """

    def __init__(
        self, asked: Sequence[Encoded], drawn: dict[str, Any], batch: int, *, alone: bool = True
    ) -> None:
        self.asked, self.drawn = list(asked), drawn
        seen = Counter[str]()
        self.keys = []
        for request in self.asked:
            seen[request.digest] += 1
            copy = seen[request.digest]
            self.keys.append(request.digest if copy == 1 else f"{request.digest}-{copy}")
        self.name = digest_of([self.keys, batch])[:32]
        if not alone:
            self.drawn = {**drawn, "call": self.name}


class CachedResult(NamedTuple):
    """A stored answer: the call it was computed in, and its fields."""

    call: str
    value: list[Any]


class AnswerStore:
    """Chunks of answers in a folder, each written aside and renamed, never changed."""

    def __init__(self, folder: Path, every_s: float) -> None:
        self._folder, self._every_s = folder, every_s
        self._rows: list[dict[str, str]] = []
        self._since = time.monotonic()

    def read(self) -> dict[str, CachedResult]:
        """Return all answers by key."""
        found: dict[str, CachedResult] = {}
        for file in sorted(self._folder.glob("*.parquet")):
            for row in pq.read_table(file).to_pylist():
                found.setdefault(row["key"], CachedResult(row["call"], json.loads(row["value"])))
        return found

    def add(self, call: str, answers: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """Keep a whole batch; it is on disk after ``every_s`` seconds at the latest."""
        self._rows += [
            {"key": key, "call": call, "value": json.dumps(list(value))} for key, value in answers
        ]
        if time.monotonic() - self._since >= self._every_s:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._rows:
            with disk_errors(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                name = uuid.uuid4().hex
                aside = self._folder / f".{name}"
                pq.write_table(pa.Table.from_pylist(self._rows, schema=_SCHEMA), aside)
                aside.rename(self._folder / f"{name}.parquet")
        self._rows, self._since = [], time.monotonic()


def _known_first(
    kind: type[R],
    call: _Call,
    store: AnswerStore,
    run: Callable[[list[Encoded], Container[int]], Iterator[Batch[R]]],
) -> Iterator[Batch[R]]:
    """Yield what is stored, then what isn't, keeping each batch as it comes."""
    known = store.read()
    found = [(i, kind(*known[key].value)) for i, key in enumerate(call.keys) if key in known]
    if found:
        yield found
    # What other calls left isn't asked; what this one left keeps its place, so that the batches
    # that are missing are made of the same items as they were before it was stopped.
    places = [
        i for i, key in enumerate(call.keys) if key not in known or known[key].call == call.name
    ]
    done = {n for n, i in enumerate(places) if call.keys[i] in known}
    for batch in run([call.asked[i] for i in places], done):
        fresh = [(places[n], answer) for n, answer in batch if n not in done]
        store.add(
            call.name,
            [
                (call.keys[i], answer)
                for i, answer in fresh
                if getattr(answer, "error", None) is None
            ],
        )
        yield fresh
