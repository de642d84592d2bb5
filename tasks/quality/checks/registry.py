"""Every check of what texts hold, by name: what it finds, on which rows, and what follows.

A check takes the texts of a batch of rows and returns its findings; one line of ``CHECKS`` adds
another. What is reported stays where it is and is counted; what is quarantined is set aside.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow.compute as pc

from configs.stages import Quality
from tasks.quality.checks.engines import Engine, Found, PatternEngine, personal_engine
from tasks.quality.checks.language import languages
from tasks.quality.checks.mojibake import mojibake
from tasks.quality.checks.texts import Flags, Texts, texts_of, whole_texts

Severity = Literal["off", "report", "quarantine"]
Found_ = Mapping[str, Flags]
_BATCH = 50_000


class Check(NamedTuple):
    """One check, or several that are computed together.

    Attributes:
        severity: What follows from a finding under a recipe; ``redact`` is done beforehand.
        prepare: Returns what is needed for all batches.
        find: Finding -> the rows of a batch that have it.
    """

    severity: Callable[[Quality], Severity]
    prepare: Callable[[Quality], Any]
    find: Callable[[Texts, Quality, Any], Found_]


class Findings(NamedTuple):
    """Finding -> rows (n), by what follows, and the rows' languages where they were asked for."""

    quarantined: dict[str, Flags]
    reported: dict[str, Flags]
    languages: dict[str, int]


def run_checks(table: Any, quality: Quality) -> Findings:
    """Return what every check finds in a table of chat rows (n).

    Raises:
        DataError: A check asks for a library that isn't installed.
    """
    asked = [(check, check.severity(quality), check.prepare(quality)) for check in CHECKS
             if check.severity(quality) != "off"]  # fmt: skip
    parts: dict[Severity, list[dict[str, Flags]]] = {"quarantine": [], "report": []}
    counts: dict[str, int] = {}
    for batch in table.select(["messages"]).to_batches(max_chunksize=_BATCH):
        texts = texts_of(batch)
        made: dict[Severity, dict[str, Flags]] = {"quarantine": {}, "report": {}}
        for check, severity, prepared in asked:
            made[severity] |= check.find(texts, quality, prepared)
        for severity, found in made.items():
            parts[severity].append(found)
        _add(counts, prepared_counts(asked))
    return Findings(_joined(parts["quarantine"]), _joined(parts["report"]), counts)
