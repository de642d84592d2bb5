"""Great Expectations judges a source. The only module that imports it.

A suite is validated in one go: each validation costs a look at the whole table. No text of a row is
kept in a result, only counts.
"""

import json
import logging
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import pandas as pd

from tasks.errors import DataError
from tasks.quality.suite import Expectation, expectation_key, expectation_name, is_own
from tasks.storage import write_text

Severity = Literal["critical", "warning", "info"]
SUITE, RESULT = "expectation_suite.json", "validation_result.json"
# Great Expectations keeps today's project in a global, and its import takes seconds: one at a time.
_LOCK = threading.Lock()
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:70rem;padding:1rem}"
    ".row{display:flex;flex-wrap:wrap;gap:1.5rem}.col-lg-2,.col-md-2{flex:0 0 13rem}"
    ".col-lg-10,.col-md-10,.col-lg-9,.col-md-9{flex:1 1 30rem;min-width:0}"
    "table{border-collapse:collapse;width:100%}ul{list-style:none;padding-left:.5rem}"
    "th,td{border-bottom:1px solid #d8dce2;padding:.35rem .6rem;text-align:left;"
    "vertical-align:top}.badge,code{background:#eef1f5;border-radius:.25rem;padding:0 .3rem}"
    "i.text-success::before{content:'met';color:#12703f}"
    "i.text-danger::before{content:'not met';color:#a8211b}"
    "i.text-warning::before{content:'not met';color:#845500}"
    ".fa-check-circle::before{content:'met'!important}img,.btn-group,.modal,footer,#ge-cta-footer{display:none}"
)
_SELF_CONTAINED = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "style-src 'unsafe-inline'\">"
)


class Outcome(NamedTuple):
    """What became of one expectation.

    Attributes:
        type: As Great Expectations calls it.
        column: The column it is about, None for one about the table or several columns.
        name: The column, where it is a check's; else ``expectation:TYPE(COLUMN)``.
        own: Whether the user wrote it.
        severity: critical blocks the source where it isn't met.
        success: Whether the data meets it.
        unexpected: Rows that don't, where it is about rows.
        rows: Their positions, where they were asked for.
    """

    type: str
    column: str | None
    name: str
    own: bool
    severity: Severity
    success: bool
    unexpected: int
    rows: tuple[int, ...] = ()


class Validation(NamedTuple):
    """A suite and what became of it, as outcomes and as Great Expectations writes them."""

    outcomes: list[Outcome]
    suite: dict[str, Any]
    result: dict[str, Any]

    def joined(self, other: "Validation") -> "Validation":
        """Return both as one; what the other says of a type and column takes the first's place."""
        replaced = {expectation_key(e) for e in other.suite["expectations"]}
        kept = [
            r
            for r in self.result["results"]
            if expectation_key(r["expectation_config"]) not in replaced
        ]
        results = [*kept, *other.result["results"]]
        met = sum(bool(r["success"]) for r in results)
        statistics = {
            "evaluated_expectations": len(results),
            "successful_expectations": met,
            "unsuccessful_expectations": len(results) - met,
            "success_percent": 100.0 * met / len(results) if results else None,
        }
        whole = {"success": met == len(results), "results": results, "statistics": statistics}
        expectations = [e for e in self.suite["expectations"] if expectation_key(e) not in replaced]
        return Validation(
            [*self.outcomes, *other.outcomes],
            self.suite | {"expectations": [*expectations, *other.suite["expectations"]]},
            self.result | whole,
        )

    def write(self, folder: Path) -> None:
        """Write suite and result into a folder."""
        write_text(folder / SUITE, json.dumps(self.suite, indent=1))
        write_text(folder / RESULT, json.dumps(self.result, indent=1))


def validate(
    name: str,
    frame: pd.DataFrame,
    suite: Sequence[Expectation],
    parameters: Mapping[str, Any] | None = None,
    *,
    locate: bool = False,
) -> Validation:
    """Return what became of every expectation on a table.

    Args:
        name: Of the source.
        frame: One row a row.
        suite: Expectations (:mod:`tasks.quality.suite`).
        parameters: Values of the parameters that the suite names.
        locate: Whether to say which rows an expectation isn't met on.

    Raises:
        DataError: An expectation could not be computed. That says nothing about the data.
    """
    with _great_expectations() as (gx, context):
        # Numbered, since results need not come in the suite's order.
        built = [_build(e | {"meta": {"number": n}}) for n, e in enumerate(suite)]
        source = context.data_sources.add_pandas(name)
        whole = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        batch = whole.get_batch({"dataframe": frame.reset_index(drop=True)})
        asked = gx.ExpectationSuite(name=name, expectations=built)
        form = {
            "result_format": "COMPLETE" if locate else "BASIC",
            "partial_unexpected_count": 0,
        }
        report = batch.validate(
            asked, result_format=form, expectation_parameters=dict(parameters or {})
        )
        order = {r.expectation_config.meta["number"]: r for r in report.results}
        report.results = [order[number] for number in range(len(suite))]
        outcomes = [_outcome(e, r) for e, r in zip(suite, report.results, strict=True)]
        return Validation(outcomes, _suite_record(asked), _result_record(report))


