"""The rules for prose as checks: asked of rows that are plain text, unless a recipe says of all."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from configs.quality import Quality, Severity
from tasks.quality.checks.row_batch import CheckContext, RowBatch
from tasks.quality.checks.texts import Flags, join_texts


def rule_severity(family: str) -> Callable[[Quality], Severity | None]:
    """Return what a recipe does with rows that a family's rules find, as a function."""

    def severity(quality: Quality) -> Severity | None:
        asked = quality.text_rules != "off" and getattr(quality.rules, family) is not None
        return "quarantine" if asked else None

    return severity


def find_by_rule(name: str) -> Callable[[RowBatch], Flags]:
    """Return the check that finds the rows that one rule finds first of its family."""
    return lambda batch: batch.share(_find_by_rules).get(name, batch.nothing())


def _find_by_rules(batch: RowBatch) -> dict[str, Flags]:
    asked = batch.texts.plain
    if batch.quality.text_rules == "on":
        asked = np.ones(len(batch), dtype=bool)
    if not asked.any():
        return {}
    found = {}
    texts = join_texts(batch.texts).filter(pa.array(asked))
    for name, hit in batch.context.share(_open_filter)(texts).items():
        found[name] = batch.nothing()
        found[name][asked] = hit
    return found


def _open_filter(context: CheckContext) -> Callable[[pa.Array], dict[str, Flags]]:
    # Compiled rules take seconds to load, which sources of chat rows need not wait for.
    from tasks.quality.prose.filter import ProseFilter

    return ProseFilter(context.quality.rules).find
