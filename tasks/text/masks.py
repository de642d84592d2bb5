"""Texts as token ids, with what carries loss."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from tasks.text.special import special_pattern
from tasks.text.template import Tokenizer

IGNORED = -100
"""Label of a token without loss, as the training libraries know it."""


class Rendered(NamedTuple):
    """A row as token ids; ``labels`` equals the id where the token carries loss, else -100.

    The first token has nothing before it to be predicted from, and never carries loss.
    """

    input_ids: list[int]
    labels: list[int]

    @property
    def supervised(self) -> int:
        """Tokens that carry loss."""
        return sum(label != IGNORED for label in self.labels)


class Piece(NamedTuple):
    """A part of a row's text, all of which carries loss or none of it."""

    text: str
    supervised: bool


def mask_pieces(tokenizer: Tokenizer, pieces: Sequence[Piece]) -> Rendered | None:
    """Return a text's tokens with loss on its supervised pieces; None where a token spans two.

    The ids are those of the whole text, and they begin with the ids that the text up to any
    boundary has by itself.
    """
    texts = [piece.text for piece in pieces]
    parts = _encode_apart(tokenizer, texts)
    if parts is None:
        # Some tokenizers begin every text with a space of their own: only prefixes can be compared.
        [whole] = _encode(tokenizer, ["".join(texts)])
        prefixes = _encode(tokenizer, list(accumulate(texts)))
        if any(whole[: len(prefix)] != prefix for prefix in prefixes):
            return None
        ends = [0, *map(len, prefixes)]
        parts = [whole[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]
    return _label(parts, [piece.supervised for piece in pieces])


def _encode_apart(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]] | None:
    """Return the tokens of each text, where together they are those of the texts joined.

    None where that isn't so, or isn't known. No token reaches over a special one, so that what
    stands between two of them at a boundary is enough to tell.
    """
    around = [_cut_around(tokenizer, texts, i) for i in range(1, len(texts))]
    known = [pair for pair in around if pair is not None]
    if len(known) < len(around):
        return None
    asked = [text for before, after in known for text in (before + after, before, after)]
    made = _encode(tokenizer, [*texts, *asked])
    parts, checked = made[: len(texts)], made[len(texts) :]
    joins = zip(checked[::3], checked[1::3], checked[2::3], strict=True)
    return parts if all(joined == [*before, *after] for joined, before, after in joins) else None


def _cut_around(tokenizer: Tokenizer, texts: Sequence[str], place: int) -> tuple[str, str] | None:
    """Return what stands before and after a boundary, up to the nearest special tokens.

    None where there is none in the text on either side, and another text beyond it.
    """
    pattern = special_pattern(tokenizer)
    before, after = texts[place - 1], texts[place]
    hits = list(pattern.finditer(before)) if pattern else []
    first = pattern.search(after) if pattern else None
    if (not hits and place > 1) or (first is None and place < len(texts) - 1):
        return None
    return before[hits[-1].start() if hits else 0 :], after[: first.end()] if first else after


def mask_answer(tokenizer: Tokenizer, prompt: str, answer: str) -> Rendered | None:
    """Return a prompt's tokens and then the answer's, with loss on the answer alone.

    A token that would hold the end of the prompt and the beginning of the answer is parted: when
    the model answers, it is shown the prompt alone. None where the tokens would then spell
    something else.
    """
    pieces = [Piece(prompt, supervised=False), Piece(answer, supervised=True)]
    whole = mask_pieces(tokenizer, pieces)
    if whole is not None:
        return whole
    before, joined, alone = _encode(tokenizer, [prompt, prompt + answer, answer])
    wanted = _spell(tokenizer, joined)
    for after in (alone, *_encode_inside(tokenizer, answer)):
        if _spell(tokenizer, [*before, *after]) == wanted:
            return _label([before, after], [False, True])
    return None


def _encode_inside(tokenizer: Tokenizer, text: str) -> list[list[int]]:
    """Return a text's tokens as inside another one, where a tokenizer adds no space of its own."""
    anchor = tokenizer.eos_token or tokenizer.bos_token
    if anchor is None:
        return []
    first, whole = _encode(tokenizer, [anchor, anchor + text])
    return [whole[1:]] if len(first) == 1 and whole[:1] == first else []


def _encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return ids


def _spell(tokenizer: Tokenizer, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def _label(parts: Sequence[list[int]], supervised: Sequence[bool]) -> Rendered:
    ids = [token for part in parts for token in part]
    labels = [
        token if learnt else IGNORED
        for part, learnt in zip(parts, supervised, strict=True)
        for token in part
    ]
    return Rendered(ids, [IGNORED, *labels[1:]] if labels else [])
