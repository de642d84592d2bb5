"""The fixed label list of a classification, and which label an answer is."""

from collections.abc import Iterable, Mapping

from tasks.evaluation.paths import canonical, normal, path_of, shown
from tasks.metrics.matching import LabelPath


def label_index(labels: Iterable[str]) -> dict[str, str]:
    """Return each label's normal form (case and runs of space don't count) with the label."""
    return {_normal(label): label for label in labels}


def label_of(answer: str, index: Mapping[str, str]) -> str | None:
    """Return the label that an answer's first line is, or None: an invalid answer."""
    lines = answer.strip().splitlines()
    return index.get(_normal(lines[0])) if lines else None


def tidy(label: str, hierarchy: str | None) -> str:
    """Return a label with levels as it is stored; one without levels as it is."""
    return label if hierarchy is None else shown(path_of(label, hierarchy))


def path_said(answer: str, known: Mapping[LabelPath, LabelPath], hierarchy: str) -> str | None:
    """Return the path that an answer's first line is, or None where its first level is unknown.

    Where only its first levels are known, they still count at theirs.
    """
    lines = answer.strip().splitlines()
    path = canonical(path_of(lines[0], hierarchy), known) if lines else ()
    return shown(path) if path and normal(path[:1]) in known else None


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())
