"""Calling the same stage tasks inside a flow run and without one.

Inside a flow they are Prefect tasks, with states, retries and artifacts. Without a Prefect server
they are the plain functions, retried as the task says: a server of a run's own would take seconds,
a quarter of a gigabyte and a port, and nobody would look at it.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, Concatenate, ParamSpec, TypeVar

from prefect import Flow, Task, unmapped
from prefect.context import FlowRunContext

from configs.redaction import redact
from configs.settings import Settings
from tasks.errors import SetupError

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")


ANSWER_SECONDS = 10.0
"""How long a Prefect server has to say that it is there."""


def run_flow(flow: Flow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what a flow gives: as a Prefect flow run where there is a server, else as a function.

    Raises:
        SetupError: The server that PREFECT_API_URL names doesn't answer.
    """
    from prefect.settings import PREFECT_API_URL

    if FlowRunContext.get() is not None:
        return flow(*args, **kwargs)
    address = PREFECT_API_URL.value()
    # A cluster's task runner is Prefect's own, and needs a flow run.
    if address is None and Settings().runner == "threads":
        return flow.fn(*args, **kwargs)
    if address is None:
        from flows.prefect_server import temporary_server

        with temporary_server():
            return flow(*args, **kwargs)
    require_server(str(address))
    return flow(*args, **kwargs)


def require_server(address: str) -> None:
    """Raise SetupError unless a Prefect server answers at that address."""
    import httpx

    try:
        problem = f"{httpx.get(f'{address}/health', timeout=ANSWER_SECONDS).status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        problem = str(error) or type(error).__name__
    # A server that wants a key says so to the client, which has it.
    if problem not in ("200", "401", "403"):
        raise SetupError(
            f"Prefect's server doesn't answer ({redact(problem)}).",
            where=f"PREFECT_API_URL={redact(address)}",
            fix="start it (prefect server start), or run without one: unset PREFECT_API_URL, and "
            "prefect config unset PREFECT_API_URL.",
        )


def run_task(task: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return the task's result for these arguments."""
    if FlowRunContext.get() is None:
        return _call(task, *args, **kwargs)
    return task(*args, **kwargs)


def map_task(
    task: Task[Concatenate[A, P], R], items: Iterable[A], *args: P.args, **kwargs: P.kwargs
) -> list[R]:
    """Return the task's results for each item, in order; the other arguments are the same."""
    listed = list(items)
    if FlowRunContext.get() is None:
        return _run_in_threads(lambda item: _call(task, item, *args, **kwargs), listed)
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
        return _run_in_threads(lambda pair: _call(task, *pair, *args, **kwargs), listed)
    if not listed:
        return []
    firsts, seconds = zip(*listed, strict=True)
    fixed: dict[str, Any] = {name: unmapped(value) for name, value in kwargs.items()}
    futures = task.map(list(firsts), list(seconds), *map(unmapped, args), **fixed)
    return list(futures.result())


def _call(task: Task[..., R], *args: Any, **kwargs: Any) -> R:
    """Call a task's function, again where it failed and the task says that this is worth it."""
    for attempt in range(task.retries + 1):
        try:
            return task.fn(*args, **kwargs)
        except Exception as error:
            state = SimpleNamespace(data=error)
            worth = task.retry_condition_fn
            last = attempt == task.retries
            if last or (worth is not None and not worth(task, None, state)):  # type: ignore[arg-type]
                raise
            delay = task.retry_delay_seconds
            # Prefect, too, repeats the last delay.
            time.sleep(
                delay[min(attempt, len(delay) - 1)] if isinstance(delay, list) else delay or 0
            )
    raise AssertionError("a task is tried at least once")


def _run_in_threads(work: Callable[[A], R], items: list[A]) -> list[R]:
    with ThreadPoolExecutor(Settings().workers) as pool:
        return list(pool.map(work, items))
