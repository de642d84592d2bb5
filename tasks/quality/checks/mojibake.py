"""Text that was decoded with a wrong encoding, as ftfy's heuristic of unlikely pairs has it."""

from typing import Any

import numpy as np
import pyarrow.compute as pc

from configs.quality import Mojibake
from tasks.quality.checks.row_batch import RowBatch
from tasks.quality.checks.texts import Flags, find_texts, match_pattern

_POSSIBLE = r"[\x{80}-\x{9f}ÃÂŒœ]|[^\x00-\x7f][^\x00-\x7f]"
"""What ftfy's heuristic can only match where this does: a control character of Latin-1, one of
four letters, or two characters in a row that aren't ASCII."""


def find_mojibake(texts: Any, limits: Mojibake) -> Flags:
    """Return the texts that look wrongly decoded.

    A text is found if ftfy counts more unlikely sequences than allowed, or more of them a
    character, or counts any and knows the encodings that undo them.

    Args:
        texts: An Arrow array of strings (n).
        limits: What is allowed.
    """
    from ftfy import fix_encoding
    from ftfy.badness import badness

    def bad(text: str) -> bool:
        count = badness(text)
        if count == 0:
            return False
        if count > limits.max_badness or count / len(text) > limits.max_share:
            return True
        return bool(fix_encoding(text) != text)

    wide = ~np.asarray(pc.string_is_ascii(texts).fill_null(True), dtype=bool)
    possible = np.zeros(len(texts), dtype=bool)
    possible[wide] = match_pattern(texts.filter(wide), _POSSIBLE)
    return find_texts(texts, possible, bad)


def find_mojibake_rows(batch: RowBatch) -> Flags:
    """Return the rows of which a message looks wrongly decoded."""
    limits = batch.quality.mojibake or Mojibake()
    return batch.texts.rows_with(find_mojibake(batch.texts.distinct, limits))


def locate_mojibake(text: str, _: str) -> int:
    """Return where in a text the first unlikely pair of characters stands, 0 where none does."""
    from ftfy.badness import BADNESS_RE

    match = BADNESS_RE.search(text)
    return match.start() if match else 0
