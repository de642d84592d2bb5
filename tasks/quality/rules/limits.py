"""Thresholds of a recipe as the numbers that compiled rules take."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from configs.quality import TextRules
from tasks.quality.rules.c4 import C4Limits
from tasks.quality.rules.explanations import EXPLANATIONS
from tasks.quality.rules.fineweb import FineWebLimits, SignLimits
from tasks.quality.rules.gopher import GopherLimits
from tasks.quality.rules.repetition import RepetitionLimits


class Limits(NamedTuple):
    """Every family's thresholds, and whether it is asked."""

    asked: tuple[bool, bool, bool, bool, bool]
    gopher: GopherLimits
    repetition: RepetitionLimits
    c4: C4Limits
    fineweb: FineWebLimits
    signs: SignLimits


def limits_of(rules: TextRules) -> Limits:
    """Return the thresholds as the compiled rules take them."""
    default = TextRules()
    asked = [getattr(rules, family) is not None for family in EXPLANATIONS]
    return Limits(
        (asked[0], asked[1], asked[2], asked[3], asked[4]),
        GopherLimits(*_numbers(rules.gopher or default.gopher)),
        RepetitionLimits(*_numbers(rules.repetition or default.repetition)),
        C4Limits(*_numbers(rules.c4 or default.c4)),
        FineWebLimits(*_numbers(rules.fineweb or default.fineweb)),
        SignLimits(*_numbers(rules.signs or default.signs)),
    )


def _numbers(section: Any) -> Sequence[Any]:
    values = section.model_dump()
    return [
        _unasked(name) if value is None else float(value) if _is_share(section, name) else value
        for name, value in values.items()
    ]


def _is_share(section: Any, name: str) -> bool:
    return "float" in str(type(section).model_fields[name].annotation) and not isinstance(
        getattr(section, name), tuple
    )


def _unasked(name: str) -> float:
    return -math.inf if name.startswith("min") else math.inf
