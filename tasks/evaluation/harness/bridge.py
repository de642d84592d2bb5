"""Our models as lm-evaluation-harness sees a model."""

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from lm_eval.api.model import LM

from configs.suites.harness import HarnessSuite
from tasks.errors import EvaluationError
from tasks.models.api import Answer, Choice, ChoiceScores, Decoding, Model, Prompt, Text
from tasks.progress import Progress
from tasks.text.rows import TEXT_ROLE, Message

CHAT = "\x00chat\x00"
"""Begins a prompt that is a conversation in JSON: the harness passes prompts on as strings."""
MAX_NEW_TOKENS = 256
"""Tokens of an answer where the task says nothing, as the harness's own models have it."""
WHOLE = 1 << 30


class EvaluationSettings(NamedTuple):
    """What asking told of an item beside the score; ``thought`` is an answer that has some."""

    prompt_tokens: int
    truncated: bool
    latency_s: float
    error: str | None = None
    thought: str | None = None


class BridgedModel(LM):  # type: ignore[misc]
    """Passes the harness's requests on to a model, and notes what each item took.

    Args:
        model: The model.
        suite: Batch sizes.
        progress: Called with requests done and their number.
    """

    def __init__(self, model: Model, suite: HarnessSuite, progress: Progress | None) -> None:
        super().__init__()
        self._model, self._suite, self._progress = model, suite, progress
        self.notes: dict[tuple[str, int], EvaluationSettings] = {}

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        """Score continuations; those that share a context are one choice."""
        groups = [
            list(group)
            for _, group in groupby(requests, key=lambda r: (r.task_name, r.doc_id, r.args[0]))
        ]
        asked = [Choice(_context(g[0].args[0]), tuple(r.args[1] for r in g)) for g in groups]
        found = self._model.choices(asked, self._suite.batch_tokens, self._progress)
        for group, chosen in zip(groups, found, strict=True):
            self._note(group[0], chosen)
        return [
            pair for chosen in found for pair in zip(chosen.logprobs, chosen.greedy, strict=True)
        ]

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        """Score whole texts.

        Raises:
            EvaluationError: One is longer than the model can see at once.
        """
        texts = [Text([Message(role=TEXT_ROLE, content=r.args[0])], WHOLE) for r in requests]
        found = self._model.negative_log_likelihood(texts, self._suite.batch_tokens, self._progress)
        long = sum(measured.truncated for measured in found)
        if long:
            raise EvaluationError(
                f"{long:,} texts are longer than the model can see at once.",
                where=f"evaluation.suites.{self._suite.name}",
                fix="measure them with kind: bits_per_byte, which cuts and counts.",
            )
        return [-measured.nats for measured in found]

    def generate_until(self, requests: list[Any]) -> list[str]:
        """Answer prompts, those that are drawn alike together."""
        said: dict[int, str] = {}
        drawn = [_decoding(r.args[1], self._suite.batch_size) for r in requests]
        for decoding in dict.fromkeys(drawn):
            places = [i for i, d in enumerate(drawn) if d == decoding]
            prompts = [_prompt(requests[i].args[0]) for i in places]
            answers = self._model.answers(prompts, decoding, self._progress)
            for place, answer in zip(places, answers, strict=True):
                self._note(requests[place], answer)
                said[place] = answer.said
        return [said[i] for i in range(len(requests))]

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Return the conversation as a string that :func:`_context` reads again.

        Raises:
            EvaluationError: The task begins the assistant's answer itself.
        """
        if not add_generation_prompt:
            raise EvaluationError(
                "the task writes the beginning of the answer, which a conversation can't hold.",
                where=f"evaluation.suites.{self._suite.name}",
                fix="set chat: false.",
            )
        return CHAT + json.dumps(chat_history, ensure_ascii=False)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """None: the template is applied behind the seam."""
        return None

    @property
    def tokenizer_name(self) -> str:
        """What names the tokenizer in the harness's own caches, which are not used."""
        return self._model.digest

    def _note(self, request: Any, found: Answer | ChoiceScores) -> None:
        before = self.notes.get(
            (request.task_name, request.doc_id), EvaluationSettings(0, False, 0.0)
        )
        self.notes[request.task_name, request.doc_id] = EvaluationSettings(
            max(before.prompt_tokens, found.prompt_tokens),
            before.truncated or found.truncated,
            before.latency_s + found.latency_s,
            before.error or getattr(found, "error", None),
            before.thought or _thought(found),
        )


def _thought(found: Answer | ChoiceScores) -> str | None:
    """Return the whole of an answer of which the harness is given a part."""
    return found.text if isinstance(found, Answer) and found.text != found.said else None


def _context(text: str) -> str | Sequence[Message]:
    if not text.startswith(CHAT):
        return text
    messages: list[Message] = json.loads(text.removeprefix(CHAT))
    return messages


def _prompt(text: str) -> Prompt:
    context = _context(text)
    if isinstance(context, str):
        return Prompt([Message(role=TEXT_ROLE, content=context)])
    return Prompt(context)


def _decoding(asked: dict[str, Any], batch_size: int) -> Decoding:
    """Return how the task wants answers drawn: greedily unless it says ``do_sample``."""
    until = asked.get("until") or []
    stop = (until,) if isinstance(until, str) else tuple(until)
    most = asked.get("max_gen_toks") or asked.get("max_new_tokens") or MAX_NEW_TOKENS
    warm = float(asked.get("temperature") or 0.0) if asked.get("do_sample") else 0.0
    top_p = float(asked.get("top_p") or 1.0)
    return Decoding(int(most), batch_size, warm, top_p, stop=tuple(s for s in stop if s))
