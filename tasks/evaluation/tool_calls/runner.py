"""Rows with tools put to a model, one item an assistant's message."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from configs.suites.behaviour import ALL_CALLS, CALLS, ToolCallsSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import path_for, some
from tasks.evaluation.items import ItemRow, answer_row, item_ids
from tasks.evaluation.runner import AnswersRunner
from tasks.evaluation.tool_calls.compare import Call, compare, parse_calls
from tasks.evaluation.tool_calls.rows import Row, of_file, of_source
from tasks.models.api import Answer, Prompt
from tasks.text.rows import Message, compact


class ToolCallCase(NamedTuple):
    """A conversation before an assistant's message, and the calls that this one makes."""

    prompt: list[Message]
    row: Row
    due: tuple[Call, ...]


class ToolCallsRunner(AnswersRunner[ToolCallsSuite, ToolCallCase]):
    """Conversations with tools and the calls due next."""

    def prompt(self, case: ToolCallCase) -> Prompt:
        """Return the conversation with its tools."""
        return Prompt(case.prompt, case.row.tools_text)

    def rows(self, item: str, case: ToolCallCase, answer: Answer) -> list[ItemRow]:
        """Return a row of form ``calls`` or ``no_calls``; gold and prediction as JSON.

        Items of one conversation are a cluster. One that wasn't answered has no scores.
        """
        return [_row(item, case, answer)]

    def count_items(self, metric: str) -> int:
        """Return the items where a call is due, where none is, or all, as the metric has it."""
        if metric in ALL_CALLS:
            return len(self.cases)
        return sum(bool(case.due) == (metric in CALLS) for _, case in self.cases)


def open_tool_calls(
    suite: ToolCallsSuite, source: CleanSource | None, split: SplitName, seed: int
) -> ToolCallsRunner:
    """Return the items of a source's rows, or of a file's.

    Args:
        suite: The section; ``limit`` of its items are chosen by ``seed``.
        source: The source it names, or None where it reads a path.
        split: Which rows of the source, or which of its files.
        seed: The recipe's.

    Raises:
        EvaluationError: There are none of a kind that is asked for, or a row can't be used.
    """
    rows = of_file(path_for(suite, split)) if source is None else of_source(source, split)
    cases = [
        case
        for row in rows
        for case in _cases(row, suite.last_only)
        if suite.due == "both" or (suite.due == "calls") == bool(case.due)
    ]
    ids = item_ids([[c.prompt, c.row.tools_text, c.due] for c in cases])
    chosen = some(cases, ids, suite, seed)
    for wanted in (True, False) if suite.due == "both" else ():
        if sum(bool(case.due) == wanted for _, case in chosen) < 2:
            what = "a call is due" if wanted else "no call is due"
            raise EvaluationError(
                f"there are fewer than two items where {what}.",
                where=f"evaluation.suites.{suite.name}",
                fix=f"set due: {'no_calls' if wanted else 'calls'}, or give rows of both kinds.",
            )
    return ToolCallsRunner(suite, chosen)


def _cases(row: Row, last_only: bool) -> Iterator[ToolCallCase]:
    places = [i for i, m in enumerate(row.messages) if m["role"] == "assistant" and i]
    for place in places[-1:] if last_only else places:
        if row.messages[place - 1]["role"] != "assistant":
            yield ToolCallCase(row.messages[:place], row, row.calls[place])


def _row(item: str, case: ToolCallCase, answer: Answer) -> ItemRow:
    row = answer_row(item, "calls" if case.due else "no_calls", answer)._replace(
        cluster=case.row.group, gold=_shown(case.due)
    )
    if answer.error is not None:
        return row
    made = parse_calls(answer.said, {str(t["name"]) for t in case.row.tools})
    scores = compare(made, case.due, case.row.tools)
    return row._replace(prediction=_shown(made), score=scores["accuracy_of_calls"], scores=scores)


def _shown(calls: Sequence[Call]) -> str:
    return compact([call._asdict() for call in calls])
