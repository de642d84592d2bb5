"""JSON read without guessing: no field twice, no nesting without end, NaN as what it stands for."""

import json
from collections.abc import Sequence
from typing import Any

DEEPEST = 200
"""Levels of lists and objects; what writes a row out again needs some of Python's stack, too."""


def loads(text: str) -> Any:
    """Return the value of a JSON text.

    NaN and the infinities, which some writers put where a number is missing, become null.

    Raises:
        ValueError: It is not JSON (then ``json.JSONDecodeError``), names a field twice in one
            object, or nests deeper than :data:`DEEPEST`.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=lambda _: None)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if text.count("[") + text.count("{") > DEEPEST and _deeper_than(value, DEEPEST):
        raise ValueError(f"it is nested too deep: over {DEEPEST} levels")
    return value


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        again = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field '{again[:60]}' is there twice")
    return value


def _deeper_than(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        inner: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                inner.extend(part.values())
            elif isinstance(part, list):
                inner.extend(part)
        if not inner:
            return False
        level = inner
    return any(isinstance(part, dict | list) for part in level)
