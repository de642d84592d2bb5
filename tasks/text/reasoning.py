"""What a model says, without what it thought first (``<think>``, as Qwen3 and DeepSeek-R1 do)."""

OPEN, CLOSE = "<think>", "</think>"


def strip_reasoning(text: str) -> str:
    """Return an answer without the thoughts at its beginning, and the space after them.

    Where the chat template itself opens the thought, the answer holds its end alone. An answer
    that is only a thought without an end says nothing. One without thoughts is returned as is.

    Args:
        text: All that the model wrote.
    """
    while _thinks(text):
        text = text.partition(CLOSE)[2].lstrip()
    return text


def split_reasoning(text: str) -> tuple[str, str]:
    """Return the thought at the beginning of an answer, without its marks, and what is said then.

    An answer without thoughts has an empty one; one that is only a thought without an end says
    nothing.
    """
    said = strip_reasoning(text)
    thought = text[: len(text) - len(said)] if said != text else ""
    return thought.replace(OPEN, "").replace(CLOSE, "").strip(), said


def has_unclosed_reasoning(text: str) -> bool:
    """Return whether an answer ends inside a thought, as far as its own words show it."""
    return not strip_reasoning(text) and text.rpartition(CLOSE)[2].lstrip().startswith(OPEN)


def _thinks(text: str) -> bool:
    before, closed, _ = text.partition(CLOSE)
    return before.lstrip().startswith(OPEN) or (bool(closed) and OPEN not in before)
