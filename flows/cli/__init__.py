"""The command line: ``temper``, or ``python -m flows.cli``."""

import sys

from flows.cli import commands, probe

__all__ = ["commands", "main", "probe"]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(commands.app(standalone_mode=True))
