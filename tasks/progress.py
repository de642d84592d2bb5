"""How long work tells whoever watches how far it is; silent unless someone listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, int, int], None]
"""Called with what is being done, units done, and units in all."""

_listeners: list[Listener] = []


def report(what: str, done: int, total: int) -> None:
    """Tell every listener that ``done`` of ``total`` units of ``what`` are finished."""
    for listener in _listeners:
        listener(what, done, total)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have ``listener`` told of all progress in this process while the context is open."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


# How slow work tells how far it is.

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do, in items."""


def shifted(progress: Progress | None, done: int, total: int) -> Progress | None:
    """Return what a part of the work calls, when ``done`` of ``total`` items came before it."""
    if progress is None:
        return None
    return lambda now, _: progress(done + now, total)
