"""Two models' results of other evaluation tools, judged by gates: no recipe, no model."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tasks.gates.decision import Verdict
from tasks.gates.stage import overall
from tasks.pages import render, write_page
from tasks.result_files.stage import judge_results, read_gates
from tasks.scores import GateResult
from tasks.storage import write_text
from tasks.tracking.scorecard.notes import gates_markdown


class Judgement(BaseModel):
    """What came of it.

    Attributes:
        verdict: Over all gates.
        summary: Markdown for a pull request.
        page: The page with the same table; None where none was asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    gates: tuple[GateResult, ...]
    summary: str
    page: str | None = None


def judge(base: Path, candidate: Path, gates: Path, out: Path | None = None) -> Judgement:
    """Return whether a candidate may ship, by per-item results that are there already.

    Args:
        base: A folder or file of results (see ``tasks.result_files``).
        candidate: The same tool's on the candidate.
        gates: A YAML file with ``gates:`` as in a recipe, and ``metrics:`` where direction or range
            of a metric isn't clear.
        out: Folder for ``summary.md``, ``judgement.html`` and ``judgement.json``.

    Raises:
        DataError: Results or gates can't be read.
        EvaluationError: The two can't be paired.
    """
    results = judge_results(base, candidate, read_gates(gates))
    verdict = overall(results)
    summary = f"{gates_markdown(verdict, results)}\n\n{candidate} against {base}\n"
    found = Judgement(verdict=verdict, gates=tuple(results), summary=summary)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "summary.md", summary)
        html = render(
            "judgement", verdict=verdict, base=str(base), candidate=str(candidate), gates=results
        )
        found = found.model_copy(update={"page": str(write_page(out / "judgement.html", html))})
        write_text(out / "judgement.json", found.model_dump_json(indent=1))
    if step := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(step).open("a", encoding="utf-8") as file:
            file.write(summary)
    return found
