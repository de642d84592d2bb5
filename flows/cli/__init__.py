"""The command line: ``temper``, or ``python -m flows.cli``."""

from flows.cli import commands, lineage, probe, runs, starting, sweeping
from flows.cli.interrupts import SIGNALS, end_now

__all__ = ["lineage", "main", "probe", "runs", "starting", "sweeping"]


def main() -> None:
    """Entry point of the console script."""
    try:
        commands.app(standalone_mode=True)
    except SystemExit as ended:
        if ended.code in {128 + number for number in SIGNALS}:
            end_now(int(ended.code))
        raise
