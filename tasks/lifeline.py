"""Processes that end with whoever started them, however that one ends.

A killed process can't end its children. So each child looks whether its parent is still there, and
ends itself where it isn't: within a second, whatever it is doing.
"""

import os
import signal
import threading
import time

PARENT = "TEMPER_PARENT"
"""The process that a child ends with, in the child's environment."""
POLL_SECONDS = 0.5
GRACE_SECONDS = 2.0
"""What a process that is told to end has to end its own children."""


def child_environment() -> dict[str, str]:
    """Return the environment of a child that ends with this process."""
    return {**os.environ, PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """End this process once the one that started it is gone; nothing where it names none."""
    parent = os.environ.pop(PARENT, "")
    if parent.isdecimal():
        threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()


def _watch(parent: int) -> None:
    # A process whose parent has ended is given another one.
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(128 + signal.SIGTERM)
