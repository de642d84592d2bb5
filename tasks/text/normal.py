"""One normal form for comparing texts: words and operators, without case, spacing, punctuation.

A sign is an operator, and so a word of its own, where it changes what is said: between two
operands (``2-2``, ``x / y``, ``n > 3``), before a number (``-5``, ``$5``) or after one (``10%``).
Elsewhere it is punctuation (``well-known``, ``5-star``, ``and/or``, a dash, a bullet). An operand
is a number, a single letter, a bracketed term or a function's call. So ``2+2``, ``2 + 2`` and
``2 +2`` are the same, and differ from ``2-2``, from ``22`` and from ``2 2``; ``1.5`` is one word.

A word is letters, digits and the marks that stand on them, in every script: a vowel or a tone makes
another word. Emoji and other pictures are words of their own, and so are ``:)`` and its like. Signs
that are not seen (joiners, soft hyphens, marks of direction, variants of a picture) say nothing.
"""

import re
import unicodedata
from collections.abc import Iterable


def _join_ranges(points: Iterable[int]) -> str:
    """Return code points in ascending order as the inside of a character class."""
    ranges: list[list[int]] = []
    for point in points:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"{chr(a)}-{chr(b)}" if b > a else chr(a) for a, b in ranges)


_UNSEEN = (
    0xAD,
    0x34F,
    0x61C,
    0xFEFF,
    *range(0x200C, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0x180B, 0x1810),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
)
"""Signs without a look of their own: they join, part, turn or vary what stands beside them."""
_KINDS = {p: unicodedata.category(chr(p)) for p in range(0x80, 0x20000)}
_UNDRAWN = range(0x2500, 0x25A0)  # boxes and blocks, which draw tables
MARKS = _join_ranges(p for p, kind in _KINDS.items() if kind[0] == "M" and p not in _UNSEEN)
"""Inside of a character class: the marks that stand on letters (Unicode's category M)."""
_EMOJI = range(0x1F000, 0x1FB00)  # also those that this Python doesn't know yet
_PICTURES = _join_ranges(
    p
    for p, kind in _KINDS.items()
    if (kind == "So" and p >= 0x300 and p not in _UNDRAWN) or p in _EMOJI
)
_FACE = r"[:;](?<!\S[:;])['’]?-?[()\[\]DPp|/](?!\w)"

_LETTER = "[A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u052f]"
_MONEY = "$¢£¤¥\u20a0-\u20c0"
_SIGNS = rf"[-+*/<>=!^%#{_MONEY}¬±×÷\u2200-\u22ff\u2a00-\u2aff]"


def _compile_pieces(mark: str, pictures: str) -> re.Pattern[str]:
    """Return the pattern of words and operators.

    Args:
        mark: What words have besides letters, digits and the underscore.
        pictures: Signs each of which is a word.
    """
    word = rf"\w+(?:[{mark}]+\w*)*" if mark else r"\w+"
    left = rf"(?:(?<=[\d)\]}}}}])|(?<=[\d)\]}}}}]\s)|(?<=\b{_LETTER})|(?<=\b{_LETTER}\s))"
    right = rf"(?=\s?[-+√]?\s?(?:{_LETTER}?\d|{_LETTER}\b|[(\[{{√∞]|{word}\())"
    touching = rf"(?=[-+]?(?:\d|{_LETTER}\b|\())"
    operators = (
        rf"{left}(?:\*\*?|//?|-|<=?|>=?|[<>!]=){right}",
        rf"(?<![\w{mark})\]}}])-{touching}",  # a minus before a number, not covid-19's hyphen
        rf"(?<=[\w{mark})\]}}+])\+|(?<=[\w{mark})\]}}]\s)\+(?=\s?[\w(+-])|\+(?=[\w(])",
        r"(?<!=)={1,2}(?!=)",
        rf"\^(?=\s?[-+{{(]?{_LETTER}|\s?[-+{{(]?\d)",
        r"(?<=\d)%|(?<=\d\s)%",
        rf"[{_MONEY}](?=\s?\d)|(?<=\d)[{_MONEY}]|(?<=\d\s)[{_MONEY}]",
        r"(?<=[A-Za-z])#(?!\w)",  # C#
        "[¬±×÷\u2200-\u2211\u2213-\u22ff\u2a00-\u2aff]",
    )
    words = rf"{word}(?:(?<=\d)\.(?=\d){word})*"
    picture = f"|[{pictures}]" if pictures else ""
    return re.compile(rf"{words}|{_FACE}|(?={_SIGNS})(?:{'|'.join(operators)}){picture}")


