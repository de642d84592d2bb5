"""Checks of the texts themselves: how long they are, and what signs they hold."""

import re

import numpy as np
import pyarrow.compute as pc

from tasks.quality.checks.row_batch import RowBatch
from tasks.quality.checks.texts import Flags, as_bools

CONTROL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x{9f}\\x{fffd}]"


def find_control_characters(batch: RowBatch) -> Flags:
    """Return the rows any text of which holds a control character or U+FFFD."""
    return batch.flat.find_pattern(CONTROL)


def locate_control_character(text: str, _: str) -> int:
    """Return where in a text the first control character stands, 0 where none does."""
    found = re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f�]", text)
    return found.start() if found else 0


def find_long(batch: RowBatch) -> Flags:
    """Return the rows any text of which is longer than ``max_chars``."""
    found = batch.nothing()
    for texts, row in batch.flat.all_texts():
        found[row[as_bools(pc.greater(pc.utf8_length(texts), batch.quality.max_chars))]] = True
    return found


def find_short(batch: RowBatch) -> Flags:
    """Return the rows whose messages are shorter than ``min_chars`` together."""
    texts = batch.texts
    lengths = np.asarray(pc.utf8_length(texts.distinct), dtype=np.int64)[texts.which]
    chars = np.bincount(texts.row, weights=lengths, minlength=texts.rows)
    return np.asarray(chars < batch.quality.min_chars, dtype=bool)
