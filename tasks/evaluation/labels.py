"""The fixed label list of a classification, and which label an answer is."""

from collections.abc import Iterable, Mapping


def label_index(labels: Iterable[str]) -> dict[str, str]:
    """Return each label's normal form (case and runs of space don't count) with the label."""
    return {_normal(label): label for label in labels}


def label_of(answer: str, index: Mapping[str, str]) -> str | None:
    """Return the label that an answer's first line is, or None: an invalid answer."""
    lines = answer.strip().splitlines()
    return index.get(_normal(lines[0])) if lines else None


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())
