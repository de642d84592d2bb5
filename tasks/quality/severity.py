"""What a check's finding does to its rows, and what a target asks for."""

from typing import NamedTuple

from configs.quality import Quality, Severity, Target

_REPORTED = (
    "unknown_fields",
    "tool_undescribed",
    "inconsistent_system",
    "inconsistent_tools",
    "inconsistent_reasoning",
)
_BLOCKING = ("row_count",)
_TARGET: dict[str, Severity] = {
    "unknown_fields": "quarantine",
    "tool_undescribed": "quarantine",
    "inconsistent_system": "block",
    "inconsistent_tools": "block",
    "inconsistent_reasoning": "block",
}


class Bounds(NamedTuple):
    """Fewest and most training rows that a target takes; None where it sets no bound."""

    fewest: int
    most: int | None


ROWS: dict[Target, Bounds] = {
    "none": Bounds(0, None),
    "bedrock": Bounds(8, 20_000),
    "nova-lite-2-sft": Bounds(200, 20_000),
    "nova-lite-2-rft": Bounds(100, 20_000),
    "nova-lite-2-job": Bounds(32, None),
}
"""Amazon's bounds; a training job needs the rows of its smallest global batch."""


def severity_of(check: str, quality: Quality) -> Severity:
    """Return what a finding does: as the recipe says, as the target needs, or the default."""
    if check in quality.severity:
        return quality.severity[check]
    if quality.target != "none" and check in _TARGET:
        return _TARGET[check]
    if check in _BLOCKING:
        return "block"
    return "report" if check in _REPORTED else "quarantine"


def reported(checks: list[str], quality: Quality) -> list[str]:
    """Return the checks whose findings are counted and leave their rows where they are."""
    return [check for check in checks if severity_of(check, quality) == "report"]


def row_count_problem(train: int, quality: Quality) -> str:
    """Return in a sentence how a count of training rows breaks the target's bounds, or nothing."""
    bounds = ROWS[quality.target]
    if "row_count" not in quality.checks:
        return ""
    if train < bounds.fewest:
        return (
            f"{train:,} clean training rows are left, and {quality.target} takes no fewer than "
            f"{bounds.fewest:,}."
        )
    if bounds.most is not None and train > bounds.most:
        return (
            f"{train:,} clean training rows are left, and {quality.target} takes no more than "
            f"{bounds.most:,}."
        )
    return ""
