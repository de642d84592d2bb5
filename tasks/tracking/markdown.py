"""The gates as Markdown, for the Prefect artifact and the MLflow run's description."""

import html
import re
from collections.abc import Sequence

from tasks.artifacts import GateResult

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
    return f"**{verdict}**\n\n" + "\n".join(lines)


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
