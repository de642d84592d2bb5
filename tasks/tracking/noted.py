"""What a reader of a suite's scores must know beside the metrics: what was cut or not answered."""

from tasks.artifacts import SuiteScores
from tasks.models.served.base import WAY_OUT, named, unanswered

LEFT_OUT = frozenset(
    {
        "abstention",
        "adherence",
        "brittleness",
        "dialogues",
        "ifeval",
        "refusal",
        "tool_calls",
    }
)
"""Kinds of suites whose metrics leave out what wasn't answered; in others it counts as wrong."""


def notes(scores: SuiteScores) -> list[str]:
    """Return a sentence or two on unanswered items, on cut ones and on unfinished thoughts."""
    found = [_errors(scores)] if scores.errors else []
    if scores.truncated:
        found.append(
            f"{scores.truncated:,} items were cut (truncated in the items): a prompt on its left "
            "to fit the model, a text at max_tokens, or an answer at the most tokens allowed."
        )
    if scores.unclosed:
        found.append(
            f"{scores.unclosed:,} answers ended inside a thought and say nothing: "
            "raise max_new_tokens."
        )
    return found


def _errors(scores: SuiteScores) -> str:
    counted = "are left out of the metrics" if scores.kind in LEFT_OUT else "count as wrong"
    said = f"{scores.errors:,} rows were not answered and {counted} (see error in {scores.items})."
    refused, others = unanswered(scores.items)
    if others:
        said += " Run again: what was answered is kept, and only these are asked."
    if refused:
        said += f" {_sentence(named(refused))}: {WAY_OUT}."
    return said


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:]
