"""Failures that only ingest knows."""

from tasks.errors import SourceError


class SourceUnreachable(SourceError):
    """A store or the hub didn't answer; the same request may work a little later."""


class Unusable(ValueError):
    """One row can't be converted; the text is the reason kept beside it."""
