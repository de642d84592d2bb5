"""Dividing a text without spaces into words, as spaCy 3.8's tokenizer for English does.

The thresholds of the Gopher rules are about such words: "can't" is two, "e.g." is one, and the
full stop behind a word is one of its own. One piece between spaces is divided by itself: affixes
are cut off until nothing changes, special words and addresses stay whole, the rest is divided at
infixes. One case differs: where the parts of a special word stand in two pieces (": )"), spaCy may
keep a shorter special word beside it apart.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from tasks.quality.rules.characters import CURRENCY, QUOTES, SIGNS, UNITS, letters, symbols
from tasks.quality.rules.special import special_words

_PAIRS = re.compile(r"[A-Za-z]+[a-z][,:;!?.]")


class _Patterns(NamedTuple):
    prefix: re.Pattern[str]
    suffix: re.Pattern[str]
    infix: re.Pattern[str]
    address: re.Pattern[str]


def split_piece(piece: str) -> list[str]:
    """Return the words of a text that holds no white space."""
    special = special_words()
    if piece in special:
        return list(special[piece])
    if piece.isalpha():
        return [piece]
    if _PAIRS.fullmatch(piece) and piece[:-1] not in special:
        return [piece[:-1], piece[-1]]
    return _with_specials(_split(piece, special))


def _split(piece: str, special: dict[str, tuple[str, ...]]) -> list[str]:
    before, middle, after = _cut_affixes(piece, special)
    return [*before, *_divide(middle, special), *reversed(after)]


def _cut_affixes(
    text: str, special: dict[str, tuple[str, ...]]
) -> tuple[list[str], str, list[str]]:
    patterns = _patterns()
    before: list[str] = []
    after: list[str] = []
    size = 0
    while text and len(text) != size and text not in special:
        size = len(text)
        found = patterns.prefix.match(text)
        head = found.end() if found else 0
        if head and text[head:] in special:
            before.append(text[:head])
            return before, text[head:], after
        found = patterns.suffix.search(text[head:]) if _may_end(text) else None
        tail = len(text) - head - found.start() if found else 0
        if tail and text[:-tail] in special:
            after.append(text[-tail:])
            return before, text[:-tail], after
        before += [text[:head]] if head else []
        after += [text[-tail:]] if tail else []
        text = text[head : len(text) - tail]
    return before, text, after


def _may_end(text: str) -> bool:
    """Return whether an end may be cut off, which spares most pieces the long pattern.

    Behind a digit nothing can be; a letter can only be part of 's, or of a unit behind a digit.
    """
    last = text[-1]
    if not last.isascii() or not last.isalnum():
        return True
    return last.isalpha() and (text[-2:-1] in ("'", "’") or any(map(str.isdecimal, text[-6:])))


def _divide(text: str, special: dict[str, tuple[str, ...]]) -> list[str]:
    if not text:
        return []
    if text in special:
        return list(special[text])
    patterns = _patterns()
    if "." in text and patterns.address.match(text):
        return [text]
    words: list[str] = []
    start = 0
    for found in patterns.infix.finditer(text):
        if found.start() == 0:
            continue
        if found.start() != start:
            words.append(text[start : found.start()])
        words.append(found.group())
        start = found.end()
    return [*words, text[start:]] if text[start:] else words


def _with_specials(words: list[str]) -> list[str]:
    """Return the words with special words put together that were cut apart, longest first."""
    special, pieces = special_words(), _special_pieces()
    ranges = [
        (i, i + n)
        for i, word in enumerate(words)
        for n in pieces.get(word, ())
        if i + n <= len(words)
    ]
    spans = [
        (i, j)
        for i, j in ranges
        if (joined := "".join(words[i:j])) in special and tuple(words[i:j]) == _plain(joined)
    ]
    if not spans:
        return words
    taken: set[int] = set()
    chosen: dict[int, int] = {}
    for start, end in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        if start not in taken and end - 1 not in taken:
            chosen[start] = end
        taken.update(range(start, end))
    return _replaced(words, chosen, special)


def _replaced(
    words: Sequence[str], chosen: dict[int, int], special: dict[str, tuple[str, ...]]
) -> list[str]:
    made: list[str] = []
    i = 0
    while i < len(words):
        end = chosen.get(i, i + 1)
        made += special["".join(words[i:end])] if i in chosen else [words[i]]
        i = end
    return made


@cache
def _special_pieces() -> dict[str, tuple[int, ...]]:
    """Return first word -> how many words special words that begin with it are cut into."""
    patterns = _patterns()
    found: dict[str, set[int]] = {}
    for word in special_words():
        if (
            patterns.prefix.match(word)
            or patterns.infix.search(word)
            or patterns.suffix.search(word)
        ):
            pieces = _plain(word)
            found.setdefault(pieces[0], set()).add(len(pieces))
    return {first: tuple(sorted(counts)) for first, counts in found.items()}


@cache
def _plain(word: str) -> tuple[str, ...]:
    """Return a special word as it is cut where the list is not used."""
    return tuple(_split(word, {}))


@cache
def _patterns() -> _Patterns:
    return _Patterns(_prefix(), _suffix(), _infix(), _address())


def _set(characters: str) -> str:
    return "".join(re.escape(c) for c in characters)


def _prefix() -> re.Pattern[str]:
    money = "|".join(re.escape(sign) for sign in CURRENCY)
    return re.compile(rf"[§%=—–]|\+(?![0-9])|\.\.+|[{_set(SIGNS + QUOTES)}]|{money}|[{symbols()}]")


def _suffix() -> re.Pattern[str]:
    lower, upper = letters("lower"), letters("upper")
    money = "|".join(re.escape(sign) for sign in CURRENCY)
    units = "|".join(re.escape(unit) for unit in UNITS)
    stop_after = rf"0-9{lower}%²\-+|{_set(SIGNS + QUOTES)}"
    return re.compile(
        rf"(?:……|\.\.+|[{_set(SIGNS + QUOTES)}—–{symbols()}]|['’][sS]|(?<=[0-9])\+"
        rf"|(?<=°[FfCcKk])\.|(?<=[0-9])(?:{money}|{units})|(?<=[{stop_after}])\."
        rf"|(?<=[{upper}][{upper}])\.)\Z"
    )


def _infix() -> re.Pattern[str]:
    every, lower, upper = letters(), letters("lower"), letters("upper")
    quotes = _set(QUOTES)
    return re.compile(
        rf"\.\.+|[…{symbols()}]|(?<=[0-9])[+\-*^](?=[0-9-])"
        rf"|(?<=[{lower}{quotes}])\.(?=[{upper}{quotes}])|(?<=[{every}]),(?=[{every}])"
        rf"|(?<=[{every}0-9])(?:---|--|——|[-–—~])(?=[{every}])|(?<=[{every}0-9])[:<>=/](?=[{every}])"
    )


def _address() -> re.Pattern[str]:
    letter = "A-Za-z0-9\u00a1-\uffff"
    private = (
        r"(?!(?:10|127)(?:\.\d{1,3}){3})(?!(?:169\.254|192\.168)(?:\.\d{1,3}){2})"
        r"(?!172\.(?:1[6-9]|2\d|3[0-1])(?:\.\d{1,3}){2})"
    )
    numbers = (
        r"(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])(?:\.(?:1?\d{1,2}|2[0-4]\d|25[0-5])){2}"
        r"\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4])"
    )
    names = rf"(?:(?:[{letter}][{letter}_-]{{0,62}})?[{letter}]\.)+[{letters('lower')}]{{2,63}}"
    return re.compile(
        rf"(?:[\w+\-.]{{2,}}://)?(?:\S+(?::\S*)?@)?(?:{private}{numbers}|{names})"
        r"(?::\d{2,5})?(?:[/?#]\S*)?\Z"
    )
