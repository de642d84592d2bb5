"""How slow work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do, in items."""


def shifted(progress: Progress | None, done: int, total: int) -> Progress | None:
    """Return what a part of the work calls, when ``done`` of ``total`` items came before it."""
    if progress is None:
        return None
    return lambda now, _: progress(done + now, total)
