"""The command line: ``temper``, or ``python -m flows.cli``."""

import sys

from flows.cli import commands, probe, runs, starting, sweeping

__all__ = ["main", "probe", "runs", "starting", "sweeping"]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(commands.app(standalone_mode=True))
