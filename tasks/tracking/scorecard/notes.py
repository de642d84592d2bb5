"""What a reader of a suite's scores must know beside the metrics: what was cut or not answered."""

import html
import re
from collections.abc import Sequence

from tasks.models.served.base import WAY_OUT, named, unanswered
from tasks.scores import GateResult, SuiteScores

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


# The gates as Markdown, for the Prefect artifact and the MLflow run's description.

HEAD = (
    "metric",
    "rule",
    "base",
    "candidate",
    "difference",
    "interval",
    "items",
    "verdict",
    "reason",
)


def gates_markdown(verdict: str, results: Sequence[GateResult]) -> str:
    """Return the overall verdict and a table of the gates; text from data is escaped."""
    if not results:
        return f"**{verdict}**: the recipe declares no gates."
    lines = [_line(HEAD), _line(["---"] * len(HEAD)), *(_line(_cells(r)) for r in results)]
    told = "".join(f"\n\n{html.escape(line, quote=False)}" for line in caveats(results))
    return f"**{verdict}**\n\n" + "\n".join(lines) + told


def caveats(results: Sequence[GateResult]) -> list[str]:
    """Return what a verdict does not say: that dev items choose, and what more looks cost."""
    found = []
    if any(r.split == "dev" for r in results):
        found.append("Dev items: chosen, not confirmed. Judge on split: test before release.")
    for suite, looks, alpha in sorted(
        {(r.metric.partition("/")[0], r.seen, r.alpha) for r in results if r.seen > 1}
    ):
        found.append(
            f"{suite}: this is look {looks} at the same test items. At alpha {alpha / looks:.2g} "
            f"({alpha:g}/{looks}) all looks together would err no more often than one."
        )
    if any(r.split for r in results):
        found.append("This speaks for these weights, trained with one seed, not for the recipe.")
    return found


def _cells(r: GateResult) -> list[str]:
    needed = f"{r.n:,}" + (f" (needs {r.needed_n:,})" if r.needed_n else "")
    needed += f", seen {r.seen} times" if r.seen > 1 else ""
    against = "" if r.against in (None, "base") else f" against the {r.against}"
    return [
        r.metric,
        r.rule + against,
        f"{r.base:.4g}",
        f"{r.candidate:.4g}",
        f"{r.difference:+.4g}",
        f"{r.low:+.4g} to {r.high:+.4g}",
        needed,
        r.verdict,
        r.reason,
    ]


def _line(cells: Sequence[str]) -> str:
    # Entities for what could become HTML, backslashes for what could become Markdown.
    escaped = (re.sub(r"([\\|`*\[\]])", r"\\\1", html.escape(c, quote=False)) for c in cells)
    return "| " + " | ".join(" ".join(c.split()) for c in escaped) + " |"
