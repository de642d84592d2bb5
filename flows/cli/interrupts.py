"""Ctrl-C, SIGTERM and a closed terminal: a command ends soon, with one line and the right code.

What runs is broken off by an exception, so that jobs are stopped and runs are marked. Where that
takes too long, or Python is inside a library that lets no exception through, the process ends all
the same: its children end with it, and the next start marks what is left.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

END_SECONDS = 4.0
"""From the signal to the end of the process, at most."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end.

    Attributes:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(describe_signal(number))

    @property
    def exit_code(self) -> int:
        """Of a process that a signal ended, as shells have it: 130 after Ctrl-C."""
        return 128 + self.number


def describe_signal(number: int) -> str:
    """Return in one line that a signal ended the command, and what to do."""
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    return f"stopped by {name}: what is finished stays; run the same command again and it goes on."


def end_now(code: int) -> None:
    """End the process without waiting for threads: what they do is lost, and would be anyway."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Have the signals that end a process raise :class:`Interrupted` in the main thread.

    A signal that is ignored, as by ``nohup``, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    taken = [s for s in SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]
    before = {s: signal.signal(s, _raise) for s in taken}
    # Python runs handlers between two steps of its own; this pipe is written to at once.
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(reader, frozenset(taken), over), daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


def _watch(reader: int, taken: frozenset[int], over: threading.Event) -> None:
    """Wait for the first signal, then end the process unless it ends by itself in time."""
    with open(reader, "rb", buffering=0) as stream:
        while (byte := stream.read(1)) and byte[0] not in taken:
            pass
        if not byte:  # nothing came, and the command is over
            return
    number = byte[0]
    ended = threading.Event()
    ended.wait(END_SECONDS)
    print(describe_signal(number), file=sys.stderr)
    end_now(128 + number)
