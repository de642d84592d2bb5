"""A tokenizer's special tokens: those of its own, in a text, and at its beginning."""

import re
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

Tokenizer = Any


def special_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """Return the tokens that are no text to a tokenizer, with their ids: markers of its format."""
    added = tokenizer.added_tokens_decoder
    found = {str(token.content): int(i) for i, token in added.items() if token.special}
    named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return found | named


def special_pattern(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Return what finds a tokenizer's special tokens in a text; None where it has none."""
    known = _PATTERNS.get(tokenizer)
    if known is None or known[0] != len(tokenizer):
        known = _PATTERNS[tokenizer] = len(tokenizer), _make_pattern(tokenizer)
    return known[1]


_PATTERNS: WeakKeyDictionary[Tokenizer, tuple[int, re.Pattern[str] | None]] = WeakKeyDictionary()


def _make_pattern(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    # The longest first: one may begin with another.
    tokens = sorted((t for t in special_tokens(tokenizer) if t.strip()), key=lambda t: (-len(t), t))
    return re.compile("|".join(map(re.escape, tokens))) if tokens else None


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Return the tokens of texts that begin alike, with the special ones the tokenizer adds.

    Texts that begin with the beginning-of-sequence token don't get a second one.
    """
    bos = tokenizer.bos_token
    twice = bool(bos) and texts[0].startswith(bos)
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=not twice)["input_ids"]
    return ids
