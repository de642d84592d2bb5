"""Compiling to machine code, with types kept."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Return the function as machine code that runs without the interpreter's lock, cached.

    Division is NumPy's, which raises nothing. The cache of a function knows when its own file
    changes, not when a file does whose functions it calls: remove ``__pycache__`` after that.
    """
    return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))
