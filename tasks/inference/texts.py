"""Requests as token ids: prompts, contexts with options, and texts to be scored whole."""

from collections.abc import Sequence
from typing import NamedTuple

from tasks.inference.spans import Span, common, encode, encode_options
from tasks.models.api import Choice, Prompt
from tasks.text.chat import IGNORED, Tokenizer, prompt_ids, render, rendered_prompt
from tasks.text.rows import TEXT_ROLE, Message


class Wanted(NamedTuple):
    """A text ready to be scored: its span, the bytes that the wanted tokens spell, cut or not."""

    span: Span
    bytes: int
    truncated: bool


def answer_ids(tokenizer: Tokenizer, prompt: Prompt) -> list[int]:
    """Return the tokens that the answer follows; plain text keeps the tokenizer's special ones."""
    if prompt.messages[0]["role"] == TEXT_ROLE:
        return encode(tokenizer, [prompt.messages[0]["content"]])[0]
    return prompt_ids(tokenizer, prompt.messages, prompt.tools)


def option_spans(tokenizer: Tokenizer, asked: Choice) -> list[Span]:
    """Return a context with each of its options as a span, the option's tokens wanted.

    A conversation is rendered up to the assistant's turn; where the option's first token would
    swallow the end of the context, it counts from there.
    """
    if isinstance(asked.context, str):
        return encode_options(tokenizer, asked.context, asked.options)
    before = rendered_prompt(tokenizer, asked.context)
    texts = [before, *(before + option for option in asked.options)]
    alone, *whole = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [Span(ids, range(min(common(alone, ids), len(ids) - 1), len(ids))) for ids in whole]


def wanted(tokenizer: Tokenizer, messages: Sequence[Message], limit: int) -> Wanted:
    """Return a text's first ``limit`` tokens as a span, and the bytes they spell.

    Plain text begins after the beginning-of-sequence token, as in lm-evaluation-harness's rolling
    log-likelihood, so that its first token counts too. Of a conversation the answers count,
    without the tokens that end a turn, since those spell no byte.
    """
    if messages[0]["role"] == TEXT_ROLE:
        return _plain(tokenizer, messages[0]["content"], limit)
    rendered = render(tokenizer, messages)
    special = set(tokenizer.all_special_ids)
    at = [
        i
        for i, label in enumerate(rendered.labels[:limit])
        if i and label != IGNORED and label not in special
    ]
    cut = len(rendered.input_ids) > limit
    kept = [rendered.input_ids[i] for i in at]
    answers = [m["content"] for m in messages if m["role"] == "assistant"]
    spelled = tokenizer.decode(kept) if cut else "".join(answers)
    return Wanted(Span(rendered.input_ids[:limit], at), len(spelled.encode()), cut)


def _plain(tokenizer: Tokenizer, text: str, limit: int) -> Wanted:
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = encoded["input_ids"]
    cut = len(ids) > limit
    end = encoded["offset_mapping"][limit - 1][1] if cut else len(text)
    first = tokenizer.bos_token_id
    first = tokenizer.eos_token_id if first is None else first
    kept = ids[:limit]
    return Wanted(Span([first, *kept], range(1, len(kept) + 1)), len(text[:end].encode()), cut)
