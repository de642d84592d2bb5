"""Text that was decoded with a wrong encoding, as ftfy's heuristic of unlikely pairs has it."""

from typing import Any

import numpy as np
import pyarrow.compute as pc

from configs.quality import Mojibake
from tasks.quality.checks.texts import Flags, each, matching

_POSSIBLE = r"[\x{80}-\x{9f}ÃÂŒœ]|[^\x00-\x7f][^\x00-\x7f]"
"""What ftfy's heuristic can only match where this does: a control character of Latin-1, one of
four letters, or two characters in a row that aren't ASCII."""


def mojibake(texts: Any, limits: Mojibake) -> Flags:
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
    possible[wide] = matching(texts.filter(wide), _POSSIBLE)
    return each(texts, possible, bad)
