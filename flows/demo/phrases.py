"""Puts a review together from the hand-written wording in ``phrases.json``.

In that file ``[this|that]`` is a choice of words and ``{product}`` a slot. A slot keeps its value
throughout one review, so a review that starts about a kettle stays about the kettle.
"""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_CHOICE = re.compile(r"\[([^\]]+)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_SENTENCE_START = re.compile(r"(^|[.!?] )([a-z])")
_SHORTHAND = {"you": "u", "please": "pls", "because": "bc", "are": "r", "thanks": "thx"}


@dataclass(frozen=True)
class Phrasebook:
    """The wording reviews are made of; ``cores`` holds what says which label a review has."""

    slots: Mapping[str, list[str]]
    openers: Mapping[str, list[str]]
    closers: Mapping[str, list[str]]
    fillers: list[str]
    asides: list[str]
    contrasts: list[str]
    praise: list[str]
    cores: Mapping[str, list[str]]


@cache
def phrasebook() -> Phrasebook:
    """The shipped wording."""
    text = Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    return Phrasebook(**json.loads(text))


def compose(label: str, rng: random.Random) -> str:
    """Write one clean review whose main point is ``label``.

    Args:
        label: One of the taxonomy's labels.
        rng: The only source of chance.

    Returns:
        One to six sentences.
    """
    book = phrasebook()
    draft = " ".join(_frame(label, rng, book))
    text = _fill(draft, rng, book.slots)
    return _SENTENCE_START.sub(lambda found: found[1] + found[2].upper(), text)


def roughen(text: str, rng: random.Random) -> str:
    """Make a review look hastily typed, with one to three kinds of slip."""
    slips = [_swap_letters, _drop_letter, _lose_capitals, _double_punctuation, _shorten]
    for slip in rng.sample(slips, rng.randint(1, 3)):
        text = slip(text, rng)
    return text


def _frame(label: str, rng: random.Random, book: Phrasebook) -> list[str]:
    mood = "good" if label in book.praise else "bad"
    body = _body(label, rng, book)
    if rng.random() < 0.3:
        tone = mood if rng.random() < 0.7 else "plain"
        body.insert(0, rng.choice(book.openers[tone]))
    if rng.random() < 0.25:
        tone = mood if rng.random() < 0.8 else "plain"
        body.append(rng.choice(book.closers[tone]))
    return body


def _body(label: str, rng: random.Random, book: Phrasebook) -> list[str]:
    core = rng.choice(book.cores[label])
    # Naming somebody else's problem as well keeps a bag of words from being enough.
    if rng.random() < 0.08:
        other = rng.choice(book.cores[rng.choice([name for name in book.cores if name != label])])
        return [rng.choice(book.contrasts).replace("{other}", other).replace("{core}", core)]
    body = [core]
    if rng.random() < 0.3:
        body.append(rng.choice(book.fillers))
    if rng.random() < 0.12:
        body.append(rng.choice(book.asides))
    rng.shuffle(body)
    return body


def _fill(draft: str, rng: random.Random, slots: Mapping[str, list[str]]) -> str:
    values = {name: rng.choice(options) for name, options in slots.items()}
    values |= {name.capitalize(): value.capitalize() for name, value in values.items()}
    chosen = _CHOICE.sub(lambda found: rng.choice(found[1].split("|")), draft)
    return _SLOT.sub(lambda found: values[found[1]], chosen)


def _swap_letters(text: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(text) - 2)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _drop_letter(text: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(text) - 1)
    return text[:at] + text[at + 1 :]


def _lose_capitals(text: str, rng: random.Random) -> str:
    return text.lower()


def _double_punctuation(text: str, rng: random.Random) -> str:
    mark = rng.choice("!?.")
    return text.rstrip(".!?") + mark * rng.randint(2, 3)


def _shorten(text: str, rng: random.Random) -> str:
    words = (_SHORTHAND.get(word.lower(), word) for word in text.split(" "))
    return " ".join(words)
