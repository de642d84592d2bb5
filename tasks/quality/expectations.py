"""Great Expectations judges the findings. The only module that imports it.

One ephemeral context, one suite, one validation: an expectation a check (its column is false in
every row), the bounds on the number of rows, and the user's own suite where there is one.
"""

import json
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from tasks.errors import DataError

Severity = Literal["critical", "warning", "info"]


class Outcome(NamedTuple):
    """What became of one expectation.

    Attributes:
        name: The check's name, or for the user's own ``expectation:TYPE(COLUMN)``.
        own: Whether it is the user's own.
        severity: As its author set it.
        success: Whether the data meets it.
        rows: Positions of the rows that don't, where the expectation is about rows.
    """

    name: str
    own: bool
    severity: Severity
    success: bool
    rows: tuple[int, ...]


def validate(
    frame: pd.DataFrame, checks: Sequence[str], min_rows: int, own: Path | None
) -> list[Outcome]:
    """Return the outcome of every expectation on a frame of rows.

    Args:
        frame: One row a row, with the boolean column of each check, true where it found something.
        checks: The names of those columns.
        min_rows: Fewest rows the frame should have.
        own: A suite of the user's own, as Great Expectations writes it.

    Raises:
        DataError: An expectation could not be computed. That says nothing about the data.
    """
    suite = [_check(name) for name in checks] + [_row_bounds(min_rows)] + _own(own)
    for number, expectation in enumerate(suite):
        expectation["meta"] = {"number": number}
    results = _run(frame.reset_index(drop=True), suite)
    names = {number: _name(expectation) for number, expectation in enumerate(suite)}
    ours = len(checks) + 1
    return [_outcome(names[n], n >= ours, results[n]) for n in sorted(results)]


def _check(name: str) -> dict[str, Any]:
    return {
        "type": "expect_column_values_to_be_in_set",
        "check": name,
        "kwargs": {"column": name, "value_set": [False]},
    }


def _row_bounds(min_rows: int) -> dict[str, Any]:
    return {
        "type": "expect_table_row_count_to_be_between",
        "check": "rows",
        "kwargs": {"min_value": min_rows},
    }


def _own(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    fix = 'write it as Great Expectations does: {"expectations": [{"type": ..., "kwargs": ...}]}.'
    try:
        suite = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"the suite can't be read: {error}.", where=str(path), fix=fix) from error
    expectations = suite.get("expectations") if isinstance(suite, dict) else None
    if not isinstance(expectations, list) or not all(_is_one(e) for e in expectations):
        raise DataError("this is no suite of expectations.", where=str(path), fix=fix)
    return [{k: e[k] for k in ("type", "kwargs", "severity") if k in e} for e in expectations]


def _is_one(expectation: Any) -> bool:
    return (
        isinstance(expectation, dict)
        and isinstance(expectation.get("type"), str)
        and isinstance(expectation.get("kwargs", {}), dict)
    )


def _name(expectation: Mapping[str, Any]) -> str:
    if "check" in expectation:
        return str(expectation["check"])
    kwargs = expectation.get("kwargs", {})
    about = [str(v) for k, v in kwargs.items() if k in ("column", "column_A", "column_B")]
    return f"expectation:{expectation['type'].removeprefix('expect_')}({', '.join(about)})"


def _run(frame: pd.DataFrame, suite: list[dict[str, Any]]) -> dict[int, Any]:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        for name in ("great_expectations", "great_expectations.data_context.types.base"):
            logging.getLogger(name).setLevel(logging.ERROR)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        source = context.data_sources.add_pandas("rows")
        whole = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("rows")
        built = gx.ExpectationSuite(name="rows", expectations=[_built(e) for e in suite])
        batch = whole.get_batch({"dataframe": frame})
        report = batch.validate(built, result_format={"result_format": "COMPLETE"})
    return {result.expectation_config.meta["number"]: result for result in report.results}


def _built(expectation: Mapping[str, Any]) -> Any:
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import (
        ExpectationConfiguration,
    )

    fields = {k: v for k, v in expectation.items() if k != "check"} | {
        "kwargs": expectation.get("kwargs", {})
    }
    try:
        return ExpectationConfiguration(**fields).to_domain_obj()
    except (GreatExpectationsError, TypeError, ValueError) as error:
        raise _not_computed(_name(expectation), str(error)) from error


def _outcome(name: str, own: bool, result: Any) -> Outcome:
    problem = _exception(result.exception_info)
    if problem is not None:
        raise _not_computed(name, problem)
    rows = () if result.success else tuple(result.result.get("unexpected_index_list") or ())
    severity = result.expectation_config.severity.value
    return Outcome(name, own, severity, bool(result.success), rows)


def _exception(info: Mapping[str, Any]) -> str | None:
    """Return the exception behind a result, which would read as bad data otherwise."""
    # Either one record, or one for each metric that raised, by its id.
    records = [info] if "raised_exception" in info else list(info.values())
    raised = [r for r in records if r.get("raised_exception", True)]
    return str(raised[0].get("exception_message") or "it raised an exception") if raised else None


def _not_computed(name: str, problem: str) -> DataError:
    text = " ".join(problem.split()).rstrip(".")
    return DataError(
        f"the expectation '{name}' could not be computed, which says nothing about the data: "
        f"{text}.",
        where="quality.expectations",
        fix="name columns that are offered (text, prompt, answer, label, chars, words, turns, "
        "split and the checks) and the arguments that the expectation takes.",
    )