def load_validation(folder: Path) -> Validation:
    """Return the suite and the result that :meth:`Validation.write` left in a folder."""
    suite, result = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in (SUITE, RESULT)
    )
    return Validation([], suite, result)


def build_data_docs(checked: Mapping[str, Path], out: Path) -> Path:
    """Write Great Expectations' Data Docs of sources and return the path of their first page.

    The pages load nothing: their own style stands in for those that they would load, and a content
    security policy forbids the rest.

    Args:
        checked: Source -> folder with its suite and result (:meth:`Validation.write`).
        out: Folder for the pages.
    """
    with _great_expectations() as (gx, context):
        from great_expectations.core.expectation_validation_result import (
            expectationSuiteValidationResultSchema as schema,
        )
        from great_expectations.core.run_identifier import RunIdentifier
        from great_expectations.data_context.types.resource_identifiers import (
            ExpectationSuiteIdentifier,
            ValidationResultIdentifier,
        )

        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(out.resolve())}
        site = {"class_name": "SiteBuilder", "store_backend": store}
        context.add_data_docs_site(
            "quality", site | {"site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}}
        )
        for name, folder in checked.items():
            kept = load_validation(folder)
            expectations = kept.suite["expectations"]
            context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
            about = ExpectationSuiteIdentifier(name)
            made = datetime.fromtimestamp((folder / RESULT).stat().st_mtime, UTC)
            run = RunIdentifier(run_name="quality", run_time=made)
            context.validation_results_store.set(
                ValidationResultIdentifier(about, run, name), schema.load(kept.result)
            )
        context.build_data_docs(site_names=["quality"])
    head = f"<head>{_SELF_CONTAINED}<style>{_STYLE}</style>"
    pages = {page: page.read_text(encoding="utf-8") for page in out.rglob("*.html")}
    for page, html in pages.items():
        if _SELF_CONTAINED not in html:
            write_text(page, html.replace("<head>", head, 1))
    # Great Expectations' own first page is a table that a script from the web fills in.
    links = [
        f'<li><a href="{quote(page.relative_to(out).as_posix())}">{escape(page.stem)}</a>'
        f" ({page.relative_to(out).parts[0]})</li>"
        for page in sorted(pages, reverse=True)
        if page.parent != out
    ]
    body = f"<h1>Data Docs</h1><ul>{''.join(links)}</ul>"
    index = f"<!doctype html><html>{head}<meta charset=utf-8></head><body>{body}</body></html>"
    write_text(out / "index.html", index)
    return out / "index.html"


@contextmanager
def _great_expectations() -> Iterator[tuple[Any, Any]]:
    """Give the library and an empty project of it, silent, to one thread at a time."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        for name in ("great_expectations", "great_expectations.data_context.types.base"):
            logging.getLogger(name).setLevel(logging.ERROR)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        yield gx, context


def _build(expectation: Expectation) -> Any:
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import (
        ExpectationConfiguration,
    )

    try:
        return ExpectationConfiguration(**expectation).to_domain_obj()
    except (GreatExpectationsError, TypeError, ValueError) as error:
        raise _not_computed(expectation, str(error)) from error


def _outcome(expectation: Expectation, result: Any) -> Outcome:
    info = result.exception_info
    # Either one record, or one for each metric that raised, by its id: what raised would read as
    # bad data otherwise.
    records = [info] if "raised_exception" in info else list(info.values())
    for record in records:
        if record.get("raised_exception", True):
            problem = record.get("exception_message") or "it raised an exception"
            raise _not_computed(expectation, str(problem))
    (_, column), own = expectation_key(expectation), is_own(expectation)
    rows = () if result.success else tuple(result.result.get("unexpected_index_list") or ())
    return Outcome(
        expectation["type"],
        column,
        expectation_name(expectation),
        own,
        result.expectation_config.severity.value,
        bool(result.success),
        0 if result.success else int(result.result.get("unexpected_count") or 0),
        rows,
    )


def _suite_record(suite: Any) -> dict[str, Any]:
    record: dict[str, Any] = suite.to_json_dict()
    for expectation in record["expectations"]:
        expectation["meta"] = {}
    return record


def _result_record(report: Any) -> dict[str, Any]:
    for result in report.results:
        result.success = bool(result.success)
        result.expectation_config.meta = {}
        # The texts of rows and where they are: counts say enough, and pages are passed around.
        for key in ("unexpected_list", "unexpected_index_list", "unexpected_index_query"):
            result.result.pop(key, None)
    record: dict[str, Any] = report.to_json_dict()
    return record


def _not_computed(expectation: Expectation, problem: str) -> DataError:
    text = " ".join(problem.split()).rstrip(".")
    return DataError(
        f"the expectation '{expectation_name(expectation)}' could not be computed, which says "
        f"nothing about the data: {text}.",
        where="quality.expectations" if is_own(expectation) else "the shipped suite",
        fix="name columns that are offered (text, prompt, answer, label, chars, words, turns, "
        "split and the checks) and the arguments that the expectation takes.",
    )
