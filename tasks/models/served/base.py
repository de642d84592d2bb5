"""Models that answer over a network: several requests at a time, tried again, none lost."""

import random
import re
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import pyarrow.parquet as pq

from configs.models import HostedModel
from tasks.errors import EvaluationError
from tasks.models.api import (
    NONE,
    Answer,
    Batch,
    Decoding,
    Encoded,
    Engine,
    Prompt,
    Request,
    by_messages,
)
from tasks.storage import digest_of

Wait = Callable[[float], object]
Spec = TypeVar("Spec", bound=HostedModel)

_TRIED = re.compile(r" \((?:1 try|\d+ tries)\)$")
LONGEST_WAIT_S = 60.0
FIRST_WAIT_S = 0.5
HOPELESS = 5
"""Items that fail one after another, with no answer ever seen, before an evaluation is given up."""


class Reply(NamedTuple):
    """What a server answered.

    Attributes:
        text: The answer.
        truncated: Whether it was cut at the most tokens allowed.
        prompt_tokens: Tokens of the prompt; 0 where the server doesn't say.
    """

    text: str
    truncated: bool
    prompt_tokens: int


class TryAgain(Exception):
    """A request failed in a way that may pass; ``after_s`` is the wait the server asks for."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class Unanswerable(Exception):
    """A request that the server will refuse each time: this item alone."""


class RemoteModel(Engine, Generic[Spec]):
    """Asks a server item by item, ``concurrency`` at a time.

    Args:
        spec: How to ask.
        wait: Called with the seconds to wait before another try.
    """

    log_probs = False

    def __init__(self, spec: Spec, wait: Wait | None = None) -> None:
        self._spec = spec
        self._answered, self._stopped = threading.Event(), threading.Event()
        # Waiting ends with the evaluation, so that giving up doesn't take a minute.
        self._wait = wait or self._stopped.wait

    @property
    def digest(self) -> str:
        """Identity of what is asked: the weights behind a server can't be seen."""
        return digest_of(self.about)

    @property
    def about(self) -> dict[str, Any]:
        """The section, without what changes no answer."""
        how = {"concurrency", "attempts", "timeout_s"}
        return self._spec.model_dump(mode="json", exclude=how)

    @abstractmethod
    def ask(self, prompt: Prompt, decoding: Decoding) -> Reply:
        """Return the server's answer to one prompt.

        Raises:
            TryAgain: It may answer later.
            Unanswerable: It won't answer this prompt.
            TemperError: It will answer none.
        """

    def encode(self, asked: Sequence[Request]) -> list[Encoded]:
        """Return each prompt with the digest of its messages: tokens are the server's affair."""
        return by_messages(asked)

    def generate_batches(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        """Yield answers as they come; one that can't be had is an answer with its error.

        Raises:
            EvaluationError: The first items all failed, so that nothing can be expected.
        """
        self._stopped.clear()
        if any(i in skip for i in range(len(asked))):
            self._answered.set()
        pool = ThreadPoolExecutor(self._spec.concurrency)
        todo: dict[Future[Answer], int] = {
            pool.submit(self._answer, asked[i], decoding): i
            for i in range(len(asked))
            if i not in skip
        }
        first = list(todo)[:HOPELESS]
        try:
            for future in as_completed(todo):
                answer = future.result()
                # The first asked, not the first back: failing is quicker than answering.
                if not self._answered.is_set() and all(f.done() for f in first):
                    raise EvaluationError(
                        f"the model answered none of {len(first)} items; the last: {answer.error}.",
                        where=self._where(),
                        fix="look at the server, then run again.",
                    )
                yield [(todo[future], answer)]
        finally:
            self._stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _where(self) -> str:
        return next(str(self.about[k]) for k in ("url", "endpoint", "name") if k in self.about)

    def _answer(self, asked: Encoded, decoding: Decoding) -> Answer:
        prompt: Prompt = asked.payload
        why = ""
        for attempt in range(1, self._spec.attempts + 1):
            start = time.perf_counter()
            try:
                reply = self.ask(prompt, decoding)
            except Unanswerable as error:
                why = str(error)
                break
            except TryAgain as error:
                why = f"{error} ({attempt} {'try' if attempt == 1 else 'tries'})"
                if attempt < self._spec.attempts and not self._stopped.is_set():
                    self._wait(pause(attempt, error.after_s))
                continue
            self._answered.set()
            return Answer(
                reply.text,
                reply.truncated,
                time.perf_counter() - start,
                asked.digest,
                reply.prompt_tokens,
            )
        return Answer("", False, 0.0, asked.digest, 0, why)


def lasting(error: str) -> bool:
    """Return whether an answer's error is the server's refusal of the item itself.

    One that may pass ends with how often it was tried.
    """
    return _TRIED.search(error) is None


def pause(attempt: int, asked_s: float | None) -> float:
    """Return the seconds before the next try.

    What the server asks for, at most a minute; else twice as long each time, drawn between half
    and the whole of that, so that requests that failed together don't come back together.
    """
    if asked_s is not None:
        return min(max(asked_s, 0.0), LONGEST_WAIT_S)
    longest = min(FIRST_WAIT_S * 2.0 ** (attempt - 1), LONGEST_WAIT_S)
    return random.uniform(longest / 2, longest)


# Items that a server refuses for good, as the per-item table tells them.

SHOWN = 3
"""Items that are named."""
CHARACTERS = 100
"""Characters of a server's reason that are shown."""
WAY_OUT = (
    "have the server take them (a longer context, another content filter), or take them out of "
    "the suite's items, and evaluate both models again"
)


class Unanswered(NamedTuple):
    """Items without an answer.

    Attributes:
        refused: Each with its error, where asking again can't help.
        others: How many failed in a way that may pass.
    """

    refused: dict[str, str]
    others: int


def unanswered(items: Path) -> Unanswered:
    """Return the items of a per-item table that have no answer, by whether that may pass."""
    table = pq.read_table(items, columns=["item_id", "error"])
    errors = {
        item: error
        for item, error in zip(*(c.to_pylist() for c in table.columns), strict=True)
        if error is not None
    }
    refused = {item: error for item, error in errors.items() if lasting(error)}
    return Unanswered(refused, len(errors) - len(refused))


def named(refused: dict[str, str]) -> str:
    """Return a clause that says how many items are refused, and names the first with the reason."""
    first = "; ".join(f"{item}: {_short(error)}" for item, error in list(refused.items())[:SHOWN])
    more = "; ..." if len(refused) > SHOWN else ""
    return f"the server refuses {len(refused):,} of them for good ({first}{more})"


def _short(error: str) -> str:
    text = " ".join(error.split())
    return text if len(text) <= CHARACTERS else f"{text[: CHARACTERS - 3]}..."
