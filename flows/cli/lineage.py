"""``temper trace`` and ``temper why``: where a row is, and what became of it."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import render
from flows.cli.app import Answer, command
from tasks.errors import DataError

if TYPE_CHECKING:
    from tasks.lineage.search import ById, ByText

RowOption = Annotated[str | None, typer.Option("--row", help="the row's text, or a message")]
RowIdOption = Annotated[str | None, typer.Option("--row-id", help="the row's id")]
ContainsOption = Annotated[
    bool, typer.Option("--contains", help="with --row: also rows it is part of")
]


@command()
def trace(
    row: RowOption = None,
    row_id: RowIdOption = None,
    contains: ContainsOption = False,
) -> Answer:
    """Say which data, mixtures and checkpoints hold a row, for a request to erase it."""
    from tasks.lineage.trace import trace as trace_row

    found = trace_row(parse_row("trace", row, row_id, contains))
    return Answer(found.model_dump(mode="json"), partial(render.show_trace, found))


@command()
def why(
    row: RowOption = None,
    row_id: RowIdOption = None,
    contains: ContainsOption = False,
) -> Answer:
    """Say what became of a row: taken and where, or set aside and by which check."""
    from tasks.lineage.why import explain_row

    found = explain_row(parse_row("why", row, row_id, contains))
    return Answer(found.model_dump(mode="json"), partial(render.show_why, found))


def parse_row(command: str, row: str | None, row_id: str | None, contains: bool) -> "ById | ByText":
    """Return what to look for: a row by its id or by its text.

    Raises:
        DataError: Neither is given, or both are.
    """
    from tasks.lineage.search import ById, ByText

    if (row is None) == (row_id is None) or (row is not None and not row.strip()):
        raise DataError(
            "one row has to be named.",
            where=f"temper {command}",
            fix="give either --row with its text or --row-id.",
        )
    return ById(row_id) if row_id else ByText(row or "", contains=contains)
