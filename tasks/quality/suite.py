"""The suite that decides a source's verdict, in the form in which Great Expectations writes one.

It is about a table with a row for every row read, which ``build_verdict_table`` makes. A critical
expectation that isn't met blocks the source; a warning is shown. The suite that a recipe names
overrides an expectation of the same type and column, and adds others.
"""

import copy
import json
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from configs.quality import Quality, Target
from tasks.errors import DataError
from tasks.quality.checks.registry import CHECKS, severity_of

Expectation = dict[str, Any]
"""``type``, ``kwargs``, ``severity`` and ``notes``; ``meta.own`` marks what the user wrote."""

IN_SET = "expect_column_values_to_be_in_set"
ROW_COUNT = "expect_table_row_count_to_be_between"
NOT_NULL = "expect_column_values_to_not_be_null"
TRAINING_LABELS = "training_labels"


class Bounds(NamedTuple):
    """Fewest and most training rows that a target takes; None where it sets no bound."""

    fewest: int
    most: int | None


ROW_BOUNDS: dict[Target, Bounds] = {
    "none": Bounds(0, None),
    "bedrock": Bounds(8, 20_000),
    "nova-lite-2-sft": Bounds(200, 20_000),
    "nova-lite-2-rft": Bounds(100, 20_000),
    "nova-lite-2-job": Bounds(32, None),
}
"""Amazon's bounds; a training job needs the rows of its smallest global batch."""


def row_count_problem(train: int, quality: Quality) -> str:
    """Return in a sentence how a count of training rows breaks the target's bounds, or nothing."""
    bounds = ROW_BOUNDS[quality.target]
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


def shipped_suite(quality: Quality) -> list[Expectation]:
    """Return what is expected of every source under a recipe's quality section."""
    kept = _where("set_aside", False)
    suite = [
        _row_count(quality),
        _expect(NOT_NULL, "row_id", "critical", "A row that is kept has an identity.", **kept),
    ]
    if (severity := severity_of("missing_label", quality)) is not None:
        note = "A row that is kept has a label, where the source gives labels."
        suite.append(_expect(NOT_NULL, "label", _gx_severity(severity), note, **kept))
    suite.append(
        _expect(
            IN_SET,
            "label",
            "warning",
            "A test row's label is one that training rows have.",
            value_set={"$PARAMETER": TRAINING_LABELS},
            **_where("use", "test"),
        )
    )
    if (severity := severity_of("duplicate", quality)) is not None:
        unique, note = (
            "expect_column_values_to_be_unique",
            "No two rows that are kept say the same.",
        )
        suite.append(_expect(unique, "identity", _gx_severity(severity), note, **kept))
    between = "expect_column_values_to_be_between"
    if quality.min_chars:
        note, least = "Characters of a row that is kept.", quality.min_chars
        suite.append(_expect(between, "chars", "critical", note, min_value=least, **kept))
    if (severity := severity_of("length", quality)) is not None:
        note, most = "Characters of the longest text of a row that is kept.", quality.max_chars
        suite.append(
            _expect(between, "longest", _gx_severity(severity), note, max_value=most, **kept)
        )
    for name, check in CHECKS.items():
        severity = severity_of(name, quality)
        if severity is not None and name != "row_count":
            mostly = 0.0 if check.any_share else _least_clean(severity, quality)
            suite.append(_expect_clean(name, _gx_severity(severity), check.explanation, mostly))
    note = "Rows set aside, whatever found them, are at most max_quarantine of those read."
    suite.append(_expect_clean("set_aside", "critical", note, _least_clean("quarantine", quality)))
    return suite


def declared_suite(quality: Quality) -> tuple[list[Expectation], list[Expectation]]:
    """Return the suite as the recipe's own changes it, and what that adds to it.

    Raises:
        DataError: The recipe's suite can't be read, or is none.
    """
    own = read_own_suite(Path(quality.expectations)) if quality.expectations else []
    return override(shipped_suite(quality), own)


def read_own_suite(path: Path) -> list[Expectation]:
    """Return the expectations of a file that Great Expectations, or a person, wrote.

    Raises:
        DataError: It can't be read, or is no suite.
    """
    fix = 'write it as Great Expectations does: {"expectations": [{"type": ..., "kwargs": ...}]}.'
    try:
        suite = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"the suite can't be read: {error}.", where=str(path), fix=fix) from error
    expectations = suite.get("expectations") if isinstance(suite, dict) else None
    if not isinstance(expectations, list) or not all(
        isinstance(e, dict)
        and isinstance(e.get("type"), str)
        and isinstance(e.get("kwargs", {}), dict)
        for e in expectations
    ):
        raise DataError("this is no suite of expectations.", where=str(path), fix=fix)
    return [
        {k: e[k] for k in ("type", "kwargs", "severity", "notes") if k in e}
        | {"kwargs": e.get("kwargs", {}), "meta": {"own": True}}
        for e in expectations
    ]