# Texts that have neither marks nor pictures (European letters are below them) are read quicker.
_BEYOND = re.compile("[\u0300-\U0010ffff]")
_PIECE, _PLAIN_PIECE = _compile_pieces(MARKS, _PICTURES), _compile_pieces("", "")
_WORD = re.compile(r"\w+")
# Most texts have no operator (a hyphen between two words is none) and take a shorter way; that
# is found fastest one sign after the other.
_ALONE = "+*<>=^%#$"
_BETWEEN = [
    re.compile(rf"{sign}(?:(?<!{_LETTER}{_LETTER}.)|(?!{_LETTER}{_LETTER}))") for sign in "-/"
]
_AMONG = [re.compile(r"\.(?<=\d\.)\d"), re.compile("!="), re.compile(_FACE)]
_SPACE = re.compile(r"[^\S\n]+")
_BREAK = re.compile(r"\s*\n\s*")
# Raised digits would become plain ones (m² and m2), and the signs of one meaning are many.
_UNIFY = str.maketrans(
    {c: f"^{n}" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    | dict.fromkeys("‐‑‒–−﹣－", "-")
    | {"⁄": "/", "∕": "/", "∗": "*", "½": " 1/2", "¼": " 1/4", "¾": " 3/4"}
    | dict.fromkeys(_UNSEEN)
)


def to_nfc(text: str) -> str:
    """Return a text with every letter and its marks as one character where there is one (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """Return a label or short answer as it is compared: case, space, encoding of marks don't count.

    Punctuation does: ``C++`` is not ``C``.
    """
    folded = text.casefold() if text.isascii() else to_nfc(to_nfc(text).casefold())
    return " ".join(folded.split())


def words(text: str) -> list[str]:
    """Return the words and operators of a text, case-folded, compatibility forms unified."""
    text = _unified(text)
    if text.isascii() and not _has_operators(text):
        return _WORD.findall(text.casefold())
    return [_fold_word(w) for w in _choose_pattern(text).findall(" ".join(text.split()))]


def normal(text: str) -> str:
    """Return the words of a text joined by single spaces."""
    return " ".join(words(text))


def pieces(text: str) -> tuple[list[str], list[str]]:
    """Return the words in their own case, and what stands before each and after the last.

    Case-folded, the first are :func:`words`; spaces in the second are single, line breaks kept.
    """
    text = _BREAK.sub("\n", _SPACE.sub(" ", _unified(text)).strip())
    found, gaps, end = [], [], 0
    for piece in _choose_pattern(text).finditer(text):
        found.append(piece.group())
        gaps.append(text[end : piece.start()])
        end = piece.end()
    return found, [*gaps, text[end:]]


def _choose_pattern(text: str) -> re.Pattern[str]:
    return _PLAIN_PIECE if text.isascii() or not _BEYOND.search(text) else _PIECE


def _fold_word(word: str) -> str:
    # The Turkish capital of i has its dot as a mark once folded, which its small letter has not.
    return word.casefold().replace("i\u0307", "i")


def _has_operators(text: str) -> bool:
    return any(sign in text for sign in _ALONE) or any(
        pattern.search(text) for pattern in (*_BETWEEN, *_AMONG)
    )


def _unified(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text.translate(_UNIFY))
