"""Calling the same stage shells inside a flow run and without one.

Inside a flow they are Prefect tasks, with states, retries and artifacts; from a quick command
such as ``temper plan`` they are the plain functions, with no server to start.
"""

from collections.abc import Iterable
from typing import Any

from prefect import Task, unmapped
from prefect.context import FlowRunContext


def once(shell: Task[..., Any], *args: Any) -> Any:
    """Return the shell's result for these arguments."""
    return shell(*args) if FlowRunContext.get() else shell.fn(*args)


def each(shell: Task[..., Any], items: Iterable[Any], *fixed: Any) -> list[Any]:
    """Return the shell's results for each item, in order; side by side inside a flow."""
    if FlowRunContext.get() is None:
        return [shell.fn(item, *fixed) for item in items]
    return list(shell.map(list(items), *[unmapped(f) for f in fixed]).result())
