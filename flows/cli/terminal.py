"""The terminal: answers on stdout, progress and errors on stderr; nothing shown is obeyed."""

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from configs.display import displayable
from configs.redaction import redact
from tasks.errors import TemperError
from tasks.progress import listening


class SafeConsole(Console):
    """A console that obeys nothing in the texts it shows, and shows no secret."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects as rich does, texts with control characters written out."""
        shown = [show_text(o) if isinstance(o, str) else o for o in objects]
        super().print(*shown, **options)


def show_text(text: str) -> str:
    """Return a text as a terminal may be given it."""
    return displayable(redact(text))


# A pipe has no width of its own; 80 columns would fold the tables.
out = SafeConsole(width=None if sys.stdout.isatty() else 128)
err = SafeConsole(stderr=True)
LINE_SECONDS = 15.0
"""Between two lines of one piece of work, in a log."""
COLOURS = {
    "PASS": "green",
    "FAIL": "red",
    "INCONCLUSIVE": "yellow",
    "pass": "green",
    "quarantine": "yellow",
    "block": "red",
    "ok": "green",
    "optional": "yellow",
    "missing": "red",
    "warn": "yellow",
    "refused": "red",
    "unknown": "yellow",
}


def print_json(fields: dict[str, Any], *, indent: bool) -> None:
    """Print an object: for a program in one line, for a person indented and coloured."""
    if indent:
        out.print_json(json.dumps(fields, default=str))
    else:
        print(json.dumps(fields, default=str))


def print_failure(error: Exception, as_json: bool) -> int:
    """Print a failure and return the exit code: expected ones as one paragraph."""
    known = (
        error if isinstance(error, TemperError) else TemperError(f"{type(error).__name__}: {error}")
    )
    if not isinstance(error, TemperError):
        print(show_text("".join(traceback.format_exception(error))), file=sys.stderr)
    if as_json:
        print(json.dumps({"error": known.as_dict()}))
    else:
        err.print(f"[red]error[/red] ({known.kind}) ", end="", markup=True, highlight=False)
        err.print(known.paragraph(), markup=False, highlight=False, soft_wrap=True)
    return known.exit_code


def print_interruption(message: str, as_json: bool) -> None:
    """Say in one line, or one object, that a signal ended the command."""
    if as_json:
        print(json.dumps({"error": {"kind": "interrupted", "message": message}}))
    else:
        err.print(message, markup=False, highlight=False, soft_wrap=True)


def quiet_libraries() -> None:
    """Silence what libraries print, for a person at a terminal; must run before they load.

    Failures are not lost: an expected one is printed as a paragraph, any other with its traceback.
    """
    for name, value in (  # The console only: in the Prefect UI a run keeps its logs.
        ("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL"),
        ("TRANSFORMERS_VERBOSITY", "error"),
        # MLflow greets on stdout, where --json promises one object.
        ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),
        ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
        ("HF_DATASETS_DISABLE_PROGRESS_BARS", "1"),
    ):
        os.environ.setdefault(name, value)


class LineLog:
    """Writes progress as lines with their time, seldom enough to be read in a log."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._ended: set[str] = set()
        self._turn = threading.Lock()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Write a line unless one was written of this a short time ago."""
        now, ends = time.monotonic(), done >= total > 0
        with self._turn:
            if what in self._ended:
                return
            if not ends and now - self._told.get(what, float("-inf")) < LINE_SECONDS:
                return
            self._told[what] = now
            if ends:
                self._ended.add(what)
            clock = time.strftime("%H:%M:%S")
            err.print(f"{clock} {what}: {done:,} of {total:,}", markup=False, highlight=False)


@contextlib.contextmanager
def show_progress(quiet: bool) -> Iterator[None]:
    """Show bars with the time left for everything that reports progress; lines without a terminal.

    Without one, as in a log, a line is written when work begins, when it ends, and every
    :data:`LINE_SECONDS` while it goes on.
    """
    if quiet:
        yield
        return
    if not err.is_terminal:
        with listening(LineLog()):
            yield
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )
    known: dict[str, TaskID] = {}

    def listen(what: str, done: int, total: int) -> None:
        if what not in known:
            known[what] = bars.add_task(escape(show_text(what)), total=total)
        bars.update(known[what], completed=done, total=total)

    with bars, listening(listen):
        yield


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; cells that are a verdict are coloured, nothing else is interpreted."""
    grid = Table(title=title, title_justify="left", header_style="bold")
    for i, column in enumerate(columns):
        grid.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        grid.add_row(*[_cell(c) for c in row])
    out.print(grid)


def _cell(text: str) -> str:
    text = show_text(text)
    colour = COLOURS.get(text)
    return f"[{colour}]{text}[/{colour}]" if colour else escape(text)
