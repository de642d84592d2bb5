"""Which of a model's own answers may be rehearsed, and what is left of those that were cut."""

import re

_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]*_]*(?=\s|$)")
_BARE_MARKER = re.compile(r"(\d+[.)]|[-*•#]+|\w[.)])")
_FENCE = "```"


def refusal(text: str, truncated: bool) -> str | None:
    """Return why an answer can't be used; None when it can."""
    if not text.strip():
        return "the answer is empty"
    if truncated and complete_part(text) is None:
        return "the answer was cut before its first sentence or line ended"
    return None


def complete_part(text: str) -> str | None:
    """Return a cut answer up to its last whole sentence or line; None when there is none.

    Trained on as it was cut, it would teach the model to stop in the middle of a sentence. A code
    block that was not closed goes as a whole, and so does what only leads to something: a line
    that ends in a colon, or a list's marker without its text.
    """
    pieces = text.split(_FENCE)
    if len(pieces) % 2 == 0:
        # What stands before the block is whole by itself: the block began on a line of its own.
        text = _FENCE.join(pieces[:-1]).rstrip() + "\n"
    for end in _ends(text):
        part = text[:end].strip()
        last = part.rsplit("\n", 1)[-1].strip()
        if part and not part.endswith((":", ",")) and not _BARE_MARKER.fullmatch(last):
            return part
    return None


def _ends(text: str) -> list[int]:
    ends = {found.end() for found in _SENTENCE_END.finditer(text)}
    ends |= {place for place, sign in enumerate(text) if sign == "\n"}
    return sorted(ends, reverse=True)
