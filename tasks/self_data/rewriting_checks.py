"""Whether a rewriting says what its target said."""

import re
from collections.abc import Collection
from typing import NamedTuple

from tasks.models.api import Answer
from tasks.text.normal import normal, words

SHORT = 5
"""Words up to which a target is an answer that a rewriting has to give as it is."""
ECHOED = 4
"""Words of the template in a row that no rewriting says by itself."""

EMPTY, CUT, SAME = "empty", "cut, or its prompt was", "in the same words"
ECHO, ANSWER, NUMBERS = "repeats what was asked", "lacks the short answer", "lacks a number"
OTHER_LABEL, OVERLAP = "lacks the label, or names another", "keeps too few of the words"
_DIGIT = re.compile(r"\d")


class RewritingRules(NamedTuple):
    """What rewritings of a source are held to.

    Attributes:
        labels: The source's classes; empty where its labels are no classes.
        template: What the base was asked.
        min_overlap: Least share of a target's distinct words that the rewriting has.
    """

    labels: Collection[str]
    template: str
    min_overlap: float


def find_fault(target: str, label: str | None, made: Answer, rules: RewritingRules) -> str | None:
    """Return what speaks against a rewriting; None where it may take the target's place.

    Texts are compared in normal form, by whole words: a short target, a label and every number of
    the target have to be in the rewriting.

    Args:
        target: What it is to say; it has words.
        label: The row's class, where it has one.
        made: The base's answer.
        rules: What it is held to.
    """
    if made.error is not None or not made.text.strip():
        return EMPTY
    if made.truncated:
        return CUT
    wanted, said = words(target), words(made.text)
    if wanted == said:
        return SAME
    if _is_echo(made.text, rules.template):
        return ECHO
    if label is not None and not _is_label_kept(label, target, made.text, rules.labels):
        return OTHER_LABEL
    if len(wanted) <= SHORT and not _contains(said, wanted):
        return ANSWER
    if {w for w in wanted if _DIGIT.search(w)} - set(said):
        return NUMBERS
    if len(set(wanted) & set(said)) < rules.min_overlap * len(set(wanted)):
        return OVERLAP
    return None


def _is_label_kept(label: str, target: str, text: str, labels: Collection[str]) -> bool:
    """Return whether a text names the label where the target does, and no class besides."""
    before, after = _find_labels(labels, target), _find_labels(labels, text)
    return after <= before | {label} and (label in after or label not in before)


def _find_labels(labels: Collection[str], text: str) -> set[str]:
    said = f" {normal(text)} "
    return {label for label in labels if f" {normal(label)} " in said}


def _contains(said: list[str], wanted: list[str]) -> bool:
    return f" {' '.join(wanted)} " in f" {' '.join(said)} "


def _is_echo(text: str, template: str) -> bool:
    said = f" {normal(text)} "
    parts = re.split(r"\{prompt\}|\{answer\}|[.:!?]\s|\n", template)
    return any(len(words(part)) >= ECHOED and f" {normal(part)} " in said for part in parts)
