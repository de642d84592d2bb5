"""Rendering chat rows with a tokenizer's own template, and masking what carries loss."""

import json
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tasks.errors import DataError
from tasks.text.rows import TEXT_ROLE, Message

# Messages and tools in the shape that chat templates take, and what a template left out.

Turn = dict[str, Any]
"""A message, or a tool, as ``apply_chat_template`` of transformers takes it."""


def as_turns(messages: Sequence[Message]) -> list[Turn]:
    """Return messages for a template; unset fields are absent, since templates ask for presence."""
    return [_turn(message) for message in messages]


def as_offered(tools: str | None) -> list[Turn] | None:
    """Return a row's tools for a template, or None where there are none."""
    if tools is None:
        return None
    return [{"type": "function", "function": tool} for tool in json.loads(tools)]


def left_out(messages: Sequence[Message], tools: str | None, text: str) -> str | None:
    """Return what a template did not write, in words; None where all of it is there.

    A template that knows no tools passes over them without a word. Names are looked for, since
    every template spells the rest its own way. Reasoning may rightly be dropped from earlier
    turns, so that only the last turn's has to be there.
    """
    offered = [tool["name"] for tool in json.loads(tools)] if tools else []
    if any(name not in text for name in offered):
        return "the tools of a row"
    used = [c["name"] for m in messages for c in json.loads(m.get("tool_calls") or "[]")]
    if any(text.count(name) < used.count(name) + offered.count(name) for name in set(used)):
        return "an assistant's tool calls"
    reasoning = (messages[-1].get("reasoning") or "").strip()
    return "an assistant's reasoning" if reasoning not in text else None


def _turn(message: Message) -> Turn:
    turn: Turn = {"role": message["role"], "content": message["content"]}
    if message.get("reasoning"):
        turn["reasoning_content"] = message["reasoning"]
    if message.get("tool_call_id"):
        turn["tool_call_id"] = message["tool_call_id"]
    calls = json.loads(message.get("tool_calls") or "[]")
    if calls:
        turn["tool_calls"] = [_call(call) for call in calls]
    return turn


def _call(call: Turn) -> Turn:
    function = {"name": call["name"], "arguments": call["arguments"]}
    return {"id": call["id"], "type": "function", "function": function}


Tokenizer = Any
"""A fast Hugging Face tokenizer; the library ships no usable type for it."""

_LOADING = threading.Lock()

IGNORED = -100
"""Label of a token without loss, as the training libraries know it."""


class Rendered(NamedTuple):
    """A row as token ids; ``labels`` equals the id where the token carries loss, else -100."""

    input_ids: list[int]
    labels: list[int]

    @property
    def supervised(self) -> int:
        """Tokens that carry loss."""
        return sum(label != IGNORED for label in self.labels)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the fast tokenizer stored in a model folder; never runs code from it."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    # transformers swaps its own module while it loads: threads that race to be first fail.
    with _LOADING:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def render(tokenizer: Tokenizer, messages: Sequence[Message], tools: str | None = None) -> Rendered:
    """Return the row's tokens, with loss on assistant turns (plain text: on everything).

    The template renders every prefix of the conversation; the span an assistant turn adds after
    the generation prompt, its tool calls and end-of-turn token included, is supervised; what a
    tool gave back is not. The whole text is tokenised once, so that no token differs from what the
    model sees at inference.

    Args:
        tokenizer: Its chat template renders the row.
        messages: The row's.
        tools: The row's, as JSON text.

    Raises:
        DataError: The template does not keep earlier turns as they were, so spans are unknown; or
            it refuses the turns, or leaves tools, tool calls or reasoning out.
    """
    if messages[0]["role"] == TEXT_ROLE:
        return _render_text(tokenizer, messages[0]["content"])
    talk = _ChatRendering(tokenizer, as_turns(messages), as_offered(tools))
    text = talk.text()
    _check_whole(tokenizer, messages, tools, text)
    spans = [talk.span(i, text) for i, m in enumerate(messages) if m["role"] == "assistant"]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = encoded["input_ids"]
    labels = [
        token if any(start <= a < end for start, end in spans) else IGNORED
        for token, (a, _) in zip(ids, encoded["offset_mapping"], strict=True)
    ]
    return Rendered(ids, labels)


def prompt_ids(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: str | None = None
) -> list[int]:
    """Return the tokens of a prompt that ends where the assistant's answer begins."""
    text = rendered_prompt(tokenizer, messages, tools)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def rendered_prompt(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: str | None = None
) -> str:
    """Return a prompt as the template writes it, up to where the assistant's answer begins.

    Raises:
        DataError: The template refuses the turns, or leaves the tools out.
    """
    text = _ChatRendering(tokenizer, as_turns(messages), as_offered(tools)).text(answer_next=True)
    if tools is not None:
        _check_whole(tokenizer, messages, tools, text)
    return text


def _render_text(tokenizer: Tokenizer, text: str) -> Rendered:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = [*ids, tokenizer.eos_token_id]
    return Rendered(ids, list(ids))


class _ChatRendering(NamedTuple):
    """A conversation as a tokenizer's chat template takes it."""

    tokenizer: Tokenizer
    turns: list[Turn]
    tools: list[Turn] | None

    def text(self, turns: int | None = None, *, answer_next: bool = False) -> str:
        """Return the first turns (or all) as the template writes them."""
        if not self.tokenizer.chat_template:
            raise DataError(
                "the model's tokenizer has no chat template, so chat rows can't be rendered.",
                where=str(self.tokenizer.name_or_path),
                fix="use an instruction-tuned model, or plain-text rows.",
            )
        from jinja2.exceptions import TemplateError

        offered = {} if self.tools is None else {"tools": self.tools}
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    self.turns[:turns], tokenize=False, add_generation_prompt=answer_next, **offered
                )
            )
        except TemplateError as error:
            raise DataError(
                f"the chat template refuses the row's turns: {str(error).rstrip('.')}.",
                where=str(self.tokenizer.name_or_path),
                fix="leave such rows out, or use a model whose template takes them.",
            ) from error

    def span(self, turn: int, text: str) -> tuple[int, int]:
        """Return where in the whole text an assistant's turn begins and ends."""
        before = self.text(turn, answer_next=True) if turn else ""
        through = self.text(turn + 1)
        kept = text.startswith(before) and text.startswith(through)
        if not (kept and len(through) > len(before)):
            raise DataError(
                "the chat template rewrites earlier turns, so the loss mask can't be placed.",
                where=str(self.tokenizer.name_or_path),
                fix="keep one assistant turn a row, or use a model whose template keeps its "
                "prefixes.",
            )
        return len(before), len(before) + len(through[len(before) :].rstrip("\n"))


def _check_whole(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: str | None, text: str
) -> None:
    missing = left_out(messages, tools, text)
    if missing:
        raise DataError(
            f"the chat template leaves out {missing}, so the model would not see it.",
            where=str(tokenizer.name_or_path),
            fix="leave such rows out, or use a model whose template writes them.",
        )
