"""What an instruction says about itself: its arguments, read and checked."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Args = Mapping[str, Any]
Kind = Callable[[Any], bool]
AT_LEAST, LESS_THAN = "at least", "less than"


class Rule(NamedTuple):
    """An instruction's rule.

    Attributes:
        kept: Whether a text keeps it, given its arguments.
        takes: The arguments it needs, each with the kind of value it takes.
        libraries: Whether it needs the extra's libraries.
    """

    kept: Callable[[str, Args], bool]
    takes: Mapping[str, Kind] = {}
    libraries: bool = False


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number from 0 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_place(value: Any) -> bool:
    """Return whether a value is a whole number from 1 on."""
    return is_count(value) and value > 0


def is_relation(value: Any) -> bool:
    """Return whether a value says how a number is compared."""
    return value in (AT_LEAST, LESS_THAN)


def is_text(value: Any) -> bool:
    """Return whether a value is a text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_letter(value: Any) -> bool:
    """Return whether a value is one character."""
    return is_text(value) and len(value.strip()) == 1


def are_texts(value: Any) -> bool:
    """Return whether a value is a list of texts, at least one."""
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


SAID: Mapping[Kind, str] = {
    is_count: "a whole number from 0 on",
    is_place: "a whole number from 1 on",
    is_relation: f"'{AT_LEAST}' or '{LESS_THAN}'",
    is_text: "a text",
    is_letter: "one character",
    are_texts: "a list of texts",
}
"""Every kind of value in words."""


def holds(number: int, relation: str, bound: int) -> bool:
    """Return whether ``number`` is at least, or less than, ``bound``."""
    return number < bound if relation == LESS_THAN else number >= bound
