"""The files that Amazon Nova's evaluator leaves, read back.

Their form is that of the evaluator's guide: ``results_[timestamp].json`` holds ``results.all``, or
one block of a name like ``custom|gen_qa_gen_qa|0`` for data of one's own, with ``NAME`` and mostly
``NAME_stderr``; ``inference_output.jsonl`` is there for data of one's own alone. The guide names no
per-item form for the benchmarks that could be relied on (its Parquet details have no described
columns), so that these are read as numbers.
"""

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tasks.errors import EvaluationError


class Number(NamedTuple):
    """One metric as the evaluator tells it; ``stderr`` is None where it tells none."""

    value: float
    stderr: float | None


class Output(NamedTuple):
    """One line of ``inference_output.jsonl``; ``metadata`` is what was sent with the item."""

    prompt: str
    prediction: str
    gold: str
    metadata: str


def read_results(file: Path) -> dict[str, Number]:
    """Return the metrics of ``results_*.json``.

    Raises:
        EvaluationError: The file isn't such a file.
    """
    try:
        results: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["results"]
        numbers = {
            n: float(v)
            for n, v in _block(results).items()
            if isinstance(v, int | float) and not isinstance(v, bool)
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"these are no results of Nova's evaluator: {error}",
            where=str(file),
            fix="give its results_*.json.",
        ) from error
    return {
        n: Number(v, numbers.get(f"{n}_stderr"))
        for n, v in numbers.items()
        if not n.endswith("_stderr")
    }


def read_outputs(file: Path) -> list[Output]:
    """Return the answers of ``inference_output.jsonl``.

    Raises:
        EvaluationError: A line isn't such a line; it is named.
    """
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            found.append(
                Output(
                    str(row["prompt"]),
                    _answer(row["inference"]),
                    str(row["gold"]),
                    str(row.get("metadata") or ""),
                )
            )
        except (ValueError, LookupError, SyntaxError, TypeError, AttributeError) as error:
            raise EvaluationError(
                f"line {number} is no answer of Nova's evaluator: {error!r}.",
                where=f"{file}:{number}",
                fix="give its inference_output.jsonl.",
            ) from error
    return found


def _block(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the numbers over everything: ``all``, or the one block of one's own data."""
    if results.get("all"):
        return dict(results["all"])
    named = {name: block for name, block in results.items() if name != "all"}
    if len(named) != 1:
        raise KeyError("neither 'all' nor a single block")
    return dict(next(iter(named.values())))


def _answer(inference: Any) -> str:
    """Return the first answer; the evaluator writes the list of them as Python would print it."""
    given = ast.literal_eval(inference) if isinstance(inference, str) else inference
    return str(given[0])
