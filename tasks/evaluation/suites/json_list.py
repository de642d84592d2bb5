"""The list of objects that an answer holds, whatever is written around it or broken in it.

The rules, in order:

1. The first JSON array outside any object that is empty or holds an object or a text is read
   whole; words around it don't count.
2. Where such an array begins and breaks off, its elements before the break count.
3. Where no array begins, whole objects one after the other count like an array's elements. A
   single object whose only value is an array stands for that array, broken off or not.
4. Otherwise the answer is broken: it says nothing, not even an empty list.
"""

import json
import re
from typing import Any, Literal, NamedTuple

State = Literal["whole", "partial", "broken"]

_BEGINS = re.compile(r'\[\s*(?=["{])')
_BETWEEN = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


class ParsedList(NamedTuple):
    """What an answer says.

    Attributes:
        elements: The array's elements, as JSON gives them.
        state: Whether they are all of it, those before a break, or there is nothing to read.
    """

    elements: list[Any]
    state: State


def parse_list(answer: str) -> ParsedList:
    """Return the list of objects that an answer holds, by the rules above."""
    first = answer.find("{")
    outside = answer if first < 0 else answer[:first]
    for begins in re.finditer(r"\[", outside):
        value, _ = _value(answer, begins.start())
        if isinstance(value, list) and (not value or any(_counts(v) for v in value)):
            return ParsedList(value, "whole")
    broken = _BEGINS.search(outside + answer[first : first + 1])
    if broken is not None:
        return _partial(answer, broken.end())
    return _objects(answer, first)


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
    """Return the JSON value that begins there and its end, or None and None."""
    try:
        return _DECODER.raw_decode(answer, at)
    except (ValueError, RecursionError):
        # Numbers of thousands of digits and thousands of open brackets can't be read either.
        return None, None