def override(
    shipped: Sequence[Expectation], own: Sequence[Expectation]
) -> tuple[list[Expectation], list[Expectation]]:
    """Return the shipped suite as the user's own changes it, and what is added to it.

    An expectation of the same type and column takes the place of the shipped one; what it leaves
    out (a value, the severity) stays as shipped.
    """
    suite, added = copy.deepcopy(list(shipped)), []
    places = {expectation_key(expectation): i for i, expectation in enumerate(suite)}
    for expectation in own:
        place = places.get(expectation_key(expectation))
        if place is None:
            added.append(expectation)
        else:
            kwargs = suite[place]["kwargs"] | expectation["kwargs"]
            suite[place] = suite[place] | expectation | {"kwargs": kwargs}
    return suite, added


def fit_suite(
    suite: Sequence[Expectation], columns: Collection[str], *, labels: bool, classes: bool
) -> list[Expectation]:
    """Return the expectations that mean something for a source.

    Left out are checks that had nothing to look at in it, and what is about labels where it has
    none; but whatever the user wrote stays.

    Args:
        suite: Of :func:`override`.
        columns: Checks that the source's table has a column for.
        labels: Whether the source gives labels.
        classes: Whether its labels name classes.
    """
    meant: dict[tuple[str, str | None], bool] = {
        (NOT_NULL, "label"): labels,
        (IN_SET, "label"): classes,
    }
    meant |= {(IN_SET, name): name in columns for name in CHECKS}
    return [e for e in suite if is_own(e) or meant.get(expectation_key(e), True)]


def describe_suite(suite: Sequence[Expectation]) -> list[list[str]]:
    """Return a row an expectation: what it is about, what is expected, and its severity."""
    rows = []
    for expectation in suite:
        kind, column = expectation_key(expectation)
        asked = [
            _describe_argument(k, v) for k, v in expectation["kwargs"].items() if k != "column"
        ]
        name = kind.removeprefix("expect_").removeprefix("column_").removeprefix("table_")
        severity = expectation.get("severity", "critical")
        rows.append([column or "table", f"{name}: {', '.join(asked)}", severity])
    return rows


def expectation_key(expectation: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return an expectation's type and column; None for one about the table or several columns."""
    column = expectation["kwargs"].get("column")
    return str(expectation["type"]), None if column is None else str(column)


def is_own(expectation: Mapping[str, Any]) -> bool:
    """Return whether the user wrote the expectation."""
    return bool(expectation.get("meta", {}).get("own"))


def expectation_name(expectation: Mapping[str, Any]) -> str:
    """Return what an expectation is called in verdicts: ``expectation:TYPE(COLUMN)``."""
    about = [
        str(value)
        for name, value in expectation["kwargs"].items()
        if name in ("column", "column_A", "column_B")
    ]
    return f"expectation:{expectation['type'].removeprefix('expect_')}({', '.join(about)})"


def _expect(kind: str, column: str | None, severity: str, notes: str, **kwargs: Any) -> Expectation:
    about = {} if column is None else {"column": column}
    return {"type": kind, "severity": severity, "notes": notes, "kwargs": about | kwargs}


def _expect_clean(column: str, severity: str, notes: str, mostly: float) -> Expectation:
    return _expect(IN_SET, column, severity, notes, value_set=[False], mostly=mostly)


def _row_count(quality: Quality) -> Expectation:
    bounds = ROW_BOUNDS[quality.target]
    counts = severity_of("row_count", quality) == "block"
    least = max(quality.min_rows, bounds.fewest if counts else 0)
    most = {"max_value": bounds.most} if counts and bounds.most is not None else {}
    note = "Clean training rows: min_rows, and what the target takes."
    return _expect(
        ROW_COUNT, None, "critical", note, min_value=least, **most, **_where("use", "train")
    )


def _where(column: str, value: bool | str) -> dict[str, Any]:
    condition = {
        "type": "comparison",
        "column": {"name": column},
        "operator": "==",
        "parameter": value,
    }
    return {"row_condition": condition}


def _gx_severity(severity: str) -> str:
    return "warning" if severity == "report" else "critical"


def _least_clean(severity: str, quality: Quality) -> float:
    """Return the share of rows that a check must find clean."""
    if severity != "quarantine" or quality.on_fail == "block":
        return 1.0
    # As the recipe writes it: in binary, 1 - 0.7 is more than 0.3.
    return float(1 - Decimal(str(quality.max_quarantine)))


def _describe_argument(name: str, value: Any) -> str:
    if name == "row_condition" and isinstance(value, dict):
        return f"where {value['column']['name']} is {json.dumps(value['parameter'])}"
    return json.dumps(value) if name == "value_set" else f"{name} {json.dumps(value)}"
