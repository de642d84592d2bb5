"""Rendering chat rows with a tokenizer's own template, and masking what carries loss."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tasks.errors import DataError
from tasks.text.rows import TEXT_ROLE, Message

Tokenizer = Any
"""A fast Hugging Face tokenizer; the library ships no usable type for it."""

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
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def render(tokenizer: Tokenizer, messages: Sequence[Message]) -> Rendered:
    """Return the row's tokens, with loss on assistant turns (plain text: on everything).

    The template renders every prefix of the conversation; the span an assistant turn adds after
    the generation prompt, its end-of-turn token included, is supervised. The whole text is
    tokenised once, so that no token differs from what the model sees at inference.

    Raises:
        DataError: The template does not keep earlier turns as they were, so spans are unknown.
    """
    if messages[0]["role"] == TEXT_ROLE:
        return _render_text(tokenizer, messages[0]["content"])
    text = _template(tokenizer, messages)
    spans = [_span(tokenizer, messages, i, text)
             for i, m in enumerate(messages) if m["role"] == "assistant"]  # fmt: skip
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = encoded["input_ids"]
    labels = [
        token if any(start <= a < end for start, end in spans) else IGNORED
        for token, (a, _) in zip(ids, encoded["offset_mapping"], strict=True)
    ]
    return Rendered(ids, labels)


def prompt_ids(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
    """Return the tokens of a prompt that ends where the assistant's answer begins."""
    text = _template(tokenizer, messages, answer_next=True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _render_text(tokenizer: Tokenizer, text: str) -> Rendered:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = [*ids, tokenizer.eos_token_id]
    return Rendered(ids, list(ids))


def _template(
    tokenizer: Tokenizer, messages: Sequence[Message], *, answer_next: bool = False
) -> str:
    if not tokenizer.chat_template:
        raise DataError(
            "the model's tokenizer has no chat template, so chat rows can't be rendered.",
            where=str(tokenizer.name_or_path),
            fix="use an instruction-tuned model, or plain-text rows.",
        )
    return str(tokenizer.apply_chat_template(
        list(messages), tokenize=False, add_generation_prompt=answer_next))  # fmt: skip


def _span(
    tokenizer: Tokenizer, messages: Sequence[Message], turn: int, text: str
) -> tuple[int, int]:
    before = _template(tokenizer, messages[:turn], answer_next=True) if turn else ""
    through = _template(tokenizer, messages[: turn + 1])
    if not (text.startswith(before) and text.startswith(through) and len(through) > len(before)):
        raise DataError(
            "the chat template rewrites earlier turns, so the loss mask can't be placed.",
            where=str(tokenizer.name_or_path),
            fix="keep one assistant turn a row, or use a model whose template keeps its prefixes.",
        )
    return len(before), len(before) + len(through[len(before) :].rstrip("\n"))
