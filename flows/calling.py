"""Calling the same stage shells inside a flow run and without one.

Inside a flow they are Prefect tasks, with states, retries and artifacts; from a quick command
such as ``temper plan`` they are the plain functions, with no server to start.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from prefect import Task, unmapped
from prefect.context import FlowRunContext

from configs.settings import Settings


def once(shell: Task[..., Any], *args: Any) -> Any:
    """Return the shell's result for these arguments."""
    return shell(*args) if FlowRunContext.get() else shell.fn(*args)


def each(shell: Task[..., Any], columns: Sequence[Iterable[Any]], *fixed: Any) -> list[Any]:
    """Return the shell's results for each row of the columns, in order.

    Args:
        shell: Takes one argument a column, then the fixed ones.
        columns: Arguments that differ from call to call.
        fixed: Arguments that are the same in each call.
    """
    rows = list(zip(*columns, strict=True))
    if FlowRunContext.get() is None:
        with ThreadPoolExecutor(Settings().workers) as pool:
            return list(pool.map(lambda row: shell.fn(*row, *fixed), rows))
    unpacked = [list(column) for column in zip(*rows, strict=True)]
    return list(shell.map(*unpacked, *[unmapped(f) for f in fixed]).result()) if rows else []
