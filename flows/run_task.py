"""Calling the same stage tasks inside a flow run and without one.

Inside a flow they are Prefect tasks, with states, retries and artifacts; from a quick command
such as ``temper plan`` they are the plain functions, with no server to start.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from prefect import Task, unmapped
from prefect.context import FlowRunContext

from configs.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")


def run_task(task: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return the task's result for these arguments."""
    if FlowRunContext.get() is None:
        return task.fn(*args, **kwargs)
    return task(*args, **kwargs)


def map_task(
    task: Task[Concatenate[A, P], R], items: Iterable[A], *args: P.args, **kwargs: P.kwargs
) -> list[R]:
    """Return the task's results for each item, in order; the other arguments are the same."""
    listed = list(items)
    if FlowRunContext.get() is None:
        return _run_in_threads(lambda item: task.fn(item, *args, **kwargs), listed)
    if not listed:
        return []
    fixed: dict[str, Any] = {name: unmapped(value) for name, value in kwargs.items()}
    return list(task.map(listed, *map(unmapped, args), **fixed).result())


def map_task_over_pairs(
    task: Task[Concatenate[A, B, P], R],
    pairs: Iterable[tuple[A, B]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> list[R]:
    """Return the task's results for each pair of first and second argument, in order."""
    listed = list(pairs)
    if FlowRunContext.get() is None:
        return _run_in_threads(lambda pair: task.fn(*pair, *args, **kwargs), listed)
    if not listed:
        return []
    firsts, seconds = zip(*listed, strict=True)
    fixed: dict[str, Any] = {name: unmapped(value) for name, value in kwargs.items()}
    futures = task.map(list(firsts), list(seconds), *map(unmapped, args), **fixed)
    return list(futures.result())


def _run_in_threads(work: Callable[[A], R], items: list[A]) -> list[R]:
    with ThreadPoolExecutor(Settings().workers) as pool:
        return list(pool.map(work, items))
