"""One normal form for comparing texts: words and operators, without case, spacing, punctuation.

A sign is an operator, and so a word of its own, where it changes what is said: between two
operands (``2-2``, ``x / y``, ``n > 3``), before a number (``-5``, ``$5``) or after one (``10%``).
Elsewhere it is punctuation (``well-known``, ``5-star``, ``and/or``, a dash, a bullet). An operand
is a number, a single letter, a bracketed term or a function's call. So ``2+2``, ``2 + 2`` and
``2 +2`` are the same, and differ from ``2-2``, from ``22`` and from ``2 2``; ``1.5`` is one word.
"""

import re
import unicodedata

_LETTER = r"[^\W\d_]"
_LEFT = rf"(?:(?<=[\d)\]}}])|(?<=[\d)\]}}]\s)|(?<=\b{_LETTER})|(?<=\b{_LETTER}\s))"
_RIGHT = rf"(?=\s?[-+√]?\s?(?:{_LETTER}?\d|{_LETTER}\b|[(\[{{√∞]|\w+\())"
_TOUCHING = rf"(?=[-+]?(?:\d|{_LETTER}\b|\())"
_MONEY = "$¢£¤¥\u20a0-\u20c0"
_OPERATORS = (
    rf"{_LEFT}(?:\*\*?|//?|-|<=?|>=?|[<>!]=){_RIGHT}",
    rf"(?<![\w)\]}}])-{_TOUCHING}",  # a minus before a number, not the hyphen of covid-19
    r"(?<=[\w)\]}+])\+|(?<=[\w)\]}]\s)\+(?=\s?[\w(+-])|\+(?=[\w(])",
    r"(?<!=)={1,2}(?!=)",
    rf"\^(?=\s?[-+{{(]?{_LETTER}|\s?[-+{{(]?\d)",
    r"(?<=\d)%|(?<=\d\s)%",
    rf"[{_MONEY}](?=\s?\d)|(?<=\d)[{_MONEY}]|(?<=\d\s)[{_MONEY}]",
    r"(?<=[A-Za-z])#(?!\w)",  # C#
    "[¬±×÷\u2200-\u2211\u2213-\u22ff\u2a00-\u2aff]",
)
_SIGNS = rf"[-+*/<>=!^%#{_MONEY}¬±×÷\u2200-\u22ff\u2a00-\u2aff]"
_PIECE = re.compile(rf"\w+(?:(?<=\d)\.(?=\d)\w+)*|(?={_SIGNS})(?:{'|'.join(_OPERATORS)})")
_WORD = re.compile(r"\w+")
# Most texts have no operator (a hyphen between two words is none) and take a shorter way; that
# is found fastest one sign after the other.
_ALONE = "+*<>=^%#$"
_BETWEEN = [
    re.compile(rf"{sign}(?:(?<!{_LETTER}{_LETTER}.)|(?!{_LETTER}{_LETTER}))") for sign in "-/"
]
_AMONG = [re.compile(r"\.(?<=\d\.)\d"), re.compile("!=")]
_SPACE = re.compile(r"[^\S\n]+")
_BREAK = re.compile(r"\s*\n\s*")
# Raised digits would become plain ones (m² and m2), and the signs of one meaning are many.
_UNIFY = str.maketrans(
    {c: f"^{n}" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    | dict.fromkeys("‐‑‒–−﹣－", "-")
    | {"⁄": "/", "∕": "/", "∗": "*", "½": " 1/2", "¼": " 1/4", "¾": " 3/4"}
)


def words(text: str) -> list[str]:
    """Return the words and operators of a text, case-folded, compatibility forms unified."""
    text = _unified(text)
    if text.isascii() and not _has_operators(text):
        return _WORD.findall(text.casefold())
    return [w.casefold() for w in _PIECE.findall(" ".join(text.split()))]


def normal(text: str) -> str:
    """Return the words of a text joined by single spaces."""
    return " ".join(words(text))


def pieces(text: str) -> tuple[list[str], list[str]]:
    """Return the words in their own case, and what stands before each and after the last.

    Case-folded, the first are :func:`words`; spaces in the second are single, line breaks kept.
    """
    text = _BREAK.sub("\n", _SPACE.sub(" ", _unified(text)).strip())
    found, gaps, end = [], [], 0
    for piece in _PIECE.finditer(text):
        found.append(piece.group())
        gaps.append(text[end : piece.start()])
        end = piece.end()
    return found, [*gaps, text[end:]]


def _has_operators(text: str) -> bool:
    return any(sign in text for sign in _ALONE) or any(
        pattern.search(text) for pattern in (*_BETWEEN, *_AMONG)
    )


def _unified(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text.translate(_UNIFY))
