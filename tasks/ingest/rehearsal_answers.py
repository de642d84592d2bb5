"""Which of a model's answers may be rehearsed, and in which form."""

import re

_END = re.compile(r"[.!?][\"')\]*`]*(?=\s|$)|\n(?=\s*\n)")


def complete_part(text: str) -> str | None:
    """Return a cut answer up to its last whole sentence; None when there is none.

    Trained on as it was cut, it would teach the model to stop in the middle of a sentence.
    """
    ends = [found.end() for found in _END.finditer(text)]
    return (text[: ends[-1]].strip() or None) if ends else None


def refusal(text: str, truncated: bool) -> str | None:
    """Return why an answer can't be used; None when it can."""
    if not text.strip():
        return "the answer is empty"
    if truncated and complete_part(text) is None:
        return "the answer was cut before its first sentence ended"
    return None
