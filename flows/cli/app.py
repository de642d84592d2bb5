"""The frame of the command line: the app, and what makes a function one of its commands."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, signature
from typing import Annotated, Any, TypeVar

import typer

from configs.redaction import redact_logs
from flows.cli.interrupts import Interrupted, interruptible
from flows.cli.terminal import (
    print_failure,
    print_interruption,
    print_json,
    quiet_libraries,
    show_progress,
)

JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")]

app = typer.Typer(
    name="temper",
    help="Specialise a language model without making it brittle.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@dataclass(frozen=True)
class Answer:
    """A command's answer.

    Attributes:
        json: The object of ``--json``.
        show: Prints it for a person; the object itself where there is nothing better.
        exit_code: Of the process.
    """

    json: dict[str, Any]
    show: Callable[[], None] | None = None
    exit_code: int = 0

    def print(self, as_json: bool) -> None:
        """Print it, as one JSON object or as a person reads it."""
        if as_json:
            print_json(self.json, indent=False)
        elif self.show is None:
            print_json(self.json, indent=True)
        else:
            self.show()


Work = TypeVar("Work", bound=Callable[..., Answer])


def command(name: str | None = None) -> Callable[[Work], Work]:
    """Make a function a command of the app: its parameters are the options, and ``--json``.

    The answer is printed, an error is told as one paragraph (or one object), and either gives the
    exit code. The function stays as it is, to be called without a command line.

    Args:
        name: As it is typed; the function's name when absent.
    """

    def register(work: Work) -> Work:
        def run(json_: bool = False, **options: Any) -> None:
            raise typer.Exit(_answer(partial(work, **options), json_))

        own = signature(work)
        asked = Parameter("json_", Parameter.KEYWORD_ONLY, default=False, annotation=JsonOption)
        parameters = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in own.parameters.values()]
        run.__doc__ = work.__doc__
        run.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[*parameters, asked], return_annotation=None
        )
        app.command(name or work.__name__)(run)
        return work

    return register


def _answer(work: Callable[[], Answer], as_json: bool) -> int:
    """Run a command, print its answer or its failure, and return the exit code."""
    quiet_libraries()
    redact_logs()
    # What is written holds people's data: it is for its owner alone.
    os.umask(0o077)
    try:
        with interruptible(), show_progress(quiet=as_json):
            answer = work()
    except Interrupted as signal:
        print_interruption(str(signal), as_json)
        return signal.exit_code
    except Exception as error:
        return print_failure(error, as_json)
    answer.print(as_json)
    return answer.exit_code
