"""The list that an answer holds, whatever is written around it or broken in it.

The rules, in order:

1. The first array outside any object that is empty or holds an object or a text is read whole;
   words and fences around it don't count. It may be JSON, or a list as Python writes it ('a').
2. Where such an array begins and breaks off, its elements before the break count.
3. Where no array begins, whole objects one after the other count like an array's elements. A
   single object whose only value is an array stands for that array, broken off or not.
4. Without array and object, lines with bullets or numbered from 1 are the elements, as texts.
5. Otherwise the answer is broken: it says nothing, not even an empty list.
"""

import ast
import json
import re
from typing import Any, Literal, NamedTuple

State = Literal["whole", "partial", "broken"]

_BEGINS = re.compile(r"""\[\s*(?=["'{])""")
_BETWEEN = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()
_PYTHON = re.compile(r"[\[{,:]\s*'")
"""What shows that a list or an object is written as Python does."""
_TEXT = re.compile(r"'(?:[^'\\\n]|\\.)*'")
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[\[\]{}]""", re.DOTALL)
_ARRAYS = 50
"""Brackets at which an array is looked for: an answer may be nothing but brackets."""
_BULLET = re.compile(r"[-*+•–]\s+(.*)")
_NUMBERED = re.compile(r"(\d+)[.)]\s+(.*)")


class ParsedList(NamedTuple):
    """What an answer says.

    Attributes:
        elements: The list's elements, as JSON gives them.
        state: Whether they are all of it, those before a break, or there is nothing to read.
    """

    elements: list[Any]
    state: State


def parse_list(answer: str) -> ParsedList:
    """Return the list that an answer holds, by the rules above."""
    first = answer.find("{")
    outside = answer if first < 0 else answer[:first]
    for number, begins in enumerate(re.finditer(r"\[", outside)):
        if number == _ARRAYS:
            break
        value, _ = _value(answer, begins.start())
        if isinstance(value, list) and (not value or any(_counts(v) for v in value)):
            return ParsedList(value, "whole")
    broken = _BEGINS.search(outside + answer[first : first + 1])
    if broken is not None:
        return _partial(answer, broken.end())
    found = _objects(answer, first)
    listed = _bullets(answer) if found.state == "broken" and first < 0 else []
    return ParsedList(listed, "whole") if listed else found


def _bullets(answer: str) -> list[Any]:
    """Return the texts of lines with bullets, else of lines that are numbered from 1 on."""
    lines = [line.strip() for line in answer.splitlines()]
    found = [match[1] for line in lines if (match := _BULLET.fullmatch(line))]
    if not found:
        numbered = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
        counted = [int(match[1][:9]) for match in numbered] == list(range(1, len(numbered) + 1))
        # One line alone may be a label that begins with a number.
        found = [match[2] for match in numbered] if counted and len(numbered) > 1 else []
    return [clean for text in found if (clean := text.strip("*_`\"',; \t"))]


def _partial(answer: str, at: int) -> ParsedList:
    elements, _ = _elements(answer, at)
    return ParsedList(elements, "partial" if elements else "broken")


def _objects(answer: str, first: int) -> ParsedList:
    found, end = _elements(answer, first) if first >= 0 else ([], 0)
    if not found:
        # An object that breaks off may hold an array that begins.
        broken = _BEGINS.search(answer)
        return ParsedList([], "broken") if broken is None else _partial(answer, broken.end())
    if "{" in answer[end:]:
        return ParsedList(found, "partial")
    values = list(found[0].values()) if isinstance(found[0], dict) else []
    if len(found) == len(values) == 1 and isinstance(values[0], list):
        return ParsedList(values[0], "whole")
    return ParsedList(found, "whole")


def _counts(value: object) -> bool:
    return isinstance(value, dict | str)


def _elements(answer: str, at: int) -> tuple[list[Any], int]:
    """Return the values one after the other up to something that is none, and where that is."""
    found = []
    while at < len(answer):
        value, end = _value(answer, at)
        if end is None:
            break
        found.append(value)
        between = _BETWEEN.match(answer, end)
        at = between.end() if between is not None else end
    return found, at


def _value(answer: str, at: int) -> tuple[Any, int | None]:
    """Return the value that begins there and its end, or None and None."""
    try:
        return _DECODER.raw_decode(answer, at)
    except (ValueError, RecursionError):
        # Numbers of thousands of digits and thousands of open brackets can't be read either.
        end = _python_end(answer, at)
    if end is None:
        return None, None
    try:
        value = ast.literal_eval(answer[at:end])
        # Only what JSON could have said as well: no sets, no bytes, no keys that are numbers.
        return json.loads(json.dumps(value)), end
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None, None


def _python_end(answer: str, at: int) -> int | None:
    """Return the end of what Python would write there: a quoted text, a list or a dictionary."""
    if answer.startswith("'", at):
        text = _TEXT.match(answer, at)
        return None if text is None else text.end()
    if answer[at : at + 1] not in ("[", "{") or _PYTHON.search(answer, at) is None:
        return None
    depth = 0
    for token in _TOKEN.finditer(answer, at):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return None
